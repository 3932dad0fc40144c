//! The lease of a task's loop, and the wish to stop it.
//!
//! Whoever holds `.loop.lock` drives. The lock is the kernel's: a driver that dies gives it back by
//! dying. A wish to stop is a file, so that it outlives whoever wished; a loop honours every wish but
//! the one that stood when it began, which was meant for a loop before it. No clock is asked: one that
//! was set back would let a stop be overlooked.

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

/// Which wish it is: each write of the file makes another one.
pub(super) type WishId = String;

/// The right to drive a task's loop, until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    _lock: FileLock,
    /// The wish that was meant for a loop before this one.
    earlier_wish: Option<WishId>,
}

impl Lease {
    /// Takes the lease if nobody holds it, for a loop that begins now.
    pub(super) fn try_take(task: &Folder) -> Result<Option<Lease>> {
        // Looked at before the lock is had: whoever wishes later finds either the lock held, by a loop
        // that honours the wish, or nobody to stop.
        let earlier_wish = wish_id(task)?;
        let lock = task.try_lock(LOOP_LOCK, LockKind::Exclusive)?;
        Ok(lock.map(|lock| Lease { _lock: lock, earlier_wish }))
    }

    /// The wish that stood when the loop began.
    pub(super) fn earlier_wish(&self) -> Option<WishId> {
        self.earlier_wish.clone()
    }

    /// Goes on with a loop that began when `earlier_wish` stood: another one is meant for it, although
    /// its driver died before it could carry it out.
    pub(super) fn of_loop_since(mut self, earlier_wish: Option<WishId>) -> Lease {
        self.earlier_wish = earlier_wish;
        self
    }

    /// As [`Lease::try_take`], but not misled by somebody who only looks at the lock for an instant.
    pub(super) fn take_unless_driven(task: &Folder) -> Result<Option<Lease>> {
        let earlier_wish = wish_id(task)?;
        match task.lock(LOOP_LOCK, LockKind::Exclusive, &Wait::from(INSTANT)) {
            Ok(lock) => Ok(Some(Lease { _lock: lock, earlier_wish })),
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
        match wish_id(task)? {
            Some(wish) if self.earlier_wish.as_ref() != Some(&wish) => read_wish(task).map(Some),
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

fn wish_id(task: &Folder) -> Result<Option<WishId>> {
    let stat = task.stat(STOP_REQUESTED)?;
    Ok(stat.map(|stat| format!("{}-{}", stat.inode, stat.modified)))
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
    fn the_wish_that_stood_before_the_loop_is_not_for_it_and_every_other_is() {
        let (dir, folder) = folder();
        wish_stop(&folder, Timestamp::UNIX_EPOCH, "old").unwrap();
        let lease = Lease::try_take(&folder).unwrap().unwrap();
        assert_eq!(lease.stop_wish(&folder).unwrap(), None);
        wish_stop(&folder, Timestamp::UNIX_EPOCH, "enough\nforged: line").unwrap();
        assert_eq!(lease.stop_wish(&folder).unwrap().unwrap(), "enoughforged: line");
        // The clock was set back since the loop began.
        let wish = std::fs::File::options().write(true).open(dir.path().join(STOP_REQUESTED));
        wish.unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert!(lease.stop_wish(&folder).unwrap().is_some());
        lease.forget_stop_wish(&folder).unwrap();
        assert_eq!(lease.stop_wish(&folder).unwrap(), None);
    }

    #[test]
    fn a_wish_that_a_dead_driver_left_counts_for_whoever_goes_on() {
        let (_dir, folder) = folder();
        let first = Lease::try_take(&folder).unwrap().unwrap();
        let earlier = first.earlier_wish();
        wish_stop(&folder, Timestamp::UNIX_EPOCH, "enough").unwrap();
        drop(first);
        let next = Lease::try_take(&folder).unwrap().unwrap().of_loop_since(earlier);
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
