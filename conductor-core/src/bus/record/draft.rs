//! Encoding: everything of a record that is known before the lock, and the stamp given under it.

use super::escape::{escape, stored_len};
use super::flow::{push_links, push_pairs, push_parents};
use super::quote::push_quoted;
use super::stamp::{Moment, push_number};
use super::{BEGIN, MARK_LEAD};
use crate::bus::post::Post;
use crate::bus::scope::Scope;
use crate::error::{Error, Result};
use crate::limits;
use std::borrow::Cow;

/// Types that a YAML 1.1 reader takes for null or a truth value unless they are quoted.
const YAML_WORDS: [&str; 9] = ["NULL", "YES", "NO", "ON", "OFF", "TRUE", "FALSE", "Y", "N"];
/// More bytes than a stamp adds to a record: the id twice, the numbers, the times, the checksum.
const STAMP_MOST: usize = 256;

/// A record without its stamp.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The lines `type` to `run_id`, the lines behind `issue_id` up to and with `len`, and the body
    /// as it is stored.
    bytes: Vec<u8>,
    /// Where the first lines end.
    names: usize,
    /// Where the body begins.
    body: usize,
    issue: bool,
}

/// What a record gets under the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) seq: u64,
    /// The time in the id, later than that of every record before.
    pub(crate) id_time: Moment,
    /// What the wall clock says.
    pub(crate) time: Moment,
    pub(crate) process: u32,
    pub(crate) counter: u32,
}

impl Stamp {
    /// The record's id.
    fn push_id(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"MSG-");
        self.id_time.push_compact(out);
        out.extend_from_slice(b"-PID");
        push_number(out, self.process.into(), 5);
        out.push(b'-');
        push_number(out, (self.counter % 10_000).into(), 4);
    }
}

impl Draft {
    /// Checks a post and encodes what does not depend on its place on the bus.
    ///
    /// # Errors
    /// `bus.type`, `bus.body`, `bus.body_too_large`, `bus.header_too_large`, each naming its field.
    pub(crate) fn new(post: &Post, scope: &Scope, body_limit: usize) -> Result<Draft> {
        let kind = checked_type(&post.kind)?;
        check_body(&post.body, body_limit)?;
        Draft::build(&kind, post, scope)
    }

    /// A record that begins or ends a segment.
    pub(crate) fn control(kind: &str, post: &Post, scope: &Scope) -> Result<Draft> {
        Draft::build(kind, post, scope)
    }

    fn build(kind: &str, post: &Post, scope: &Scope) -> Result<Draft> {
        let mut bytes = Vec::with_capacity(256 + post.body.len());
        bytes.extend_from_slice(b"type: ");
        if YAML_WORDS.contains(&kind) {
            push_quoted(&mut bytes, kind);
        } else {
            bytes.extend_from_slice(kind.as_bytes());
        }
        bytes.push(b'\n');
        let task = post.task.as_ref().or(scope.task.as_ref());
        push_text(&mut bytes, "project_id", scope.project.as_str());
        push_text(&mut bytes, "task_id", task.map_or("", |task| task.as_str()));
        push_text(&mut bytes, "run_id", post.run.as_ref().map_or("", |run| run.as_str()));
        let names = bytes.len();
        if !post.parents.is_empty() {
            push_line(&mut bytes, "parents", |out| push_parents(out, &post.parents));
        }
        if !post.links.is_empty() {
            push_line(&mut bytes, "links", |out| push_links(out, &post.links));
        }
        if !post.meta.is_empty() {
            push_line(&mut bytes, "meta", |out| push_pairs(out, &post.meta));
        }
        let stored = stored_len(post.body.as_bytes());
        push_line(&mut bytes, "len", |out| push_number(out, stored as u64, 1));
        let body = bytes.len();
        if body + STAMP_MOST > limits::MESSAGE_HEADER {
            return Err(Error::invalid(
                "bus.header_too_large",
                "meta",
                format!(
                    "parents, links and meta of the message have {body} bytes, more than {}",
                    limits::MESSAGE_HEADER - STAMP_MOST
                ),
            )
            .with_hint("put long text into the body"));
        }
        escape(post.body.as_bytes(), &mut bytes);
        Ok(Draft { bytes, names, body, issue: kind == "ISSUE" })
    }

    /// At most how many bytes the record has, with the line feeds in front of it.
    pub(crate) fn most(&self) -> usize {
        self.bytes.len() + STAMP_MOST + MARK_LEAD
    }

    /// Appends the record.
    pub(crate) fn push(&self, stamp: &Stamp, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(BEGIN);
        stamp.push_id(out);
        let id = start + BEGIN.len()..out.len();
        out.extend_from_slice(b"\nseq: ");
        push_number(out, stamp.seq, 1);
        out.extend_from_slice(b"\nts: ");
        stamp.time.push_rfc3339(out);
        out.push(b'\n');
        out.extend_from_slice(&self.bytes[..self.names]);
        if self.issue {
            out.extend_from_slice(b"issue_id: \"");
            out.extend_from_within(id);
            out.extend_from_slice(b"\"\n");
        }
        out.extend_from_slice(&self.bytes[self.names..self.body]);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&out[start..]), &self.bytes[self.body..]);
        out.extend_from_slice(b"crc32c: \"");
        let nibbles = (0..8).rev().map(|at| b"0123456789abcdef"[(crc >> (4 * at) & 0xf) as usize]);
        out.extend(nibbles);
        out.extend_from_slice(b"\"\n---\n");
        out.extend_from_slice(&self.bytes[self.body..]);
        out.push(b'\n');
    }
}

fn push_line(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b": ");
    value(out);
    out.push(b'\n');
}

fn push_text(out: &mut Vec<u8>, key: &str, text: &str) {
    push_line(out, key, |out| push_quoted(out, text));
}

/// Whether a text is a type that this format writes.
pub(crate) fn is_type(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'/' | b'-'))
}

/// The type in upper case.
fn checked_type(kind: &str) -> Result<Cow<'_, str>> {
    let lower = kind.bytes().any(|byte| byte.is_ascii_lowercase());
    let upper = if lower { Cow::Owned(kind.to_ascii_uppercase()) } else { Cow::Borrowed(kind) };
    if !is_type(&upper) || super::is_control(&upper) {
        let shown: String = kind.chars().take(70).flat_map(char::escape_debug).collect();
        return Err(Error::invalid(
            "bus.type",
            "type",
            format!("invalid message type \"{shown}\""),
        )
        .with_hint(
            "a type is a word of 1 to 64 of A-Z 0-9 _ / - that starts with a letter, as FACT",
        ));
    }
    Ok(upper)
}

fn check_body(body: &str, limit: usize) -> Result<()> {
    let limit = limit.min(limits::MESSAGE_BODY_HARD);
    if body.len() > limit {
        return Err(Error::invalid(
            "bus.body_too_large",
            "body",
            format!("the message body has {} bytes, more than {limit}", body.len()),
        )
        .with_hint("put the text into a file and link to it"));
    }
    if let Some(at) = memchr::memchr(0, body.as_bytes()) {
        return Err(Error::invalid(
            "bus.body",
            "body",
            format!("the message body has a NUL character at byte {at}"),
        )
        .with_hint("a body is text; put other data into a file and link to it"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::{ProjectId, RunId, TaskId};

    fn stamp() -> Stamp {
        let time = "2026-11-23T14:20:55.123456789Z".parse().unwrap();
        let moment = Moment::of(time);
        Stamp { seq: 4711, id_time: moment, time: moment, process: 4242, counter: 1 }
    }

    fn encoded(post: &Post) -> Vec<u8> {
        let scope =
            Scope { project: ProjectId::new("p").unwrap(), task: Some(TaskId::new("t").unwrap()) };
        let mut out = Vec::new();
        let draft = Draft::new(post, &scope, limits::MESSAGE_BODY).unwrap();
        draft.push(&stamp(), &mut out);
        assert!(out.len() <= draft.most());
        out
    }

    /// The record that the format's description shows.
    pub(crate) fn golden() -> Vec<u8> {
        let run = RunId::new("run-1").unwrap();
        encoded(&Post::new("FACT", "hello\n---\n\\---\nbye").run(&run))
    }

    #[test]
    fn the_golden_record_is_written_to_the_byte() {
        let expected = concat!(
            "---\n",
            "msg_id: MSG-20261123-142055-123456789-PID04242-0001\n",
            "seq: 4711\n",
            "ts: 2026-11-23T14:20:55.123456789Z\n",
            "type: FACT\n",
            "project_id: \"p\"\n",
            "task_id: \"t\"\n",
            "run_id: \"run-1\"\n",
            "len: 20\n",
            "crc32c: \"7b45f36b\"\n",
            "---\n",
            "hello\n\\---\n\\\\---\nbye\n",
        );
        assert_eq!(String::from_utf8(golden()).unwrap(), expected);
        assert_eq!(expected.len(), 209);
    }

    #[test]
    fn types_are_upper_case_and_quoted_where_yaml_would_misread_them() {
        let text = |kind: &str| String::from_utf8(encoded(&Post::new(kind, ""))).unwrap();
        assert!(text("null").contains("\ntype: \"NULL\"\n"));
        assert!(text("info").contains("\ntype: INFO\n"));
        assert!(
            text("issue")
                .contains("\nissue_id: \"MSG-20261123-142055-123456789-PID04242-0001\"\nlen: 0\n")
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_field() {
        let scope = Scope { project: ProjectId::new("p").unwrap(), task: None };
        let long = "x".repeat(70_000);
        for (post, code, field) in [
            (Post::new("", "x"), "bus.type", "type"),
            (Post::new("a b", "x"), "bus.type", "type"),
            (Post::new("1A", "x"), "bus.type", "type"),
            (Post::new("x".repeat(65), "x"), "bus.type", "type"),
            (Post::new("bus_segment_end", "x"), "bus.type", "type"),
            (Post::new("A", "a\0b"), "bus.body", "body"),
            (Post::new("A", "12345678901"), "bus.body_too_large", "body"),
            (Post::new("A", "x").meta("k", &long), "bus.header_too_large", "meta"),
        ] {
            let error = Draft::new(&post, &scope, 10).unwrap_err();
            assert_eq!((error.code(), error.field()), (code, Some(field)));
        }
    }
}
