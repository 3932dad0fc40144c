//! What nobody needs: leftovers of deletions, of replacements, of locks, of entries.

use super::facts::{StrayFact, StrayKind};
use super::going;
use super::scan_run::{below, newest_of_orphan};
use super::scan_task::Loose;
use super::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{Folder, Measure};
use crate::id::RunId;
use crate::layout::{BIN, CONDUCTOR, CURSORS, HOLDS, OPEN, OUTBOX, RUN_LOCK, RUNS, SERVED};
use crate::supervise::OpenEntry;
use crate::sys::{Entry, FileKind, Processes};
use crate::time::Timestamp;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Folders below `.conductor` whose files are locks, each held by who made it.
const LOCK_FOLDERS: [&str; 4] = ["queue/run", "queue/task", "slots/run", "slots/task"];

/// Folders below `.conductor` that nobody else writes to, where files have names that may never be used
/// again.
const OWN_FOLDERS: [&str; 4] = [OUTBOX, CURSORS, HOLDS, SERVED];

/// A file with which the older program was about to replace the record, or one of ours that was about to
/// get its name.
pub(super) fn is_temporary_of_run(name: &OsStr) -> bool {
    numbered(name, "run-info.", ".yaml.tmp")
        || numbered(name, "..stop.", ".next")
        || numbered(name, "..stop-now.", ".next")
}

/// Whether a folder among runs is one that its starter was filling before it got its name.
pub(super) fn is_unnamed_run(name: &OsStr) -> bool {
    let run = name.to_str().and_then(|name| name.strip_prefix('.'));
    run.is_some_and(|run| RunId::new(run).is_ok())
}

/// A file of a task with which somebody was about to replace another.
pub(super) fn is_temporary_of_task(name: &OsStr) -> bool {
    numbered(name, ".STOP-REQUESTED.", ".next")
        || numbered(name, ".CANCELLED.", ".next")
        || numbered(name, ".TASK.md.", ".next")
        || numbered(name, ".task-propagation-", ".tmp")
}

/// A file of a project with which somebody was about to replace another.
pub(super) fn is_temporary_of_project(name: &OsStr) -> bool {
    numbered(name, "run-info.", ".yaml.tmp")
        || numbered(name, "facts.", ".tmp")
        || numbered(name, ".home-folders.md.", ".next")
}

/// The entry of an open run that was about to get its name.
fn is_temporary_of_open(name: &OsStr) -> bool {
    let inner = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".next"));
    inner.is_some_and(|inner| RunId::new(inner).is_ok())
}

fn is_temporary_of_root(name: &OsStr) -> bool {
    numbered(name, ".gc.yaml.", ".next")
}

/// A file in a folder of our own that was about to get its name.
fn is_temporary_of_ours(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() > ".x.next".len() && name.starts_with(b".") && name.ends_with(b".next")
}

/// The process that named a temporary file, where the name tells: `<any>.<pid>-<n>.<any>`.
fn writer_of(name: &OsStr) -> Option<u32> {
    let (rest, _) = name.to_str()?.rsplit_once('.')?;
    let (pid, number) = rest.rsplit('.').next()?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

/// A keeper's program that was about to get its name.
fn is_temporary_of_bin(name: &OsStr) -> bool {
    let inner = name.to_str().and_then(|n| n.strip_prefix(".keeper-")?.strip_suffix(".next"));
    inner.is_some_and(|inner| {
        inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.') && inner.contains('.')
    })
}

/// `<prefix><digits><suffix>`, where the digits may have a dash among them.
fn numbered(name: &OsStr, prefix: &str, suffix: &str) -> bool {
    let inner = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(suffix));
    inner.is_some_and(|inner| {
        inner.starts_with(|c: char| c.is_ascii_digit())
            && inner.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    })
}

impl Walk {
    /// Looks at what lies below `.conductor`.
    pub(super) fn root_files(&self) -> Loose {
        let mut loose = Loose::default();
        let conductor = Path::new(CONDUCTOR);
        let mut found = Vec::new();
        let mut note = |looked: Result<()>| loose.errors.extend(looked.err());
        note(self.temporaries_of_root(conductor, is_temporary_of_root, &mut found));
        note(self.temporaries_of_root(&conductor.join(BIN), is_temporary_of_bin, &mut found));
        note(self.temporaries_of_root(&conductor.join(OPEN), is_temporary_of_open, &mut found));
        for name in OWN_FOLDERS {
            let path = conductor.join(name);
            note(self.temporaries_of_root(&path, is_temporary_of_ours, &mut found));
        }
        for name in LOCK_FOLDERS {
            note(self.locks(&conductor.join(name), &mut found));
        }
        note(self.entries(&mut found));
        let mut errors = Vec::new();
        note(self.trash(&mut found, &mut errors));
        loose.errors.extend(errors);
        loose.strays = found;
        loose
    }

    fn temporaries_of_root(
        &self,
        path: &Path,
        is_temporary: fn(&OsStr) -> bool,
        found: &mut Vec<StrayFact>,
    ) -> Result<()> {
        let Some(folder) = self.root.folder_if_exists(path)? else { return Ok(()) };
        for entry in folder.list()? {
            if entry.kind == FileKind::File && is_temporary(&entry.name) {
                found.extend(self.temporary(&folder, &entry.name)?);
            }
        }
        Ok(())
    }

    /// A temporary file; `None` where it is gone.
    pub(super) fn temporary(&self, folder: &Folder, name: &OsStr) -> Result<Option<StrayFact>> {
        temporary(&self.plan.root, folder, name)
    }

    fn locks(&self, path: &Path, found: &mut Vec<StrayFact>) -> Result<()> {
        let Some(folder) = self.root.folder_if_exists(path)? else { return Ok(()) };
        for entry in folder.list()?.into_iter().filter(|entry| entry.kind == FileKind::File) {
            let held = folder.is_locked(&entry.name)?;
            found.extend(file(&folder, path.join(&entry.name), StrayKind::Lock, held)?);
        }
        Ok(())
    }

    /// Notes the entries of open runs that are gone.
    fn entries(&self, found: &mut Vec<StrayFact>) -> Result<()> {
        for OpenEntry { name, project, task, run, .. } in
            OpenEntry::list(self.plan.engine.layout())?.entries
        {
            let runs = Path::new(project.as_str()).join(&task).join(RUNS);
            if self.root.folder_if_exists(runs.join(&run))?.is_some() {
                continue;
            }
            // One that is just being started has a folder without its name yet.
            let held = match self.root.folder_if_exists(runs.join(format!(".{run}")))? {
                Some(folder) => folder.is_locked(RUN_LOCK)?,
                None => false,
            };
            found.push(StrayFact {
                kind: StrayKind::Entry,
                path: Path::new(CONDUCTOR).join(OPEN).join(name),
                bytes: 0,
                modified: Timestamp::ZERO,
                held,
            });
        }
        Ok(())
    }

    fn trash(&self, found: &mut Vec<StrayFact>, errors: &mut Vec<Error>) -> Result<()> {
        let Some(trash) = self.plan.engine.layout().trash()? else { return Ok(()) };
        for entry in trash.list()? {
            match self.trashed(&trash, &entry) {
                Ok(stray) => found.extend(stray),
                Err(error) => errors.push(error),
            }
        }
        Ok(())
    }

    fn trashed(&self, trash: &Folder, entry: &Entry) -> Result<Option<StrayFact>> {
        let mut sum = Measure::NOTHING;
        let held = is_in_hand(trash, entry)?;
        if entry.kind == FileKind::Folder {
            let measured = trash.folder_here(&entry.name).and_then(|f| f.measure(&mut |_, _| true));
            match measured {
                Ok(measured) => sum = measured,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                // It is removed all the same: that opens folders up.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(StrayFact {
            kind: StrayKind::Trash,
            path: below(&self.plan.root, trash).join(&entry.name),
            bytes: sum.bytes,
            modified: Timestamp::ZERO,
            held,
        }))
    }

    /// A hidden folder among runs: of a starter that died before it had its name, or what was being
    /// deleted where it stood.
    pub(super) fn unnamed_run(&self, runs: &Folder, name: &OsStr) -> Result<Option<StrayFact>> {
        if going::id_of(name).is_some() {
            let folder = Entry { name: name.to_owned(), kind: FileKind::Folder };
            return self.trashed(runs, &folder);
        }
        let folder = match runs.folder_here(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            folder => folder?,
        };
        let held = folder.is_locked(RUN_LOCK)?;
        let sum = folder.measure(&mut |_, _| true)?;
        Ok(Some(StrayFact {
            kind: StrayKind::Unnamed,
            path: below(&self.plan.root, &folder),
            bytes: sum.bytes,
            modified: newest_of_orphan(&folder, &sum)?,
            held,
        }))
    }

    /// What is left of a task that was being deleted where it stood.
    pub(super) fn going_task(&self, project: &Folder, name: &OsStr) -> Result<Option<StrayFact>> {
        let folder = Entry { name: name.to_owned(), kind: FileKind::Folder };
        self.trashed(project, &folder)
    }
}

/// A temporary file in a folder below `root`; `None` where it is gone. One that a living process may be
/// writing is in use.
pub(super) fn temporary(root: &Path, folder: &Folder, name: &OsStr) -> Result<Option<StrayFact>> {
    let path = below(root, folder).join(name);
    let Some(mut stray) = file(folder, path, StrayKind::Temporary, false)? else { return Ok(None) };
    if let Some(pid) = writer_of(name) {
        let (now, since_boot) = (folder.os().now(), folder.os().since_boot());
        let there = Processes.was_there(pid, stray.modified, now, since_boot);
        stray.held = there.map_err(|e| folder.error("look for the writer of", name, e))?;
    }
    Ok(Some(stray))
}

fn file(folder: &Folder, path: PathBuf, kind: StrayKind, held: bool) -> Result<Option<StrayFact>> {
    let Some(name) = path.file_name() else { return Ok(None) };
    let Some(stat) = folder.stat(name)? else { return Ok(None) };
    let modified = Timestamp::from_unix_nanos(stat.modified);
    Ok(Some(StrayFact { kind, bytes: stat.size, modified, held, path }))
}

/// Whether a living collection has a part of the trash in hand: then it is no leftover.
pub(crate) fn is_in_hand(trash: &Folder, entry: &Entry) -> Result<bool> {
    if entry.kind != FileKind::Folder {
        return Ok(false);
    }
    match trash.folder_here(&entry.name).and_then(|folder| folder.is_held()) {
        // Gone meanwhile, or of a mode that no folder in hand has.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            Ok(false)
        }
        held => held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_who_was_writing() {
        let writer = |name: &str| writer_of(OsStr::new(name));
        assert_eq!(writer(".home-folders.md.77-3.next"), Some(77));
        assert_eq!(writer("..stop.4194304-0.next"), Some(4_194_304));
        for name in ["run-info.77.yaml.tmp", ".x.next", ".a-b.next", ".77-.next", "77-1"] {
            assert_eq!(writer(name), None, "{name}");
        }
    }

    #[test]
    fn only_names_that_programs_make_up_are_temporary() {
        let os = OsStr::new;
        assert!(is_temporary_of_run(os("run-info.123456.yaml.tmp")));
        assert!(is_temporary_of_task(os(".STOP-REQUESTED.77-0.next")));
        assert!(is_temporary_of_bin(os(".keeper-0a1b2c3d.77.next")));
        assert!(is_temporary_of_task(os(".TASK.md.77-12.next")));
        assert!(is_temporary_of_project(os(".home-folders.md.77-0.next")));
        assert!(is_temporary_of_run(os("..stop.77-0.next")));
        assert!(is_temporary_of_ours(os("..receiver.json.77-0.next")));
        for name in [".next", ".x.lock", "x.next", ".receiver.json"] {
            assert!(!is_temporary_of_ours(os(name)), "{name}");
        }
        for name in ["run-info.yaml", "run-info..yaml.tmp", "run-info.x.yaml.tmp"] {
            assert!(!is_temporary_of_run(os(name)), "{name}");
        }
        // A bus before it has its name may hold messages.
        for name in [".TASK-MESSAGE-BUS.md.next", ".STOP-REQUESTED.next", "notes.tmp"] {
            assert!(!is_temporary_of_task(os(name)), "{name}");
        }
        assert!(!is_temporary_of_bin(os("keeper-0a1b2c3d")));
    }
}
