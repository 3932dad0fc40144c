//! A machine on which a root is read and never changed.

use crate::error::Refusal;
use crate::sys::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Os, Stat};
use crate::time::Timestamp;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The machine below, without what changes a file. Everything that is written to a root goes through its machine:
/// whoever writes there, now or one day, meets this one gate.
#[derive(Debug)]
pub(super) struct ReadOnly {
    os: Arc<dyn Os>,
    why: Arc<Refusal>,
}

impl ReadOnly {
    pub(super) fn new(os: Arc<dyn Os>, why: Arc<Refusal>) -> ReadOnly {
        ReadOnly { os, why }
    }

    fn refuse<T>(&self) -> io::Result<T> {
        Err(io::Error::other(Refusal::clone(&self.why)))
    }
}

impl Os for ReadOnly {
    fn make_root(&self, _path: &Path, _mode: u32) -> io::Result<()> {
        self.refuse()
    }
    fn open_at(&self, folder: &Fd, path: &Path, how: Open) -> io::Result<Fd> {
        match how {
            Open::Read | Open::Folder | Open::FolderHere => self.os.open_at(folder, path, how),
            Open::Append
            | Open::AppendOrCreate(_)
            | Open::Write
            | Open::CreateNew(_)
            | Open::WriteOrCreate(_) => self.refuse(),
        }
    }
    fn mkdir_at(&self, _folder: &Fd, _name: &OsStr, _mode: u32) -> io::Result<()> {
        self.refuse()
    }
    fn unlink_at(&self, _folder: &Fd, _name: &OsStr) -> io::Result<()> {
        self.refuse()
    }
    fn rmdir_at(&self, _folder: &Fd, _name: &OsStr) -> io::Result<()> {
        self.refuse()
    }
    fn rename_at(
        &self,
        _from: &Fd,
        _old: &OsStr,
        _to: &Fd,
        _new: &OsStr,
        _replace: bool,
    ) -> io::Result<()> {
        self.refuse()
    }
    fn link_at(&self, _from: &Fd, _old: &OsStr, _to: &Fd, _new: &OsStr) -> io::Result<()> {
        self.refuse()
    }
    fn open_up(&self, _folder: &Fd, _name: &OsStr) -> io::Result<()> {
        self.refuse()
    }
    fn write_at(&self, _file: &Fd, _bytes: &[u8], _offset: u64) -> io::Result<usize> {
        self.refuse()
    }
    fn write(&self, _file: &Fd, _bytes: &[u8]) -> io::Result<usize> {
        self.refuse()
    }
    fn truncate(&self, _file: &Fd, _length: u64) -> io::Result<()> {
        self.refuse()
    }
    fn allocate(&self, _file: &Fd, _length: u64) -> io::Result<()> {
        self.refuse()
    }

    fn open_root(&self, path: &Path) -> io::Result<Fd> {
        self.os.open_root(path)
    }
    fn stat_at(&self, folder: &Fd, name: &OsStr) -> io::Result<Stat> {
        self.os.stat_at(folder, name)
    }
    fn list(&self, folder: &Fd) -> io::Result<Vec<Entry>> {
        self.os.list(folder)
    }
    fn visit(&self, folder: &Fd, each: &mut dyn FnMut(&OsStr, FileKind) -> bool) -> io::Result<()> {
        self.os.visit(folder, each)
    }
    fn stat(&self, file: &Fd) -> io::Result<Stat> {
        self.os.stat(file)
    }
    fn read_at(&self, file: &Fd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.os.read_at(file, buffer, offset)
    }
    fn position(&self, file: &Fd) -> io::Result<u64> {
        self.os.position(file)
    }
    fn sync_data(&self, file: &Fd) -> io::Result<()> {
        self.os.sync_data(file)
    }
    fn sync(&self, file: &Fd) -> io::Result<()> {
        self.os.sync(file)
    }
    fn try_lock(&self, file: &Fd, kind: LockKind) -> io::Result<bool> {
        self.os.try_lock(file, kind)
    }
    fn unlock(&self, file: &Fd) -> io::Result<()> {
        self.os.unlock(file)
    }
    fn file_system(&self, folder: &Fd) -> io::Result<FileSystem> {
        self.os.file_system(folder)
    }
    fn available_space(&self, path: &Path) -> io::Result<u64> {
        self.os.available_space(path)
    }
    fn now(&self) -> Timestamp {
        self.os.now()
    }
    fn monotonic(&self) -> Duration {
        self.os.monotonic()
    }
    fn since_boot(&self) -> Duration {
        self.os.since_boot()
    }
    fn sleep(&self, length: Duration) {
        self.os.sleep(length);
    }
    fn process_id(&self) -> u32 {
        self.os.process_id()
    }
}
