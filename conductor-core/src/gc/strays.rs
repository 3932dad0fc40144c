//! What nobody needs: leftovers of deletions, of replacements, of locks, of entries.

use super::facts::{StrayFact, StrayKind};
use super::survey::Survey;
use crate::error::{ErrorKind, Result};
use crate::fsx::{Folder, Measure};
use crate::id::RunId;
use crate::layout::{BIN, CONDUCTOR, OPEN, RUN_LOCK};
use crate::sys::{FileKind, LockKind, Open};
use crate::time::Timestamp;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Folders below `.conductor` whose files are locks, each held by who made it.
pub(super) const LOCK_FOLDERS: [&str; 4] = ["queue", "slots", "slots/run", "slots/task"];

/// A file with which the older program was about to replace the record.
pub(super) fn is_temporary_of_run(name: &OsStr) -> bool {
    numbered(name, "run-info.", ".yaml.tmp")
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
        || numbered(name, ".task-propagation-", ".tmp")
}

/// A file of a project with which the older program was about to replace another.
pub(super) fn is_temporary_of_project(name: &OsStr) -> bool {
    numbered(name, "run-info.", ".yaml.tmp") || numbered(name, "facts.", ".tmp")
}

/// The entry of an open run that was about to get its name.
fn is_temporary_of_open(name: &OsStr) -> bool {
    let inner = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".next"));
    inner.is_some_and(|inner| RunId::new(inner).is_ok())
}

fn is_temporary_of_root(name: &OsStr) -> bool {
    numbered(name, ".gc.yaml.", ".next")
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

impl Survey<'_> {
    /// Looks at what lies below `.conductor`.
    pub(super) fn strays(&mut self, root: &Folder) -> Result<()> {
        let conductor = root.folder_if_exists(CONDUCTOR)?;
        if let Some(conductor) = conductor {
            self.temporaries(&conductor, Path::new(CONDUCTOR), is_temporary_of_root)?;
        }
        if let Some(bin) = root.folder_if_exists(Path::new(CONDUCTOR).join(BIN))? {
            self.temporaries(&bin, &Path::new(CONDUCTOR).join(BIN), is_temporary_of_bin)?;
        }
        if let Some(open) = root.folder_if_exists(Path::new(CONDUCTOR).join(OPEN))? {
            self.temporaries(&open, &Path::new(CONDUCTOR).join(OPEN), is_temporary_of_open)?;
        }
        for name in LOCK_FOLDERS {
            let path = Path::new(CONDUCTOR).join(name);
            if let Some(folder) = root.folder_if_exists(&path)? {
                self.locks(&folder, &path)?;
            }
        }
        self.trash()
    }

    fn temporaries(
        &mut self,
        folder: &Folder,
        path: &Path,
        is_temporary: fn(&OsStr) -> bool,
    ) -> Result<()> {
        for entry in folder.list()? {
            if entry.kind == FileKind::File && is_temporary(&entry.name) {
                self.file(folder, path.join(&entry.name), StrayKind::Temporary, false)?;
            }
        }
        Ok(())
    }

    fn locks(&mut self, folder: &Folder, path: &Path) -> Result<()> {
        for entry in folder.list()?.into_iter().filter(|entry| entry.kind == FileKind::File) {
            let held = folder.is_locked(&entry.name)?;
            self.file(folder, path.join(&entry.name), StrayKind::Lock, held)?;
        }
        Ok(())
    }

    fn file(&mut self, folder: &Folder, path: PathBuf, kind: StrayKind, held: bool) -> Result<()> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let Some(stat) = folder.stat(name)? else { return Ok(()) };
        let modified = Timestamp::from_unix_nanos(stat.modified);
        self.facts.strays.push(StrayFact { kind, path, bytes: stat.size, modified, held });
        Ok(())
    }

    fn trash(&mut self) -> Result<()> {
        let Some(trash) = self.engine.layout().trash()? else { return Ok(()) };
        for entry in trash.list()? {
            let (mut sum, mut held) = (Measure::NOTHING, false);
            if entry.kind == FileKind::Folder {
                match look_at_trash(&trash, &entry.name) {
                    Ok((measured, locked)) => (sum, held) = (measured, locked),
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    // It is removed all the same: that opens folders up.
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                    Err(error) => self.facts.errors.push(error),
                }
            }
            let path = super::scan_run::below(&self.root, &trash).join(&entry.name);
            let (kind, bytes) = (StrayKind::Trash, sum.bytes);
            let modified = Timestamp::ZERO;
            self.facts.strays.push(StrayFact { kind, path, bytes, modified, held });
        }
        Ok(())
    }

    /// Notes the folders of runs whose starters died before the folder had its name.
    pub(super) fn unnamed_runs(&mut self, runs: &Folder) -> Result<()> {
        let mut names = Vec::new();
        runs.visit(&mut |name, kind| {
            if kind == FileKind::Folder && is_unnamed_run(name) {
                names.push(name.to_owned());
            }
            true
        })?;
        for name in names {
            let folder = match runs.folder_here(&name) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                folder => folder?,
            };
            let held = folder.is_locked(RUN_LOCK)?;
            let sum = folder.measure(&mut |_, _| true)?;
            let modified = super::scan_run::newest_of_orphan(&folder, &sum)?;
            let path = super::scan_run::below(&self.root, &folder);
            let kind = StrayKind::Unnamed;
            self.facts.strays.push(StrayFact { kind, path, bytes: sum.bytes, modified, held });
        }
        Ok(())
    }

    /// Notes the entry of an open run that is gone.
    pub(super) fn entry_of_nothing(&mut self, name: &str, held: bool) {
        self.facts.strays.push(StrayFact {
            kind: StrayKind::Entry,
            path: Path::new(CONDUCTOR).join(OPEN).join(name),
            bytes: 0,
            modified: Timestamp::ZERO,
            held,
        });
    }
}

/// How much lies in a part of the trash, and whether somebody is at it.
fn look_at_trash(trash: &Folder, name: &OsStr) -> Result<(Measure, bool)> {
    let folder = trash.folder_here(name)?;
    let held = folder.is_held()?;
    Ok((folder.measure(&mut |_, _| true)?, held))
}

/// Removes a lock file that nobody holds; `false` where somebody does.
pub(super) fn remove_lock(folder: &Folder, name: &OsStr) -> Result<bool> {
    let wait = crate::cancel::Wait::NONE.into();
    match folder.lock_file(name, Open::Write, LockKind::Exclusive, &wait) {
        Ok(_held) => folder.remove_file(name).map(|_| true),
        Err(crate::fsx::LockError::Held(_)) => Ok(false),
        Err(crate::fsx::LockError::Other(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_programs_make_up_are_temporary() {
        let os = OsStr::new;
        assert!(is_temporary_of_run(os("run-info.123456.yaml.tmp")));
        assert!(is_temporary_of_task(os(".STOP-REQUESTED.77-0.next")));
        assert!(is_temporary_of_bin(os(".keeper-0a1b2c3d.77.next")));
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
