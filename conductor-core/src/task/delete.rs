//! Deleting a task with all its runs.

use super::lease::Lease;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::RUNS;
use crate::run::receipts::{Keeping, Receipt, hand_over};
use crate::supervise::{Engine, Finished, OpenEntry, Stop, finish, known, processes_live};
use crate::sys::LockKind;
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;

impl Engine {
    /// Deletes a task. With `stop` what lives of it is stopped first.
    ///
    /// # Errors
    /// `task.running`, naming what lives, without `stop`, or where it began meanwhile; `task.not_found`.
    pub(crate) fn delete_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        stop: Option<&Stop>,
        wait: &Wait,
    ) -> Result<()> {
        self.layout().task(project, task)?;
        if let Some(stop) = stop {
            match self.stop_task(project, task, stop, wait) {
                // Somebody else deletes it, or a run of it, at this moment. What is left is looked at below.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                stopped => drop(stopped?),
            }
        }
        // Nobody begins a run, or drives, from here on. Both locks are held until nothing is left that
        // somebody who opened the folder before could lock instead.
        let (folder, _task_lock) =
            self.lock_task(project, task, false, LockKind::Exclusive, wait)?;
        let Some(_lease) = Lease::take_unless_driven(&folder)? else {
            return Err(running(&folder, "deleted", "a process drives it"));
        };
        let of_task = |entry: &OpenEntry| entry.is_of(project, task);
        if let Some(run) = self.living_in_task(project, task)?.any()? {
            return Err(running(&folder, "deleted", &format!("its run {run} lives")));
        }
        let tasks = self.layout().project(project)?;
        // What was used stays used: sums over the project go on to count it.
        hand_over(&folder, task, &tasks, wait)?;
        let trash = self.layout().ensure_trash()?;
        let number = RandomState::new().build_hasher().finish();
        let name = format!("{project}-{task}-{number:016x}");
        tasks
            .os()
            .rename_at(tasks.fd(), OsStr::new(task.as_str()), trash.fd(), OsStr::new(&name), false)
            .map_err(|e| tasks.error("remove", task.as_str(), e))?;
        tasks.sync()?;
        trash.sync()?;
        for entry in OpenEntry::list(self.layout())?.entries.into_iter().filter(of_task) {
            OpenEntry::remove(self.layout(), project, task, &entry.run)?;
        }
        trash.remove_tree(&name).map(drop)
    }
}

impl Engine {
    /// Refuses where something of the task lives that a deletion without a stop would not touch.
    ///
    /// # Errors
    /// `task.running`, naming what lives.
    pub(crate) fn refuse_living_task(&self, project: &ProjectId, task: &TaskId) -> Result<()> {
        let folder = match self.layout().task(project, task) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        match self.living_in_task(project, task)?.any()? {
            Some(run) => Err(running(&folder, "deleted", &format!("its run {run} lives"))),
            None => Ok(()),
        }
    }

    /// Deletes one run that is over. Its receipt stays with the task, so that sums still know it.
    ///
    /// # Errors
    /// `run.running` while something of it lives, or may; `run.not_found`.
    pub(crate) fn delete_run(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        wait: &Wait,
    ) -> Result<()> {
        let path = self.layout().run(project, task, run)?.path().to_owned();
        // Its end is written down first, messages included, as everybody who waits would do.
        if let Finished::NotYet = finish(self, project, task, run, wait)? {
            return Err(run_running(&path, run));
        }
        let (folder, _task_lock) =
            self.lock_task(project, task, false, LockKind::Exclusive, wait)?;
        let living = self.living_runs(|it| it.is_of(project, task) && it.run == *run)?.any()?;
        let runs = folder.folder(RUNS)?;
        if living.is_some() || processes_live(&runs.folder(run)?)? {
            return Err(run_running(&path, run));
        }
        let mut receipts = Keeping::new(&folder)?;
        if receipts.lacks(run) {
            receipts.add(run, &Receipt::of(&known(&runs.folder(run)?)?.record))?;
        }
        receipts.write(wait)?;
        let trash = self.layout().ensure_trash()?;
        let name = format!("{run}-{:016x}", RandomState::new().build_hasher().finish());
        runs.os()
            .rename_at(runs.fd(), OsStr::new(run.as_str()), trash.fd(), OsStr::new(&name), false)
            .map_err(|e| runs.error("remove", run.as_str(), e))?;
        runs.sync()?;
        trash.sync()?;
        OpenEntry::remove(self.layout(), project, task, run)?;
        trash.remove_tree(&name).map(drop)
    }
}

fn run_running(path: &Path, run: &RunId) -> Error {
    let message = format!("the run {run} still runs");
    Error::new(ErrorKind::Conflict, "run.running", message)
        .with_path(path)
        .with_field("run")
        .with_hint("stop it first")
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
