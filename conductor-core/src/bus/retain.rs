//! What a bus may give up: whether it can be rotated, and which archives nobody waits for any more.

use super::catalog::{self, Archive};
use super::handle::Bus;
use super::named;
use super::older;
use super::rotate::Rotation;
use super::tail;
use crate::error::Result;
use crate::fsx::Folder;
use crate::sys::Open;
use crate::time::Timestamp;
use std::ffi::{OsStr, OsString};

/// An archive that is old enough to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OldArchive {
    pub(crate) name: OsString,
    pub(crate) bytes: u64,
    /// When its last message was written.
    pub(crate) ended: Timestamp,
    /// The name of the cursor that has yet to read it, or one before it: it must stay.
    pub(crate) cursor: Option<String>,
}

impl Bus {
    /// Why a rotation would do nothing now; `None` where it would be done. Reads only.
    pub(crate) fn rotation_refusal(&self) -> Result<Option<Rotation>> {
        let store = self.store();
        store.check_fork()?;
        let Some(file) = store.open(store.live(), Open::Read)? else {
            return Ok(Some(Rotation::Empty));
        };
        let (first, last) = (catalog::first_seq(&file)?, tail::last_seq(&file)?);
        if last <= first && last > 0 {
            return Ok(Some(Rotation::Empty));
        }
        older::refuses_rotation(self.options(), &file, store.os().now())
    }

    /// The archives that nobody wrote to since `before`, oldest first. One that a named cursor in
    /// `cursors` waits for must stay. An archive that must stay keeps all that follow it.
    pub(crate) fn old_archives(
        &self,
        before: Timestamp,
        cursors: Option<&Folder>,
    ) -> Result<Vec<OldArchive>> {
        let store = self.store();
        store.check_fork()?;
        let wanted = self.oldest_wanted(cursors)?;
        let mut old = Vec::new();
        let mut cursor = None;
        for archive in catalog::archives(store)? {
            let Some(stat) = store.folder().stat(&archive.name)? else { continue };
            let ended = Timestamp::from_unix_nanos(stat.modified);
            if ended >= before {
                break;
            }
            if let Some((wanted, name)) = wanted.as_ref().filter(|_| cursor.is_none())
                && self.is_wanted(&archive, *wanted)
            {
                cursor = Some(name.clone());
            }
            let (name, bytes) = (archive.name, stat.size);
            old.push(OldArchive { name, bytes, ended, cursor: cursor.clone() });
        }
        Ok(old)
    }

    /// The lowest number that a named cursor in `cursors` waits for, and its name; tells of those that are
    /// idle for so long that they are not heeded.
    pub(super) fn oldest_wanted(&self, cursors: Option<&Folder>) -> Result<Option<named::Wanted>> {
        let Some(folder) = cursors else { return Ok(None) };
        let now = self.store().os().now();
        let (wanted, idle) = named::oldest_wanted(folder, self.scope(), now)?;
        for name in idle {
            tracing::warn!(
                name: "bus_cursor_idle", path = %self.path().display(), cursor = %name,
                "archives do not wait for a reader that kept no place for 30 days"
            );
        }
        Ok(wanted)
    }

    /// Whether a reader that goes on at the number `wanted` needs the archive.
    fn is_wanted(&self, archive: &Archive, wanted: u64) -> bool {
        match archive.last {
            Some(last) => last >= wanted,
            // An older program's: without numbers it lies before all that has one.
            None if archive.first == 0 => wanted <= 1,
            None => {
                let last = self
                    .store()
                    .open(&archive.name, Open::Read)
                    .and_then(|file| file.map_or(Ok(0), |file| tail::last_seq(&file)));
                // What cannot be read is kept for who can.
                last.map_or(true, |last| last >= wanted)
            }
        }
    }

    /// Removes those of the [old archives](Bus::old_archives) that are `chosen` and that no cursor waits
    /// for; gives their names.
    pub(crate) fn remove_old_archives(
        &self,
        before: Timestamp,
        cursors: Option<&Folder>,
        chosen: impl Fn(&OsStr) -> bool,
    ) -> Result<Vec<OsString>> {
        let folder = self.store().folder();
        let mut removed = Vec::new();
        for archive in self.old_archives(before, cursors)? {
            let free = archive.cursor.is_none() && chosen(&archive.name);
            if free && folder.remove_file(&archive.name)? {
                removed.push(archive.name);
            }
        }
        if !removed.is_empty() {
            folder.sync()?;
        }
        Ok(removed)
    }
}
