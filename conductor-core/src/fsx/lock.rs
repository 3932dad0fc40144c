//! File locks with a deadline, checked against the path they were opened by.

use super::folder::{FILE_MODE, Folder};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{Fd, Listed, LockKind, Open, Os, Stat};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The first pause between two tries for a lock; it doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_micros(50);
/// The longest pause between two tries for a lock.
const LAST_PAUSE: Duration = Duration::from_millis(2);

/// A held `flock`. Dropping it gives the lock back.
///
/// A lock file is never removed, and one that somebody else removed or replaced while we waited is
/// noticed: the locked file is the one that the path names, or the lock is taken again.
pub struct FileLock {
    os: Arc<dyn Os>,
    // Taken off the list of a fork before the file is closed.
    listed: Option<Listed>,
    fd: Option<Fd>,
    process: u32,
}

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else held it until the deadline.
    Held(Holder),
    /// The wait was cancelled or the file could not be opened.
    Other(Error),
}

/// Who held a lock that was not had, as far as the system tells; only for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: Option<u32>,
    /// What it was doing, as the letter in `/proc/<pid>/stat`.
    pub state: Option<char>,
    /// How long the lock was waited for.
    pub waited: Option<Duration>,
}

impl From<Option<u32>> for Holder {
    fn from(pid: Option<u32>) -> Holder {
        Holder { pid, state: pid.and_then(state_of), waited: None }
    }
}

impl Holder {
    /// What to do about it.
    pub fn hint(&self, otherwise: &str) -> String {
        match (self.pid, self.state) {
            (Some(pid), Some('T' | 't')) => {
                format!("process {pid} was stopped: `kill -CONT {pid}` lets it go on")
            }
            _ => otherwise.to_owned(),
        }
    }
}

/// What stands behind "is locked".
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(pid) = self.pid {
            write!(f, " by process {pid}")?;
        }
        match self.state {
            Some('T' | 't') => f.write_str(", which is stopped")?,
            Some('D') => f.write_str(", which waits for a disk")?,
            Some('Z' | 'X') => f.write_str(", which is dead")?,
            Some('R' | 'S') => f.write_str(", which is alive")?,
            _ => {}
        }
        match self.waited {
            Some(waited) => write!(f, "; waited {} ms", waited.as_millis()),
            None => Ok(()),
        }
    }
}

impl Folder {
    /// Locks the file `name` in this folder, made first where it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] `lock.timeout`, naming the holder; [`ErrorKind::Cancelled`]; or why the
    /// file could not be opened.
    pub fn lock(&self, name: impl AsRef<OsStr>, kind: LockKind, wait: &Wait) -> Result<FileLock> {
        let name = name.as_ref();
        self.lock_file(name, Open::WriteOrCreate(FILE_MODE), kind, wait).map_err(
            |error| match error {
                LockError::Other(error) => error,
                LockError::Held(holder) => {
                    let path = self.join(name);
                    Error::new(
                        ErrorKind::Busy,
                        "lock.timeout",
                        format!("{} is locked{holder}", path.display()),
                    )
                    .with_path(path)
                    .with_hint(holder.hint("wait for that process to finish, or stop it"))
                }
            },
        )
    }

    /// Locks the file `name` if nobody holds it; `None` when somebody does.
    pub fn try_lock(&self, name: impl AsRef<OsStr>, kind: LockKind) -> Result<Option<FileLock>> {
        let how = Open::WriteOrCreate(FILE_MODE);
        match self.lock_file(name.as_ref(), how, kind, &Wait::NONE.into()) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held(_)) => Ok(None),
            Err(LockError::Other(error)) => Err(error),
        }
    }

    /// Whether somebody holds the lock `name`. Makes no file and takes no lock for longer than the
    /// look itself.
    pub fn is_locked(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let name = name.as_ref();
        let Some(fd) = self.open_if_exists(name, Open::Read)? else { return Ok(false) };
        // The look takes a shared lock for an instant, so that two lookers do not see each other.
        let free = self
            .os()
            .try_lock(&fd, LockKind::Shared)
            .map_err(|e| self.error("look at the lock", name, e))?;
        if free {
            // Closing is not enough where a fork has a copy by now, which would hold it for long.
            self.os().unlock(&fd).map_err(|e| self.error("look at the lock", name, e))?;
        }
        Ok(!free)
    }

    /// Whether somebody holds the lock of this folder itself, as a collector does with its own.
    pub fn is_held(&self) -> Result<bool> {
        let free = self
            .os()
            .try_lock(self.fd(), LockKind::Shared)
            .map_err(|e| self.error("look at the lock of", "", e))?;
        if free {
            self.os().unlock(self.fd()).map_err(|e| self.error("look at the lock of", "", e))?;
        }
        Ok(!free)
    }

    /// Opens `name` as told and locks it, looking again when the path changed meanwhile.
    pub fn lock_file(
        &self,
        name: &OsStr,
        how: Open,
        kind: LockKind,
        wait: &Wait,
    ) -> Result<FileLock, LockError> {
        loop {
            let fd = self.open(name, how).map_err(LockError::Other)?;
            // Before the lock is had: no fork gets a copy of it.
            let listed = Listed::new(&fd);
            self.wait_for_lock(name, &fd, kind, wait)?;
            let lock = FileLock {
                os: self.os().clone(),
                listed: Some(listed),
                fd: Some(fd),
                process: self.os().process_id(),
            };
            if self.names(name, &lock).map_err(LockError::Other)? {
                return Ok(lock);
            }
        }
    }

    /// Locks an open file of this folder. The caller compares it with the path, and unlocks it.
    pub fn wait_for_lock(
        &self,
        name: &OsStr,
        fd: &Fd,
        kind: LockKind,
        wait: &Wait,
    ) -> Result<(), LockError> {
        let (mut pause, mut tries, mut waited) = (FIRST_PAUSE, 0, Duration::ZERO);
        loop {
            let locked = self.os().try_lock(fd, kind);
            if locked.map_err(|e| LockError::Other(self.lock_failed(name, e)))? {
                return Ok(());
            }
            if let Err(over) = wait.check() {
                return Err(match over.kind() {
                    ErrorKind::Timeout => {
                        let holder = self.os().stat(fd).ok().and_then(holder_of);
                        LockError::Held(Holder { waited: Some(waited), ..holder.into() })
                    }
                    _ => LockError::Other(over),
                });
            }
            tries += 1;
            let rest = jittered(pause, self.os().process_id(), tries);
            let rest = wait.remaining().map_or(rest, |left| left.min(rest));
            self.os().sleep(rest);
            waited += rest;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Whether `name` is still the locked file.
    pub fn names(&self, name: impl AsRef<OsStr>, lock: &FileLock) -> Result<bool> {
        let name = name.as_ref();
        let locked =
            self.os().stat(lock.fd()).map_err(|e| self.error("look at the lock", name, e))?;
        Ok(self.stat(name)?.is_some_and(|named| named.same_file(&locked)))
    }

    fn lock_failed(&self, name: &OsStr, source: std::io::Error) -> Error {
        match source.raw_os_error() {
            Some(libc::ENOLCK | libc::ENOTSUP | libc::ENOSYS) => Error::new(
                ErrorKind::Unsupported,
                "lock.unsupported",
                format!("the file system of {} has no locks", self.join(name).display()),
            )
            .with_path(self.join(name))
            .with_hint("put the root on a local disk")
            .with_source(source),
            _ => self.error("lock", name, source),
        }
    }
}

impl FileLock {
    /// The locked file.
    pub fn fd(&self) -> &Fd {
        match &self.fd {
            Some(fd) => fd,
            None => unreachable!("the descriptor is taken out only by the consuming passed_on"),
        }
    }

    /// What is left of the lock to whoever passed it on to another process: dropping that does not give
    /// it back. A fork has no copy of it, which would hold the lock for as long as the child lives.
    pub fn passed_on(mut self) -> PassedOn {
        PassedOn { _listed: self.listed.take(), _fd: self.fd.take() }
    }
}

/// A copy of a lock that another process goes on holding.
#[derive(Debug)]
pub struct PassedOn {
    // Taken off the list of a fork before the file is closed.
    _listed: Option<Listed>,
    _fd: Option<Fd>,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        self.listed = None;
        let Some(fd) = self.fd.take() else { return };
        // In a forked child an unlock would take the lock from the parent; closing does not.
        if self.process == self.os.process_id() {
            // The close that follows gives it back too.
            let _closed_next = self.os.unlock(&fd);
        }
    }
}

impl fmt::Debug for FileLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLock").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// Between a half and the whole of a pause: processes that began to wait together do not go on trying
/// together. The same process waits in the same steps.
fn jittered(pause: Duration, process: u32, tries: u32) -> Duration {
    // The mixing steps of MurmurHash3: neighbours get unlike numbers.
    let mut mixed = process.wrapping_mul(0x9e37_79b1) ^ tries.wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ mixed >> 16).wrapping_mul(0xc2b2_ae35);
    mixed ^= mixed >> 13;
    pause / 2 + pause / 2 * (mixed % 1024) / 1024
}

/// The letter of what a process does.
fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The process that holds a lock on the file, as `/proc/locks` tells; only for messages.
///
/// A look may pass a lock over while others come and go, so it is repeated.
fn holder_of(stat: Stat) -> Option<u32> {
    (0..5).find_map(|_| look_for_holder(stat))
}

fn look_for_holder(stat: Stat) -> Option<u32> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let (major, minor) = (rustix::fs::major(stat.device), rustix::fs::minor(stat.device));
    let file = OsString::from(format!("{major:02x}:{minor:02x}:{}", stat.inode));
    locks.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip_while(|field| *field != "FLOCK");
        let (_flock, _advisory, _mode) = (fields.next()?, fields.next()?, fields.next()?);
        let pid = fields.next()?.parse().ok()?;
        (fields.next()? == file.to_str()? && pid != 0).then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::sys::RealOs;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn a_held_lock_is_busy_and_its_holder_named() {
        let (_dir, folder) = folder();
        let forever = Wait::FOREVER;
        let first = folder.lock("l", LockKind::Exclusive, &forever).unwrap();
        let error =
            folder.lock("l", LockKind::Exclusive, &Duration::from_millis(5).into()).unwrap_err();
        assert_eq!(error.code(), "lock.timeout");
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        assert!(folder.is_locked("l").unwrap());
        drop(first);
        assert!(!folder.is_locked("l").unwrap());
        assert!(folder.try_lock("l", LockKind::Exclusive).unwrap().is_some());
    }

    #[test]
    fn a_holder_is_told_with_what_it_does_and_how_long_it_was_waited_for() {
        let holder = Holder::from(Some(std::process::id()));
        assert!(matches!(holder.state, Some('R' | 'S' | 'D')), "{holder:?}");
        assert_eq!(Holder::from(None).to_string(), "");
        let waited = Some(Duration::from_secs(2));
        let stopped = Holder { pid: Some(7), state: Some('T'), waited };
        assert_eq!(stopped.to_string(), " by process 7, which is stopped; waited 2000 ms");
        assert!(stopped.hint("").contains("kill -CONT 7"));
        let (_dir, folder) = folder();
        let _held = folder.lock("l", LockKind::Exclusive, &Wait::FOREVER).unwrap();
        let wait = Duration::from_millis(5).into();
        let error = folder.lock("l", LockKind::Exclusive, &wait).unwrap_err().to_string();
        assert!(error.contains("; waited ") && error.contains(", which is alive"), "{error}");
    }

    #[test]
    fn pauses_differ_from_process_to_process_and_are_never_longer() {
        let pauses = |process| -> Vec<Duration> {
            (1..9).map(|tries| jittered(LAST_PAUSE, process, tries)).collect()
        };
        let mut firsts: Vec<Duration> = (100..164).map(|process| pauses(process)[0]).collect();
        assert!(firsts.iter().all(|pause| (LAST_PAUSE / 2..LAST_PAUSE).contains(pause)));
        firsts.sort();
        firsts.dedup();
        assert!(firsts.len() > 55, "{firsts:?}");
        assert_eq!(pauses(7), pauses(7), "a schedule can be had again");
    }

    #[test]
    fn cancelling_ends_the_wait() {
        let (_dir, folder) = folder();
        let _held = folder.lock("l", LockKind::Exclusive, &Wait::FOREVER).unwrap();
        let cancel = Cancel::new();
        cancel.set();
        let error = folder.lock("l", LockKind::Shared, &Wait::from(&cancel)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn looking_at_a_lock_makes_no_file() {
        let (_dir, folder) = folder();
        assert!(!folder.is_locked("none").unwrap());
        assert!(folder.list().unwrap().is_empty());
    }

    #[test]
    fn a_lock_file_that_was_replaced_is_locked_anew() {
        let (dir, folder) = folder();
        let first = folder.lock("l", LockKind::Exclusive, &Wait::FOREVER).unwrap();
        let waiting = std::thread::spawn({
            let folder = folder.clone();
            move || folder.lock("l", LockKind::Exclusive, &Duration::from_secs(10).into())
        });
        std::fs::rename(dir.path().join("l"), dir.path().join("old")).unwrap();
        std::fs::write(dir.path().join("l"), "").unwrap();
        drop(first);
        let second = waiting.join().unwrap().unwrap();
        assert!(folder.names("l", &second).unwrap());
    }
}
