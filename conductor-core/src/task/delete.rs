//! Deleting a task with all its runs.

use super::lease::Lease;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, TaskId};
use crate::layout::TASK_LOCK;
use crate::supervise::{Engine, OpenEntry, Stop};
use crate::sys::LockKind;
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, Hasher as _};

impl Engine {
    /// Deletes a task. With `stop` what lives of it is stopped first.
    ///
    /// # Errors
    /// `task.running`, naming what lives, without `stop`; `task.not_found`.
    pub(crate) fn delete_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        stop: Option<&Stop>,
        wait: &Wait,
    ) -> Result<()> {
        let folder = self.layout().task(project, task)?;
        if let Some(stop) = stop {
            self.stop_task(project, task, stop, wait)?;
        }
        // Starters share this lock until their run can be found; nobody begins one from here on.
        let lock = folder.lock(TASK_LOCK, LockKind::Exclusive, wait)?;
        let of_task = |entry: &OpenEntry| entry.project == *project && entry.task == *task;
        if let Some((entry, _)) = self.living_runs(of_task)?.first() {
            return Err(running(&folder, "deleted", &format!("its run {} lives", entry.run)));
        }
        if Lease::is_held(&folder)? {
            return Err(running(&folder, "deleted", "a process drives it"));
        }
        let trash = self.layout().ensure_trash()?;
        let number = RandomState::new().build_hasher().finish();
        let name = format!("{project}-{task}-{number:016x}");
        let tasks = self.layout().project(project)?;
        tasks
            .os()
            .rename_at(tasks.fd(), OsStr::new(task.as_str()), trash.fd(), OsStr::new(&name), false)
            .map_err(|e| tasks.error("remove", task.as_str(), e))?;
        tasks.sync()?;
        trash.sync()?;
        for entry in OpenEntry::list(self.layout())?.entries.into_iter().filter(of_task) {
            OpenEntry::remove(self.layout(), project, task, &entry.run)?;
        }
        drop(lock);
        trash.remove_tree(&name).map(drop)
    }
}

/// The error of somebody who wants nothing of the task to live.
pub(super) fn running(folder: &Folder, what: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "task.running",
        format!("{} cannot be {what}: {why}", folder.path().display()),
    )
    .with_path(folder.path())
    .with_field("task")
    .with_hint("stop it first, or use --force to stop and delete it")
}
