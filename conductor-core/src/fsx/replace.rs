//! Replacing a file as a whole: readers see the old content or the new, never a mixture.

use super::folder::{FILE_MODE, Folder};
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::sys::{Fd, FileKind, LockKind, Open};
use std::ffi::{OsStr, OsString};
use std::io;

impl Folder {
    /// Gives `name` the content `bytes`, atomically and durably.
    ///
    /// Temporary file `.<name>.next` in the same folder, sync, rename, sync of the folder. A crash
    /// leaves the old content or the new one. The caller holds the lock that guards `name`: the
    /// temporary name is fixed, so that a crash leaves at most one, which the next replacement takes
    /// over.
    pub fn replace(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        self.replace_without_sync(name.as_ref(), bytes, true)?;
        self.sync()
    }

    /// As [`Folder::replace`], but a power cut may bring the old content back (never a torn one).
    pub fn replace_relaxed(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        self.replace_without_sync(name.as_ref(), bytes, false)
    }

    /// As [`Folder::replace`], for a name that no lock guards: the temporary file itself is locked.
    ///
    /// # Errors
    /// `lock.timeout`, and those of [`Folder::replace`].
    pub fn replace_unguarded(
        &self,
        name: impl AsRef<OsStr>,
        bytes: &[u8],
        wait: &Wait,
    ) -> Result<()> {
        let name = name.as_ref();
        let next = next_of(name);
        let lock = match self.lock(&next, LockKind::Exclusive, wait) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.clear(&next)?;
                self.lock(&next, LockKind::Exclusive, wait)?
            }
            lock => lock?,
        };
        let failed = |e| self.error("write", &next, e);
        // What a crash left of another one.
        self.os().truncate(lock.fd(), 0).map_err(failed)?;
        self.write_all(lock.fd(), &next, bytes)?;
        self.os().sync_data(lock.fd()).map_err(failed)?;
        self.os()
            .rename_at(self.fd(), &next, self.fd(), name, true)
            .map_err(|e| self.error("replace", name, e))?;
        self.sync()
    }

    /// Removes whatever stands at a name of ours, a link itself and not what it points to.
    pub(crate) fn clear(&self, name: &OsStr) -> Result<()> {
        match self.stat(name)?.map(|stat| stat.kind) {
            None => Ok(()),
            Some(FileKind::Folder) => self.remove_tree(name).map(drop),
            Some(_) => self.remove_file(name).map(drop),
        }
    }

    fn replace_without_sync(&self, name: &OsStr, bytes: &[u8], durable: bool) -> Result<()> {
        let next = next_of(name);
        self.clear(&next)?;
        let fd = self.open(&next, Open::CreateNew(FILE_MODE))?;
        let written = self.write_all(&fd, &next, bytes).and_then(|()| {
            if durable {
                self.os().sync_data(&fd).map_err(|e| self.error("sync", &next, e))?;
            }
            self.os()
                .rename_at(self.fd(), &next, self.fd(), name, true)
                .map_err(|e| self.error("replace", name, e))
        });
        if written.is_err() {
            // The first error is the one to tell; a stray that cannot be removed is taken over later.
            let _stray = self.remove_file(&next);
        }
        written
    }

    /// Makes a file that must not exist yet, with the content `bytes`; not synced.
    ///
    /// # Errors
    /// `io.already_exists` when the name is taken. On an error the file is removed again.
    pub fn create(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<Fd> {
        let name = name.as_ref();
        let fd = self.open(name, Open::CreateNew(FILE_MODE))?;
        match self.write_all(&fd, name, bytes) {
            Ok(()) => Ok(fd),
            Err(error) => {
                let _half_written = self.remove_file(name);
                Err(error)
            }
        }
    }

    /// As [`Folder::create`], and another's file of that name stays as it is.
    pub fn create_once(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        match self.create(name, bytes) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            answer => answer.map(drop),
        }
    }

    fn write_all(&self, fd: &Fd, name: &OsStr, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.os().write(fd, bytes) {
                Ok(0) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    return Err(self.error("write", name, error));
                }
                Ok(written) => bytes = &bytes[written..],
                Err(error) => return Err(self.error("write", name, error)),
            }
        }
        Ok(())
    }
}

/// The name under which the next content of `name` is written.
fn next_of(name: &OsStr) -> OsString {
    let mut next = OsString::from(".");
    next.push(name);
    next.push(".next");
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;

    #[test]
    fn a_replacement_is_whole_and_leaves_no_stray() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        // A stray of a crashed replacement is taken over.
        std::fs::write(dir.path().join(".f.next"), "half").unwrap();
        folder.replace("f", b"one").unwrap();
        folder.replace("f", b"two").unwrap();
        folder.replace_relaxed("f", b"three").unwrap();
        assert_eq!(folder.read("f", 10).unwrap(), b"three");
        let names: Vec<_> = folder.list().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["f"]);
    }

    #[test]
    fn a_link_in_the_way_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("canary"), "safe").unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        std::os::unix::fs::symlink(outside.path().join("canary"), dir.path().join("f")).unwrap();
        folder.replace("f", b"mine").unwrap();
        assert_eq!(std::fs::read(outside.path().join("canary")).unwrap(), b"safe");
        assert_eq!(folder.read("f", 10).unwrap(), b"mine");
    }

    #[test]
    fn many_replace_a_name_that_no_lock_guards() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4u8 {
                let folder = &folder;
                scope.spawn(move || {
                    let bytes = vec![b'a' + writer; 5000];
                    for _ in 0..50 {
                        folder.replace_unguarded("f", &bytes, &Wait::FOREVER).unwrap();
                        let read = folder.read("f", 5000).unwrap();
                        assert!(read.len() == 5000 && read.iter().all(|byte| *byte == read[0]));
                    }
                });
            }
        });
        assert_eq!(folder.list().unwrap().len(), 1);
    }

    #[test]
    fn what_was_planted_at_the_temporary_name_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let canary = outside.path().join("canary");
        std::fs::write(&canary, "safe").unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        for plant in [0, 1] {
            for guarded in [true, false] {
                let next = dir.path().join(".f.next");
                match plant {
                    0 => std::os::unix::fs::symlink(&canary, &next).unwrap(),
                    _ => std::fs::create_dir_all(next.join("deep")).unwrap(),
                }
                match guarded {
                    true => folder.replace("f", b"mine").unwrap(),
                    false => folder.replace_unguarded("f", b"mine", &Wait::FOREVER).unwrap(),
                }
                assert_eq!(folder.read("f", 10).unwrap(), b"mine");
                assert_eq!(folder.list().unwrap().len(), 1);
            }
        }
        assert_eq!(std::fs::read(canary).unwrap(), b"safe");
    }

    #[test]
    fn create_refuses_a_taken_name() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        folder.create("f", b"one").unwrap();
        assert_eq!(folder.create("f", b"two").unwrap_err().code(), "io.already_exists");
        assert_eq!(folder.read("f", 10).unwrap(), b"one");
    }
}
