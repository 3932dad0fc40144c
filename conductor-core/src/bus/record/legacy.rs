//! Records of the older program: YAML headers without number, length and checksum, and the
//! single lines `[time] TYPE: body` of its first versions.

use super::super::cursor::Cursor;
use super::super::message::{Link, Message, Parent};
use crate::id::MessageId;
use crate::time::Timestamp;
use crate::yaml::{Mapping, Value};
use std::path::Path;

/// Where the body of an older record that begins at `body` ends: at the next line of `---`.
///
/// The flag says whether such a line follows; without one the body reaches to the end of `bytes`.
pub(crate) fn legacy_body_end(bytes: &[u8], body: usize) -> (usize, bool) {
    let mut from = body;
    loop {
        let Some(at) = memchr::memmem::find(&bytes[from..], b"---") else {
            return (bytes.len(), false);
        };
        let dashes = from + at;
        let rest = &bytes[dashes + 3..];
        let feeds = rest.iter().position(|byte| *byte != b'\r').unwrap_or(rest.len());
        // At the very end of the bytes a line of three dashes may still grow.
        let ends = rest.get(feeds) == Some(&b'\n');
        if ends && (dashes == body || bytes[dashes - 1] == b'\n') {
            return (dashes, true);
        }
        from = dashes + 1;
    }
}

/// Makes a message of the header (between its two lines of `---`) and body of an older record.
///
/// `None` where the header is no YAML mapping or names no id that we could pass on.
pub(crate) fn decode_legacy(
    header: &[u8],
    body: &[u8],
    segment: u64,
    offset: u64,
) -> Option<Message> {
    let map = crate::yaml::parse_mapping(header, Path::new("")).ok()?;
    let text = |key: &str| map.get_text(key).unwrap_or_default();
    let id = MessageId::new(text("msg_id")).ok()?;
    // Line feeds at the end depend on what follows in the file, so none is part of the body.
    let body = String::from_utf8_lossy(body);
    let body = body.trim_end_matches(['\n', '\r']);
    Some(Message {
        cursor: Cursor::of_legacy(segment, offset, crc32c::crc32c(header), id.clone()),
        msg_id: id,
        seq: None,
        time: text("ts").parse().unwrap_or(Timestamp::ZERO),
        msg_type: text("type"),
        project_id: text("project_id"),
        task_id: text("task_id"),
        run_id: text("run_id"),
        issue_id: Some(text("issue_id")).filter(|id| !id.is_empty()),
        parents: maps(&map, "parents").into_iter().map(parent).collect(),
        links: maps(&map, "links").into_iter().map(link).collect(),
        meta: map.get("meta").map(pairs).unwrap_or_default(),
        body: body.to_owned(),
    })
}

/// The items of a list under `key`; a bare text stands for a map with that id.
fn maps(map: &Mapping, key: &str) -> Vec<Mapping> {
    let Some(Value::List(items)) = map.get(key) else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| match item {
            Value::Map(map) => Some(map.clone()),
            other => other.as_text().map(|id| {
                let mut map = Mapping::new();
                map.insert("msg_id", Value::Text(id));
                map
            }),
        })
        .collect()
}

fn parent(map: Mapping) -> Parent {
    Parent {
        msg_id: map.get_text("msg_id").unwrap_or_default(),
        kind: map.get_text("kind"),
        meta: map.get("meta").map(pairs).unwrap_or_default(),
    }
}

fn link(map: Mapping) -> Link {
    Link {
        url: map.get_text("url").unwrap_or_default(),
        label: map.get_text("label"),
        kind: map.get_text("kind"),
    }
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let Value::Map(map) = value else { return Vec::new() };
    map.iter().map(|(key, value)| (key.to_owned(), value.as_text().unwrap_or_default())).collect()
}

/// Makes a message of a line `[time] TYPE: body`, the `number`-th of its file (from 1).
pub(crate) fn decode_line(line: &[u8], number: u64, segment: u64, offset: u64) -> Option<Message> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    let (time, content) = text.strip_prefix('[')?.split_once(']')?;
    let time = line_time(time)?;
    let content = content.trim();
    let (kind, body) = match content.split_once(':') {
        Some((kind, body)) if is_token(kind.trim()) => {
            (kind.trim().to_ascii_uppercase(), body.trim())
        }
        _ => ("INFO".to_owned(), content),
    };
    let body = if body.is_empty() { content } else { body };
    let id = MessageId::new(format!("LEGACY-LINE-{number:09}")).ok()?;
    Some(Message {
        cursor: Cursor::of_legacy(segment, offset, crc32c::crc32c(text.as_bytes()), id.clone()),
        msg_id: id,
        seq: None,
        time,
        msg_type: kind,
        project_id: String::new(),
        task_id: String::new(),
        run_id: String::new(),
        issue_id: None,
        parents: Vec::new(),
        links: Vec::new(),
        meta: Vec::new(),
        body: body.to_owned(),
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'-'))
}

/// RFC 3339, or a date and a time of day without a zone, which means UTC.
fn line_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let (date, time) = text.split_once([' ', 'T'])?;
        format!("{date}T{time}Z").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_body_ends_at_the_next_line_of_dashes() {
        for (text, end) in [
            ("a\n---\nb", (2, true)),
            ("---\nb", (0, true)),
            ("a\n---\r\nb", (2, true)),
            ("a\n ---\n----\n--- x\nb---\n", (23, false)),
            ("a\n---", (5, false)),
            ("", (0, false)),
        ] {
            assert_eq!(legacy_body_end(text.as_bytes(), 0), end, "{text:?}");
        }
    }

    #[test]
    fn single_lines_are_read() {
        let message = decode_line(b"[2026-01-02 03:04:05] fact: it: works\r\n", 7, 0, 99).unwrap();
        assert_eq!(message.msg_id.as_str(), "LEGACY-LINE-000000007");
        assert_eq!((message.msg_type.as_str(), message.body.as_str()), ("FACT", "it: works"));
        assert_eq!(message.time.to_string(), "2026-01-02T03:04:05Z");
        let message = decode_line(b"[2026-01-02T03:04:05Z] no type here", 1, 0, 0).unwrap();
        assert_eq!((message.msg_type.as_str(), message.body.as_str()), ("INFO", "no type here"));
        for line in ["", "text", "[x] y", "[2026-01-02]", "2026-01-02 03:04:05] A: b"] {
            assert!(decode_line(line.as_bytes(), 1, 0, 0).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(header in any::<Vec<u8>>(), body in any::<Vec<u8>>()) {
            let _ = decode_legacy(&header, &body, 0, 0);
            let _ = decode_line(&body, 1, 0, 0);
            let _ = legacy_body_end(&body, body.len() / 2);
        }
    }
}
