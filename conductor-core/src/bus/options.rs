//! How a bus is written and read.

use super::cursor::Cursor;
use super::message::Message;
use crate::id::RunId;
use crate::layout::Layout;
use crate::limits;
use crate::mask::Secrets;
use crate::time::Timestamp;
use std::sync::Arc;

/// What a message that was acknowledged survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// A power cut, on a local disk that honours flushes.
    #[default]
    Disk,
    /// The death of any process, but not of the machine.
    Process,
}

/// How a bus is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BusOptions {
    /// What an acknowledged message survives.
    pub durability: Durability,
    /// The largest body that is accepted, in bytes, before escaping; at most
    /// [`limits::MESSAGE_BODY_HARD`].
    pub max_body: usize,
    /// The size of the file, in bytes, from which a post first moves what is there into an archive;
    /// `None` for never.
    pub max_size: Option<u64>,
    /// Whether programs may write here that do not look for a rotation, as older versions do. Then
    /// the bus is never rotated.
    pub allow_legacy_writers: bool,
    /// The root that the bus belongs to, which keeps the places of its readers.
    pub(crate) root: Option<Layout>,
    /// What no message may hold.
    pub(crate) secrets: Arc<Secrets>,
}

impl Default for BusOptions {
    fn default() -> BusOptions {
        BusOptions {
            durability: Durability::default(),
            max_body: limits::MESSAGE_BODY,
            max_size: None,
            allow_legacy_writers: false,
            root: None,
            secrets: Arc::default(),
        }
    }
}

impl BusOptions {
    /// What an acknowledged message survives.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> BusOptions {
        self.durability = durability;
        self
    }

    /// The largest body that is accepted, in bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> BusOptions {
        self.max_body = bytes;
        self
    }

    /// The size of the file, in bytes, from which it is archived.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> BusOptions {
        self.max_size = Some(bytes);
        self
    }

    /// Whether programs may write here that do not look for a rotation.
    #[must_use]
    pub fn allow_legacy_writers(mut self, allow: bool) -> BusOptions {
        self.allow_legacy_writers = allow;
        self
    }
}

/// What to read of a bus. The default is everything that is kept, oldest first.
///
/// Filters choose among messages; damage and gaps are told whatever the filters say.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    pub(super) after: Option<Cursor>,
    pub(super) tail: Option<usize>,
    pub(super) types: Vec<String>,
    pub(super) run: Option<RunId>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) control: bool,
}

impl ReadOptions {
    /// Only what comes after this place.
    #[must_use]
    pub fn after(mut self, cursor: &Cursor) -> ReadOptions {
        self.after = Some(cursor.clone());
        self
    }

    /// Only the last `count` of the messages that the filters choose.
    #[must_use]
    pub fn tail(mut self, count: usize) -> ReadOptions {
        self.tail = Some(count);
        self
    }

    /// Only messages of this type; may be called again for more.
    #[must_use]
    pub fn of_type(mut self, kind: impl Into<String>) -> ReadOptions {
        self.types.push(kind.into());
        self
    }

    /// Only messages of this run.
    #[must_use]
    pub fn of_run(mut self, run: &RunId) -> ReadOptions {
        self.run = Some(run.clone());
        self
    }

    /// Only messages posted at this time or later, by their posters' clocks.
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> ReadOptions {
        self.since = Some(time);
        self
    }

    /// Only messages posted before this time, by their posters' clocks.
    #[must_use]
    pub fn until(mut self, time: Timestamp) -> ReadOptions {
        self.until = Some(time);
        self
    }

    /// Whether the filters choose this message, for who reads without them and wants to know how far.
    pub fn takes(&self, message: &Message) -> bool {
        (self.types.is_empty() || self.types.contains(&message.msg_type))
            && self.run.as_ref().is_none_or(|run| run.as_str() == message.run_id)
            && self.since.is_none_or(|time| message.time >= time)
            && self.until.is_none_or(|time| message.time < time)
    }

    /// Whether a place to read after is named.
    pub(crate) fn has_after(&self) -> bool {
        self.after.is_some()
    }

    /// Whether only the last messages are wanted.
    pub(crate) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// The place to read after, or `otherwise` where none is named.
    pub(crate) fn after_or(&self, otherwise: &Cursor) -> Cursor {
        self.after.as_ref().unwrap_or(otherwise).clone()
    }

    /// The same without the limit to the last messages, and that limit.
    pub(crate) fn without_tail(mut self) -> (ReadOptions, Option<usize>) {
        let tail = self.tail.take();
        (self, tail)
    }

    /// Also the records that begin and end segments.
    #[must_use]
    pub fn with_control(mut self) -> ReadOptions {
        self.control = true;
        self
    }
}
