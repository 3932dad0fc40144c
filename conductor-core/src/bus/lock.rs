//! Locks on the files of a bus: `flock` on the file itself, which older writers take too.

use super::store::{Segment, Store};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{Holder, LockError};
use crate::sys::LockKind;
use std::ffi::OsStr;
use std::path::Path;

/// A writer's lock. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct ExclusiveLock {
    pub(super) file: Segment,
    process: u32,
}

impl ExclusiveLock {
    /// Waits for the lock of an open file.
    ///
    /// # Errors
    /// `lock.timeout` with the holder; [`ErrorKind::Cancelled`].
    pub(super) fn take(store: &Store, file: Segment, wait: &Wait) -> Result<ExclusiveLock> {
        store
            .folder()
            .wait_for_lock(file.path().as_os_str(), file.fd(), LockKind::Exclusive, wait)
            .map_err(|error| not_locked(file.path(), error))?;
        let process = file.os().process_id();
        Ok(ExclusiveLock { file, process })
    }

    /// The same lock on a file that got another name.
    pub(super) fn renamed(mut self, store: &Store, name: &OsStr) -> ExclusiveLock {
        self.file = store.renamed(&self.file, name);
        self
    }

    /// Whether `name` still stands for the locked file.
    pub(super) fn is_named(&self, store: &Store, name: &OsStr) -> Result<bool> {
        let locked = self.file.stat()?;
        Ok(store.folder().stat(name)?.is_some_and(|named| named.same_file(&locked)))
    }
}

impl Drop for ExclusiveLock {
    fn drop(&mut self) {
        // In a forked child an unlock would take the lock from the parent.
        if self.process == self.file.os().process_id() {
            // A lock that is held is given back without fail; closing the file would do so too.
            let _held = self.file.os().unlock(self.file.fd());
        }
    }
}

/// A shared lock for the time of a look, so that no writer is at work.
#[derive(Debug)]
pub(super) struct SharedLock<'a>(&'a Segment);

impl<'a> SharedLock<'a> {
    /// `None` when a writer is at work.
    pub(super) fn try_new(file: &'a Segment) -> Result<Option<SharedLock<'a>>> {
        let locked = file.os().try_lock(file.fd(), LockKind::Shared);
        let locked = locked.map_err(|e| file.error("lock", e))?;
        Ok(locked.then_some(SharedLock(file)))
    }
}

impl Drop for SharedLock<'_> {
    fn drop(&mut self) {
        // An unlock of a lock that is held cannot fail; closing the file would give it back too.
        let _held = self.0.os().unlock(self.0.fd());
    }
}

/// The error of a writer that did not get the lock.
fn not_locked(path: &Path, error: LockError) -> Error {
    match error {
        LockError::Other(error) => error,
        LockError::Held(held) => held_by(path, &held.holder()),
    }
}

/// The error of a writer that somebody held up until its deadline.
pub(super) fn held_by(path: &Path, holder: &Holder) -> Error {
    let message = format!("{} is locked{holder}; nothing was written", path.display());
    Error::new(ErrorKind::Busy, "lock.timeout", message)
        .with_path(path)
        .with_hint(holder.hint("try again; if that process hangs, stop it"))
}
