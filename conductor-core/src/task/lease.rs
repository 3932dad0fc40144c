//! The lease of a task's loop, and the wish to stop it.
//!
//! Whoever holds `.loop.lock` drives. The lock is the kernel's: a driver that dies gives it back by
//! dying. A wish to stop is a file, so that it outlives whoever wished; a loop honours a wish that is
//! not older than the moment just before it began, and forgets older ones, which were meant for a
//! loop before it.

use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder};
use crate::layout::{LOOP_LOCK, STOP_REQUESTED};
use crate::sys::LockKind;
use crate::time::Timestamp;
use std::time::Duration;

/// How long somebody may hold the lease who only looks whether it is held.
const INSTANT: Duration = Duration::from_millis(50);
/// The longest wish that is read, in bytes.
const LONGEST: u64 = 8 << 10;

/// The right to drive a task's loop, until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    _lock: FileLock,
    /// Wishes to stop from before this moment are not meant for the loop; nanoseconds of the file
    /// system's clock.
    stamp: i128,
}

impl Lease {
    /// Takes the lease if nobody holds it, for a loop that begins now.
    pub(super) fn try_take(task: &Folder) -> Result<Option<Lease>> {
        let stamp = task.os().file_time();
        let lock = task.try_lock(LOOP_LOCK, LockKind::Exclusive)?;
        Ok(lock.map(|lock| Lease { _lock: lock, stamp }))
    }

    /// The moment of the file system's clock just before the lease was taken.
    pub(super) fn stamp(&self) -> i128 {
        self.stamp
    }

    /// Goes on with a loop that began at `stamp`: a wish to stop from since then is meant for it,
    /// although its driver died before it could carry it out.
    pub(super) fn of_loop_since(mut self, stamp: i128) -> Lease {
        self.stamp = stamp;
        self
    }

    /// As [`Lease::try_take`], but not misled by somebody who only looks at the lock for an instant.
    pub(super) fn take_unless_driven(task: &Folder) -> Result<Option<Lease>> {
        let stamp = task.os().file_time();
        match task.lock(LOOP_LOCK, LockKind::Exclusive, &Wait::from(INSTANT)) {
            Ok(lock) => Ok(Some(Lease { _lock: lock, stamp })),
            Err(error) if error.code() == "lock.timeout" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a living process holds the lease.
    pub(super) fn is_held(task: &Folder) -> Result<bool> {
        task.is_locked(LOOP_LOCK)
    }

    /// The reason of a wish to stop that is meant for this loop.
    pub(super) fn stop_wish(&self, task: &Folder) -> Result<Option<String>> {
        match task.stat(STOP_REQUESTED)? {
            Some(stat) if stat.modified >= self.stamp => read_wish(task).map(Some),
            _ => Ok(None),
        }
    }

    /// Removes the wish: it was carried out, or meant for a loop before this one.
    pub(super) fn forget_stop_wish(&self, task: &Folder) -> Result<()> {
        task.remove_file(STOP_REQUESTED).map(drop)
    }
}

/// Writes the wish that the task's loop ends; durable when it returns.
pub(super) fn wish_stop(task: &Folder, now: Timestamp, reason: &str) -> Result<()> {
    let moment = now.human().replacen(' ', "T", 1);
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(1000).collect();
    // Several may wish at once, and none of them holds a lock.
    task.replace_unguarded(STOP_REQUESTED, format!("{moment}Z\nreason: {reason}\n").as_bytes())
}

fn read_wish(task: &Folder) -> Result<String> {
    let bytes = match task.read(STOP_REQUESTED, LONGEST) {
        // Any file of this name is a wish, however large and whoever wrote it.
        Err(error) if error.code() == "file.too_large" => Vec::new(),
        // Carried out by another between the two looks.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        bytes => bytes?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let reason = text.lines().find_map(|line| line.strip_prefix("reason: "));
    Ok(reason.filter(|reason| !reason.is_empty()).unwrap_or("stop requested").to_owned())
}

/// The error of somebody who wants to drive and may not.
pub(super) fn driven_elsewhere(task: &Folder, fields: &[&str], driver: Option<u32>) -> Error {
    let who = driver.map_or("another process".to_owned(), |pid| format!("process {pid}"));
    Error::new(
        ErrorKind::Conflict,
        "task.driven_elsewhere",
        format!("{who} drives the task with another {}", fields.join(", ")),
    )
    .with_path(task.path())
    .with_field(fields.first().copied().unwrap_or("task"))
    .with_hint("attach to it as it is, or stop it first")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn one_holds_the_lease_and_gives_it_back_by_dropping_it() {
        let (_dir, folder) = folder();
        assert!(!Lease::is_held(&folder).unwrap());
        let lease = Lease::try_take(&folder).unwrap().unwrap();
        assert!(Lease::try_take(&folder).unwrap().is_none());
        assert!(Lease::is_held(&folder).unwrap());
        drop(lease);
        assert!(Lease::try_take(&folder).unwrap().is_some());
    }

    #[test]
    fn a_wish_older_than_the_loop_is_not_for_it() {
        let (dir, folder) = folder();
        wish_stop(&folder, Timestamp::UNIX_EPOCH, "old").unwrap();
        let old = std::fs::File::options().write(true).open(dir.path().join(STOP_REQUESTED));
        let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        old.unwrap().set_modified(hour_ago).unwrap();
        let lease = Lease::try_take(&folder).unwrap().unwrap();
        assert_eq!(lease.stop_wish(&folder).unwrap(), None);
        wish_stop(&folder, Timestamp::UNIX_EPOCH, "enough\nforged: line").unwrap();
        assert_eq!(lease.stop_wish(&folder).unwrap().unwrap(), "enoughforged: line");
        lease.forget_stop_wish(&folder).unwrap();
        assert_eq!(lease.stop_wish(&folder).unwrap(), None);
    }

    #[test]
    fn a_wish_that_a_dead_driver_left_counts_for_whoever_goes_on() {
        let (_dir, folder) = folder();
        let first = Lease::try_take(&folder).unwrap().unwrap();
        let stamp = first.stamp();
        wish_stop(&folder, Timestamp::UNIX_EPOCH, "enough").unwrap();
        drop(first);
        let next = Lease::try_take(&folder).unwrap().unwrap().of_loop_since(stamp);
        assert_eq!(next.stop_wish(&folder).unwrap().unwrap(), "enough");
    }

    #[test]
    fn the_older_programs_wish_counts() {
        let (dir, folder) = folder();
        let lease = Lease::try_take(&folder).unwrap().unwrap();
        std::fs::write(dir.path().join(STOP_REQUESTED), "permanent\n").unwrap();
        assert_eq!(lease.stop_wish(&folder).unwrap().unwrap(), "stop requested");
    }
}
