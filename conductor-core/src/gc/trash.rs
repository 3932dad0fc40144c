//! The trash: what is deleted is moved here first, and deleted once the moves are durable.
//!
//! So a crash leaves each thing whole where it was, or in the trash, where nobody lists it and the
//! next collection finishes it. The syncs are shared by a batch: one for each folder that something
//! was taken from, not one for each thing.

use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::Layout;
use crate::sys::{Listed, LockKind};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;

/// The most things that are moved before they are deleted.
pub(super) const BATCH: usize = 256;

/// How often the trash is made anew that somebody removes.
const TRIES: u32 = 16;

/// What became of something that was to be moved into the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is there.
    Moved,
    /// It was gone already.
    Gone,
    /// The disk has no room for the trash.
    NoRoom,
}

/// A collection's own folder in the trash. Others leave it alone while it is locked.
#[derive(Debug)]
pub(super) struct Trash<T> {
    layout: Layout,
    /// The trash itself, made with the first thing that is moved into it.
    trash: Option<Folder>,
    batch: Option<Batch>,
    moved: Vec<Moved<T>>,
    /// How many things were moved or tried, for names that are new.
    taken: u64,
    /// The folders that something was taken from since the last sync.
    sources: Vec<Folder>,
}

/// Something that was moved into the trash.
#[derive(Debug)]
struct Moved<T> {
    /// Its name in the batch.
    target: String,
    /// Where it was.
    source: Folder,
    name: OsString,
    tag: T,
}

/// What became of something that was in the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// It is deleted.
    Deleted,
    /// It is where it was: somebody needs it.
    PutBack,
    /// A person emptied the trash meanwhile.
    Gone,
}

/// The folder of a batch, locked.
#[derive(Debug)]
struct Batch {
    name: String,
    // Taken off the list of a fork before the folder is closed.
    _listed: Listed,
    folder: Folder,
}

impl<T: Clone> Trash<T> {
    pub(super) fn new(layout: &Layout) -> Trash<T> {
        let (moved, sources) = (Vec::new(), Vec::new());
        Trash { layout: layout.clone(), trash: None, batch: None, moved, taken: 0, sources }
    }

    pub(super) fn is_full(&self) -> bool {
        self.moved.len() >= BATCH
    }

    /// Moves the folder `name` out of `source`; `tag` is given back once it is deleted.
    pub(super) fn take(&mut self, source: &Folder, name: &OsStr, tag: &T) -> Result<Taken> {
        match self.moved_to(source, name) {
            Ok(Some(target)) => {
                if self.sources.last().is_none_or(|last| last.path() != source.path()) {
                    self.sources.push(source.clone());
                }
                let (source, name, tag) = (source.clone(), name.to_owned(), tag.clone());
                self.moved.push(Moved { target, source, name, tag });
                Ok(Taken::Moved)
            }
            Ok(None) => Ok(Taken::Gone),
            Err(error) if error.kind() == ErrorKind::StorageFull => Ok(Taken::NoRoom),
            Err(error) => Err(error),
        }
    }

    /// Moves it; the name that it has there, or `None` where it is gone already.
    fn moved_to(&mut self, source: &Folder, name: &OsStr) -> Result<Option<String>> {
        self.taken += 1;
        let target = format!("{}-{}", self.taken, name.to_string_lossy());
        let batch = self.batch()?;
        match rename(source, name, &batch, OsStr::new(&target)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The batch itself may be gone: a person emptied the trash.
                if source.stat(name)?.is_none() {
                    return Ok(None);
                }
                self.batch = None;
                let batch = self.batch()?;
                rename(source, name, &batch, OsStr::new(&target))
                    .map_err(|e| source.error("move to the trash", name, e))?;
            }
            Err(error) => return Err(source.error("move to the trash", name, error)),
        }
        Ok(Some(target))
    }

    /// The batch's folder, locked, so that no other collection takes it for a leftover.
    fn batch(&mut self) -> Result<Folder> {
        if let Some(batch) = &self.batch {
            return Ok(batch.folder.clone());
        }
        let mut tries = TRIES;
        loop {
            match self.make_batch() {
                Ok(Some(batch)) => return Ok(self.batch.insert(batch).folder.clone()),
                Ok(None) => {}
                // Removed at once by another collection, or the trash itself by a person.
                Err(error) if error.kind() == ErrorKind::NotFound && tries > 0 => {
                    self.trash = None;
                    tries -= 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes and locks a folder in the trash; `None` where another collection removed it before.
    fn make_batch(&mut self) -> Result<Option<Batch>> {
        let trash = match &self.trash {
            Some(trash) => trash.clone(),
            None => self.trash.insert(self.layout.ensure_trash()?).clone(),
        };
        let name = format!("gc-{:016x}", RandomState::new().build_hasher().finish());
        let folder = trash.make_folder(&name)?;
        let ours = lock(&folder)? && trash.stat(&name)?.is_some();
        let listed = Listed::new(folder.fd());
        Ok(ours.then_some(Batch { name, _listed: listed, folder }))
    }

    /// Makes the moves durable, then deletes what was moved. Tells how each deletion went; what could
    /// not be deleted is left for the next collection.
    ///
    /// `is_needed` is asked once all of it is away. A starter that named one of the runs before is seen
    /// then, and one that comes later finds the run gone: what is needed is put back.
    pub(super) fn flush(
        &mut self,
        is_needed: &mut dyn FnMut(&T) -> bool,
    ) -> Vec<(T, Result<Flushed>)> {
        let moved = std::mem::take(&mut self.moved);
        let sources = std::mem::take(&mut self.sources);
        let (Some(Batch { folder: batch, .. }), Some(trash)) = (&self.batch, &self.trash) else {
            return Vec::new();
        };
        let mut results = Vec::with_capacity(moved.len());
        let mut going = Vec::with_capacity(moved.len());
        for moved in moved {
            if is_needed(&moved.tag) {
                let back = moved.put_back(batch);
                results.push((moved.tag, back));
            } else {
                going.push(moved);
            }
        }
        let synced = sources
            .iter()
            .try_for_each(Folder::sync)
            .and_then(|()| batch.sync())
            .and_then(|()| trash.sync());
        for Moved { target, tag, .. } in going {
            let deleted = match &synced {
                Ok(()) => batch.remove_tree(&target).map(|_| Flushed::Deleted),
                // Deleting now could leave something half gone where it was.
                Err(error) => Err(again(error)),
            };
            results.push((tag, deleted));
        }
        results
    }

    /// Removes the batch's folder. One that still holds something stays for the next collection.
    pub(super) fn close(&mut self) {
        if let (Some(Batch { name, .. }), Some(trash)) = (self.batch.take(), &self.trash) {
            // Whatever is in the way was told when it could not be deleted.
            let _left = trash.os().rmdir_at(trash.fd(), OsStr::new(&name));
        }
    }
}

impl<T> Moved<T> {
    fn put_back(&self, batch: &Folder) -> Result<Flushed> {
        match rename(batch, OsStr::new(&self.target), &self.source, &self.name) {
            Ok(()) => Ok(Flushed::PutBack),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Flushed::Gone),
            Err(error) => Err(self.source.error("put back from the trash", &self.name, error)),
        }
    }
}

/// Moves a folder; one that may not be moved because of its own mode is opened up first.
fn rename(source: &Folder, name: &OsStr, target: &Folder, new: &OsStr) -> io::Result<()> {
    let os = source.os();
    match os.rename_at(source.fd(), name, target.fd(), new, false) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            match os.open_up(source.fd(), name) {
                Ok(()) => os.rename_at(source.fd(), name, target.fd(), new, false),
                Err(_) => Err(error),
            }
        }
        answer => answer,
    }
}

/// Takes the lock of a folder itself, which goes with its descriptor; `false` where somebody has it.
pub(super) fn lock(folder: &Folder) -> Result<bool> {
    let locked = folder.os().try_lock(folder.fd(), LockKind::Exclusive);
    locked.map_err(|e| folder.error("lock", "", e))
}

/// The same error once more: each thing of a batch is told.
pub(super) fn again(error: &Error) -> Error {
    let told = Error::new(error.kind(), error.code(), error.to_string());
    match error.path() {
        Some(path) => told.with_path(path),
        None => told,
    }
}

/// Removes what a deletion that was cut short left; `None` where somebody is at it.
pub(super) fn empty(trash: &Folder, name: &OsStr) -> Result<Option<bool>> {
    let folder = match trash.folder_here(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(false)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return trash.remove_tree(name).map(Some);
        }
        // A file, a link.
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            return trash.remove_file(name).map(Some);
        }
        folder => folder?,
    };
    if !lock(&folder)? {
        return Ok(None);
    }
    trash.remove_tree(name).map(Some)
}
