//! Runs that exist: what is known of them, waiting for their end, ending them.

use super::conductor::Conductor;
use super::runs_watch::RunsWatch;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{Layout, RUN_INFO, RUNS};
use crate::supervise::{
    Engine, OpenEntry, Pool, RunInfo, RunWatch, Started, Stop, StopReport, read_info, read_info_in,
};
use crate::wait::{Step, block_on};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads the runs of a task; from [`Conductor::runs`].
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a>(pub(super) &'a Conductor);

impl Runs<'_> {
    /// The ids of a task's runs, in the order of their creation.
    pub fn ids(&self, project: &ProjectId, task: &TaskId) -> Result<Vec<RunId>> {
        Ok(self.0.engine.layout().runs(project, task)?.ids)
    }

    /// A task's runs, in the order of their creation; a record that cannot be read is an error of
    /// its own and hides no other run.
    pub fn list(&self, project: &ProjectId, task: &TaskId) -> Result<Vec<Result<RunInfo>>> {
        Ok(self.entries(project, task)?.into_iter().map(|(_, info)| info).collect())
    }

    /// As [`list`](Runs::list), each with its id.
    pub fn entries(
        &self,
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<Vec<(RunId, Result<RunInfo>)>> {
        let folder = self.0.engine.layout().task(project, task)?;
        let runs = Layout::runs_in(&folder)?.ids;
        let read = |run: RunId| {
            let info = read_info_in(&folder, project, task, &run);
            (run, info)
        };
        Ok(runs.into_iter().map(read).collect())
    }

    /// What is known of a run. Reads only.
    ///
    /// # Errors
    /// `run.not_found`, and what keeps its record from being read.
    pub fn info(&self, project: &ProjectId, task: &TaskId, run: &RunId) -> Result<RunInfo> {
        read_info(&self.0.engine, project, task, run)
    }

    /// A run that exists, whoever started it.
    ///
    /// # Errors
    /// `run.not_found`.
    pub fn get(&self, project: &ProjectId, task: &TaskId, run: &RunId) -> Result<Run> {
        self.0.engine.layout().run(project, task, run)?;
        Run::new(self.0.engine.clone(), project.clone(), task.clone(), run.clone())
    }

    /// The runs of the whole root that live, or may, by project, task and age.
    ///
    /// Reads the entries of open runs: the cost is that of what is open. Runs that another program
    /// started have no entry.
    pub fn living(&self) -> Result<LivingRuns> {
        let layout = self.0.engine.layout();
        let mut living = LivingRuns::default();
        let found = match OpenEntry::list(layout) {
            Err(error) if error.code() == "root.not_found" => return Ok(living),
            found => found?,
        };
        living.unreadable = found.damaged;
        for pool in [Pool::Tasks, Pool::Runs] {
            living.queued += self.0.engine.waiting_in_line(pool)?.len();
        }
        for OpenEntry { project, task, run, .. } in found.entries {
            match self.info(&project, &task, &run) {
                Ok(info) if info.ended.is_none() => living.runs.push(info),
                Ok(_) => {}
                // It has no folder yet, or none any more.
                Err(error) if error.code() == "run.not_found" => {}
                Err(error) => living.unreadable.push(error),
            }
        }
        let key = |run: &RunInfo| (run.project.clone(), run.task.clone());
        living.runs.sort_by(|a, b| {
            key(a).cmp(&key(b)).then_with(|| a.id.sort_key().cmp(&b.id.sort_key()))
        });
        Ok(living)
    }

    /// Looks on at the runs of the whole root while they begin and end.
    pub fn watch(&self) -> Result<RunsWatch> {
        RunsWatch::new(self.0)
    }

    /// Deletes a run that is over. What it used stays known.
    ///
    /// # Errors
    /// `run.running` while something of it lives, or may; `run.not_found`.
    pub fn delete(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        wait: impl Into<Wait>,
    ) -> Result<()> {
        self.0.engine.delete_run(project, task, run, &wait.into())
    }

    /// The newest run of a task, for a caller that needs one.
    ///
    /// # Errors
    /// `run.not_found` where it has none.
    pub fn get_newest(&self, project: &ProjectId, task: &TaskId) -> Result<Run> {
        self.newest(project, task)?.ok_or_else(|| {
            let message = format!("the task {project}/{task} has no run");
            Error::new(ErrorKind::NotFound, "run.not_found", message)
        })
    }

    /// The newest run of a task; `None` where it has none.
    pub fn newest(&self, project: &ProjectId, task: &TaskId) -> Result<Option<Run>> {
        let newest = self.ids(project, task)?.pop();
        newest.map(|run| self.get(project, task, &run)).transpose()
    }
}

/// The runs that live; from [`Runs::living`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LivingRuns {
    /// What is known of each.
    pub runs: Vec<RunInfo>,
    /// Why more may live than that: entries and records that cannot be read.
    pub unreadable: Vec<Error>,
    /// How many runs and root tasks wait for a slot.
    pub queued: usize,
}

/// A run that exists. Clones share it, also between threads; dropping it ends nothing.
#[derive(Clone, Debug)]
pub struct Run {
    engine: Engine,
    project: ProjectId,
    task: TaskId,
    id: RunId,
    folder: PathBuf,
    watch: Arc<RunWatch>,
}

impl Run {
    pub(super) fn new(engine: Engine, project: ProjectId, task: TaskId, id: RunId) -> Result<Run> {
        let watch = RunWatch::new(engine.clone(), project.clone(), task.clone(), id.clone())?;
        Ok(Run::watched(engine, project, task, id, watch))
    }

    pub(super) fn of_started(
        engine: Engine,
        project: ProjectId,
        task: TaskId,
        started: Started,
    ) -> Result<Run> {
        let id = started.run.clone();
        let watch = RunWatch::of_started(engine.clone(), project.clone(), task.clone(), started)?;
        Ok(Run::watched(engine, project, task, id, watch))
    }

    fn watched(
        engine: Engine,
        project: ProjectId,
        task: TaskId,
        id: RunId,
        watch: RunWatch,
    ) -> Run {
        let watch = Arc::new(watch);
        let folder = engine.layout().path().join(&project).join(&task).join(RUNS).join(&id);
        Run { engine, project, task, id, folder, watch }
    }

    /// The project.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// The task.
    pub fn task(&self) -> &TaskId {
        &self.task
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The run's folder, open.
    pub(super) fn open_folder(&self) -> Result<Folder> {
        self.engine.layout().run(&self.project, &self.task, &self.id)
    }

    /// Whether nothing of it lives any more. Reads only; [`fd`](Run::fd) becomes readable when
    /// another look may find something new.
    pub(super) fn is_over(&self) -> Result<bool> {
        self.watch.look()
    }

    /// What is known now. Reads only.
    pub fn info(&self) -> Result<RunInfo> {
        read_info(&self.engine, &self.project, &self.task, &self.id)
    }

    /// The record as it stands on disk, byte for byte.
    pub fn record_bytes(&self) -> Result<Vec<u8>> {
        self.open_folder()?.read(RUN_INFO, crate::limits::YAML_FILE)
    }

    /// Waits for the run's end and writes it down where nobody did.
    ///
    /// The end of the wait is never the end of the run.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) and
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) when the wait is over first.
    pub fn wait(&self, wait: impl Into<Wait>) -> Result<RunInfo> {
        let wait = wait.into();
        let patience = wait.cancel().map_or(Wait::FOREVER, Wait::from);
        block_on(self.fd(), &wait, || self.step_until(&patience))
    }

    /// A descriptor that becomes readable when [`step`](Run::step) may find something new.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.watch.fd()
    }

    /// One look at whether the run has ended, without waiting.
    pub fn step(&self) -> Result<Step<RunInfo>> {
        self.step_until(&Wait::FOREVER)
    }

    /// As [`step`](Run::step), ended early by the switch of `wait` while others hold a lock.
    fn step_until(&self, wait: &Wait) -> Result<Step<RunInfo>> {
        match self.watch.step(&wait.clone().at_most(crate::limits::RECORD_LOCK))? {
            Step::Ready(_) => self.info().map(Step::Ready),
            Step::Pending => Ok(Step::Pending),
        }
    }

    /// Ends the run: SIGTERM to everything of it, the grace, SIGKILL, until nothing is left.
    ///
    /// Returns when its end is written down. A run that is over already is no error.
    ///
    /// # Errors
    /// `run.not_ours` for a run that another program started.
    pub fn stop(&self, stop: Stop, wait: impl Into<Wait>) -> Result<StopReport> {
        self.engine.stop_run(&self.project, &self.task, &self.id, &stop, &wait.into())
    }
}
