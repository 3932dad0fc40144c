//! A place on a bus, as text that any program can keep and go on from.

use crate::error::{Error, Result};
use crate::id::MessageId;
use std::fmt;
use std::str::FromStr;

/// A place on a bus: right behind a message, at its very start, or at its present end.
///
/// The text form is `c1:<seq>:<msg_id>` behind a message, `l1:<segment>:<offset>:<hash>:<msg_id>`
/// behind a message of an older program, `start` or `end`. A bare message id is a cursor too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(Place);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Before everything that is kept.
    Start,
    /// Behind everything that is there when the cursor is used.
    End,
    /// Behind a record.
    Record {
        /// Its number.
        seq: u64,
        /// Its id.
        id: MessageId,
    },
    /// Behind a record of an older program.
    Legacy {
        /// The number of the first record of its segment; 0 where that has none.
        segment: u64,
        /// Where the record begins in the segment, in bytes.
        offset: u64,
        /// CRC-32C of its header.
        hash: u32,
        /// Its id.
        id: MessageId,
    },
    /// Behind the message with this id, wherever that is.
    Id(MessageId),
}

impl Cursor {
    /// Before the oldest message that is kept.
    pub const START: Cursor = Cursor(Place::Start);
    /// Behind the newest message: only what comes later.
    pub const END: Cursor = Cursor(Place::End);

    pub(crate) fn of_record(seq: u64, id: MessageId) -> Cursor {
        Cursor(Place::Record { seq, id })
    }

    pub(crate) fn of_legacy(segment: u64, offset: u64, hash: u32, id: MessageId) -> Cursor {
        Cursor(Place::Legacy { segment, offset, hash, id })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }

    /// The number of the message that it stands behind, where the cursor holds one.
    pub fn seq(&self) -> Option<u64> {
        match &self.0 {
            Place::Record { seq, .. } => Some(*seq),
            _ => None,
        }
    }

    /// The id of the message that it stands behind.
    pub fn msg_id(&self) -> Option<&MessageId> {
        match &self.0 {
            Place::Record { id, .. } | Place::Legacy { id, .. } | Place::Id(id) => Some(id),
            Place::Start | Place::End => None,
        }
    }
}

impl From<MessageId> for Cursor {
    fn from(id: MessageId) -> Cursor {
        Cursor(Place::Id(id))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Start => f.write_str("start"),
            Place::End => f.write_str("end"),
            Place::Record { seq, id } => write!(f, "c1:{seq}:{id}"),
            Place::Legacy { segment, offset, hash, id } => {
                write!(f, "l1:{segment}:{offset}:{hash:08x}:{id}")
            }
            Place::Id(id) => fmt::Display::fmt(id, f),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// # Errors
    /// `cursor.invalid`.
    fn from_str(text: &str) -> Result<Cursor> {
        parse(text).map(Cursor).ok_or_else(|| {
            let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
            Error::invalid("cursor.invalid", "cursor", format!("invalid cursor \"{shown}\""))
                .with_hint(
                    "a cursor is the \"cursor\" or \"msg_id\" of a message, \"start\" or \"end\"",
                )
        })
    }
}

fn parse(text: &str) -> Option<Place> {
    match text {
        "start" => return Some(Place::Start),
        "end" => return Some(Place::End),
        _ => {}
    }
    if let Some(rest) = text.strip_prefix("c1:") {
        let (seq, id) = rest.split_once(':')?;
        return Some(Place::Record { seq: number(seq)?, id: MessageId::new(id).ok()? });
    }
    if let Some(rest) = text.strip_prefix("l1:") {
        let mut parts = rest.splitn(4, ':');
        let (segment, offset) = (number(parts.next()?)?, number(parts.next()?)?);
        let hash = parts.next().filter(|hash| hash.len() == 8)?;
        let hash = u32::from_str_radix(hash, 16).ok()?;
        return Some(Place::Legacy {
            segment,
            offset,
            hash,
            id: MessageId::new(parts.next()?).ok()?,
        });
    }
    MessageId::new(text).ok().map(Place::Id)
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_comes_back_from_its_text() {
        let id = MessageId::new("MSG-20261123-142055-123456789-PID04242-0001").unwrap();
        for cursor in [
            Cursor::START,
            Cursor::END,
            Cursor::of_record(4711, id.clone()),
            Cursor::of_legacy(0, 17, 0xab, id.clone()),
            Cursor::from(id),
        ] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        assert_eq!(
            "c1:4711:MSG-1".parse::<Cursor>().unwrap(),
            Cursor::of_record(4711, MessageId::new("MSG-1").unwrap())
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "c1:", "c1:x:MSG-1", "c1:1", "c1:-1:MSG-1", "l1:1:2:3:MSG-1", "c2:1:MSG-1", "a b"]
        {
            assert_eq!(text.parse::<Cursor>().unwrap_err().code(), "cursor.invalid", "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_anything_never_panics(text in "(c1:|l1:)?\\PC{0,40}") {
            let _ = text.parse::<Cursor>();
        }
    }
}
