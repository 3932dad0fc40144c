//! An event as it is told, and as it waits on disk. Pure.

use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// What can be told to the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A run began.
    RunStart,
    /// A run ended, however it did.
    RunStop,
    /// A task is done.
    TaskDone,
    /// A task gave up or was stopped.
    TaskFailed,
    /// A task waits for something that may need a person.
    Waiting,
    /// A task reached one of its bounds.
    Budget,
}

const KINDS: [(EventKind, &str); 6] = [
    (EventKind::RunStart, "run_start"),
    (EventKind::RunStop, "run_stop"),
    (EventKind::TaskDone, "task_done"),
    (EventKind::TaskFailed, "task_failed"),
    (EventKind::Waiting, "waiting"),
    (EventKind::Budget, "budget"),
];

impl EventKind {
    /// Its word, as in `webhook.events`.
    pub fn as_str(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    fn parse(word: &str) -> Option<EventKind> {
        KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

/// The id of an event: the same however often it is noticed, and of no other event on any machine.
pub(crate) fn event_id(root: &Path, kind: EventKind, key: &str, at: Timestamp) -> String {
    let mut hash = Sha256::new();
    for part in [root.as_os_str().as_encoded_bytes(), kind.as_str().as_bytes(), key.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(at.unix_nanos().to_le_bytes());
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// An event that waits to be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    /// Its id, which the receiver knows it by.
    pub(crate) id: String,
    pub(crate) kind: EventKind,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// What is told.
    pub(crate) body: Map<String, Value>,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// When the first of these tries failed.
    pub(crate) failing_since: Option<Timestamp>,
    /// Not before then again.
    pub(crate) next: Option<Timestamp>,
    /// Why the last try failed.
    pub(crate) error: Option<String>,
}

/// The longest text of a body, in characters: an event tells of something, it does not carry it.
const LONGEST_TEXT: usize = 2000;

impl Notice {
    /// An event that nobody was told of yet. `fields` follow its name and id in what is told.
    pub(crate) fn new(
        id: String,
        kind: EventKind,
        at: Timestamp,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Notice {
        let mut body = Map::new();
        body.insert("event".into(), json!(kind.as_str()));
        body.insert("event_id".into(), json!(id));
        for (name, value) in fields {
            let value = match value {
                Value::String(text) if text.chars().count() > LONGEST_TEXT => {
                    let cut: String = text.chars().take(LONGEST_TEXT).collect();
                    json!(format!("{cut}..."))
                }
                value => value,
            };
            body.insert(name.into(), value);
        }
        Notice { id, kind, at, body, attempts: 0, failing_since: None, next: None, error: None }
    }

    /// The name of its file: in the order of time. It is made of the moment at which the event was
    /// noticed: where that is not the event's own, who notices it again may put it there twice, under
    /// the one id that the receiver knows it by.
    pub(crate) fn file_name(&self) -> String {
        let fraction = self.at.subsec_nanos() / 100_000;
        let short: String = self.id.chars().take(16).collect();
        format!("{}{fraction:04}-{}-{short}", self.at.compact(), self.kind.as_str())
    }

    /// What is sent, byte for byte the same at each try.
    pub(crate) fn body_text(&self) -> String {
        Value::Object(self.body.clone()).to_string()
    }

    /// As it stands on disk: one line of JSON.
    pub(crate) fn to_line(&self) -> String {
        let mut map = Map::new();
        map.insert("id".into(), json!(self.id));
        map.insert("event".into(), json!(self.kind.as_str()));
        map.insert("at".into(), json!(self.at.to_string()));
        map.insert("attempts".into(), json!(self.attempts));
        for (name, time) in [("failing_since", self.failing_since), ("next", self.next)] {
            map.extend(time.map(|time| (name.to_owned(), json!(time.to_string()))));
        }
        if let Some(error) = &self.error {
            map.insert("error".into(), json!(error));
        }
        map.insert("body".into(), Value::Object(self.body.clone()));
        format!("{}\n", Value::Object(map))
    }

    /// Reads what [`to_line`](Notice::to_line) wrote to the file at `path`.
    ///
    /// # Errors
    /// `outbox.corrupt`.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Notice> {
        let wrong = |key: &str| {
            Error::new(
                ErrorKind::Corrupt,
                "outbox.corrupt",
                format!("{} is no event that could be told", path.display()),
            )
            .with_path(path)
            .with_field(key)
            .with_hint("look what it tells, and remove it: no other event waits for it")
        };
        let document: Value = serde_json::from_slice(bytes).map_err(|_| wrong(""))?;
        let text = |key: &str| document[key].as_str();
        let time = |key: &str| text(key).map(str::parse::<Timestamp>).transpose();
        Ok(Notice {
            id: text("id").ok_or_else(|| wrong("id"))?.to_owned(),
            kind: text("event").and_then(EventKind::parse).ok_or_else(|| wrong("event"))?,
            at: time("at").ok().flatten().ok_or_else(|| wrong("at"))?,
            body: document["body"].as_object().ok_or_else(|| wrong("body"))?.clone(),
            attempts: document["attempts"]
                .as_u64()
                .map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX)),
            failing_since: time("failing_since").map_err(|_| wrong("failing_since"))?,
            next: time("next").map_err(|_| wrong("next"))?,
            error: text("error").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn notice(id: &str) -> Notice {
        let fields = [("project_id", json!("demo")), ("duration_seconds", json!(0.5))];
        Notice::new(id.into(), EventKind::RunStop, Timestamp::UNIX_EPOCH, fields)
    }

    #[test]
    fn the_same_event_has_the_same_id_and_another_has_another() {
        let at = Timestamp::UNIX_EPOCH;
        let id = |root: &str, key: &str| event_id(Path::new(root), EventKind::RunStop, key, at);
        assert_eq!(id("/r", "p/t/x"), id("/r", "p/t/x"));
        let ids = [id("/r", "p/t/x"), id("/s", "p/t/x"), id("/rp", "/t/x"), id("/r", "p/t/y")];
        for (index, one) in ids.iter().enumerate() {
            assert_eq!(one.len(), 32);
            assert!(!ids[index + 1..].contains(one), "{ids:?}");
        }
        let later = at.plus(std::time::Duration::from_nanos(1));
        assert_ne!(event_id(Path::new("/r"), EventKind::RunStop, "p/t/x", later), ids[0]);
    }

    #[test]
    fn names_are_in_the_order_of_time() {
        let mut later = notice("0123456789abcdef0123456789abcdef");
        assert_eq!(later.file_name(), "19700101-0000000000-run_stop-0123456789abcdef");
        later.at = Timestamp::UNIX_EPOCH.plus(std::time::Duration::from_secs(1));
        assert!(later.file_name() > notice("f").file_name());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "\u{e4}".repeat(5000);
        let fields = [("reason", json!(long))];
        let told = Notice::new("i".into(), EventKind::Waiting, Timestamp::UNIX_EPOCH, fields);
        assert!(told.body["reason"].as_str().unwrap().ends_with("\u{e4}..."));
        assert!(told.to_line().len() < 10_000);
    }

    proptest! {
        #[test]
        fn an_event_comes_back_as_it_was_written(
            attempts in any::<u32>(),
            error in proptest::option::of("\\PC{0,20}"),
            text in "\\PC{0,20}",
        ) {
            let mut notice = notice("i");
            notice.attempts = attempts;
            notice.next = error.as_ref().map(|_| Timestamp::UNIX_EPOCH);
            notice.failing_since = notice.next;
            notice.error = error;
            notice.body.insert("error_summary".into(), json!(text));
            let line = notice.to_line();
            prop_assert_eq!(line.lines().count(), 1);
            prop_assert_eq!(Notice::parse(line.as_bytes(), Path::new("/x")).unwrap(), notice);
        }

        #[test]
        fn damage_is_named_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Err(error) = Notice::parse(&bytes, Path::new("/x")) {
                prop_assert_eq!(error.code(), "outbox.corrupt");
            }
        }
    }
}
