//! What lies below a root: projects, tasks and runs. Foreign names are set apart, never followed.

use super::names::RUNS;
use super::tree::Layout;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::sys::{Entry, FileKind};
use std::ffi::OsString;
use std::str::FromStr;

/// What a folder holds: ids in order, and the names that are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The folders whose names are ids, in order: projects and tasks by name, runs by creation.
    pub ids: Vec<T>,
    /// Folders and links with other names, which nothing else looks into. Plain files are not told.
    pub foreign: Vec<OsString>,
}

impl<T> Default for Listing<T> {
    fn default() -> Listing<T> {
        Listing { ids: Vec::new(), foreign: Vec::new() }
    }
}

/// Sorts the names of a folder into ids and others. Names that begin with a dot are conductor's own.
fn sort<T: FromStr>(folder: &Folder) -> Result<Listing<T>> {
    Ok(sort_names(folder.list()?))
}

fn sort_names<T: FromStr>(names: Vec<Entry>) -> Listing<T> {
    let mut listing = Listing::default();
    for entry in names {
        let id = entry.name.to_str().and_then(|name| name.parse().ok());
        match (entry.kind, id) {
            (FileKind::Folder, Some(id)) => listing.ids.push(id),
            (FileKind::File | FileKind::Other, _) => {}
            _ if entry.name.as_encoded_bytes().starts_with(b".") => {}
            _ => listing.foreign.push(entry.name),
        }
    }
    listing
}

impl Layout {
    /// The projects of the root, by name.
    pub fn projects(&self) -> Result<Listing<ProjectId>> {
        sort(&self.root()?)
    }

    /// The tasks of a project, by name.
    pub fn tasks(&self, project: &ProjectId) -> Result<Listing<TaskId>> {
        sort(&self.project(project)?)
    }

    /// The runs of a task, in the order of their creation. A task without a `runs` folder has none.
    pub fn runs(&self, project: &ProjectId, task: &TaskId) -> Result<Listing<RunId>> {
        Layout::runs_in(&self.task(project, task)?)
    }

    /// The runs of the task whose folder is open, in the order of their creation.
    pub fn runs_in(task: &Folder) -> Result<Listing<RunId>> {
        match task.folder(RUNS) {
            Ok(runs) => Ok(Layout::runs_of(runs.list()?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Listing::default()),
            Err(error) => Err(error),
        }
    }

    /// The runs among the names of a folder of runs, in the order of their creation.
    pub fn runs_of(names: Vec<Entry>) -> Listing<RunId> {
        let mut listing: Listing<RunId> = sort_names(names);
        listing.ids.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        listing
    }

    /// The projects of the root whose folder is open, by name.
    pub fn projects_in(root: &Folder) -> Result<Listing<ProjectId>> {
        sort(root)
    }

    /// The tasks of the project whose folder is open, by name.
    pub fn tasks_in(project: &Folder) -> Result<Listing<TaskId>> {
        sort(project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::sync::Arc;

    #[test]
    fn foreign_names_are_set_apart() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().into());
        for name in ["shop", "a", ".conductor", "_audit", "with space", &"x".repeat(200)] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::create_dir(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff"))).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        let listing = layout.projects().unwrap();
        let names: Vec<_> = listing.ids.iter().map(ProjectId::as_str).collect();
        assert_eq!(names, ["a", "shop"]);
        assert_eq!(listing.foreign.len(), 5);
    }

    #[test]
    fn a_link_in_place_of_runs_is_an_error_and_a_missing_one_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().into());
        let (project, task) = (ProjectId::new("p").unwrap(), TaskId::new("t").unwrap());
        fs::create_dir_all(dir.path().join("p/t")).unwrap();
        assert!(layout.runs(&project, &task).unwrap().ids.is_empty());
        std::os::unix::fs::symlink("/etc", dir.path().join("p/t/runs")).unwrap();
        assert_eq!(layout.runs(&project, &task).unwrap_err().code(), "path.symlink");
    }

    #[test]
    fn runs_come_in_the_order_of_their_creation() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().into());
        for id in ["20260101-0101010000-9-10", "20260101-0101010000-9-2", "20250101-0101010000-9-3"]
        {
            fs::create_dir_all(dir.path().join("p/t/runs").join(id)).unwrap();
        }
        let (project, task) = (ProjectId::new("p").unwrap(), TaskId::new("t").unwrap());
        let runs = layout.runs(&project, &task).unwrap();
        let last: Vec<_> = runs.ids.iter().map(|id| &id.as_str()[21..]).collect();
        assert_eq!(last, ["-3", "-2", "-10"]);
    }
}
