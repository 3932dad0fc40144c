//! A record that is nothing out of the ordinary, as texts that lie in it: nothing is copied.

use super::fields::{Key, fields};
use super::head::Head;
use super::quote::parse_quoted;
use super::stamp::Moment;
use crate::id::check_id;
use std::borrow::Cow;

/// The texts of a record; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plain<'a> {
    pub(crate) msg_id: &'a str,
    /// As it is told: the fraction without trailing zeros.
    pub(crate) time: (&'a str, bool),
    /// The same in nanoseconds since 1970.
    pub(crate) nanos: i64,
    pub(crate) msg_type: &'a str,
    pub(crate) project_id: &'a str,
    pub(crate) task_id: &'a str,
    pub(crate) run_id: &'a str,
    pub(crate) body: &'a str,
}

/// The texts of a whole record; `None` where it has more than them, or something in it is escaped: then
/// [`decode`](super::decode) says what it is.
pub(crate) fn plain<'a>(record: &'a [u8], head: &Head) -> Option<Plain<'a>> {
    let stored = &record[head.body.clone()];
    if memchr::memchr(b'\\', stored).is_some() {
        return None;
    }
    let header = std::str::from_utf8(&record[..head.body.start]).ok()?;
    let mut plain = Plain {
        msg_id: &header[head.id.clone()],
        body: std::str::from_utf8(stored).ok()?,
        ..Plain::default()
    };
    check_id("message", plain.msg_id).ok()?;
    for field in fields(&header[head.id.end + 1..]) {
        let (key, value) = field?;
        match key {
            Key::Ts => {
                let moment = Moment::parse_rfc3339(value.as_bytes())?;
                plain.nanos = moment.unix_nanos()?;
                plain.time = told(value);
            }
            Key::Type if !value.starts_with('"') => plain.msg_type = value,
            Key::ProjectId => plain.project_id = quoted(value)?,
            Key::TaskId => plain.task_id = quoted(value)?,
            Key::RunId => plain.run_id = quoted(value)?,
            Key::Type | Key::IssueId | Key::Parents | Key::Links | Key::Meta => return None,
        }
    }
    Some(plain)
}

/// A moment as it is stored, with nine digits behind the dot, as it is told: how much of it, and whether
/// a `Z` is to follow.
fn told(stored: &str) -> (&str, bool) {
    let digits = &stored[..stored.len() - 1];
    match digits.trim_end_matches('0') {
        whole if whole.len() == digits.len() => (stored, false),
        whole => (whole.strip_suffix('.').unwrap_or(whole), true),
    }
}

fn quoted(value: &str) -> Option<&str> {
    match parse_quoted(value)? {
        (Cow::Borrowed(text), "") => Some(text),
        _ => None,
    }
}
