//! Replacing a file as a whole: readers see the old content or the new, never a mixture.

use super::folder::{FILE_MODE, Folder};
use crate::error::Result;
use crate::sys::{Fd, FileKind, Open};
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

/// When the content of a replacement must be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Before it has its name.
    Synced,
    /// Before it takes the place of another: some file systems write the new name long before the new
    /// content, and a power cut in between would leave an empty file where the old content stood.
    SyncedOverAnother,
    /// Whenever the system likes: what cannot be read is no loss.
    Unsynced,
}

impl Folder {
    /// Gives `name` the content `bytes`, atomically and durably.
    ///
    /// Temporary file `.<name>.next` in the same folder, sync, rename, sync of the folder. A crash
    /// leaves the old content or the new one. The caller holds the lock that guards `name`: the
    /// temporary name is fixed, so that a crash leaves at most one, which the next replacement takes
    /// over.
    pub fn replace(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        let name = name.as_ref();
        self.replace_name(name, &next_of(name, ""), bytes, Content::Synced)?;
        self.sync()
    }

    /// As [`Folder::replace`], for a name that no lock guards: several may replace it at once, and
    /// the content of the last one stands. A crash may leave a temporary file `.<name>.*.next`.
    pub fn replace_unguarded(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        self.replace_by_many(name.as_ref(), bytes, Content::Synced)?;
        self.sync()
    }

    /// As [`Folder::replace_unguarded`], for a hint that a power cut may take back or empty.
    pub fn replace_hint(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        self.replace_by_many(name.as_ref(), bytes, Content::Unsynced)
    }

    fn replace_by_many(&self, name: &OsStr, bytes: &[u8], content: Content) -> Result<()> {
        self.replace_name(name, &self.next_of_many(name), bytes, content)
    }

    /// A temporary name that nobody else uses at the same time.
    fn next_of_many(&self, name: &OsStr) -> OsString {
        static SEQUENCE: AtomicU32 = AtomicU32::new(0);
        let number = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        next_of(name, &format!(".{}-{number}", self.os().process_id()))
    }

    /// As [`Folder::replace`], but a power cut may bring the old content back (never a torn one). Of a
    /// name that is new it may leave an empty file.
    pub fn replace_relaxed(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        let name = name.as_ref();
        self.replace_name(name, &next_of(name, ""), bytes, Content::SyncedOverAnother)
    }

    /// Removes whatever stands at a name of ours, a link itself and not what it points to.
    pub(crate) fn clear(&self, name: &OsStr) -> Result<()> {
        match self.stat(name)?.map(|stat| stat.kind) {
            None => Ok(()),
            Some(FileKind::Folder) => self.remove_tree(name).map(drop),
            Some(_) => self.remove_file(name).map(drop),
        }
    }

    /// Replaces it; the name itself is not synced.
    fn replace_name(
        &self,
        name: &OsStr,
        next: &OsStr,
        bytes: &[u8],
        content: Content,
    ) -> Result<()> {
        let synced = match content {
            Content::Synced => true,
            Content::SyncedOverAnother => self.stat(name)?.is_some(),
            Content::Unsynced => false,
        };
        self.clear(next)?;
        let fd = self.open(next, Open::CreateNew(FILE_MODE))?;
        let written = self.write_all(&fd, next, bytes).and_then(|()| {
            if synced {
                self.os().sync_data(&fd).map_err(|e| self.error("sync", next, e))?;
            }
            self.os()
                .rename_at(self.fd(), next, self.fd(), name, true)
                .map_err(|e| self.error("replace", name, e))
        });
        if written.is_err() {
            // The first error is the one to tell; a stray that cannot be removed is taken over later.
            let _stray = self.remove_file(next);
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

    /// Makes a file with the content `bytes`, unless one stands there already, which stays as it is; not
    /// synced. Whoever sees the name sees all of the content. A crash may leave a temporary file
    /// `.<name>.*.next`.
    pub fn create_once(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        self.create_name_once(name.as_ref(), bytes, false)
    }

    /// As [`Folder::create_once`], with the content on the disk before it has its name. The name itself
    /// is durable with the next sync of the folder.
    pub fn create_once_synced(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        self.create_name_once(name.as_ref(), bytes, true)
    }

    fn create_name_once(&self, name: &OsStr, bytes: &[u8], synced: bool) -> Result<()> {
        if self.stat(name)?.is_some() {
            return Ok(());
        }
        let next = self.next_of_many(name);
        let fd = self.create(&next, bytes)?;
        if synced && let Err(error) = self.os().sync_data(&fd) {
            // The first error is the one to tell.
            let _stray = self.remove_file(&next);
            return Err(self.error("sync", name, error));
        }
        match self.os().rename_at(self.fd(), &next, self.fd(), name, false) {
            Ok(()) => Ok(()),
            Err(error) => {
                let removed = self.remove_file(&next);
                match error.kind() {
                    io::ErrorKind::AlreadyExists => removed.map(drop),
                    _ => Err(self.error("make", name, error)),
                }
            }
        }
    }

    /// Writes all of it to the open file `name` of this folder.
    pub(crate) fn write_all(
        &self,
        fd: &Fd,
        name: impl AsRef<OsStr>,
        mut bytes: &[u8],
    ) -> Result<()> {
        let name = name.as_ref();
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

/// The name of the temporary file of `name`.
fn next_of(name: &OsStr, mine: &str) -> OsString {
    let mut next = OsString::from(".");
    next.push(name);
    next.push(mine);
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
    fn several_may_replace_what_no_lock_guards() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let folder = folder.clone();
                scope.spawn(move || {
                    for _ in 0..50 {
                        folder.replace_unguarded("f", b"whole").unwrap();
                    }
                });
            }
        });
        assert_eq!(folder.read("f", 10).unwrap(), b"whole");
        assert_eq!(folder.list().unwrap().len(), 1, "no stray");
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
    fn what_was_planted_at_the_temporary_name_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let canary = outside.path().join("canary");
        std::fs::write(&canary, "safe").unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let next = dir.path().join(".f.next");
        std::os::unix::fs::symlink(&canary, &next).unwrap();
        folder.replace("f", b"one").unwrap();
        std::fs::create_dir_all(next.join("deep")).unwrap();
        folder.replace("f", b"two").unwrap();
        assert_eq!(folder.read("f", 10).unwrap(), b"two");
        assert_eq!(folder.list().unwrap().len(), 1);
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
