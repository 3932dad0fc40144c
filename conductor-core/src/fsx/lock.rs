//! File locks with a deadline, checked against the path they were opened by.

use super::folder::{FILE_MODE, Folder};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{Fd, Listed, LockKind, Open, Os, Processes, Stat};
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
    Held(Held),
    /// The wait was cancelled or the file could not be opened.
    Other(Error),
}

/// A lock that somebody else held until the deadline.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    file: Option<Stat>,
    waited: Duration,
}

/// Who holds a lock, as far as the system tells; only for messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holder {
    pid: Option<u32>,
    /// What it does, as the letter in `/proc/<pid>/stat`.
    state: Option<char>,
    /// How long the lock was waited for, where that is known.
    waited: Option<Duration>,
}

impl Held {
    /// Who holds it now. Looks for them: who does not tell of it need not ask.
    pub fn holder(&self) -> Holder {
        Holder { waited: Some(self.waited), ..self.file.map(Holder::of).unwrap_or_default() }
    }
}

impl Holder {
    /// Who holds the lock of this file; nobody where the kernel does not tell, as of a process in another
    /// container.
    pub fn of(file: Stat) -> Holder {
        let pid = holder_of(file);
        let state = pid.and_then(|pid| match Processes.state(pid) {
            Ok(None) => Some('X'),
            state => state.ok().flatten(),
        });
        Holder { pid, state, waited: None }
    }

    /// What to do about it.
    pub fn hint(&self, otherwise: &str) -> String {
        match (self.pid, self.state) {
            (Some(pid), _) if pid == std::process::id() => {
                "wait longer for the thread that has it".to_owned()
            }
            (Some(pid), Some('T')) => {
                format!("that process was stopped: `kill -CONT {pid}` lets it go on")
            }
            (_, Some('Z' | 'X' | 'x')) => {
                "try again; if it stays so, a process that it started has the lock".to_owned()
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
            f.write_str(match self.state {
                _ if pid == std::process::id() => ", which is this one",
                Some('T') => ", which is stopped",
                Some('t') => ", which a debugger has stopped",
                Some('D') => ", which waits for a disk",
                Some('Z' | 'X' | 'x') => ", which has ended",
                Some(_) => ", which is alive",
                None => "",
            })?;
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
                LockError::Held(held) => {
                    let (path, holder) = (self.join(name), held.holder());
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
        let mut contest: Option<Contest> = None;
        loop {
            let locked = self.os().try_lock(fd, kind);
            if locked.map_err(|e| LockError::Other(self.lock_failed(name, e)))? {
                return Ok(());
            }
            let contest = contest.get_or_insert_with(|| Contest::new(&**self.os()));
            if let Err(over) = wait.check() {
                return Err(match over.kind() {
                    ErrorKind::Timeout => LockError::Held(Held {
                        file: self.os().stat(fd).ok(),
                        waited: self.os().monotonic().saturating_sub(contest.began),
                    }),
                    _ => LockError::Other(over),
                });
            }
            let pause = contest.pause();
            self.os().sleep(wait.remaining().map_or(pause, |left| left.min(pause)));
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

/// The wait for a lock that somebody else has.
#[derive(Debug)]
struct Contest {
    began: Duration,
    /// Unlike that of others, also of those with the same number in other containers.
    seed: u32,
    tries: u32,
}

impl Contest {
    fn new(os: &dyn Os) -> Contest {
        let began = os.monotonic();
        Contest { began, seed: os.process_id() ^ began.subsec_nanos(), tries: 0 }
    }

    /// How long to rest before the next try: longer and longer, and between a half and the whole of that,
    /// so that those who began to wait together do not go on trying together.
    fn pause(&mut self) -> Duration {
        let most = (FIRST_PAUSE * (1 << self.tries.min(8))).min(LAST_PAUSE);
        self.tries = self.tries.saturating_add(1);
        // The mixing steps of MurmurHash3: neighbours get unlike numbers.
        let mut mixed = self.seed ^ self.tries.wrapping_mul(0x9e37_79b1);
        mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
        mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
        mixed ^= mixed >> 16;
        most / 2 + most / 2 * (mixed % 1024) / 1024
    }
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
        let waited = Some(Duration::from_secs(2));
        let holder = |state| Holder { pid: Some(u32::MAX), state, waited };
        for (state, told, hint) in [
            (Some('S'), ", which is alive", "the usual"),
            (Some('D'), ", which waits for a disk", "the usual"),
            (Some('T'), ", which is stopped", "kill -CONT 4294967295"),
            (Some('t'), ", which a debugger has stopped", "the usual"),
            (Some('Z'), ", which has ended", "a process that it started"),
            (None, "", "the usual"),
        ] {
            let holder = holder(state);
            assert_eq!(holder.to_string(), format!(" by process 4294967295{told}; waited 2000 ms"));
            assert!(holder.hint("the usual").contains(hint), "{holder:?}");
        }
        let unknown = Holder { waited, ..Holder::default() };
        assert_eq!(unknown.to_string(), "; waited 2000 ms");
        assert_eq!(Holder::default().to_string(), "");
        let (_dir, folder) = folder();
        let _held = folder.lock("l", LockKind::Exclusive, &Wait::FOREVER).unwrap();
        let wait = Duration::from_millis(5).into();
        let error = folder.lock("l", LockKind::Exclusive, &wait).unwrap_err();
        assert!(error.to_string().contains(", which is this one; waited "), "{error}");
        assert!(error.hint().contains("the thread that has it"), "{error:?}");
    }

    #[test]
    fn pauses_grow_to_their_limit_and_differ_from_process_to_process() {
        let pauses = |seed| -> Vec<Duration> {
            let mut contest = Contest { began: Duration::ZERO, seed, tries: 0 };
            (0..40).map(|_| contest.pause()).collect()
        };
        for seed in 100..164 {
            let pauses = pauses(seed);
            assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pauses[0]), "{pauses:?}");
            let late = &pauses[6..];
            assert!(late.iter().all(|p| (LAST_PAUSE / 2..=LAST_PAUSE).contains(p)), "{pauses:?}");
        }
        let mut firsts: Vec<Duration> = (100..164).map(|seed| pauses(seed)[0]).collect();
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
            move || folder.lock("l", LockKind::Exclusive, &Duration::from_secs(60).into())
        });
        std::fs::rename(dir.path().join("l"), dir.path().join("old")).unwrap();
        std::fs::write(dir.path().join("l"), "").unwrap();
        drop(first);
        let second = waiting.join().unwrap().unwrap();
        assert!(folder.names("l", &second).unwrap());
    }
}
