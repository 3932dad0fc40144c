//! The real machine, with somebody who is told of some of its calls, and may have them fail.

use conductor_core::sys::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Os, RealOs, Stat};
use conductor_core::{Conductor, Options, Timestamp};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Who is told.
pub trait Hook: Send + Sync + 'static {
    /// A name is about to be given to a file; an error keeps it from that.
    fn renames(&self, _from: (&Fd, &OsStr), _to: (&Fd, &OsStr)) -> io::Result<()> {
        Ok(())
    }
    /// A file was changed.
    fn wrote(&self, _file: &Fd) {}
    /// A file was made durable.
    fn synced(&self, _file: &Fd) {}
    /// A lock was had.
    fn locked(&self, _kind: LockKind) {}
}

pub struct Hooked<H>(pub Arc<H>);

impl<H> fmt::Debug for Hooked<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

/// Opens a root on such a machine, with nothing of this process's environment but `PATH`.
pub fn open_hooked<H: Hook>(path: &Path, hook: &Arc<H>) -> Conductor {
    let mut options = Options::default();
    options.environment = Some(vec![("PATH".into(), std::env::var_os("PATH").unwrap())]);
    options.os = Arc::new(Hooked(hook.clone()));
    Conductor::open(path, options).unwrap()
}

macro_rules! as_they_are {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> $out {
            RealOs.$name($($arg),*)
        })*
    };
}

impl<H: Hook> Os for Hooked<H> {
    as_they_are! {
        open_root(path: &Path) -> io::Result<Fd>;
        make_root(path: &Path, mode: u32) -> io::Result<()>;
        open_at(folder: &Fd, path: &Path, how: Open) -> io::Result<Fd>;
        stat_at(folder: &Fd, name: &OsStr) -> io::Result<Stat>;
        mkdir_at(folder: &Fd, name: &OsStr, mode: u32) -> io::Result<()>;
        unlink_at(folder: &Fd, name: &OsStr) -> io::Result<()>;
        rmdir_at(folder: &Fd, name: &OsStr) -> io::Result<()>;
        link_at(from: &Fd, old: &OsStr, to: &Fd, new: &OsStr) -> io::Result<()>;
        list(folder: &Fd) -> io::Result<Vec<Entry>>;
        visit(folder: &Fd, each: &mut dyn FnMut(&OsStr, FileKind) -> bool) -> io::Result<()>;
        open_up(folder: &Fd, name: &OsStr) -> io::Result<()>;
        stat(file: &Fd) -> io::Result<Stat>;
        read_at(file: &Fd, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
        position(file: &Fd) -> io::Result<u64>;
        allocate(file: &Fd, length: u64) -> io::Result<()>;
        unlock(file: &Fd) -> io::Result<()>;
        file_system(folder: &Fd) -> io::Result<FileSystem>;
        available_space(path: &Path) -> io::Result<u64>;
        now() -> Timestamp;
        monotonic() -> Duration;
        since_boot() -> Duration;
        sleep(length: Duration) -> ();
        process_id() -> u32;
    }

    fn rename_at(
        &self,
        from: &Fd,
        old: &OsStr,
        to: &Fd,
        new: &OsStr,
        replace: bool,
    ) -> io::Result<()> {
        self.0.renames((from, old), (to, new))?;
        RealOs.rename_at(from, old, to, new, replace)
    }

    fn write_at(&self, file: &Fd, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let written = RealOs.write_at(file, bytes, offset)?;
        self.0.wrote(file);
        Ok(written)
    }

    fn write(&self, file: &Fd, bytes: &[u8]) -> io::Result<usize> {
        let written = RealOs.write(file, bytes)?;
        self.0.wrote(file);
        Ok(written)
    }

    fn truncate(&self, file: &Fd, length: u64) -> io::Result<()> {
        RealOs.truncate(file, length)?;
        self.0.wrote(file);
        Ok(())
    }

    fn sync_data(&self, file: &Fd) -> io::Result<()> {
        RealOs.sync_data(file)?;
        self.0.synced(file);
        Ok(())
    }

    fn sync(&self, file: &Fd) -> io::Result<()> {
        RealOs.sync(file)?;
        self.0.synced(file);
        Ok(())
    }

    fn try_lock(&self, file: &Fd, kind: LockKind) -> io::Result<bool> {
        let had = RealOs.try_lock(file, kind)?;
        if had {
            self.0.locked(kind);
        }
        Ok(had)
    }
}
