//! The message bus: an append-only file of messages that people can read and programs can trust.
//!
//! A [`Bus`] belongs to a project or a task. Any number of processes, in any language, append to it
//! and follow it at the same time; the file is the only thing they share.
//!
//! - [`Bus::post`] returns once the message is on the bus, as durable as the bus was opened for.
//!   It has its place: numbers (`seq`) and ids are given under the lock.
//! - [`Bus::read`], [`Bus::tail`] and [`Bus::follow`] give [`Event`]s: messages, and whatever stands
//!   in their place. Nothing is skipped in silence.
//! - [`Bus::read_raw`] gives the same without copies, for who reads much and keeps little.
//! - A [`Cursor`] is a place on the bus as text. It can be kept anywhere and gone on from.

mod append;
mod birth;
mod catalog;
mod channel;
mod check;
mod cursor;
mod failure;
mod follow;
mod group;
mod handle;
mod lock;
mod message;
mod named;
mod older;
mod options;
mod place;
mod post;
mod raw;
mod reader;
mod record;
mod registry;
mod retain;
mod rotate;
mod rows;
mod scan;
mod scope;
mod search;
mod store;
mod tail;
mod walk;

pub use check::{CheckReport, Finding, FindingKind};
pub use cursor::Cursor;
pub use failure::UnknownWrite;
pub use follow::Follower;
pub use handle::Bus;
pub use message::{Damage, Event, Link, Message, Parent};
pub use named::NamedCursor;
pub use options::{BusOptions, Durability, ReadOptions};
pub use post::{Post, Posted};
pub use raw::{RawEvent, RawPiece, RawPieces, RawReader, RawRecord};
pub use reader::Reader;
pub(crate) use retain::OldArchive;
pub use rotate::Rotation;
#[doc(hidden)]
pub use rows::{Row, Rows, Text};
pub use scope::Scope;
