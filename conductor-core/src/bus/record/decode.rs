//! Decoding of a record whose checksum was verified.

use super::escape;
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
    let mut rest = &header[head.id.end + 1..];
    while let Some(end) = memchr::memchr(b'\n', rest.as_bytes()) {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        // No key holds a colon, so the first one ends it.
        let Some(colon) = memchr::memchr(b':', line.as_bytes()) else { continue };
        let (key, value) = (&line[..colon], line.get(colon + 2..)?);
        match key {
            "ts" => message.time = time(value)?,
            "type" => message.msg_type = plain_or_quoted(value)?,
            "project_id" => message.project_id = quoted(value)?,
            "task_id" => message.task_id = quoted(value)?,
            "run_id" => message.run_id = quoted(value)?,
            "issue_id" => message.issue_id = Some(quoted(value)?),
            "parents" => message.parents = flow::parse(value)?.into_parents()?,
            "links" => message.links = flow::parse(value)?.into_links()?,
            "meta" => message.meta = flow::parse(value)?.into_pairs()?,
            // Numbers and checksum were checked; a key of a newer writer is not ours to judge.
            _ => {}
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
    use super::super::{Draft, Moment, Stamp};
    use super::*;
    use crate::bus::message::{Link, Parent};
    use crate::bus::post::Post;
    use crate::bus::scope::Scope;
    use crate::id::{ProjectId, RunId, TaskId};
    use proptest::prelude::*;

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
