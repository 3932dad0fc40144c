//! The real machine, with somebody who is asked before each of its calls.

use conductor_core::sys::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Os, RealOs, Stat};
use conductor_core::{Conductor, Options, Timestamp};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// Whether it may change something.
    pub(crate) changes: bool,
}

/// A machine whose calls are made once `before` says so.
pub(crate) struct Hooked<F>(pub(crate) F);

impl<F> fmt::Debug for Hooked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

/// Opens a root on a machine whose calls are made once `before` says so.
pub(crate) fn open<F>(root: &Path, before: F) -> Conductor
where
    F: Fn(Call) -> io::Result<()> + Send + Sync + 'static,
{
    let mut options = Options::default();
    options.os = Arc::new(Hooked(before));
    Conductor::open(root, options).unwrap()
}

macro_rules! calls {
    ($($changes:literal $name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> $out {
            (self.0)(Call { name: stringify!($name), changes: $changes })?;
            RealOs.$name($($arg),*)
        })*
    };
}

impl<F: Fn(Call) -> io::Result<()> + Send + Sync> Os for Hooked<F> {
    calls! {
        false open_root(path: &Path) -> io::Result<Fd>;
        true make_root(path: &Path, mode: u32) -> io::Result<()>;
        false stat_at(folder: &Fd, name: &OsStr) -> io::Result<Stat>;
        true mkdir_at(folder: &Fd, name: &OsStr, mode: u32) -> io::Result<()>;
        true unlink_at(folder: &Fd, name: &OsStr) -> io::Result<()>;
        true rmdir_at(folder: &Fd, name: &OsStr) -> io::Result<()>;
        true rename_at(from: &Fd, old: &OsStr, to: &Fd, new: &OsStr, replace: bool) -> io::Result<()>;
        true link_at(from: &Fd, old: &OsStr, to: &Fd, new: &OsStr) -> io::Result<()>;
        false list(folder: &Fd) -> io::Result<Vec<Entry>>;
        false visit(folder: &Fd, each: &mut dyn FnMut(&OsStr, FileKind) -> bool) -> io::Result<()>;
        true open_up(folder: &Fd, name: &OsStr) -> io::Result<()>;
        false stat(file: &Fd) -> io::Result<Stat>;
        false read_at(file: &Fd, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
        true write_at(file: &Fd, bytes: &[u8], offset: u64) -> io::Result<usize>;
        true write(file: &Fd, bytes: &[u8]) -> io::Result<usize>;
        false position(file: &Fd) -> io::Result<u64>;
        true truncate(file: &Fd, length: u64) -> io::Result<()>;
        true allocate(file: &Fd, length: u64) -> io::Result<()>;
        true try_lock(file: &Fd, kind: LockKind) -> io::Result<bool>;
    }

    fn open_at(&self, folder: &Fd, path: &Path, how: Open) -> io::Result<Fd> {
        let changes = !matches!(how, Open::Read | Open::Folder | Open::FolderHere);
        (self.0)(Call { name: "open_at", changes })?;
        RealOs.open_at(folder, path, how)
    }
    // What is synced is not tested here: each sync is one more place to die.
    fn sync_data(&self, _: &Fd) -> io::Result<()> {
        (self.0)(Call { name: "sync_data", changes: true })
    }
    fn sync(&self, _: &Fd) -> io::Result<()> {
        (self.0)(Call { name: "sync", changes: true })
    }
    fn unlock(&self, file: &Fd) -> io::Result<()> {
        // The kernel gives back what a dead process held.
        RealOs.unlock(file)
    }
    fn file_system(&self, folder: &Fd) -> io::Result<FileSystem> {
        RealOs.file_system(folder)
    }
    fn available_space(&self, path: &Path) -> io::Result<u64> {
        RealOs.available_space(path)
    }
    fn now(&self) -> Timestamp {
        RealOs.now()
    }
    fn monotonic(&self) -> Duration {
        RealOs.monotonic()
    }
    fn since_boot(&self) -> Duration {
        RealOs.since_boot()
    }
    fn sleep(&self, length: Duration) {
        RealOs.sleep(length);
    }
    fn process_id(&self) -> u32 {
        std::process::id()
    }
}
