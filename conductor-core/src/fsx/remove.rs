//! Removing a whole folder, without leaving it: no link is followed, no other file system entered.

use super::folder::Folder;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::FileKind;
use std::ffi::{OsStr, OsString};

/// How many tries a folder is given that somebody fills while it is emptied.
const TRIES: u32 = 8;

/// A folder that is being emptied, and the folders in it that are still to be removed.
struct Level {
    folder: Folder,
    name: OsString,
    left: Vec<OsString>,
    tries: u32,
}

impl Folder {
    /// Removes the folder `name` with everything in it; `false` where it was not there.
    ///
    /// A symbolic link is removed, not what it points to. Somebody may remove the same tree at the
    /// same time.
    ///
    /// # Errors
    /// `path.mount_point` for a folder in it that lies on another file system; what the system says
    /// of what could not be removed. What was removed by then is gone.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let name = name.as_ref();
        let Some(top) = self.folder_if_exists(name)? else { return Ok(false) };
        let device = self.os().stat(top.fd()).map_err(|e| self.error("look at", name, e))?.device;
        let mut levels = vec![Level::empty(top, name.to_owned(), TRIES)?];
        while let Some(level) = levels.last_mut() {
            if let Some(next) = level.left.pop() {
                let Some(folder) = level.folder.folder_if_exists(&next)? else { continue };
                let stat = self.os().stat(folder.fd());
                if stat.map_err(|e| level.folder.error("look at", &next, e))?.device != device {
                    return Err(mount_point(&folder));
                }
                levels.push(Level::empty(folder, next, TRIES)?);
                continue;
            }
            let Some(Level { folder, name, tries, .. }) = levels.pop() else { break };
            let parent = levels.last().map_or(self, |level| &level.folder);
            match parent.os().rmdir_at(parent.fd(), &name) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) if is_filled(&error) && tries > 0 => {
                    levels.push(Level::empty(folder, name, tries - 1)?);
                }
                Err(error) => return Err(parent.error("remove folder", &name, error)),
            }
        }
        Ok(true)
    }
}

impl Level {
    /// Removes the files of a folder and notes its folders.
    fn empty(folder: Folder, name: OsString, tries: u32) -> Result<Level> {
        let mut left = Vec::new();
        for entry in folder.list()? {
            match entry.kind {
                FileKind::Folder => left.push(entry.name),
                _ => {
                    folder.remove_file(&entry.name)?;
                }
            }
        }
        Ok(Level { folder, name, left, tries })
    }
}

fn is_filled(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::DirectoryNotEmpty
}

fn mount_point(folder: &Folder) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "path.mount_point",
        format!("{} lies on another file system", folder.path().display()),
    )
    .with_path(folder.path())
    .with_hint("unmount it first; nothing on it was removed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::sync::Arc;

    #[test]
    fn everything_goes_and_nothing_outside() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("canary"), "safe").unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
        std::fs::write(tree.join("a/b/file"), "x").unwrap();
        std::fs::write(tree.join("a").join(OsStr::from_bytes(b"\xff\n")), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), tree.join("a/link")).unwrap();
        std::os::unix::fs::symlink("/", tree.join("root")).unwrap();
        std::fs::hard_link(outside.path().join("canary"), tree.join("hard")).unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        assert!(folder.remove_tree("tree").unwrap());
        assert!(!tree.exists());
        assert!(!folder.remove_tree("tree").unwrap());
        assert_eq!(std::fs::read(outside.path().join("canary")).unwrap(), b"safe");
    }

    #[test]
    fn a_link_in_place_of_the_tree_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("tree")).unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        assert_eq!(folder.remove_tree("tree").unwrap_err().code(), "path.symlink");
    }
}
