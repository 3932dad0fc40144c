//! The bus as its users hold it.

use super::cursor::Cursor;
use super::follow::Follower;
use super::options::{BusOptions, ReadOptions};
use super::post::{Post, Posted};
use super::reader::{Filter, Reader, walk_from};
use super::record::Draft;
use super::scope::Scope;
use super::store::Store;
use super::writer::Writer;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use std::path::PathBuf;
use std::sync::Arc;

/// Under this name a message's meta carries the key of [`Bus::append_once`].
const ONCE_KEY: &str = "once_key";

/// The message bus of a project or a task. Clones share it, also between threads.
#[derive(Clone, Debug)]
pub struct Bus {
    writer: Arc<Writer>,
}

impl Bus {
    /// The bus in the file `name` of `folder`. Opening changes nothing on disk: the file is made by
    /// the first post.
    ///
    /// # Errors
    /// `bus.name` when `name` is no plain file name.
    pub fn open(folder: Folder, name: &str, scope: Scope, options: BusOptions) -> Result<Bus> {
        let plain = !name.is_empty() && name.len() <= 128 && !name.contains(['/', '\0', '\n']);
        if !plain || name.starts_with('.') {
            return Err(Error::invalid("bus.name", "name", format!("invalid bus name {name:?}"))
                .with_hint("a bus is a plain file in its folder, as TASK-MESSAGE-BUS.md"));
        }
        let writer = Writer::new(Store::new(folder, name), scope, options);
        Ok(Bus { writer: Arc::new(writer) })
    }

    /// The path of the bus file.
    pub fn path(&self) -> PathBuf {
        self.writer.store().path()
    }

    /// Whose bus it is.
    pub fn scope(&self) -> &Scope {
        self.writer.scope()
    }

    /// Appends a message. Returns once it is on the bus, as durable as the bus was opened for.
    ///
    /// `wait` bounds the wait for the lock; once that is had the message is written.
    ///
    /// # Errors
    /// Nothing was written: what `post` does wrong by field (`bus.type`, `bus.body`, ...);
    /// `lock.timeout` with the holder; [`ErrorKind::Cancelled`]; `bus.not_written` with the cause,
    /// as a full disk; `bus.remote`. It may or may not be on the bus: `bus.unknown`, whose source
    /// is an [`UnknownWrite`](super::UnknownWrite).
    pub fn post(&self, post: Post, wait: impl Into<Wait>) -> Result<Posted> {
        let draft = self.writer.draft(&post)?;
        let mut posted = self.writer.append(std::slice::from_ref(&draft), &wait.into())?;
        posted.pop().ok_or_else(none_posted)
    }

    /// Appends messages one right behind the other, all or none.
    ///
    /// # Errors
    /// As [`Bus::post`].
    pub fn post_many(
        &self,
        posts: impl IntoIterator<Item = Post>,
        wait: impl Into<Wait>,
    ) -> Result<Vec<Posted>> {
        let drafts: Vec<Draft> =
            posts.into_iter().map(|post| self.writer.draft(&post)).collect::<Result<_>>()?;
        self.writer.append(&drafts, &wait.into())
    }

    /// Appends a message unless one with the same `key` stands after `since` (or anywhere, for
    /// `None`); gives the receipt of the one that is there.
    ///
    /// However many processes try at once, one message comes of it. The key is kept in the
    /// message's meta as `once_key`.
    ///
    /// # Errors
    /// As [`Bus::post`], and those of reading.
    pub fn append_once(
        &self,
        key: &str,
        since: Option<&Cursor>,
        post: Post,
        wait: impl Into<Wait>,
    ) -> Result<Posted> {
        let draft = self.writer.draft(&post.meta(ONCE_KEY, key))?;
        // A place that is gone says nothing about what came after it: everything is looked at.
        let walk = match walk_from(self.writer.store(), since.unwrap_or(&Cursor::START)) {
            Err(error)
                if error.kind() == ErrorKind::Conflict || error.kind() == ErrorKind::NotFound =>
            {
                walk_from(self.writer.store(), &Cursor::START)?
            }
            walk => walk?,
        };
        self.writer.append_once(&draft, (ONCE_KEY, key), walk, &wait.into())
    }

    /// The place behind the last message; `None` on an empty bus.
    pub fn end(&self) -> Result<Option<Cursor>> {
        let mut last = None;
        for event in self.read(ReadOptions::default())? {
            if let super::Event::Message(message) = event? {
                last = Some(message.cursor);
            }
        }
        Ok(last)
    }

    /// What is on the bus, oldest first, up to its present end. A bus that does not exist is empty.
    ///
    /// # Errors
    /// `bus.cursor_not_found` and `bus.cursor_diverged` for a cursor that does not fit.
    pub fn read(&self, options: ReadOptions) -> Result<Reader> {
        Reader::new(self.writer.store(), options)
    }

    /// The last `count` messages, oldest first.
    pub fn tail(&self, count: usize) -> Result<Reader> {
        self.read(ReadOptions::default().tail(count))
    }

    /// What comes after `after`, as it comes, until `wait` is over.
    ///
    /// # Errors
    /// As [`Bus::read`].
    pub fn follow(&self, after: &Cursor, wait: impl Into<Wait>) -> Result<Follower> {
        self.follow_with(ReadOptions::default().after(after), wait)
    }

    /// As [`Bus::follow`], with the filters of `options`; its `tail` is not heeded.
    pub fn follow_with(&self, options: ReadOptions, wait: impl Into<Wait>) -> Result<Follower> {
        let store = self.writer.store();
        let walk = walk_from(store, options.after.as_ref().unwrap_or(&Cursor::START))?;
        let walk = walk.with_control(options.control);
        Follower::new(store, walk, Filter::new(options), wait.into())
    }
}

pub(super) fn none_posted() -> Error {
    Error::new(ErrorKind::Internal, "bus.no_receipt", "a message was posted without a receipt")
}
