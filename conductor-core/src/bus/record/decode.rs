//! Decoding of a record whose checksum was verified.

use super::escape;
use super::fields::{Key, fields};
use super::flow;
use super::head::Head;
use super::quote::parse_quoted;
use super::stamp::Moment;
use crate::bus::cursor::Cursor;
use crate::bus::message::Message;
use crate::id::MessageId;
use crate::time::Timestamp;
use std::borrow::Cow;

/// Makes a message of a whole record; `None` where its header is no header of this format in spite
/// of its checksum.
pub(crate) fn decode(record: &[u8], head: &Head) -> Option<Message> {
    let header = std::str::from_utf8(&record[..head.body.start]).ok()?;
    let id = MessageId::new(&header[head.id.clone()]).ok()?;
    let body = match escape::body(&record[head.body.clone()]) {
        Cow::Borrowed(body) => std::str::from_utf8(body).ok()?.to_owned(),
        Cow::Owned(body) => String::from_utf8(body).ok()?,
    };
    let mut message = Message {
        cursor: Cursor::of_record(head.seq, id.clone()),
        msg_id: id,
        seq: Some(head.seq),
        time: Timestamp::ZERO,
        msg_type: String::new(),
        project_id: String::new(),
        task_id: String::new(),
        run_id: String::new(),
        issue_id: None,
        parents: Vec::new(),
        links: Vec::new(),
        meta: Vec::new(),
        body,
    };
    // Behind the id and its line feed.
    for field in fields(&header[head.id.end + 1..]) {
        let (key, value) = field?;
        match key {
            Key::Ts => message.time = time(value)?,
            Key::Type => message.msg_type = plain_or_quoted(value)?,
            Key::ProjectId => message.project_id = quoted(value)?,
            Key::TaskId => message.task_id = quoted(value)?,
            Key::RunId => message.run_id = quoted(value)?,
            Key::IssueId => message.issue_id = Some(quoted(value)?),
            Key::Parents => message.parents = flow::parse(value)?.into_parents()?,
            Key::Links => message.links = flow::parse(value)?.into_links()?,
            Key::Meta => message.meta = flow::parse(value)?.into_pairs()?,
        }
    }
    Some(message)
}

fn time(value: &str) -> Option<Timestamp> {
    match Moment::parse_rfc3339(value.as_bytes()) {
        Some(moment) => Some(moment.timestamp()),
        None => value.parse().ok(),
    }
}

fn quoted(value: &str) -> Option<String> {
    match parse_quoted(value)? {
        (text, "") => Some(text.into_owned()),
        _ => None,
    }
}

fn plain_or_quoted(value: &str) -> Option<String> {
    if value.starts_with('"') { quoted(value) } else { Some(value.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::super::head::{Look, look};
    use super::super::{Draft, Moment, Stamp, plain};
    use super::*;
    use crate::bus::message::{Link, Parent};
    use crate::bus::post::Post;
    use crate::bus::scope::Scope;
    use crate::id::{ProjectId, RunId, TaskId};
    use proptest::prelude::*;

    /// A whole record with these lines between its number and its length.
    fn record(lines: &str) -> Vec<u8> {
        let head = format!("---\nmsg_id: MSG-1\nseq: 1\n{lines}len: 1\n");
        let sum = crc32c::crc32c(format!("{head}x").as_bytes());
        format!("{head}crc32c: \"{sum:08x}\"\n---\nx\n").into_bytes()
    }

    #[test]
    fn a_header_that_says_a_thing_twice_is_no_message_to_any_reader() {
        let once = "ts: 2026-11-23T14:20:55.123456789Z\ntype: A\nrun_id: \"r\"\n";
        for (more, is_message) in [
            ("", true),
            ("colour: red\ncolour: blue\n", true),
            ("type:B\n", true),
            ("type: A\n", false),
            ("type: \"B\"\n", false),
            ("run_id: \"\"\n", false),
        ] {
            let bytes = record(&format!("{once}{more}"));
            let Look::Record(head) = look(&bytes) else { panic!("{:?}", look(&bytes)) };
            assert_eq!(decode(&bytes, &head).is_some(), is_message, "{more}");
            assert_eq!(plain(&bytes, &head).is_some(), is_message, "{more}");
        }
    }

    fn any_id() -> impl Strategy<Value = String> {
        "[A-Za-z0-9][A-Za-z0-9._-]{0,20}[a-z]"
    }

    proptest! {
        #[test]
        fn every_post_comes_back(
            kind in "[A-Z][A-Z0-9_/-]{0,63}",
            body in "(\\PC{0,5}|---|\n|\\\\|\r){0,20}",
            project in any_id(), task in any_id(), run in any_id(),
            parent in any_id(), parent_kind in any::<String>(),
            url in any::<String>(), label in any::<String>(),
            meta in prop::collection::btree_map("[^\0]{1,8}", "[^\0]{0,20}", 0..4),
            seq in 1u64..(1 << 53), nanos in 0i64..i64::MAX, process in any::<u32>(),
        ) {
            let scope = Scope { project: ProjectId::new(project).unwrap(), task: None };
            let (task, run) = (TaskId::new(task).unwrap(), RunId::new(run).unwrap());
            let parent = MessageId::new(parent).unwrap();
            let mut post = Post::new(&kind, &body).task(&task).run(&run)
                .parent(&parent).parent_of_kind(&parent, &parent_kind)
                .link(&url, &label, "k");
            for (name, value) in &meta {
                post = post.meta(name, value);
            }
            let moment = Moment::of(Timestamp::from_unix_nanos(i128::from(nanos)));
            let stamp = Stamp { seq, id_time: moment, time: moment, process, counter: 7 };
            let draft = Draft::new(&post, &scope, 1 << 20).unwrap();
            let mut bytes = Vec::new();
            draft.push(&stamp, &mut bytes);
            let Look::Record(head) = look(&bytes) else { panic!("{:?}", look(&bytes)) };
            let message = decode(&bytes, &head).unwrap();
            let end = format!("-PID{process:05}-0007");
            prop_assert!(message.msg_id.as_str().ends_with(&end));
            prop_assert_eq!(message.seq, Some(seq));
            prop_assert_eq!(message.time, moment.timestamp());
            prop_assert_eq!(message.msg_type, kind);
            prop_assert_eq!(message.body, body);
            prop_assert_eq!(message.project_id, scope.project.as_str());
            prop_assert_eq!(message.task_id, task.as_str());
            prop_assert_eq!(message.run_id, run.as_str());
            prop_assert_eq!(message.parents, vec![
                Parent { msg_id: parent.to_string(), ..Parent::default() },
                Parent { msg_id: parent.to_string(), kind: Some(parent_kind), meta: Vec::new() },
            ]);
            let label = Some(label).filter(|label| !label.is_empty());
            let link = Link { url, label, kind: Some("k".into()) };
            prop_assert_eq!(message.links, vec![link]);
            prop_assert_eq!(message.meta, meta.into_iter().collect::<Vec<_>>());
        }
    }
}
