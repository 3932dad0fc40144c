//! What a reader of a bus is given.

use super::cursor::Cursor;
use crate::id::MessageId;
use crate::time::Timestamp;
use std::path::PathBuf;

/// A message of a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its id, unique on its bus.
    pub msg_id: MessageId,
    /// Its number on the bus, dense from 1; `None` for a message of an older program.
    pub seq: Option<u64>,
    /// When it was posted, by the poster's wall clock; [`Timestamp::ZERO`] where it is unreadable.
    pub time: Timestamp,
    /// Its type, as `FACT`.
    pub msg_type: String,
    /// The project that it belongs to; empty where unknown.
    pub project_id: String,
    /// The task that it belongs to; empty where it is the project's.
    pub task_id: String,
    /// The run that it belongs to; empty where it belongs to none.
    pub run_id: String,
    /// The id under which it is discussed, for messages of type `ISSUE`.
    pub issue_id: Option<String>,
    /// Messages that it answers or rests on.
    pub parents: Vec<Parent>,
    /// What it points to.
    pub links: Vec<Link>,
    /// Named texts, in the order in which they were posted.
    pub meta: Vec<(String, String)>,
    /// The text. Line feeds at the end of an older program's messages are not part of it.
    pub body: String,
    /// The place right behind this message: reading from here gives the ones after it.
    pub cursor: Cursor,
}

impl Message {
    /// The text of a name in `meta`.
    pub fn meta(&self, name: &str) -> Option<&str> {
        self.meta.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A message that another one answers or rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub msg_id: String,
    /// What it is to the child, as `source_fact`.
    pub kind: Option<String>,
    /// Named texts about the relation.
    pub meta: Vec<(String, String)>,
}

/// Something that a message points to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Where it is: a path or a URL.
    pub url: String,
    /// What a person calls it.
    pub label: Option<String>,
    /// What a program calls it.
    pub kind: Option<String>,
}

/// What reading a bus gives: messages, and whatever stands in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly every event is a message")]
pub enum Event {
    /// A message.
    Message(Message),
    /// Messages that are no longer there, or never came: their numbers are missing.
    Gap {
        /// The first missing number.
        from: u64,
        /// The last missing number.
        to: u64,
    },
    /// Bytes that were a record and are none any more. They stay on disk as they are.
    Corrupt(Damage),
    /// Text that somebody wrote into the file without the form of a message.
    Foreign(Damage),
    /// The file was replaced by another one that does not continue it; reading goes on in that one.
    Replaced {
        /// The path of the bus.
        path: PathBuf,
        /// The last number that was read of the old file; 0 where none was.
        last_seq: u64,
    },
}

/// A region of a bus that holds no message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Its first byte in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The number of the last message before it; 0 where there is none.
    pub after_seq: u64,
    /// Its beginning, at most 4096 bytes, unreadable bytes replaced.
    pub text: String,
}

/// The most of a damaged region that is passed on, in bytes.
pub(crate) const DAMAGE_TEXT: usize = 4096;
