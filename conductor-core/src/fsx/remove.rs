//! Removing a whole folder, without leaving it: no link is followed, no mount point passed.
//!
//! The folder may have been filled by somebody who wished to make this hard. Memory and open files
//! are bounded whatever lies in it: names are taken as they come, and a folder that lies too deep is
//! moved up and emptied there.

use super::folder::{Folder, mount_point};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::FileKind;
use std::ffi::{OsStr, OsString};
use std::io;

/// How many tries a folder is given that somebody fills while it is emptied.
const TRIES: u32 = 8;
/// How many folders are open at once.
const DEEPEST: usize = 32;
/// How many folders of one folder are remembered at once.
const CHUNK: usize = 256;

/// A folder that is being emptied.
struct Level {
    folder: Folder,
    name: OsString,
    /// Folders in it that are to be removed next.
    left: Vec<OsString>,
    /// Whether it may hold more folders than those.
    more: bool,
    tries: u32,
}

/// How far one pass over a tree came.
enum Pass {
    /// All of it is gone.
    Gone,
    /// It nests too deeply: this folder of it was moved up and goes first.
    Moved(OsString),
}

impl Folder {
    /// Removes the folder `name` with everything in it; `false` where it was not there.
    ///
    /// A symbolic link is removed, not what it points to. Folders of this user that may not be
    /// listed or changed are opened up. Somebody may remove the same tree at the same time.
    ///
    /// # Errors
    /// `path.mount_point` for a folder in it that something is mounted on; what the system says of
    /// what could not be removed. What was removed by then is gone.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let name = name.as_ref();
        let mut trees = vec![name.to_owned()];
        let mut found = false;
        while let Some(tree) = trees.last() {
            let Some(top) = Level::open(self, tree)? else {
                trees.pop();
                continue;
            };
            found |= trees.len() == 1;
            match self.remove_pass(top)? {
                Pass::Gone => drop(trees.pop()),
                Pass::Moved(deep) => trees.push(deep),
            }
        }
        Ok(found)
    }

    /// Removes everything in this folder but the file `kept`.
    ///
    /// # Errors
    /// As [`Folder::remove_tree`].
    pub fn remove_all_but(&self, kept: &str) -> Result<()> {
        loop {
            let mut names = Vec::new();
            self.visit(&mut |name, kind| {
                if name != kept {
                    names.push((name.to_owned(), kind));
                }
                names.len() < CHUNK
            })?;
            if names.is_empty() {
                return Ok(());
            }
            for (name, kind) in names {
                if kind == FileKind::Folder {
                    self.remove_tree(&name)?;
                    continue;
                }
                match self.opened_up(|| self.os().unlink_at(self.fd(), &name)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(self.error("remove", &name, error)),
                }
            }
        }
    }

    fn remove_pass(&self, top: Level) -> Result<Pass> {
        let mut levels = vec![top];
        while let Some(level) = levels.last_mut() {
            if let Some(next) = level.left.pop() {
                if let Some(next) = Level::open(&level.folder, &next)? {
                    levels.push(next);
                }
                if levels.len() > DEEPEST
                    && let Some(Level { name, .. }) = levels.pop()
                    && let Some(parent) = levels.last()
                {
                    return parent.folder.move_up(&name, self).map(Pass::Moved);
                }
                continue;
            }
            if level.more {
                level.empty()?;
                continue;
            }
            let Some(mut level) = levels.pop() else { break };
            let parent = levels.last().map_or(self, |level| &level.folder);
            match parent.opened_up(|| parent.os().rmdir_at(parent.fd(), &level.name)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if is_filled(&error) && level.tries > 0 => {
                    level.tries -= 1;
                    level.more = true;
                    levels.push(level);
                }
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    return Err(mount_point(parent.join(&level.name)));
                }
                Err(error) => return Err(parent.error("remove folder", &level.name, error)),
            }
        }
        Ok(Pass::Gone)
    }

    /// Moves a folder in this one into `target`, where its name is new.
    fn move_up(&self, name: &OsStr, target: &Folder) -> Result<OsString> {
        let mut number = 0u32;
        loop {
            let moved = OsString::from(format!(".deep-{}-{number}", self.os().process_id()));
            let renamed =
                self.opened_up(|| self.os().rename_at(self.fd(), name, target.fd(), &moved, false));
            match renamed {
                Ok(()) => return Ok(moved),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(self.error("move", name, error)),
            }
        }
    }

    /// Does something to a name in this folder, once more if only the folder's mode was in the way.
    fn opened_up<T>(&self, action: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match action() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                // What could not be opened up stays as it is, and the first error is the one to tell.
                match self.os().open_up(self.fd(), OsStr::new(".")) {
                    Ok(()) => action(),
                    Err(_) => Err(error),
                }
            }
            answer => answer,
        }
    }
}

impl Level {
    /// Opens a folder that is to be emptied; `None` where it is gone.
    fn open(parent: &Folder, name: &OsStr) -> Result<Option<Level>> {
        let folder = match parent.folder_here(name) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                // Its own mode, or that of the folder it lies in.
                let opened = parent.os().open_up(parent.fd(), name);
                opened.map_err(|e| parent.error("open folder", name, e))?;
                parent.folder_here(name)
            }
            folder => folder,
        };
        let folder = match folder {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            folder => folder?,
        };
        let name = name.to_owned();
        Ok(Some(Level { folder, name, left: Vec::new(), more: true, tries: TRIES }))
    }

    /// Removes the files of the folder, and notes some of its folders.
    fn empty(&mut self) -> Result<()> {
        self.more = false;
        let (folder, left, more) = (&self.folder, &mut self.left, &mut self.more);
        let mut failed: Option<Error> = None;
        let listed = folder.visit(&mut |name, kind| {
            if kind == FileKind::Folder {
                left.push(name.to_owned());
                *more = left.len() >= CHUNK;
                return !*more;
            }
            match folder.opened_up(|| folder.os().unlink_at(folder.fd(), name)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // A folder took its place: the next look finds it.
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
                Err(error) => failed = Some(folder.error("remove", name, error)),
            }
            failed.is_none()
        });
        match listed {
            // Somebody else removed the open folder itself.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            listed => listed.and(failed.map_or(Ok(()), Err)),
        }
    }
}

fn is_filled(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::DirectoryNotEmpty
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
    fn all_but_one_file_can_go() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("kept"), "x").unwrap();
        for number in 0..600 {
            std::fs::write(dir.path().join(format!("f{number}")), "x").unwrap();
        }
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        folder.remove_all_but("kept").unwrap();
        let left: Vec<_> = folder.list().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(left, ["kept"]);
    }

    #[test]
    fn a_link_in_place_of_the_tree_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("tree")).unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        assert_eq!(folder.remove_tree("tree").unwrap_err().code(), "path.symlink");
    }

    #[test]
    fn folders_that_nest_without_end_and_many_names_take_few_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let root = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let tree = root.make_folder("tree").unwrap();
        let mut deep = tree.clone();
        for _ in 0..200 {
            deep = deep.make_folder("d").unwrap();
        }
        deep.create("file", b"deep").unwrap();
        for number in 0..300 {
            std::fs::write(dir.path().join(format!("tree/f{number}")), "x").unwrap();
            std::fs::create_dir_all(dir.path().join(format!("tree/w{number}/x"))).unwrap();
        }
        drop((tree, deep));
        assert!(root.remove_tree("tree").unwrap());
        assert!(root.list().unwrap().is_empty());
    }
}
