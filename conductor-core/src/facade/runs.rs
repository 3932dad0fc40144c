//! Runs that exist: what is known of them, waiting for their end, ending them.

use super::conductor::Conductor;
use crate::cancel::Wait;
use crate::error::Result;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{Layout, RUNS};
use crate::run::{Outcome, RunRecord, Status, store};
use crate::supervise::{Engine, RunWatch, Stop, StopReport, Verdict, observe};
use crate::wait::Step;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

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
        let runs = self.ids(project, task)?;
        Ok(runs.iter().map(|run| read_info(&self.0.engine, project, task, run)).collect())
    }

    /// A run that exists, whoever started it.
    ///
    /// # Errors
    /// `run.not_found`.
    pub fn get(&self, project: &ProjectId, task: &TaskId, run: &RunId) -> Result<Run> {
        self.0.engine.layout().run(project, task, run)?;
        Run::new(self.0.engine.clone(), project.clone(), task.clone(), run.clone())
    }

    /// The newest run of a task; `None` where it has none.
    pub fn newest(&self, project: &ProjectId, task: &TaskId) -> Result<Option<Run>> {
        let newest = self.ids(project, task)?.pop();
        newest.map(|run| self.get(project, task, &run)).transpose()
    }
}

/// What is known of a run at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunInfo {
    /// The project.
    pub project: ProjectId,
    /// The task.
    pub task: TaskId,
    /// The run.
    pub id: RunId,
    /// The run's folder.
    pub folder: PathBuf,
    /// Its record, as it stands on disk.
    pub record: RunRecord,
    /// Whether anything of it lives, by the identity of its processes; `None` where only its number
    /// is known (a run of the older program).
    pub alive: Option<bool>,
    /// How it ended, also where nobody wrote it down yet; `None` while it lives.
    pub ended: Option<Outcome>,
}

impl RunInfo {
    /// The status in the words of the older program, judged by what lives and not by what is written.
    pub fn status(&self) -> Status {
        match (self.alive, self.ended) {
            (Some(true), _) => Status::Running,
            (_, Some(outcome)) => outcome.status(),
            _ => self.record.status.clone(),
        }
    }

    /// How it ended; `None` while it lives.
    pub fn outcome(&self) -> Option<Outcome> {
        self.ended
    }
}

/// Reads what is known of a run; changes nothing.
pub(crate) fn read_info(
    engine: &Engine,
    project: &ProjectId,
    task: &TaskId,
    run: &RunId,
) -> Result<RunInfo> {
    let task_folder = engine.layout().task(project, task)?;
    read_info_in(&task_folder, project, task, run)
}

/// As [`read_info`], with the task's folder open already.
pub(crate) fn read_info_in(
    task_folder: &crate::fsx::Folder,
    project: &ProjectId,
    task: &TaskId,
    run: &RunId,
) -> Result<RunInfo> {
    let folder = task_folder.folder(Path::new(RUNS).join(run))?;
    let record = store::read(&folder)?;
    let (alive, ended) = match (record.outcome, record.is_open()) {
        (Some(outcome), _) => (Some(false), Some(outcome)),
        (None, false) => (Some(false), record.foreign_outcome()),
        (None, true) => match observe(&folder, &record)? {
            Verdict::Supervised | Verdict::Adopted => (Some(true), None),
            Verdict::PossiblyAlive => (None, None),
            Verdict::Over(ending) => (Some(false), Some(ending.outcome)),
        },
    };
    Ok(RunInfo {
        project: project.clone(),
        task: task.clone(),
        id: run.clone(),
        folder: folder.path().to_owned(),
        record,
        alive,
        ended,
    })
}

/// The newest run of a task whose record can be read, and how many runs there are.
pub(crate) fn newest_readable(
    task_folder: &crate::fsx::Folder,
    project: &ProjectId,
    task: &TaskId,
) -> Result<(usize, Option<RunInfo>)> {
    let runs = Layout::runs_in(task_folder)?.ids;
    let newest =
        runs.iter().rev().find_map(|run| read_info_in(task_folder, project, task, run).ok());
    Ok((runs.len(), newest))
}

/// A run that exists. Dropping this ends nothing.
#[derive(Debug)]
pub struct Run {
    engine: Engine,
    project: ProjectId,
    task: TaskId,
    id: RunId,
    folder: PathBuf,
    watch: RunWatch,
}

impl Run {
    pub(super) fn new(
        engine: Engine,
        project: ProjectId,
        task: TaskId,
        id: RunId,
    ) -> Result<Run> {
        let watch = RunWatch::new(engine.clone(), project.clone(), task.clone(), id.clone())?;
        let folder = engine.layout().path().join(&project).join(&task).join(RUNS).join(&id);
        Ok(Run { engine, project, task, id, folder, watch })
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

    /// What is known now. Reads only.
    pub fn info(&self) -> Result<RunInfo> {
        read_info(&self.engine, &self.project, &self.task, &self.id)
    }

    /// Waits for the run's end and writes it down where nobody did.
    ///
    /// The end of the wait is never the end of the run.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) and
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) when the wait is over first.
    pub fn wait(&self, wait: impl Into<Wait>) -> Result<RunInfo> {
        self.watch.wait(&wait.into())?;
        self.info()
    }

    /// A descriptor that becomes readable when [`step`](Run::step) may find something new.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.watch.fd()
    }

    /// One look at whether the run has ended, without waiting.
    pub fn step(&self) -> Result<Step<RunInfo>> {
        match self.watch.step(&Wait::from(crate::limits::RECORD_LOCK))? {
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
        let stopped =
            self.engine.stop_run(&self.project, &self.task, &self.id, &stop, &wait.into())?;
        Ok(stopped.0)
    }
}
