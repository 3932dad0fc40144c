//! Records as they lie in memory, for who reads much and keeps little.
//!
//! A [`RawRecord`] borrows the bytes that were read, or mapped by the caller; its checksum is verified,
//! and nothing is copied or decoded but what is asked for.

use super::cursor::Cursor;
use super::message::{Event, Message};
use super::place::walk_from;
use super::reader::{Told, walk_patiently};
use super::record::{self, Head, Look, MARK, MARK_LEAD};
use super::store::Store;
use super::walk::Walk;
use crate::error::Result;
use crate::id::MessageId;
use std::borrow::Cow;
use std::iter::FusedIterator;

/// A record of a bus, borrowed. Its checksum is verified; its header is not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    bytes: &'a [u8],
    head: Head,
}

impl<'a> RawRecord<'a> {
    /// The whole record, from its first dash to its last line feed.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its number on the bus.
    pub fn seq(&self) -> u64 {
        self.head.seq
    }

    /// Its id; empty where it is no text.
    pub fn msg_id(&self) -> &'a str {
        text(&self.bytes[self.head.id.clone()])
    }

    /// Its type; empty where it has none.
    pub fn msg_type(&self) -> &'a str {
        let kind = text(&self.bytes[self.head.kind.clone()]);
        kind.strip_prefix('"').and_then(|kind| kind.strip_suffix('"')).unwrap_or(kind)
    }

    /// Its body as it is stored: a line of three dashes has one more `\` in front.
    pub fn stored_body(&self) -> &'a [u8] {
        &self.bytes[self.head.body.clone()]
    }

    /// Its body; borrowed unless something in it is escaped.
    pub fn body(&self) -> Cow<'a, [u8]> {
        record::body(self.stored_body())
    }

    /// The message that it is; `None` where its header says nothing that is one, in spite of its
    /// checksum.
    pub fn to_message(&self) -> Option<Message> {
        record::decode(self.bytes, &self.head)
    }

    /// The place right behind it; `None` where its id is none.
    pub fn cursor(&self) -> Option<Cursor> {
        let id = MessageId::new(self.msg_id()).ok()?;
        Some(Cursor::of_record(self.head.seq, id))
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// What stands in the bytes of a bus file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawPiece<'a> {
    /// A record of this format.
    Record(RawRecord<'a>),
    /// Anything else, up to the next record: what an older program or a person wrote, damage, or at
    /// the very end a record that is not whole.
    Other(&'a [u8]),
}

/// The pieces of a bus file's bytes, in their order; from [`RawPieces::new`].
///
/// Every byte is part of a piece but the line feeds between them. Numbers are not judged: what is out
/// of order is for the caller to see.
#[derive(Clone, Debug)]
pub struct RawPieces<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> RawPieces<'a> {
    /// The pieces of bytes that begin where a record begins, as a bus file does.
    pub fn new(bytes: &'a [u8]) -> RawPieces<'a> {
        RawPieces { bytes, at: 0 }
    }

    /// How many bytes lie behind.
    pub fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for RawPieces<'a> {
    type Item = RawPiece<'a>;

    fn next(&mut self) -> Option<RawPiece<'a>> {
        let rest = &self.bytes[self.at..];
        let feeds = rest.iter().take_while(|byte| **byte == b'\n').count();
        let rest = &rest[feeds..];
        self.at += feeds;
        if rest.is_empty() {
            return None;
        }
        if let Look::Record(head) = record::look(rest) {
            let bytes = &rest[..head.total()];
            self.at += bytes.len();
            return Some(RawPiece::Record(RawRecord { bytes, head }));
        }
        let length = memchr::memmem::find(rest, MARK).map_or(rest.len(), |at| at + MARK_LEAD);
        self.at += length;
        Some(RawPiece::Other(&rest[..length]))
    }
}

impl FusedIterator for RawPieces<'_> {}

/// What a [`RawReader`] gives.
#[derive(Debug)]
pub enum RawEvent<'a> {
    /// A record.
    Record(RawRecord<'a>),
    /// Anything else that a [`Reader`](super::Reader) gives: messages of an older program, damage,
    /// gaps.
    Other(Box<Event>),
}

/// The records of a bus up to its present end, oldest first, borrowed; from
/// [`Bus::read_raw`](super::Bus::read_raw).
#[derive(Debug)]
pub struct RawReader {
    store: Store,
    walk: Walk,
    over: bool,
}

impl RawReader {
    pub(super) fn new(store: &Store, after: &Cursor) -> Result<RawReader> {
        let walk = walk_from(store, after)?;
        Ok(RawReader { store: store.clone(), walk, over: false })
    }

    /// The next record, which borrows this reader, or what stands in its place; `None` at the end.
    pub fn read(&mut self) -> Result<Option<RawEvent<'_>>> {
        if self.over {
            return Ok(None);
        }
        match walk_patiently(&mut self.walk, &self.store)? {
            Some(Told::Record(met)) => {
                let bytes = self.walk.bytes(&met);
                Ok(Some(RawEvent::Record(RawRecord { bytes, head: met.head })))
            }
            Some(Told::Event(event)) => Ok(Some(RawEvent::Other(event))),
            None => {
                self.over = true;
                Ok(None)
            }
        }
    }
}
