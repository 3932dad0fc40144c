//! Projects: what is known of one, making one, deleting one with all that it holds.

use super::conductor::Conductor;
use super::locate::linked_folder;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, TaskId};
use crate::layout::{HOME_FOLDERS, PROJECT_BUS, PROJECT_ROOT, RUNS, TASK_BUS};
use crate::limits;
use crate::supervise::Stop;
use crate::sys::FileKind;
use crate::time::Timestamp;
use crate::yaml::{Mapping, Value};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What is known of a project at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectInfo {
    /// The project.
    pub id: ProjectId,
    /// Its folder below the root.
    pub folder: PathBuf,
    /// Its tasks, by name.
    pub tasks: Vec<TaskId>,
    /// The folder of sources that it is linked to, where it is.
    pub source_folder: Option<PathBuf>,
    /// Why its link cannot be read, where it cannot.
    pub unreadable_link: Option<String>,
    /// When something last changed in its folder, in those of its tasks, or on their buses.
    pub last_activity: Timestamp,
}

/// The buses of a project and of its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusSizes {
    /// How many there are.
    pub files: u64,
    /// Their lengths together, in bytes; archives are not counted.
    pub bytes: u64,
}

/// What deleting a project did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectDeleted {
    /// The tasks that were deleted.
    pub tasks: usize,
    /// The bytes that all of it took up.
    pub bytes: u64,
}

impl Conductor {
    /// What is known of a project. Reads only.
    ///
    /// Costs three looks at each of its tasks, which open nothing, and none at their runs.
    ///
    /// # Errors
    /// `project.not_found`.
    pub fn project(&self, project: &ProjectId) -> Result<ProjectInfo> {
        let folder = self.engine.layout().project(project)?;
        let tasks = self.engine.layout().tasks(project)?.ids;
        let own = folder.os().stat(folder.fd()).map_err(|e| folder.error("look at", "", e))?;
        let mut newest = own.modified;
        for task in &tasks {
            // Whatever happens in a task is told on its bus, at the latest. One that goes meanwhile is no
            // activity. Nothing is opened: a project may have very many tasks.
            let task = Path::new(task.as_str());
            for path in [task.to_owned(), task.join(TASK_BUS), task.join(RUNS)] {
                newest = newest.max(folder.stat(path)?.map_or(0, |stat| stat.modified));
            }
        }
        let (source_folder, unreadable_link) = match linked_folder(&folder) {
            Ok(source) => (source, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(ProjectInfo {
            id: project.clone(),
            folder: folder.path().to_owned(),
            tasks,
            source_folder,
            unreadable_link,
            last_activity: Timestamp::from_unix_nanos(newest),
        })
    }

    /// The lengths of a project's buses.
    ///
    /// # Errors
    /// `project.not_found`.
    pub fn bus_sizes(&self, project: &ProjectId) -> Result<BusSizes> {
        let folder = self.engine.layout().project(project)?;
        let mut sizes = BusSizes::default();
        let mut add = |folder: &Folder, name: &str| -> Result<()> {
            if let Some(stat) = folder.stat(name)?.filter(|stat| stat.kind == FileKind::File) {
                sizes.files += 1;
                sizes.bytes += stat.size;
            }
            Ok(())
        };
        add(&folder, PROJECT_BUS)?;
        for task in self.engine.layout().tasks(project)?.ids {
            if let Some(task) = folder.folder_if_exists(&task)? {
                add(&task, TASK_BUS)?;
            }
        }
        Ok(sizes)
    }

    /// Makes a project and links it to a folder of sources, so that work that is started from there
    /// belongs to it.
    ///
    /// # Errors
    /// `project.exists`; `source.not_absolute`, `source.not_a_folder` and `source.in_the_root` for a
    /// folder that cannot be linked.
    pub fn create_project(&self, project: &ProjectId, source: &Path) -> Result<ProjectInfo> {
        self.check_source(source)?;
        let root = self.engine.layout().ensure_root()?;
        let folder = root.make_folder(project.as_str()).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::new(
                ErrorKind::AlreadyExists,
                "project.exists",
                format!("the project {project} exists already"),
            )
            .with_path(root.join(project))
            .with_field("project"),
            _ => error,
        })?;
        let mut link = Mapping::new();
        link.insert("project_root", Value::from(source.to_string_lossy().as_ref()));
        folder.replace_unguarded(HOME_FOLDERS, link.to_yaml().as_bytes())?;
        root.sync()?;
        self.project(project)
    }

    fn check_source(&self, source: &Path) -> Result<()> {
        let refuse = |code, what: &str| {
            Err(Error::invalid(code, "project_root", format!("{} {what}", source.display()))
                .with_path(source)
                .with_hint("name an existing folder of sources by its absolute path"))
        };
        if !source.is_absolute() || source.to_str().is_none() {
            return refuse("source.not_absolute", "is not an absolute path");
        }
        if !source.is_dir() {
            return refuse("source.not_a_folder", "is not a folder");
        }
        if self.relative(source).is_some() {
            return refuse("source.in_the_root", "lies in the root, among what conductor keeps");
        }
        Ok(())
    }

    /// Deletes a project with all its tasks and runs. With `stop` what lives of it is stopped first.
    ///
    /// Each task is deleted for itself, so that one that begins meanwhile is either deleted as a whole
    /// or stays with the project.
    ///
    /// # Errors
    /// `task.running`, naming what lives, without `stop`, before anything is deleted;
    /// `project.changed` when something was added meanwhile; `project.not_found`.
    pub fn delete_project(
        &self,
        project: &ProjectId,
        stop: Option<Stop>,
        wait: impl Into<Wait>,
    ) -> Result<ProjectDeleted> {
        let wait = wait.into();
        let folder = self.engine.layout().project(project)?;
        let tasks = self.engine.layout().tasks(project)?.ids;
        if stop.is_none() {
            for task in &tasks {
                self.engine.refuse_living_task(project, task)?;
            }
        }
        let mut deleted =
            ProjectDeleted { bytes: folder.measure(&mut |_, _| true)?.bytes, tasks: 0 };
        for task in &tasks {
            match self.engine.delete_task(project, task, stop.as_ref(), &wait) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                answer => {
                    answer?;
                    deleted.tasks += 1;
                }
            }
        }
        for entry in folder.list()? {
            // A task that began meanwhile stays, and so does its project.
            let is_task = entry.kind == FileKind::Folder
                && entry.name.to_str().is_some_and(|name| TaskId::new(name).is_ok());
            match entry.kind {
                _ if is_task => {}
                FileKind::Folder => drop(folder.remove_tree(&entry.name)?),
                _ => drop(folder.remove_file(&entry.name)?),
            }
        }
        let root = self.engine.layout().root()?;
        match root.os().rmdir_at(root.fd(), OsStr::new(project.as_str())) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "project.changed",
                    format!("something was added to the project {project} while it was deleted"),
                )
                .with_path(folder.path())
                .with_source(error)
                .with_hint("look at what is there now, and delete it again"));
            }
            Err(error) => return Err(root.error("remove", project, error)),
        }
        root.sync()?;
        Ok(deleted)
    }

    /// The folders of sources that projects are linked to, in order, each once.
    ///
    /// # Errors
    /// Those of listing the projects. A link that cannot be read is left out.
    pub fn source_folders(&self) -> Result<Vec<PathBuf>> {
        let mut folders = std::collections::BTreeSet::new();
        for project in self.projects()?.ids {
            if let Ok(folder) = self.engine.layout().project(&project)
                && let Ok(Some(source)) = linked_folder(&folder)
            {
                folders.insert(source);
            }
        }
        Ok(folders.into_iter().collect())
    }
}

/// The folder that the older program's link names, where there is one.
pub(super) fn older_link(project: &Folder) -> Result<Option<PathBuf>> {
    let bytes = project.read_if_exists(PROJECT_ROOT, limits::YAML_FILE)?;
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Ok(text.filter(|text| !text.is_empty()).map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use std::fs;

    fn root() -> (tempfile::TempDir, Conductor) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        let conductor = Conductor::open(dir.path().join("root"), Options::default()).unwrap();
        (dir, conductor)
    }

    fn id(name: &str) -> ProjectId {
        ProjectId::new(name).unwrap()
    }

    #[test]
    fn a_project_is_made_once_and_knows_its_sources() {
        let (dir, conductor) = root();
        let source = dir.path().join("src");
        let made = conductor.create_project(&id("shop"), &source).unwrap();
        assert_eq!((made.source_folder.as_deref(), made.tasks.len()), (Some(&*source), 0));
        assert_eq!(conductor.source_folders().unwrap(), std::slice::from_ref(&source));
        let again = conductor.create_project(&id("shop"), &source).unwrap_err();
        assert_eq!(again.code(), "project.exists");
        for (bad, code) in [
            (PathBuf::from("src"), "source.not_absolute"),
            (dir.path().join("none"), "source.not_a_folder"),
            (dir.path().join("root/shop"), "source.in_the_root"),
        ] {
            let error = conductor.create_project(&id("bank"), &bad).unwrap_err();
            assert_eq!(error.code(), code);
        }
        assert!(!dir.path().join("root/bank").exists());
    }

    #[test]
    fn a_damaged_link_hides_no_project() {
        let (dir, conductor) = root();
        let folder = dir.path().join("root/p");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("home-folders.md"), "{ not yaml").unwrap();
        let info = conductor.project(&id("p")).unwrap();
        assert_eq!(info.source_folder, None);
        assert!(info.unreadable_link.unwrap().contains("home-folders.md"));
    }

    #[test]
    fn the_older_programs_link_counts_where_there_is_no_other() {
        let (dir, conductor) = root();
        let folder = dir.path().join("root/old");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("PROJECT-ROOT.txt"), "/srv/old\n").unwrap();
        let info = conductor.project(&id("old")).unwrap();
        assert_eq!(info.source_folder, Some("/srv/old".into()));
    }

    #[test]
    fn a_project_goes_with_all_that_it_holds() {
        let (dir, conductor) = root();
        let folder = dir.path().join("root/shop");
        fs::create_dir_all(folder.join("fix/runs")).unwrap();
        fs::create_dir_all(folder.join(".odd")).unwrap();
        fs::write(folder.join("PROJECT-MESSAGE-BUS.md"), "x").unwrap();
        fs::write(folder.join("fix/TASK-MESSAGE-BUS.md"), "xyz").unwrap();
        let sizes = conductor.bus_sizes(&id("shop")).unwrap();
        assert_eq!((sizes.files, sizes.bytes), (2, 4));
        let deleted = conductor.delete_project(&id("shop"), None, Wait::FOREVER).unwrap();
        assert_eq!(deleted.tasks, 1);
        assert!(deleted.bytes >= 4 && !folder.exists());
        let gone = conductor.delete_project(&id("shop"), None, Wait::FOREVER).unwrap_err();
        assert_eq!(gone.code(), "project.not_found");
    }
}
