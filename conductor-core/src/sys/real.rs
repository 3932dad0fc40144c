//! The real machine behind [`Os`].

use super::event::note_interruption;
use super::file::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Stat};
use super::os::Os;
use crate::time::Timestamp;
use fs2::FileExt as _;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags};
use rustix::process::Uid;
use rustix::thread::NanosleepRelativeResult;
use rustix::time::Timespec;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealOs;

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// The file behind a handle; a handle of another machine is a defect of the caller.
fn file(fd: &Fd) -> io::Result<&File> {
    fd.as_file().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

/// How often a lookup is repeated that raced with a rename somewhere on its way.
const RESOLVE_TRIES: u32 = 64;
/// How much of a folder is read at once by a visit, in bytes.
const VISIT_BUFFER: usize = 32 << 10;

/// Opens beneath a folder without passing a symbolic link.
///
/// `openat2` answers `EAGAIN` when a rename elsewhere made it unsure; a kernel without the call
/// (before 5.6) gets the components opened one by one.
fn open_beneath(
    folder: &File,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    more: ResolveFlags,
) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let single = is_single_name(path);
    if single && more.is_empty() {
        return retry(|| Ok(rustix::fs::openat(folder, path, flags, mode)?));
    }
    // A name that is no way leads nowhere: the kernel need not look where it came to.
    let resolve = match single {
        true => more,
        false => {
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | more
        }
    };
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(folder, path, flags, mode, resolve) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if tries < RESOLVE_TRIES => tries += 1,
            Err(rustix::io::Errno::NOSYS) => {
                let opened = open_by_component(folder, path, flags, mode)?;
                if more.contains(ResolveFlags::NO_XDEV)
                    && rustix::fs::fstat(&opened)?.st_dev != rustix::fs::fstat(folder)?.st_dev
                {
                    return Err(io::Error::from_raw_os_error(libc::EXDEV));
                }
                return Ok(opened);
            }
            answer => return Ok(answer?),
        }
    }
}

/// Whether a path is one name in a folder, so that not following a link is all that confines it.
fn is_single_name(path: &Path) -> bool {
    let name = path.as_os_str().as_bytes();
    !name.is_empty() && !name.contains(&b'/') && name != b"." && name != b".."
}

/// Keeps a file away from the numbers of the standard streams. In a host that closed those, whoever
/// prints would write into it.
fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&fd, 3)?)
}

fn open_by_component(folder: &File, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let mut names: Vec<&OsStr> = Vec::new();
    for component in path.components() {
        match component {
            std::path::Component::Normal(name) => names.push(name),
            std::path::Component::CurDir => {}
            _ => return Err(io::Error::from_raw_os_error(libc::EXDEV)),
        }
    }
    let step = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some((last, parents)) = names.split_last() else {
        return Ok(rustix::fs::openat(folder, ".", flags, mode)?);
    };
    let mut here: Option<OwnedFd> = None;
    for name in parents {
        let next = match &here {
            Some(here) => rustix::fs::openat(here, *name, step, Mode::empty())?,
            None => rustix::fs::openat(folder, *name, step, Mode::empty())?,
        };
        here = Some(next);
    }
    Ok(match &here {
        Some(here) => rustix::fs::openat(here, *last, flags, mode)?,
        None => rustix::fs::openat(folder, *last, flags, mode)?,
    })
}

fn kind_of(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

/// File systems that other machines share, or whose locks or syncs are not those of a local disk.
/// Numbers from `statfs(2)`.
const REMOTE: &[(u32, &str)] = &[
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x517b, "smb"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "afs"),
    (0x00c3_6400, "ceph"),
    (0x0bd0_0bd0, "lustre"),
    (0x6a65_6a63, "virtiofs"),
    (0x786f_4256, "vboxsf"),
    (0xbacb_acbc, "vmhgfs"),
];

impl Os for RealOs {
    fn open_root(&self, path: &Path) -> io::Result<Fd> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = retry(|| Ok(rustix::fs::open(path, flags, Mode::empty())?))?;
        Ok(Fd::real(File::from(fd)))
    }

    fn make_root(&self, path: &Path, mode: u32) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(mode).create(path)?;
        // Its name must be as durable as what will be in it.
        match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }

    fn open_at(&self, folder: &Fd, path: &Path, how: Open) -> io::Result<Fd> {
        // A pipe in place of a file must not block the open; regular files ignore the flag.
        let base = OFlags::NONBLOCK | OFlags::NOCTTY;
        let append = OFlags::RDWR | OFlags::APPEND;
        let (flags, mode) = match how {
            Open::Read => (OFlags::RDONLY, 0),
            Open::Folder | Open::FolderHere => (OFlags::RDONLY | OFlags::DIRECTORY, 0),
            Open::Append => (append, 0),
            Open::AppendOrCreate(mode) => (append | OFlags::CREATE, mode),
            Open::Write => (OFlags::RDWR, 0),
            Open::CreateNew(mode) => (OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode),
            Open::WriteOrCreate(mode) => (OFlags::RDWR | OFlags::CREATE, mode),
        };
        let more = match how {
            Open::FolderHere => ResolveFlags::NO_XDEV,
            _ => ResolveFlags::empty(),
        };
        let mode = Mode::from_raw_mode(mode);
        let fd = open_beneath(file(folder)?, path, base | flags, mode, more)?;
        Ok(Fd::real(File::from(above_standard(fd)?)))
    }

    fn stat_at(&self, folder: &Fd, name: &OsStr) -> io::Result<Stat> {
        let folder = file(folder)?;
        let stat = retry(|| Ok(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?))?;
        Ok(Stat {
            kind: kind_of(FileType::from_raw_mode(stat.st_mode)),
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            allocated: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
            #[allow(clippy::useless_conversion, reason = "the field's type differs by platform")]
            links: u64::from(stat.st_nlink),
            owner: stat.st_uid,
            mode: stat.st_mode & 0o7777,
            modified: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        })
    }

    fn mkdir_at(&self, folder: &Fd, name: &OsStr, mode: u32) -> io::Result<()> {
        let folder = file(folder)?;
        retry(|| Ok(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(mode))?))
    }

    fn unlink_at(&self, folder: &Fd, name: &OsStr) -> io::Result<()> {
        let folder = file(folder)?;
        retry(|| Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?))
    }

    fn rmdir_at(&self, folder: &Fd, name: &OsStr) -> io::Result<()> {
        let folder = file(folder)?;
        retry(|| Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?))
    }

    fn rename_at(
        &self,
        from: &Fd,
        old: &OsStr,
        to: &Fd,
        new: &OsStr,
        replace: bool,
    ) -> io::Result<()> {
        let (from, to) = (file(from)?, file(to)?);
        retry(|| {
            if replace {
                Ok(rustix::fs::renameat(from, old, to, new)?)
            } else {
                Ok(rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE)?)
            }
        })
    }

    fn link_at(&self, from: &Fd, old: &OsStr, to: &Fd, new: &OsStr) -> io::Result<()> {
        let (from, to) = (file(from)?, file(to)?);
        retry(|| Ok(rustix::fs::linkat(from, old, to, new, AtFlags::empty())?))
    }

    fn list(&self, folder: &Fd) -> io::Result<Vec<Entry>> {
        // Reads through a descriptor of its own, so that two listings do not share a position.
        let mut dir = Dir::read_from(file(folder)?)?;
        let mut entries = Vec::new();
        while let Some(entry) = dir.read() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let name = OsString::from_vec(name.to_vec());
            let kind = match entry.file_type() {
                // Some file systems do not say what a name is.
                FileType::Unknown => match self.stat_at(folder, &name) {
                    Ok(stat) => stat.kind,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                },
                known => kind_of(known),
            };
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }

    fn visit(&self, folder: &Fd, each: &mut dyn FnMut(&OsStr, FileKind) -> bool) -> io::Result<()> {
        let open = file(folder)?;
        if folder.note_listed() {
            rustix::fs::seek(open, rustix::fs::SeekFrom::Start(0))?;
        }
        // On the heap: visits nest as folders do, and a thread of the host may have a small stack.
        let mut buffer = Vec::<u8>::with_capacity(VISIT_BUFFER);
        let mut names = RawDir::new(open, buffer.spare_capacity_mut());
        while let Some(entry) = names.next() {
            let entry = match entry {
                Err(rustix::io::Errno::INTR) => continue,
                entry => entry?,
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match self.stat_at(folder, name) {
                    Ok(stat) => stat.kind,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                },
                known => kind_of(known),
            };
            if !each(name, kind) {
                break;
            }
        }
        Ok(())
    }

    fn open_up(&self, folder: &Fd, name: &OsStr) -> io::Result<()> {
        // Held by a descriptor that needs no permission, so that no link can take its place.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = rustix::fs::openat(file(folder)?, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&held)?;
        if Uid::from_raw(stat.st_uid) != rustix::process::geteuid() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let path = format!("/proc/self/fd/{}", held.as_raw_fd());
        Ok(rustix::fs::chmod(path, Mode::from_raw_mode(stat.st_mode & 0o7777 | 0o700))?)
    }

    fn stat(&self, fd: &Fd) -> io::Result<Stat> {
        let meta = file(fd)?.metadata()?;
        Ok(Stat {
            kind: kind_of(FileType::from_raw_mode(meta.mode())),
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            allocated: meta.blocks() * 512,
            links: meta.nlink(),
            owner: meta.uid(),
            mode: meta.mode() & 0o7777,
            modified: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
        })
    }

    fn read_at(&self, fd: &Fd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = file(fd)?;
        retry(|| file.read_at(buffer, offset))
    }

    fn write_at(&self, fd: &Fd, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let file = file(fd)?;
        retry(|| file.write_at(bytes, offset))
    }

    fn write(&self, fd: &Fd, bytes: &[u8]) -> io::Result<usize> {
        let file = file(fd)?;
        retry(|| Ok(rustix::io::write(file, bytes)?))
    }

    fn position(&self, fd: &Fd) -> io::Result<u64> {
        Ok(rustix::fs::tell(file(fd)?)?)
    }

    fn truncate(&self, fd: &Fd, length: u64) -> io::Result<()> {
        let file = file(fd)?;
        retry(|| file.set_len(length))
    }

    fn allocate(&self, fd: &Fd, length: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        let file = file(fd)?;
        // Not by fs2: it asks errno for an error that its call does not put there.
        match retry(|| Ok(fallocate(file, FallocateFlags::empty(), 0, length)?)) {
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {
                // A file system without reservations, where the C library writes zeros instead.
                file.allocate(length)
            }
            allocated => allocated,
        }
    }

    fn sync_data(&self, fd: &Fd) -> io::Result<()> {
        file(fd)?.sync_data()
    }

    fn sync(&self, fd: &Fd) -> io::Result<()> {
        file(fd)?.sync_all()
    }

    fn try_lock(&self, fd: &Fd, kind: LockKind) -> io::Result<bool> {
        super::fork::notice_forks()?;
        let file = file(fd)?;
        let answer = retry(|| match kind {
            LockKind::Shared => fs2::FileExt::try_lock_shared(file),
            LockKind::Exclusive => fs2::FileExt::try_lock_exclusive(file),
        });
        match answer {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn unlock(&self, fd: &Fd) -> io::Result<()> {
        fs2::FileExt::unlock(file(fd)?)
    }

    fn file_system(&self, fd: &Fd) -> io::Result<FileSystem> {
        let stat = rustix::fs::fstatfs(file(fd)?)?;
        // The kernel's magic numbers have 32 bits, whatever the field's width on this platform.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the upper half of the field is sign extension"
        )]
        let magic = stat.f_type as u32;
        Ok(REMOTE
            .iter()
            .find(|(number, _)| *number == magic)
            .map_or(FileSystem::Local, |(_, name)| FileSystem::Remote(name)))
    }

    fn available_space(&self, path: &Path) -> io::Result<u64> {
        fs2::available_space(path)
    }

    fn now(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Timestamp::from_unix_nanos(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec))
    }

    fn monotonic(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }

    fn since_boot(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }

    fn sleep(&self, length: Duration) {
        let mut left = Timespec {
            tv_sec: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: length.subsec_nanos().into(),
        };
        // Rests are short. A signal ends none, since some count how often they rested.
        while let NanosleepRelativeResult::Interrupted(rest) = rustix::thread::nanosleep(&left) {
            note_interruption();
            left = rest;
        }
    }

    fn process_id(&self) -> u32 {
        std::process::id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Fd) {
        let dir = tempfile::tempdir().unwrap();
        let fd = RealOs.open_root(dir.path()).unwrap();
        (dir, fd)
    }

    #[test]
    fn nothing_outside_the_folder_is_opened() {
        let (dir, root) = root();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/f"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("a/same")).unwrap();
        assert!(RealOs.open_at(&root, Path::new("a/f"), Open::Read).is_ok());
        for path in ["link/passwd", "../x", "/etc/passwd", "a/same", "a/../../x", "link"] {
            assert!(RealOs.open_at(&root, Path::new(path), Open::Read).is_err(), "{path}");
            let direct = open_by_component(
                root.as_file().unwrap(),
                Path::new(path),
                OFlags::RDONLY | OFlags::NOFOLLOW,
                Mode::empty(),
            );
            assert!(direct.is_err(), "{path} by component");
        }
    }

    #[test]
    fn locks_exclude_across_descriptions() {
        let (_dir, root) = root();
        let open = || RealOs.open_at(&root, Path::new("lock"), Open::WriteOrCreate(0o644)).unwrap();
        let (first, second) = (open(), open());
        assert!(RealOs.try_lock(&first, LockKind::Exclusive).unwrap());
        assert!(!RealOs.try_lock(&second, LockKind::Shared).unwrap());
        RealOs.unlock(&first).unwrap();
        assert!(RealOs.try_lock(&second, LockKind::Exclusive).unwrap());
    }

    #[test]
    fn a_rename_without_replace_keeps_the_target() {
        let (dir, root) = root();
        std::fs::write(dir.path().join("a"), "a").unwrap();
        std::fs::write(dir.path().join("b"), "b").unwrap();
        let (a, b) = (OsStr::new("a"), OsStr::new("b"));
        let error = RealOs.rename_at(&root, a, &root, b, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        RealOs.rename_at(&root, a, &root, b, true).unwrap();
        assert_eq!(std::fs::read(dir.path().join("b")).unwrap(), b"a");
    }
}
