//! Who is told, and whether it is worth trying.

use super::store::OutboxEvent;
use crate::cancel::Wait;
use crate::error::Result;
use crate::fsx::Folder;
use crate::time::Timestamp;
use serde_json::{Value, json};

/// Whoever takes events: the webhook, or a program's own.
pub trait Receiver {
    /// Takes an event. Only when this returns without an error is the event forgotten.
    ///
    /// # Errors
    /// Why it was not taken, in a few words without secrets: it stands on disk until the next try.
    fn take(&mut self, event: &OutboxEvent, wait: &Wait) -> std::result::Result<(), String>;
}

/// The file that says how the receiver was met last.
pub(super) const FILE: &str = ".receiver.json";
const LIMIT: u64 = 16 << 10;

/// How the receiver was met last, by any process. A hint that keeps one command after the other from
/// waiting for a receiver that is down; nothing depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiverState {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Why the last one failed.
    pub(crate) error: Option<String>,
    /// When it failed.
    pub(crate) at: Option<Timestamp>,
    /// Not before then again.
    pub(crate) rests_until: Option<Timestamp>,
}

impl ReceiverState {
    /// What is known; nothing where the file is damaged.
    pub(crate) fn read(outbox: &Folder) -> Result<ReceiverState> {
        let Some(bytes) = outbox.read_if_exists(FILE, LIMIT)? else {
            return Ok(ReceiverState::default());
        };
        let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let time = |key: &str| document[key].as_str().and_then(|text| text.parse().ok());
        Ok(ReceiverState {
            failures: document["failures"].as_u64().map_or(0, |n| n.min(1 << 20) as u32),
            error: document["error"].as_str().map(str::to_owned),
            at: time("at"),
            rests_until: time("rests_until"),
        })
    }

    /// Notes a failure, for every process.
    pub(super) fn failed(outbox: &Folder, why: &str, now: Timestamp) -> Result<ReceiverState> {
        let failures = ReceiverState::read(outbox)?.failures + 1;
        let state = ReceiverState {
            failures,
            error: Some(why.to_owned()),
            at: Some(now),
            rests_until: super::pace::rest(failures).map(|rest| now.plus(rest)),
        };
        let document = json!({
            "failures": state.failures,
            "error": state.error,
            "at": now.to_string(),
            "rests_until": state.rests_until.map(|until| until.to_string()),
        });
        outbox.replace_hint(FILE, format!("{document}\n").as_bytes())?;
        Ok(state)
    }

    /// Notes that it took something.
    pub(super) fn took(outbox: &Folder) -> Result<()> {
        if outbox.stat(FILE)?.is_some() {
            outbox.remove_file(FILE)?;
        }
        Ok(())
    }

    /// Whether it shall be left alone now.
    pub(crate) fn rests(&self, now: Timestamp) -> bool {
        let Some(until) = self.rests_until else { return false };
        // A clock that was set back far must not keep it resting for years.
        now < until && until.since(now) <= std::time::Duration::from_secs(3600)
    }
}
