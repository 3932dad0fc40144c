//! The machine that the library runs on, as one small trait.

use super::file::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Stat};
use crate::time::Timestamp;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Every file, lock and clock call that the layers above make.
///
/// Names are single path components; paths given to [`open_at`](Os::open_at) are relative, stay
/// beneath their folder and never pass a symbolic link. Interrupted calls are repeated by the
/// implementation; short reads and writes are reported as they are.
pub trait Os: fmt::Debug + Send + Sync {
    /// Opens a folder by its absolute path; symbolic links on the way are followed.
    fn open_root(&self, path: &Path) -> io::Result<Fd>;
    /// Makes a folder and its missing parents by absolute path, with `mode`.
    fn make_root(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Opens what lies at `path` beneath `folder`.
    fn open_at(&self, folder: &Fd, path: &Path, how: Open) -> io::Result<Fd>;
    /// What `name` in `folder` is, itself and not what it may link to.
    fn stat_at(&self, folder: &Fd, name: &OsStr) -> io::Result<Stat>;
    /// Makes a folder.
    fn mkdir_at(&self, folder: &Fd, name: &OsStr, mode: u32) -> io::Result<()>;
    /// Removes a file's name.
    fn unlink_at(&self, folder: &Fd, name: &OsStr) -> io::Result<()>;
    /// Removes an empty folder.
    fn rmdir_at(&self, folder: &Fd, name: &OsStr) -> io::Result<()>;
    /// Gives a file or folder another name; with `replace` an existing target gives way at once.
    fn rename_at(
        &self,
        from: &Fd,
        old: &OsStr,
        to: &Fd,
        new: &OsStr,
        replace: bool,
    ) -> io::Result<()>;
    /// Gives a file a second name, which must not be taken.
    fn link_at(&self, from: &Fd, old: &OsStr, to: &Fd, new: &OsStr) -> io::Result<()>;
    /// The names in a folder, without `.` and `..`, in no order.
    fn list(&self, folder: &Fd) -> io::Result<Vec<Entry>>;
    /// Gives the names in a folder one by one, without `.` and `..`, in no order, until `each` answers
    /// `false`. Uses the descriptor's own position: one visit at a time. Names that come or go
    /// meanwhile may be given or not.
    fn visit(&self, folder: &Fd, each: &mut dyn FnMut(&OsStr, FileKind) -> bool) -> io::Result<()> {
        for entry in self.list(folder)? {
            if !each(&entry.name, entry.kind) {
                break;
            }
        }
        Ok(())
    }
    /// Lets the owner list and change a folder of this user, `name` in `folder`, or `.` for itself.
    fn open_up(&self, _folder: &Fd, _name: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// What an open file is.
    fn stat(&self, file: &Fd) -> io::Result<Stat>;
    /// Reads at `offset`, up to the length of `buffer`.
    fn read_at(&self, file: &Fd, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at `offset`; not for files opened to append.
    fn write_at(&self, file: &Fd, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Writes at the file's position, or at its end if it was opened to append.
    fn write(&self, file: &Fd, bytes: &[u8]) -> io::Result<usize>;
    /// The file's position, which after an append is the end of what was written.
    fn position(&self, file: &Fd) -> io::Result<u64>;
    /// Cuts a file to `length`.
    fn truncate(&self, file: &Fd, length: u64) -> io::Result<()>;
    /// Reserves blocks for the first `length` bytes, and makes the file at least that long.
    fn allocate(&self, file: &Fd, length: u64) -> io::Result<()>;
    /// Makes a file's content durable.
    fn sync_data(&self, file: &Fd) -> io::Result<()>;
    /// Makes a file's content and metadata, or a folder's names, durable.
    fn sync(&self, file: &Fd) -> io::Result<()>;
    /// Takes a `flock` without waiting; `false` when somebody else holds it.
    fn try_lock(&self, file: &Fd, kind: LockKind) -> io::Result<bool>;
    /// Gives a `flock` back.
    fn unlock(&self, file: &Fd) -> io::Result<()>;

    /// The kind of file system that an open folder lies on.
    fn file_system(&self, folder: &Fd) -> io::Result<FileSystem>;
    /// The bytes that an unprivileged user may still write below an absolute path.
    fn available_space(&self, path: &Path) -> io::Result<u64>;

    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// A clock that only goes forward and stands still while the machine sleeps.
    fn monotonic(&self) -> Duration;
    /// The time since the machine's boot, sleep included.
    fn since_boot(&self) -> Duration {
        self.monotonic()
    }
    /// Lets the calling thread rest.
    fn sleep(&self, length: Duration);
    /// The id of this process.
    fn process_id(&self) -> u32;
}
