//! One small file for each run that is not finished.
//!
//! Reconciling, admission and the overview read these instead of the records of all runs that ever
//! were. An entry stands, durably, before the run's agent can start, and is the last thing that the
//! end of a run removes.

use super::bounds::Family;
use crate::error::{Error, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{Layout, RUNS};
use crate::run::RunRecord;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;

/// The longest entry that is read, in bytes.
const LIMIT: u64 = 64 << 10;
/// The runs above a run, the outermost first, on a line of its own.
const PARENTS: &str = "parents";
/// The bounds of what its agent may start.
const MAX_DEPTH: &str = "max_depth";
const MAX_CHILDREN: &str = "max_children";

/// A run that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenEntry {
    /// The name of the entry's file; empty of a run that has none.
    pub(crate) name: String,
    pub(crate) project: ProjectId,
    pub(crate) task: TaskId,
    pub(crate) run: RunId,
    /// The runs whose agents led to this one, the outermost first. They stand here, and not in the
    /// records alone, because a run is stopped with those above it also when one between them is over.
    pub(crate) parents: Vec<RunId>,
    /// What its agent may start.
    pub(crate) family: Family,
}

/// The entries of a root.
#[derive(Debug, Default)]
pub(crate) struct OpenEntries {
    /// Runs that are not finished.
    pub(crate) entries: Vec<OpenEntry>,
    /// What is wrong with the entries that name no run.
    pub(crate) damaged: Vec<Error>,
}

impl OpenEntry {
    /// Writes the entry of a new run, durably.
    pub(crate) fn create(
        layout: &Layout,
        (project, task, run): (&ProjectId, &TaskId, &RunId),
        parents: &[RunId],
        family: Family,
    ) -> Result<OpenEntry> {
        let folder = layout.ensure_open_entries()?;
        // The same run id may exist in two tasks: the suffix keeps their entries apart.
        let name = format!("{run}-{:08x}", RandomState::new().build_hasher().finish() as u32);
        let (project, task, run) = (project.clone(), task.clone(), run.clone());
        let entry = OpenEntry { name, project, task, run, parents: parents.to_vec(), family };
        // Whole or not there: an empty one would name no run, and so stand for ever.
        folder.replace(&entry.name, entry.text().as_bytes())?;
        Ok(entry)
    }

    /// What an entry of a run would say that has none, as far as its record tells.
    pub(super) fn stand_in(
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        record: Option<&RunRecord>,
    ) -> OpenEntry {
        let parent = record.and_then(|record| record.parent_run_id.as_deref()?.parse().ok());
        OpenEntry {
            name: String::new(),
            project: project.clone(),
            task: task.clone(),
            run: run.clone(),
            parents: parent.into_iter().collect(),
            family: Family::default(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}/{}/{RUNS}/{}\n", self.project, self.task, self.run);
        if !self.parents.is_empty() {
            let parents: Vec<_> = self.parents.iter().map(RunId::as_str).collect();
            text.push_str(&format!("{PARENTS} {}\n", parents.join(" ")));
        }
        let Family { max_depth, max_children } = self.family;
        for (key, bound) in [(MAX_DEPTH, max_depth), (MAX_CHILDREN, max_children)] {
            text.extend(bound.map(|bound| format!("{key} {bound}\n")));
        }
        text
    }

    /// The run whose agent started it.
    pub(crate) fn parent(&self) -> Option<&RunId> {
        self.parents.last()
    }

    /// Whether the entry is of a run of this task.
    pub(crate) fn is_of(&self, project: &ProjectId, task: &TaskId) -> bool {
        self.project == *project && self.task == *task
    }

    /// The entries of a root; none where there are none. A damaged one hides no other.
    pub(crate) fn list(layout: &Layout) -> Result<OpenEntries> {
        let mut found = OpenEntries::default();
        let Some(folder) = layout.open_entries()? else { return Ok(found) };
        for entry in folder.list()? {
            // Names that begin with a dot are entries that are being written.
            let name = entry.name.to_str().filter(|name| !name.starts_with('.'));
            let Some(name) = name else { continue };
            // Finished between the listing and this look.
            let bytes = match folder.read_if_exists(name, LIMIT) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                Err(error) => {
                    found.damaged.push(error);
                    continue;
                }
            };
            match OpenEntry::parse(&folder, name, &bytes) {
                Ok(entry) => found.entries.push(entry),
                Err(error) => found.damaged.push(error),
            }
        }
        Ok(found)
    }

    fn parse(folder: &Folder, name: &str, bytes: &[u8]) -> Result<OpenEntry> {
        let damaged = || {
            Error::new(
                crate::ErrorKind::Corrupt,
                "open_entry.corrupt",
                format!("{} names no run", folder.join(name).display()),
            )
            .with_path(folder.join(name))
            .with_hint("remove it: the run that it stood for is closed by whoever waits for it")
        };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
        let mut lines = text.lines();
        let mut parts = lines.next().unwrap_or_default().split('/');
        let mut next = || parts.next().ok_or_else(damaged);
        let (project, task, runs, run) = (next()?, next()?, next()?, next()?);
        if runs != RUNS || parts.next().is_some() {
            return Err(damaged());
        }
        let (mut parents, mut family) = (Vec::new(), Family::default());
        for line in lines {
            let (key, value) = line.split_once(' ').ok_or_else(damaged)?;
            let number = || value.parse().map(Some).map_err(|_| damaged());
            match key {
                PARENTS => {
                    let ids = value.split(' ').map(RunId::new);
                    parents = ids.collect::<Result<_>>().map_err(|_| damaged())?;
                }
                MAX_DEPTH => family.max_depth = number()?,
                MAX_CHILDREN => family.max_children = number()?,
                // Of a newer version.
                _ => {}
            }
        }
        Ok(OpenEntry {
            parents,
            family,
            name: name.to_owned(),
            project: ProjectId::new(project).map_err(|_| damaged())?,
            task: TaskId::new(task).map_err(|_| damaged())?,
            run: RunId::new(run).map_err(|_| damaged())?,
        })
    }

    /// Takes back an entry that was just written, of a run that did not come to be. One of the same id that
    /// another process has stays.
    pub(crate) fn discard(&self, layout: &Layout) -> Result<()> {
        let Some(folder) = layout.open_entries()? else { return Ok(()) };
        folder.remove_file(&self.name).map(drop)
    }

    /// Removes the entry: the run is finished. Its return need not be durable: an entry that a power
    /// cut brings back is of a finished run, and is removed again.
    pub(crate) fn remove(
        layout: &Layout,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
    ) -> Result<()> {
        let Some(folder) = layout.open_entries()? else { return Ok(()) };
        let mine = Path::new(project.as_str()).join(task).join(RUNS).join(run);
        let prefix = format!("{run}-");
        for entry in folder.list()? {
            let Some(name) = entry.name.to_str().filter(|name| name.starts_with(&prefix)) else {
                continue;
            };
            let Some(bytes) = folder.read_if_exists(name, LIMIT)? else { continue };
            let first = bytes.split(|byte| *byte == b'\n').next();
            if first == Some(mine.as_os_str().as_encoded_bytes()) {
                folder.remove_file(name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;

    #[test]
    fn an_entry_stands_until_it_is_removed_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().into());
        let (project, run) = (ProjectId::new("p").unwrap(), RunId::new("r").unwrap());
        let (one, two) = (TaskId::new("one").unwrap(), TaskId::new("two").unwrap());
        assert!(OpenEntry::list(&layout).unwrap().entries.is_empty());
        let create = |task, parents: &[RunId], family| {
            OpenEntry::create(&layout, (&project, task, &run), parents, family).unwrap()
        };
        create(&one, &[], Family::default());
        let parents = [RunId::new("r1").unwrap(), RunId::new("r2").unwrap()];
        let kept = create(&two, &parents, Family { max_depth: Some(3), max_children: Some(8) });
        assert_eq!(kept.parent(), parents.last());
        assert_eq!(OpenEntry::list(&layout).unwrap().entries.len(), 2);
        OpenEntry::remove(&layout, &project, &one, &run).unwrap();
        OpenEntry::remove(&layout, &project, &one, &run).unwrap();
        assert_eq!(OpenEntry::list(&layout).unwrap().entries, std::slice::from_ref(&kept));

        let path = dir.path().join(".conductor/open").join(&kept.name);
        for damage in [
            "x",
            "p/../runs/r",
            "p/t/runs/r/x",
            "p/t/walks/r",
            "p/t/runs/r\nparents ../x",
            "p/t/runs/r\nmax_depth x",
        ] {
            std::fs::write(&path, damage).unwrap();
            let found = OpenEntry::list(&layout).unwrap();
            assert!(found.entries.is_empty());
            let error = &found.damaged[0];
            assert_eq!((error.code(), error.path()), ("open_entry.corrupt", Some(&*path)));
        }
    }
}
