//! What all handles of one process share to write one bus: the line of its threads, the open file,
//! and what is known of its end.

use super::append::{self, Written};
use super::birth;
use super::catalog;
use super::failure::Failure;
use super::group::{Leader, Line, Outcome, Turn};
use super::lock::{ExclusiveLock, held_by};
use super::older;
use super::options::{BusOptions, Durability};
use super::record::Draft;
use super::rotate::{self, Rotation};
use super::scope::Scope;
use super::store::{Segment, Store};
use super::tail::Tail;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Holder;
use crate::sys::{FileSystem, Open as How, Stat};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};

/// The writing side of a bus in this process.
#[derive(Debug)]
pub(crate) struct Channel {
    store: Store,
    line: Line,
    /// Touched by the leader alone, and by who closes idle files.
    state: Mutex<State>,
    /// Whether the disk failed to keep what was written. Apart, because who opens a bus asks while a
    /// leader may wait for long.
    failed: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) open: Option<Open>,
    /// Whether the file system was found fit for writing.
    fit: bool,
    /// A rotation that was refused or failed is tried again from this size on, in bytes.
    rotate_from: u64,
}

/// The file that this process appends to.
#[derive(Debug)]
pub(super) struct Open {
    file: Segment,
    /// Which file it is.
    stat: Stat,
    /// Its end as this process left it.
    pub(super) tail: Option<Tail>,
}

impl Open {
    pub(super) fn new(file: Segment) -> Result<Open> {
        Ok(Open { stat: file.stat()?, file, tail: None })
    }
}

/// How a bus is written by one of its handles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'a> {
    pub(super) scope: &'a Scope,
    pub(super) options: &'a BusOptions,
}

impl Manner<'_> {
    fn is_durable(&self) -> bool {
        self.options.durability == Durability::Disk
    }
}

/// The bus file, locked for this process.
pub(super) struct Locked<'a> {
    // Fields are dropped in this order: the lock goes before the turn.
    pub(super) lock: ExclusiveLock,
    pub(super) state: MutexGuard<'a, State>,
    /// The length of the file.
    pub(super) size: u64,
}

impl Locked<'_> {
    /// Goes over to another locked file.
    pub(super) fn switch(&mut self, lock: ExclusiveLock) -> Result<()> {
        let open = Open::new(lock.file.clone())?;
        self.size = open.stat.size;
        self.lock = lock;
        self.state.open = Some(open);
        Ok(())
    }

    /// What is known of the file's end; from now on nothing is.
    pub(super) fn take_tail(&mut self) -> Option<Tail> {
        self.state.open.as_mut()?.tail.take()
    }

    /// Remembers the file's end.
    pub(super) fn keep_tail(&mut self, tail: Tail) {
        self.size = tail.size;
        if let Some(open) = &mut self.state.open {
            open.tail = Some(tail);
        }
    }
}

/// A record that was written, and the file where it is to be synced.
pub(super) struct Appended {
    written: Written,
    to_sync: Option<Segment>,
}

impl Channel {
    pub(super) fn new(store: Store) -> Channel {
        let (line, state) = (Line::default(), Mutex::default());
        Channel { store, line, state, failed: AtomicBool::new(false) }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether an earlier sync failed, so that nothing more is written through here.
    pub(super) fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Closes the file if nobody is writing.
    pub(super) fn close_idle(&self) {
        if let Some(mut state) = self.state.try_lock() {
            state.open = None;
        }
    }

    /// Appends all records or none, together with those of other threads.
    pub(super) fn append(
        &self,
        manner: Manner<'_>,
        drafts: Vec<Draft>,
        wait: &Wait,
    ) -> Result<Vec<super::Posted>> {
        self.store.check_fork()?;
        let turn = self.line.enter(drafts, manner.is_durable(), wait);
        let outcome = match turn.map_err(|e| self.no_turn(e))? {
            Turn::Done(outcome) => outcome,
            Turn::Lead(leader) => self.append_batch(&leader, manner, wait)?,
        };
        outcome.map_err(|(failure, posted)| failure.into_error(&self.store.path(), &posted))
    }

    fn append_batch(
        &self,
        leader: &Leader<'_>,
        manner: Manner<'_>,
        wait: &Wait,
    ) -> Result<Outcome> {
        // The batch is taken under the lock: until then the others may leave, and a leader that
        // does not get the lock fails alone.
        let mut locked = self.lock(leader, manner, wait)?;
        let batch = leader.batch();
        let drafts: Vec<&Draft> = batch.drafts().collect();
        let written = append::write(&self.store, &mut locked, &drafts);
        let file = locked.lock.file.clone();
        drop(locked);
        let to_sync = written.kept > 0 && batch.is_durable();
        let unsynced = if to_sync { self.sync(&file).err() } else { None };
        Ok(batch.finish(written, unsynced.as_ref()))
    }

    /// Locks the bus for more than an append.
    pub(super) fn exclusive<T>(
        &self,
        manner: Manner<'_>,
        wait: &Wait,
        work: impl FnOnce(&mut Locked<'_>) -> Result<T>,
    ) -> Result<T> {
        self.store.check_fork()?;
        let leader = self.line.lead(wait).map_err(|e| self.no_turn(e))?;
        let mut locked = self.lock(&leader, manner, wait)?;
        work(&mut locked)
    }

    /// Appends a record under the lock that `locked` holds.
    pub(super) fn append_locked(
        &self,
        locked: &mut Locked<'_>,
        manner: Manner<'_>,
        draft: &Draft,
    ) -> Appended {
        let written = append::write(&self.store, locked, &[draft]);
        let durable = written.kept > 0 && manner.is_durable();
        Appended { written, to_sync: durable.then(|| locked.lock.file.clone()) }
    }

    /// Brings what was appended to the disk where that was asked for, without the lock.
    pub(super) fn finish(&self, appended: Appended) -> Result<Vec<super::Posted>> {
        let Appended { mut written, to_sync } = appended;
        if let Some(Err(failure)) = to_sync.map(|file| self.sync(&file)) {
            written.failure = Some(failure);
        }
        written.into_result(&self.store)
    }

    /// Makes what was written durable.
    ///
    /// The kernel forgets what it could not write: a second sync would succeed and mean nothing. So
    /// a channel of which one failed is over.
    fn sync(&self, file: &Segment) -> Result<(), Failure> {
        file.os().sync_data(file.fd()).map_err(|error| self.noted(Failure::Unsynced(error)))
    }

    /// Remembers a failure that ends the channel.
    fn noted(&self, failure: Failure) -> Failure {
        if matches!(failure, Failure::Unsynced(_)) {
            self.failed.store(true, Ordering::Release);
        }
        failure
    }

    /// Takes the lock of the file that the next record belongs into.
    fn lock(&self, leader: &Leader<'_>, manner: Manner<'_>, wait: &Wait) -> Result<Locked<'_>> {
        let mut locked = self.lock_live(leader, manner.scope, wait)?;
        let tail = append::end_of(&self.store, &mut locked)?;
        if tail.sealed {
            self.complete(&mut locked, manner, tail, wait)?;
        } else if manner.options.max_size.is_some_and(|most| tail.size >= most)
            && tail.size >= locked.state.rotate_from
            && let Err(error) = self.rotate_locked(&mut locked, manner)
        {
            if self.is_failed() {
                // Nothing of what the caller wants was written.
                return Err(self.failed().with_source(error));
            }
            // A message is never refused because of a rotation that can be done later.
            tracing::warn!(name: "bus_not_rotated", path = %self.store.path().display(), %error, "cannot rotate the bus yet");
            let tail = append::end_of(&self.store, &mut locked)?;
            if tail.sealed {
                self.complete(&mut locked, manner, tail, wait)?;
            }
        }
        Ok(locked)
    }

    /// Goes on with the rotation of a locked file that ends with its last record.
    fn complete(
        &self,
        locked: &mut Locked<'_>,
        manner: Manner<'_>,
        tail: Tail,
        wait: &Wait,
    ) -> Result<()> {
        let done = rotate::complete(&self.store, manner.scope, locked, tail, wait);
        done.map(drop).map_err(|failure| match self.noted(failure) {
            // Of what the caller wants, nothing was written.
            Failure::Unsynced(source) => self.failed().with_source(source),
            other => other.into_error(&self.store.path(), &[]),
        })
    }

    /// Rotates the bus now.
    pub(super) fn rotate(&self, manner: Manner<'_>, wait: &Wait) -> Result<Rotation> {
        if self.store.stat_live()?.is_none() {
            return Ok(Rotation::Empty);
        }
        self.exclusive(manner, wait, |locked| self.rotate_locked(locked, manner))
    }

    fn rotate_locked(&self, locked: &mut Locked<'_>, manner: Manner<'_>) -> Result<Rotation> {
        let tail = append::end_of(&self.store, locked)?;
        let file = locked.lock.file.clone();
        // Not before a quarter more is there: finding out costs as much as reading it all.
        locked.state.rotate_from = tail.size + tail.size / 4;
        if tail.last_seq <= catalog::first_seq(&file)? && tail.last_seq > 0 {
            return Ok(Rotation::Empty);
        }
        if let Some(refused) =
            older::refuses_rotation(manner.options, &file, self.store.os().now())?
        {
            return Ok(refused);
        }
        let archive = rotate::rotate(&self.store, manner.scope, locked, tail)
            .map_err(|failure| self.noted(failure).into_error(&self.store.path(), &[]))?;
        locked.state.rotate_from = 0;
        Ok(Rotation::Done { archive })
    }

    /// Takes the lock of the file that the path names, which is made where it is missing.
    fn lock_live(&self, _: &Leader<'_>, scope: &Scope, wait: &Wait) -> Result<Locked<'_>> {
        let mut state = self.state.lock();
        if self.is_failed() {
            return Err(self.failed());
        }
        self.check_fitness(&mut state)?;
        loop {
            let open = match state.open.take() {
                Some(open) => Some(open),
                None => match self.store.open(self.store.live(), How::Append)? {
                    Some(file) => Some(Open::new(file)?),
                    None => None,
                },
            };
            let (lock, open) = match open {
                Some(open) => (ExclusiveLock::take(&self.store, open.file.clone(), wait), open),
                None => match birth::first_segment(&self.store, scope, wait)? {
                    Some(lock) => {
                        let open = Open::new(lock.file.clone())?;
                        (Ok(lock), open)
                    }
                    None => continue,
                },
            };
            let lock = match lock {
                Ok(lock) => lock,
                Err(error) => {
                    state.open = Some(open);
                    return Err(error);
                }
            };
            // The path may name another file by now: what we write to this one would be lost.
            if let Some(named) = self.store.stat_live()?.filter(|named| named.same_file(&open.stat))
            {
                state.open = Some(open);
                return Ok(Locked { lock, state, size: named.size });
            }
            state.rotate_from = 0;
        }
    }

    fn check_fitness(&self, state: &mut State) -> Result<()> {
        if state.fit {
            return Ok(());
        }
        let folder = self.store.folder();
        let kind = self.store.os().file_system(folder.fd());
        let kind = kind.map_err(|e| Error::io("look at the file system of", folder.path(), e))?;
        if let FileSystem::Remote(kind) = kind {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "bus.remote",
                format!("{} lies on {kind}, a shared file system", self.store.path().display()),
            )
            .with_path(self.store.path())
            .with_hint("locks and syncs are not those of a local disk there; reading works"));
        }
        state.fit = true;
        Ok(())
    }

    /// Another thread of this process had the lead until the deadline. It may have waited itself, for the
    /// process that holds the lock.
    fn no_turn(&self, over: Error) -> Error {
        if over.kind() != ErrorKind::Timeout {
            return over;
        }
        let holder = self.store.stat_live().ok().flatten().map(Holder::of).unwrap_or_default();
        held_by(&self.store.path(), &holder)
    }

    fn failed(&self) -> Error {
        let path = self.store.path();
        Error::new(
            ErrorKind::Io,
            "bus.failed",
            format!("an earlier write to {} could not be made durable", path.display()),
        )
        .with_path(path)
        .with_hint("check the disk, then open the bus again; nothing was written now")
    }
}
