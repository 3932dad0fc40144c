//! The files of one bus: their names, and how they are opened.

use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::sys::{Fd, Listed, Open, Os, Stat, generation};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes of a checksum that are read at once.
const CHUNK: usize = 256 << 10;

/// The folder of a bus and the names in it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    folder: Folder,
    live: OsString,
    next: OsString,
    /// The forks before the handle was opened.
    born: u32,
}

/// An open file of a bus.
#[derive(Clone, Debug)]
pub(crate) struct Segment(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    os: Arc<dyn Os>,
    fd: Arc<LockableFd>,
    path: PathBuf,
}

/// A file that locks are taken on, which no forked child may share.
#[derive(Debug)]
struct LockableFd {
    // Taken off the list before the file is closed.
    _listed: Listed,
    fd: Fd,
}

impl Store {
    pub(crate) fn new(folder: Folder, name: &str) -> Store {
        Store {
            folder,
            live: name.into(),
            next: format!(".{name}.next").into(),
            born: generation(),
        }
    }

    /// Refuses a handle that was opened before a fork: its files and locks are the parent's.
    ///
    /// # Errors
    /// `handle.forked`.
    pub(crate) fn check_fork(&self) -> Result<()> {
        if self.born == generation() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            "handle.forked",
            format!("{} was opened before this process was forked", self.path().display()),
        )
        .with_path(self.path())
        .with_hint("open it again in the child"))
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn os(&self) -> &Arc<dyn Os> {
        self.folder.os()
    }

    /// The name of the file that is appended to.
    pub(crate) fn live(&self) -> &OsStr {
        &self.live
    }

    /// The name under which the next such file is made.
    pub(crate) fn next(&self) -> &OsStr {
        &self.next
    }

    /// Where torn bytes are kept that were cut off.
    pub(crate) fn torn(&self) -> OsString {
        let mut name = OsString::from(".");
        name.push(&self.live);
        name.push(".torn");
        name
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.live)
    }

    /// What the live name stands for; `None` where nothing has it.
    pub(crate) fn stat_live(&self) -> Result<Option<Stat>> {
        self.folder.stat(&self.live)
    }

    /// Opens a file of the bus; `None` where it does not exist.
    pub(crate) fn open(&self, name: &OsStr, how: Open) -> Result<Option<Segment>> {
        Ok(self.folder.open_if_exists(name, how)?.map(|fd| self.segment(name, fd)))
    }

    /// The same open file under another name.
    pub(crate) fn renamed(&self, file: &Segment, name: &OsStr) -> Segment {
        let (os, fd) = (self.os().clone(), file.0.fd.clone());
        Segment(Arc::new(Opened { os, fd, path: self.folder.join(name) }))
    }

    pub(crate) fn segment(&self, name: &OsStr, fd: Fd) -> Segment {
        let fd = Arc::new(LockableFd { _listed: Listed::new(&fd), fd });
        let os = self.os().clone();
        Segment(Arc::new(Opened { os, fd, path: self.folder.join(name) }))
    }
}

impl Segment {
    pub(crate) fn os(&self) -> &dyn Os {
        self.0.os.as_ref()
    }

    pub(crate) fn fd(&self) -> &Fd {
        &self.0.fd.fd
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        self.os().stat(self.fd()).map_err(|e| self.error("look at", e))
    }

    /// Reads at `offset` until `buffer` is full or the file ends; gives the bytes read.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self
                .os()
                .read_at(self.fd(), &mut buffer[filled..], offset + filled as u64)
                .map_err(|e| self.error("read", e))?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(filled)
    }

    /// A checksum of the bytes from `start` to `end`.
    pub(crate) fn checksum(&self, start: u64, end: u64) -> Result<u32> {
        let mut buffer = vec![0; usize::try_from(end - start).unwrap_or(CHUNK).min(CHUNK)];
        let (mut at, mut sum) = (start, 0);
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(CHUNK).min(buffer.len());
            let read = self.read(&mut buffer[..most], at)?;
            if read == 0 {
                break;
            }
            sum = crc32c::crc32c_append(sum, &buffer[..read]);
            at += read as u64;
        }
        Ok(sum)
    }

    pub(crate) fn error(&self, what: &str, source: std::io::Error) -> Error {
        Error::io(what, self.path(), source)
    }
}
