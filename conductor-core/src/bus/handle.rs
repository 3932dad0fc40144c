//! The bus as its users hold it.

use super::catalog;
use super::channel::{Channel, Manner};
use super::check::{self, CheckReport, Straggler};
use super::cursor::Cursor;
use super::follow::Follower;
use super::message::Event;
use super::named::NamedCursor;
use super::options::{BusOptions, Durability, ReadOptions};
use super::place::walk_from;
use super::post::{ONCE_KEY, Post, Posted};
use super::raw::RawReader;
use super::reader::{Filter, Reader, step_patiently};
use super::record::Draft;
use super::registry;
use super::rotate::Rotation;
use super::scope::Scope;
use super::store::Store;
use super::walk::Walk;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use std::path::PathBuf;
use std::sync::Arc;

/// The message bus of a project or a task. Clones share it, also between threads.
#[derive(Clone, Debug)]
pub struct Bus(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    channel: Arc<Channel>,
    scope: Scope,
    options: BusOptions,
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
        let channel = registry::channel(Store::new(folder, name))?;
        Ok(Bus(Arc::new(Shared { channel, scope, options })))
    }

    /// The same bus, written with another durability.
    #[must_use]
    pub fn with_durability(&self, durability: Durability) -> Bus {
        let Shared { channel, scope, options } = &*self.0;
        let (channel, scope) = (channel.clone(), scope.clone());
        Bus(Arc::new(Shared { channel, scope, options: options.clone().durability(durability) }))
    }

    pub(super) fn options(&self) -> &BusOptions {
        &self.0.options
    }

    pub(super) fn store(&self) -> &Store {
        self.0.channel.store()
    }

    fn draft(&self, post: &Post) -> Result<Draft> {
        let post = post.without(&self.0.options.secrets);
        Draft::new(&post, &self.0.scope, self.0.options.max_body)
    }

    fn append(&self, drafts: Vec<Draft>, wait: &Wait) -> Result<Vec<Posted>> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        self.0.channel.append(self.manner(), drafts, wait)
    }

    fn manner(&self) -> Manner<'_> {
        Manner { scope: &self.0.scope, options: &self.0.options }
    }

    /// The path of the bus file.
    pub fn path(&self) -> PathBuf {
        self.store().path()
    }

    /// Whose bus it is.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
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
        let mut posted = self.append(vec![self.draft(&post)?], &wait.into())?;
        posted.pop().ok_or_else(none_posted)
    }

    /// Appends messages one right behind the other, with one write.
    ///
    /// A reader may see the first of them before the last is there, and a process that dies in the midst
    /// of it may leave only those.
    ///
    /// # Errors
    /// As [`Bus::post`]. None is on the bus unless the error is `bus.unknown`: then some may be, from
    /// the first, as where the disk is full in the middle.
    pub fn post_many(
        &self,
        posts: impl IntoIterator<Item = Post>,
        wait: impl Into<Wait>,
    ) -> Result<Vec<Posted>> {
        let drafts: Vec<Draft> =
            posts.into_iter().map(|post| self.draft(&post)).collect::<Result<_>>()?;
        self.append(drafts, &wait.into())
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
        let draft = self.draft(&post.once(key))?;
        // A place that is gone says nothing about what came after it: everything is looked at.
        let mut walk = match walk_from(self.store(), since.unwrap_or(&Cursor::START)) {
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                walk_from(self.store(), &Cursor::START)?
            }
            walk => walk?,
        };
        // Most of the way without the lock, the rest under it.
        if let Some(posted) = self.find_key(&mut walk, key)? {
            return Ok(posted);
        }
        let channel = &self.0.channel;
        let written = channel.exclusive(self.manner(), &wait.into(), |locked| {
            walk.trust();
            if let Some(posted) = self.find_key(&mut walk, key)? {
                return Ok(Err(posted));
            }
            Ok(Ok(channel.append_locked(locked, self.manner(), &draft)))
        })?;
        match written {
            Ok(appended) => channel.finish(appended)?.pop().ok_or_else(none_posted),
            Err(found) => Ok(found),
        }
    }

    /// The message with this key from here on.
    fn find_key(&self, walk: &mut Walk, key: &str) -> Result<Option<Posted>> {
        while let Some(event) = step_patiently(walk, self.store())? {
            let Event::Message(message) = event else { continue };
            if message.meta(ONCE_KEY) == Some(key) {
                return Ok(Some(Posted::of(message)));
            }
        }
        Ok(None)
    }

    /// Moves everything that is on the bus into an archive beside it, which is read as before.
    ///
    /// # Errors
    /// As [`Bus::post`]; `bus.next_in_the_way`. The bus goes on as it was.
    pub fn rotate(&self, wait: impl Into<Wait>) -> Result<Rotation> {
        self.0.channel.rotate(self.manner(), &wait.into())
    }

    /// Looks at every byte of the bus and its archives. Changes nothing.
    pub fn check(&self) -> Result<CheckReport> {
        self.store().check_fork()?;
        check::check(self.store()).map(|(report, _)| report)
    }

    /// Posts again what an older program appended to archives after they were archived; gives how
    /// many messages. Each is posted once, with its archive in meta as `adopted_from`.
    ///
    /// # Errors
    /// As [`Bus::post`].
    pub fn adopt_stragglers(&self, wait: impl Into<Wait>) -> Result<u64> {
        let wait = wait.into();
        self.store().check_fork()?;
        let (_, stragglers) = check::check(self.store())?;
        let mut adopted = 0;
        for straggler in stragglers {
            let end = self.end()?;
            let key = straggler.key();
            let Straggler { message, archive, .. } = straggler;
            let posted =
                self.append_once(&key, None, Post::again(message, archive), wait.clone())?;
            adopted += u64::from(end.and_then(|end| end.seq()) < posted.cursor.seq());
        }
        Ok(adopted)
    }

    /// Takes the cursor `name` of this bus, kept in `folder`, for this process alone.
    ///
    /// # Errors
    /// `cursor.busy` while somebody else holds it; `id.invalid`; `cursor.corrupt`.
    pub fn named_cursor(
        &self,
        folder: Folder,
        name: &str,
        wait: impl Into<Wait>,
    ) -> Result<NamedCursor> {
        NamedCursor::take(folder, self.scope(), name, &wait.into())
    }

    /// Takes the place that the root keeps under `name` for readers of this bus that come back. One
    /// holds it at a time.
    ///
    /// # Errors
    /// `cursor.no_root` for a bus that stands in no root; `cursor.busy` while somebody else holds the
    /// name; `id.invalid`; `cursor.corrupt`.
    pub fn cursor(&self, name: &str, wait: impl Into<Wait>) -> Result<NamedCursor> {
        let Some(root) = &self.0.options.root else {
            let message = format!("{} stands in no root", self.path().display());
            return Err(Error::invalid("cursor.no_root", "cursor", message)
                .with_path(self.path())
                .with_hint("keep the text of a message's cursor yourself"));
        };
        self.named_cursor(root.ensure_cursors()?, name, wait)
    }

    /// Removes archives that hold nothing but messages before the number `before`, oldest first;
    /// gives their paths. Archives that a named cursor in `cursors` has still to read are kept; one that
    /// was not committed for 30 days is not heeded, and the log says so.
    pub fn remove_archives(&self, before: u64, cursors: Option<&Folder>) -> Result<Vec<PathBuf>> {
        self.store().check_fork()?;
        let before = self.oldest_wanted(cursors)?.map_or(before, |(wanted, _)| wanted.min(before));
        let folder = self.store().folder();
        let mut removed = Vec::new();
        for archive in catalog::archives(self.store())? {
            if archive.last.is_none_or(|last| last >= before) {
                break;
            }
            if folder.remove_file(&archive.name)? {
                removed.push(folder.join(&archive.name));
            }
        }
        if !removed.is_empty() {
            folder.sync()?;
        }
        Ok(removed)
    }

    /// The place behind the last message; `None` on an empty bus.
    pub fn end(&self) -> Result<Option<Cursor>> {
        let last = self.read(ReadOptions::default().tail(1).with_control())?;
        for event in last {
            if let Event::Message(message) = event?
                && message.seq.is_none_or(|seq| seq > 1)
            {
                return Ok(Some(message.cursor));
            }
        }
        Ok(None)
    }

    /// What is on the bus, oldest first, up to its present end. A bus that does not exist is empty.
    ///
    /// # Errors
    /// `bus.cursor_not_found` and `bus.cursor_diverged` for a cursor that does not fit.
    pub fn read(&self, options: ReadOptions) -> Result<Reader> {
        Reader::new(self.store(), options)
    }

    /// What comes after `after` up to the present end, without copies: each record is borrowed from
    /// the bytes that were read.
    ///
    /// # Errors
    /// As [`Bus::read`].
    pub fn read_raw(&self, after: &Cursor) -> Result<RawReader> {
        RawReader::new(self.store(), after)
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
        let store = self.store();
        let walk = walk_from(store, options.after.as_ref().unwrap_or(&Cursor::START))?;
        let walk = walk.with_control(options.control);
        Follower::new(store, walk, Filter::new(options), wait.into())
    }
}

fn none_posted() -> Error {
    Error::new(ErrorKind::Internal, "bus.no_receipt", "a message was posted without a receipt")
}
