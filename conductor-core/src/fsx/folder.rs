//! An open folder beneath the root, and everything that is done to the names in it.

use crate::error::{Error, ErrorKind, Result};
use crate::sys::{Entry, Fd, FileKind, Open, Os, Stat};
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The mode of folders that conductor makes, before the umask.
pub const DIR_MODE: u32 = 0o755;
/// The mode of files that conductor makes, before the umask.
pub const FILE_MODE: u32 = 0o644;

/// An open folder.
///
/// Everything named in it is reached through the open descriptor: a folder that is renamed or
/// swapped for a symbolic link meanwhile cannot lead outside. Names are single components; paths
/// given to [`Folder::folder`] and [`Folder::open`] may have several, stay beneath this folder and
/// never pass a symbolic link.
#[derive(Clone, Debug)]
pub struct Folder {
    os: Arc<dyn Os>,
    fd: Arc<Fd>,
    path: Arc<PathBuf>,
}

impl Folder {
    /// Opens a folder by its absolute path. Only the root is opened like this.
    pub fn open_root(os: Arc<dyn Os>, path: &Path) -> Result<Folder> {
        let fd = os.open_root(path).map_err(|e| Error::io("open folder", path, e))?;
        Ok(Folder { os, fd: Arc::new(fd), path: Arc::new(path.to_owned()) })
    }

    /// The machine that the folder lies on.
    pub fn os(&self) -> &Arc<dyn Os> {
        &self.os
    }

    /// The path that the folder was opened by, for messages and for child processes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open descriptor.
    pub fn fd(&self) -> &Fd {
        &self.fd
    }

    /// The path of a name in this folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// An error about a name in this folder.
    pub fn error(&self, what: &str, name: impl AsRef<Path>, source: io::Error) -> Error {
        Error::io(what, self.join(name), source)
    }

    /// Opens a folder beneath this one.
    ///
    /// # Errors
    /// `path.symlink` or `path.not_a_folder` when a component is a symbolic link or a file,
    /// `io.not_found` when one is missing.
    pub fn folder(&self, path: impl AsRef<Path>) -> Result<Folder> {
        let path = path.as_ref();
        match self.os.open_at(&self.fd, path, Open::Folder) {
            Ok(fd) => Ok(Folder {
                os: self.os.clone(),
                fd: Arc::new(fd),
                path: Arc::new(self.path.join(path)),
            }),
            Err(error) => Err(self.explain("open folder", path, error)),
        }
    }

    /// As [`Folder::folder`], but never one that something else is mounted on.
    ///
    /// # Errors
    /// Also `path.mount_point`.
    pub fn folder_here(&self, path: impl AsRef<Path>) -> Result<Folder> {
        let path = path.as_ref();
        match self.os.open_at(&self.fd, path, Open::FolderHere) {
            Ok(fd) => Ok(Folder {
                os: self.os.clone(),
                fd: Arc::new(fd),
                path: Arc::new(self.path.join(path)),
            }),
            Err(error) if error.raw_os_error() == Some(libc::EXDEV) => {
                Err(mount_point(self.join(path)))
            }
            Err(error) => Err(self.explain("open folder", path, error)),
        }
    }

    /// As [`Folder::folder`], with `None` where it does not exist.
    pub fn folder_if_exists(&self, path: impl AsRef<Path>) -> Result<Option<Folder>> {
        found(self.folder(path))
    }

    /// Opens a regular file beneath this folder.
    ///
    /// # Errors
    /// `path.symlink`, `path.not_a_file`, or the error of the system.
    pub fn open(&self, path: impl AsRef<Path>, how: Open) -> Result<Fd> {
        let path = path.as_ref();
        let fd = self
            .os
            .open_at(&self.fd, path, how)
            .map_err(|error| self.explain("open", path, error))?;
        let stat = self.os.stat(&fd).map_err(|e| self.error("look at", path, e))?;
        match stat.kind {
            FileKind::File => Ok(fd),
            _ => Err(self.not_a_file(path)),
        }
    }

    /// As [`Folder::open`], with `None` where it does not exist.
    pub fn open_if_exists(&self, path: impl AsRef<Path>, how: Open) -> Result<Option<Fd>> {
        found(self.open(path, how))
    }

    /// Makes a plain error of a refused lookup say what stood in the way.
    fn explain(&self, what: &str, path: &Path, source: io::Error) -> Error {
        let refused =
            [libc::ELOOP, libc::ENOTDIR, libc::EXDEV, libc::EISDIR, libc::ENXIO, libc::EMLINK];
        let Some(errno) = source.raw_os_error().filter(|errno| refused.contains(errno)) else {
            return self.error(what, path, source);
        };
        let mut so_far = PathBuf::new();
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let folder = if so_far.as_os_str().is_empty() {
                Ok(self.fd.clone())
            } else {
                self.os.open_at(&self.fd, &so_far, Open::Folder).map(Arc::new)
            };
            let Ok(folder) = folder else { break };
            so_far.push(name);
            match self.os.stat_at(&folder, name).map(|stat| stat.kind) {
                Ok(FileKind::Symlink) => {
                    return Error::new(
                        ErrorKind::InvalidInput,
                        "path.symlink",
                        format!("{} is a symbolic link", self.join(&so_far).display()),
                    )
                    .with_path(self.join(&so_far))
                    .with_hint("conductor follows no link below its root; put the real file there")
                    .with_source(source);
                }
                Ok(FileKind::Folder) => {}
                _ => break,
            }
        }
        if errno == libc::ENOTDIR {
            return Error::new(
                ErrorKind::InvalidInput,
                "path.not_a_folder",
                format!("{} is not a folder", self.join(&so_far).display()),
            )
            .with_path(self.join(&so_far))
            .with_source(source);
        }
        self.not_a_file(path).with_source(source)
    }

    fn not_a_file(&self, path: &Path) -> Error {
        Error::new(
            ErrorKind::InvalidInput,
            "path.not_a_file",
            format!("{} is not a regular file", self.join(path).display()),
        )
        .with_path(self.join(path))
        .with_hint("move it away: conductor keeps a plain file of this name here")
    }

    /// What a name is, itself and not what it links to; `None` where nothing has it.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>> {
        let name = name.as_ref();
        match self.os.stat_at(&self.fd, name) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error("look at", name, error)),
        }
    }

    /// Whether a regular file has this name. Another kind of thing is an error that names it.
    pub fn has_file(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let name = name.as_ref();
        match self.stat(name)?.map(|stat| stat.kind) {
            None => Ok(false),
            Some(FileKind::File) => Ok(true),
            Some(_) => Err(self.not_a_file(Path::new(name))),
        }
    }

    /// The names in this folder, in the order of their bytes.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = self.os.list(&self.fd).map_err(|e| Error::io("list", self.path(), e))?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Gives the names in this folder one by one, in no order, until `each` answers `false`.
    ///
    /// Uses the descriptor's own position: one visit of an open folder at a time.
    pub fn visit(&self, each: &mut dyn FnMut(&OsStr, FileKind) -> bool) -> Result<()> {
        self.os.visit(&self.fd, each).map_err(|e| Error::io("list", self.path(), e))
    }

    /// Makes a folder here and opens it. The name is durable once [`Folder::sync`] returned.
    ///
    /// # Errors
    /// `io.already_exists` when the name is taken.
    pub fn make_folder(&self, name: impl AsRef<OsStr>) -> Result<Folder> {
        let name = name.as_ref();
        self.os
            .mkdir_at(&self.fd, name, DIR_MODE)
            .map_err(|e| self.error("make folder", name, e))?;
        self.folder(name).inspect_err(|_| {
            // Out of descriptors: a folder that nobody asked for again would stay for ever.
            let _first_error_is_told = self.os.rmdir_at(&self.fd, name);
        })
    }

    /// Opens a folder here, made durably first where it is missing.
    pub fn ensure_folder(&self, name: impl AsRef<OsStr>) -> Result<Folder> {
        let name = name.as_ref();
        if let Some(folder) = self.folder_if_exists(name)? {
            return Ok(folder);
        }
        match self.os.mkdir_at(&self.fd, name, DIR_MODE) {
            Ok(()) => self.sync()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(self.error("make folder", name, error)),
        }
        self.folder(name)
    }

    /// The same open folder under the path that a rename gives it.
    pub fn renamed(&self, path: PathBuf) -> Folder {
        Folder { path: Arc::new(path), ..self.clone() }
    }

    /// Makes the names in this folder durable.
    pub fn sync(&self) -> Result<()> {
        self.os.sync(&self.fd).map_err(|e| Error::io("sync folder", self.path(), e))
    }

    /// Removes a file; `false` where it was not there.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let name = name.as_ref();
        match self.os.unlink_at(&self.fd, name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.error("remove", name, error)),
        }
    }

    /// Reads a whole file of at most `limit` bytes.
    ///
    /// # Errors
    /// `file.too_large` beyond the limit.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let fd = self.open(path, Open::Read)?;
        let size = self.os.stat(&fd).map_err(|e| self.error("look at", path, e))?.size;
        let too_large = |size: u64| {
            Error::new(
                ErrorKind::InvalidInput,
                "file.too_large",
                format!("{} has {size} bytes, more than {limit}", self.join(path).display()),
            )
            .with_path(self.join(path))
        };
        if size > limit {
            return Err(too_large(size));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0) + 1];
        let mut filled = 0;
        loop {
            let read = self
                .os
                .read_at(&fd, &mut bytes[filled..], filled as u64)
                .map_err(|e| self.error("read", path, e))?;
            if read == 0 {
                bytes.truncate(filled);
                return Ok(bytes);
            }
            filled += read;
            if filled as u64 > limit {
                return Err(too_large(filled as u64));
            }
            if filled == bytes.len() {
                bytes.resize(filled + 4096, 0);
            }
        }
    }

    /// As [`Folder::read`], with `None` where the file does not exist.
    pub fn read_if_exists(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>> {
        found(self.read(path, limit))
    }

    /// As [`Folder::read_if_exists`], for what can be done without: `None` also where something else stands in
    /// its place, or more than `limit`.
    pub fn read_hint(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.read_if_exists(path, limit) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(None),
            bytes => bytes,
        }
    }
}

/// The error about a folder that another file system, or another part of this one, is mounted on.
pub(super) fn mount_point(path: PathBuf) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "path.mount_point",
        format!("something is mounted on {}", path.display()),
    )
    .with_path(path)
    .with_hint("unmount it first; nothing on it was removed")
}

/// Turns "does not exist" into `None`.
pub(crate) fn found<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let (dir, folder) = folder();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("flink")).unwrap();

        let error = folder.folder("link").unwrap_err();
        assert_eq!((error.code(), error.path()), ("path.symlink", Some(&*dir.path().join("link"))));
        assert_eq!(folder.open("link/x", Open::Read).unwrap_err().code(), "path.symlink");
        assert_eq!(folder.open("flink", Open::Read).unwrap_err().code(), "path.symlink");
        assert_eq!(folder.folder("file").unwrap_err().code(), "path.not_a_folder");
        assert_eq!(folder.open("real", Open::Read).unwrap_err().code(), "path.not_a_file");
        assert_eq!(folder.open("real", Open::Append).unwrap_err().code(), "path.not_a_file");
        assert_eq!(folder.has_file("real").unwrap_err().code(), "path.not_a_file");
        assert_eq!(folder.folder("none").unwrap_err().kind(), ErrorKind::NotFound);
        assert!(folder.folder_if_exists("none").unwrap().is_none());
        assert!(folder.has_file("file").unwrap());
    }

    #[test]
    fn a_pipe_does_not_block_the_reader() {
        let (dir, folder) = folder();
        let path = std::ffi::CString::new(dir.path().join("pipe").to_str().unwrap()).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(folder.open("pipe", Open::Read).unwrap_err().code(), "path.not_a_file");
    }

    #[test]
    fn reads_are_bounded() {
        let (dir, folder) = folder();
        std::fs::write(dir.path().join("f"), "12345").unwrap();
        assert_eq!(folder.read("f", 5).unwrap(), b"12345");
        assert_eq!(folder.read("f", 4).unwrap_err().code(), "file.too_large");
        assert!(folder.read_if_exists("g", 4).unwrap().is_none());
    }

    #[test]
    fn an_open_folder_is_not_swapped_for_a_link() {
        let (dir, folder) = folder();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/f"), "mine").unwrap();
        let a = folder.folder("a").unwrap();
        std::fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("a")).unwrap();
        assert_eq!(a.read("f", 10).unwrap(), b"mine");
        assert_eq!(folder.read("a/passwd", 1 << 20).unwrap_err().code(), "path.symlink");
    }
}
