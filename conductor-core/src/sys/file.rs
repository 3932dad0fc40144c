//! Plain data about files, and the handle of an open one.

use std::any::Any;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// An open file or folder of an [`Os`](super::Os). Dropping it closes it.
#[derive(Debug)]
pub struct Fd {
    repr: Repr,
    /// Whether a listing may have moved the position of an open folder.
    listed: AtomicBool,
}

#[derive(Debug)]
enum Repr {
    Real(File),
    Simulated(Box<dyn Any + Send + Sync>),
}

impl Fd {
    /// A handle of the real machine.
    pub fn real(file: File) -> Fd {
        Fd { repr: Repr::Real(file), listed: AtomicBool::new(false) }
    }

    /// A handle of a machine that a test makes up.
    pub fn simulated(handle: Box<dyn Any + Send + Sync>) -> Fd {
        Fd { repr: Repr::Simulated(handle), listed: AtomicBool::new(false) }
    }

    /// The file of the real machine behind this handle.
    pub fn as_file(&self) -> Option<&File> {
        match &self.repr {
            Repr::Real(file) => Some(file),
            Repr::Simulated(_) => None,
        }
    }

    /// The descriptor of the real machine behind this handle.
    pub fn as_raw(&self) -> Option<BorrowedFd<'_>> {
        self.as_file().map(AsFd::as_fd)
    }

    /// Notes that the folder is listed by its own position; tells whether it was before.
    pub(super) fn note_listed(&self) -> bool {
        self.listed.swap(true, Ordering::Relaxed)
    }

    /// What the made-up machine put into [`Fd::simulated`].
    pub fn as_simulated(&self) -> Option<&(dyn Any + Send + Sync)> {
        match &self.repr {
            Repr::Real(_) => None,
            Repr::Simulated(handle) => Some(handle.as_ref()),
        }
    }
}

/// How to open a file below a folder. No variant follows a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing regular file, for reading.
    Read,
    /// An existing folder.
    Folder,
    /// An existing folder on the same mount as the one it is opened beneath.
    FolderHere,
    /// An existing file, for reading and for appending at its end.
    Append,
    /// A file for reading and for appending at its end, made with this mode where it is missing.
    AppendOrCreate(u32),
    /// An existing file, for reading and for writing anywhere.
    Write,
    /// A file for reading and writing that must not exist yet, made with this mode.
    CreateNew(u32),
    /// A file for reading and writing, made with this mode where it is missing (a lock file).
    WriteOrCreate(u32),
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, which is never followed.
    Symlink,
    /// A pipe, socket, device or anything else.
    Other,
}

/// What the kernel says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// The device that it lies on.
    pub device: u64,
    /// Its number on that device; numbers are used again after a file is gone.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
    /// What it takes up on the disk, in bytes; less than its length where it has holes.
    pub allocated: u64,
    /// How many names it has.
    pub links: u64,
    /// The owner's user id.
    pub owner: u32,
    /// Permission bits.
    pub mode: u32,
    /// When its content last changed, in nanoseconds of Unix time.
    pub modified: i128,
}

impl Stat {
    /// Whether both describe the same file of the same device.
    pub fn same_file(&self, other: &Stat) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// The bytes that its content takes up: of a file with holes less than its length.
    pub fn takes(&self) -> u64 {
        self.size.min(self.allocated)
    }
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, which need not be UTF-8.
    pub name: OsString,
    /// What it stands for.
    pub kind: FileKind,
}

/// A shared or an exclusive `flock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Many may hold it at once.
    Shared,
    /// One holds it alone.
    Exclusive,
}

/// The kind of file system that something lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// A file system of this machine.
    Local,
    /// One that other machines share or that does not keep our locks, with its name.
    Remote(&'static str),
}

/// What stands at a path outside the root; `None` where nothing does or it cannot be seen.
pub(crate) fn program_metadata(path: &Path) -> Option<Metadata> {
    std::fs::metadata(path).ok()
}

/// Fills the buffer with random bytes from the kernel.
pub(crate) fn random(buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        filled +=
            rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}

/// Whether we may make files in a folder.
pub(crate) fn may_write(folder: &Path) -> io::Result<bool> {
    use rustix::fs::{Access, access};
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS | rustix::io::Errno::PERM) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens the folder that a program shall start in.
pub(crate) fn open_working_folder(path: &Path) -> io::Result<File> {
    let folder = File::open(path)?;
    if folder.metadata()?.is_dir() { Ok(folder) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Reads a whole regular file that a person named, of at most `limit` bytes, with what the system
/// knows of it. Anything that could be waited for, as a pipe, is refused.
pub(crate) fn read_regular_file(path: &Path, limit: u64) -> io::Result<(Vec<u8>, Metadata)> {
    let file = open_user_file(path)?;
    let meta = file.metadata()?;
    read_whole(file, limit).map(|bytes| (bytes, meta))
}

/// Opens a regular file to be read that a person named, without waiting for anything.
pub(crate) fn open_user_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

/// Whether the file at `path`, which was opened and found to be `meta`, lies below a folder that only the
/// system's administrator can put files into, links resolved, and may be changed by its owner alone.
pub(crate) fn lies_in_system_folder(path: &Path, meta: &Metadata, folder: &str) -> bool {
    let Ok(folder_meta) = std::fs::metadata(folder) else { return false };
    let Ok(real) = std::fs::canonicalize(path) else { return false };
    // The very file that was opened, and not another that took its name.
    let same = std::fs::metadata(&real)
        .is_ok_and(|now| (now.dev(), now.ino()) == (meta.dev(), meta.ino()));
    let inside = std::fs::canonicalize(folder).is_ok_and(|folder| real.starts_with(folder));
    let closed = folder_meta.uid() == 0 && folder_meta.mode() & 0o022 == 0;
    same && inside && closed && meta.mode() & 0o022 == 0
}

/// A file that holds nothing, for a program that shall read nothing.
pub(crate) fn nothing_to_read() -> io::Result<Fd> {
    File::open("/dev/null").map(Fd::real)
}

/// A file in memory that holds `bytes` and has no name.
pub(crate) fn memory_to_read(bytes: &[u8]) -> io::Result<Fd> {
    let memory = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC)?;
    let file = File::from(memory);
    // The place to read from stays at the beginning.
    std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0)?;
    Ok(Fd::real(file))
}

/// Reads a whole file that a person named, of at most `limit` bytes.
pub(crate) fn read_user_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_whole(File::open(path)?, limit)
}

fn read_whole(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}
