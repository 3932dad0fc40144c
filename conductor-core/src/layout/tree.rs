//! The folders of a root, opened by id.

use super::names::{BIN, CONDUCTOR, CURSORS, OPEN, OUTBOX, PROBES, RUNS, TRASH};
use super::read_only::ReadOnly;
use super::version;
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::sys::{Born, FileSystem, Os};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The mode of a root that conductor makes: it holds prompts and answers of its owner.
const ROOT_MODE: u32 = 0o700;

/// A root and the folders below it.
///
/// Opening one changes nothing on disk. Each folder is opened beneath the root's descriptor, so that
/// no id and no symbolic link leads outside.
#[derive(Clone, Debug)]
pub struct Layout {
    os: Arc<dyn Os>,
    path: PathBuf,
    born: Born,
    /// Why nothing may be written there.
    refusal: Option<Arc<Refusal>>,
}

impl Layout {
    /// The root at `path`, an absolute path; it need not exist yet. Whatever version it tells, it is written to:
    /// see [`Layout::open`].
    pub fn new(os: Arc<dyn Os>, path: PathBuf) -> Layout {
        Layout { os, path, born: Born::here(), refusal: None }
    }

    /// The root at `path`, an absolute path; it need not exist yet. One of a newer form is only read: whatever
    /// would change a file there is refused with `root.too_new`.
    ///
    /// # Errors
    /// `root.setting_invalid`, or what keeps the root's settings from being read, as `yaml.corrupt`.
    pub fn open(os: Arc<dyn Os>, path: PathBuf) -> Result<Layout> {
        let layout = Layout::new(os, path);
        let Some(refusal) = version::refusal(&layout)?.map(Arc::new) else { return Ok(layout) };
        let os = Arc::new(ReadOnly::new(layout.os, refusal.clone()));
        Ok(Layout { os, refusal: Some(refusal), ..layout })
    }

    /// Refuses to change anything in a root that is only read. What changes files is refused anyway: this is for
    /// what does more than that, and for saying it before anything is looked at.
    ///
    /// # Errors
    /// `root.too_new`.
    pub fn check_writable(&self) -> Result<()> {
        self.refusal.as_ref().map_or(Ok(()), |refusal| Err(refusal.error()))
    }

    /// The root's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The machine that the root lies on.
    pub fn os(&self) -> &Arc<dyn Os> {
        &self.os
    }

    /// Refuses a handle that was opened before a fork: its locks and waits are the parent's.
    ///
    /// # Errors
    /// `handle.forked`.
    pub fn check_fork(&self) -> Result<()> {
        if self.born.is_here() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            "handle.forked",
            format!("{} was opened before this process was forked", self.path.display()),
        )
        .with_path(&self.path)
        .with_hint("open it again in the child"))
    }

    /// The root's folder.
    ///
    /// # Errors
    /// `root.not_found` when it does not exist; `handle.forked`.
    pub fn root(&self) -> Result<Folder> {
        self.check_fork()?;
        Folder::open_root(self.os.clone(), &self.path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(
                ErrorKind::NotFound,
                "root.not_found",
                format!("there is no root at {}", self.path.display()),
            )
            .with_path(&self.path)
            .with_hint("start a task or a job to make it, or name another root with --root"),
            _ => error,
        })
    }

    /// The root's folder for writing, made with mode 0700 where it is missing.
    ///
    /// # Errors
    /// `root.remote` on a file system that other machines share; `root.too_new`.
    pub fn ensure_root(&self) -> Result<Folder> {
        self.check_writable()?;
        let root = match self.root() {
            Err(error) if error.code() == "root.not_found" => {
                self.os
                    .make_root(&self.path, ROOT_MODE)
                    .map_err(|e| Error::io("make the root", &self.path, e))?;
                self.root()?
            }
            answer => answer?,
        };
        self.refuse_remote(&root)?;
        Ok(root)
    }

    fn refuse_remote(&self, root: &Folder) -> Result<()> {
        let kind = self
            .os
            .file_system(root.fd())
            .map_err(|e| Error::io("look at the file system of", &self.path, e))?;
        let FileSystem::Remote(kind) = kind else { return Ok(()) };
        Err(Error::new(
            ErrorKind::Unsupported,
            "root.remote",
            format!("the root {} lies on {kind}, a shared file system", self.path.display()),
        )
        .with_path(&self.path)
        .with_hint("locks and syncs are not those of a local disk there; put the root on one"))
    }

    /// A project's folder.
    pub fn project(&self, project: &ProjectId) -> Result<Folder> {
        self.root()?.folder(project).map_err(|e| missing(e, "project", project.as_str()))
    }

    /// A task's folder.
    pub fn task(&self, project: &ProjectId, task: &TaskId) -> Result<Folder> {
        let path = Path::new(project.as_str()).join(task);
        self.root()?.folder(path).map_err(|e| missing(e, "task", format_args!("{project}/{task}")))
    }

    /// Whether an open folder still is the one that a task's name stands for.
    pub fn is_task(&self, folder: &Folder, project: &ProjectId, task: &TaskId) -> Result<bool> {
        let look = |e| Error::io("look at", folder.path(), e);
        match self.task(project, task) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            named => {
                let named = self.os.stat(named?.fd()).map_err(look)?;
                Ok(named.same_file(&self.os.stat(folder.fd()).map_err(look)?))
            }
        }
    }

    /// A run's folder.
    pub fn run(&self, project: &ProjectId, task: &TaskId, run: &RunId) -> Result<Folder> {
        let path = Path::new(project.as_str()).join(task).join(RUNS).join(run);
        self.root()?
            .folder(path)
            .map_err(|e| missing(e, "run", format_args!("{project}/{task}/{run}")))
    }

    /// A project's folder, made durably where it is missing.
    pub fn ensure_project(&self, project: &ProjectId) -> Result<Folder> {
        self.ensure_root()?.ensure_folder(project.as_str())
    }

    /// A task's folder, made durably where it is missing.
    pub fn ensure_task(&self, project: &ProjectId, task: &TaskId) -> Result<Folder> {
        self.ensure_project(project)?.ensure_folder(task.as_str())
    }

    /// The folder of entries of unfinished runs, made where it is missing.
    pub fn ensure_open_entries(&self) -> Result<Folder> {
        self.ensure_root()?.ensure_folder(CONDUCTOR)?.ensure_folder(OPEN)
    }

    /// The folder of entries of unfinished runs; `None` while there is none.
    pub fn open_entries(&self) -> Result<Option<Folder>> {
        self.root()?.folder_if_exists(Path::new(CONDUCTOR).join(OPEN))
    }

    /// The folder of what is being deleted, made where it is missing.
    pub fn ensure_trash(&self) -> Result<Folder> {
        self.ensure_root()?.ensure_folder(CONDUCTOR)?.ensure_folder(TRASH)
    }

    /// The folder of what is being deleted; `None` while there is none.
    pub fn trash(&self) -> Result<Option<Folder>> {
        self.root()?.folder_if_exists(Path::new(CONDUCTOR).join(TRASH))
    }

    /// The folder of the places of readers that come back; `None` while there is none.
    pub fn cursors(&self) -> Result<Option<Folder>> {
        self.root()?.folder_if_exists(Path::new(CONDUCTOR).join(CURSORS))
    }

    /// The folder of events that wait for the webhook, made where it is missing.
    pub fn ensure_outbox(&self) -> Result<Folder> {
        self.ensure_root()?.ensure_folder(CONDUCTOR)?.ensure_folder(OUTBOX)
    }

    /// The folder of events that wait for the webhook; `None` while there is none.
    pub fn outbox(&self) -> Result<Option<Folder>> {
        self.root()?.folder_if_exists(Path::new(CONDUCTOR).join(OUTBOX))
    }

    /// The folder of the places of readers that come back, made where it is missing.
    pub fn ensure_cursors(&self) -> Result<Folder> {
        self.ensure_root()?.ensure_folder(CONDUCTOR)?.ensure_folder(CURSORS)
    }

    /// The folder of what programs said of themselves, made where it is missing.
    pub fn ensure_probes(&self) -> Result<Folder> {
        self.ensure_conductor()?.ensure_folder(PROBES)
    }

    /// The folder of the root's own state, made where it is missing.
    pub fn ensure_conductor(&self) -> Result<Folder> {
        self.ensure_root()?.ensure_folder(CONDUCTOR)
    }

    /// The folder of the root's own state; `None` while there is none.
    pub fn conductor(&self) -> Result<Option<Folder>> {
        self.root()?.folder_if_exists(CONDUCTOR)
    }

    /// The folder of the keeper's program, made where it is missing.
    pub fn ensure_bin(&self) -> Result<Folder> {
        self.ensure_root()?.ensure_folder(CONDUCTOR)?.ensure_folder(BIN)
    }
}

/// "Not found" in the words of the layout.
fn missing(error: Error, what: &str, id: impl std::fmt::Display) -> Error {
    if error.kind() != ErrorKind::NotFound || error.code() == "root.not_found" {
        return error;
    }
    let path = error.path().map(Path::to_owned).unwrap_or_default();
    let code = match what {
        "project" => "project.not_found",
        "task" => "task.not_found",
        _ => "run.not_found",
    };
    Error::new(ErrorKind::NotFound, code, format!("there is no {what} {id}"))
        .with_path(path)
        .with_field(what)
        .with_hint("`run-agent list` shows what there is")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;

    #[test]
    fn opening_makes_nothing_and_ensuring_makes_the_root_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().join("root"));
        let (project, task) = (ProjectId::new("p").unwrap(), TaskId::new("t").unwrap());
        assert_eq!(layout.root().unwrap_err().code(), "root.not_found");
        assert_eq!(layout.task(&project, &task).unwrap_err().code(), "root.not_found");
        assert!(!layout.path().exists());

        layout.ensure_root().unwrap();
        let mode = std::fs::metadata(layout.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(layout.project(&project).unwrap_err().code(), "project.not_found");
        assert_eq!(layout.task(&project, &task).unwrap_err().code(), "task.not_found");
        layout.ensure_task(&project, &task).unwrap();
        assert_eq!(layout.task(&project, &task).unwrap().path(), layout.path().join("p/t"));
    }

    #[test]
    fn a_link_in_place_of_a_folder_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("p")).unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().into());
        let project = ProjectId::new("p").unwrap();
        assert_eq!(layout.project(&project).unwrap_err().code(), "path.symlink");
        assert_eq!(layout.ensure_project(&project).unwrap_err().code(), "path.symlink");
    }
}
