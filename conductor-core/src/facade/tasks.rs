//! Tasks: starting, coming back, looking, stopping.

use super::asked::Asked;
use super::conductor::Conductor;
use super::events::TaskEvents;
use super::plan::{plan_run, refuse_secret_check};
use super::spec::TaskSpec;
use crate::bus::ReadOptions;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{CANCELLED, DONE};
use crate::limits;
use crate::supervise::{
    Engine, Lines, RunInfo, Stop, StopReport, glance, is_wait_for_slot, read_info_in, waiter,
};
use crate::task::{
    Begin, CanDrive, LoopState, TaskBudget, TaskConfig, TaskOutcome, TaskResult, Waiter, Waiting,
    depends_on, living_driver, not_ready,
};
use crate::time::Timestamp;
use crate::wait::{Step, block_on};
use parking_lot::Mutex;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// Starts and finds tasks; from [`Conductor::tasks`].
#[derive(Clone, Copy, Debug)]
pub struct Tasks<'a>(pub(super) &'a Conductor);

impl Tasks<'_> {
    /// Starts a task, goes on with one that is unfinished, or attaches to one that somebody drives.
    ///
    /// Returns when the first attempt runs and is on disk, or when it is known what the task waits
    /// for. The handle drives: the next attempt is started by whoever is inside
    /// [`Task::wait`], [`Task::follow`] or [`Task::step`].
    ///
    /// # Errors
    /// What is wrong with the spec, before anything is made; `task.driven_elsewhere` when another
    /// process drives it with other parameters; `task.already_done` for a new prompt for a task that
    /// is done.
    pub fn start(&self, spec: TaskSpec, wait: impl Into<Wait>) -> Result<Task> {
        self.begin(spec, false, &wait.into())
    }

    /// As [`start`](Tasks::start) for a task that exists, as a continuation: `DONE` is set aside, and
    /// the first attempt is told to go on with earlier work.
    pub fn resume(&self, spec: TaskSpec, wait: impl Into<Wait>) -> Result<Task> {
        let project = spec.work.project_id()?;
        let Some(task) = spec.work.task_id()? else {
            return Err(Error::invalid("task.missing", "task", "no task is named")
                .with_hint("name the task to resume with --task"));
        };
        self.0.engine.layout().task(&project, &task)?;
        self.begin(spec, true, &wait.into())
    }

    fn begin(&self, mut spec: TaskSpec, resume: bool, wait: &Wait) -> Result<Task> {
        let engine = &self.0.engine;
        let prompt_given = spec.work.names_prompt();
        if let Some(folder) = named_task(engine, &spec.work)? {
            if spec.verify.is_empty() {
                spec.verify = TaskConfig::read(&folder)?.verify;
            }
            let (agent, limits) = TaskConfig::wishes(&folder)?;
            spec.work.take_wishes(agent, &limits);
            spec.take_limits(&limits);
            // What was asked for before.
            if let Some(stored) = LoopState::read(&folder)? {
                let missing = spec.go_on_from(stored.parameters(), &engine.inherited_environment());
                if let Some(name) = missing.first() {
                    return Err(missing_variable(name));
                }
            }
        }
        let depends_on = spec.dependencies()?;
        refuse_secret_check(engine, &spec.verify)?;
        let plan = plan_run(engine, &spec.work, wait)?;
        let bounds = spec.bounds(self.0.limits());
        let (project, task) = (plan.project.clone(), plan.task.clone());
        let begin = Begin { plan, bounds, depends_on, prompt_given, resume };
        let waiter = engine.begin_task(begin, wait)?;
        Task::new(engine.clone(), project, task, waiter)
    }

    /// A task that exists, to be looked at and stopped; waiting for it does not drive it.
    ///
    /// # Errors
    /// `task.not_found`.
    pub fn get(&self, project: &ProjectId, task: &TaskId) -> Result<Task> {
        let engine = &self.0.engine;
        let waiter = Waiter::new(engine.clone(), project, task, None)?;
        Task::new(engine.clone(), project.clone(), task.clone(), waiter)
    }

    /// A task that was started before, to be driven as it was asked for: what its loop's file says.
    ///
    /// # Errors
    /// `task.not_found`; `task.no_loop`; the error of an agent that is not installed any more.
    pub fn attach(&self, project: &ProjectId, task: &TaskId) -> Result<Task> {
        let engine = &self.0.engine;
        let folder = engine.layout().task(project, task)?;
        let can_drive = match LoopState::read(&folder)? {
            Some(state) if state.result().is_none() => {
                let mut spec = TaskSpec::new(project.as_str()).task(task.as_str());
                // A variable that cannot be had keeps the handle from driving, not from waiting.
                spec.go_on_from(state.parameters(), &engine.inherited_environment());
                Some(CanDrive {
                    plan: plan_run(engine, &spec.work, &Wait::from(limits::PROBE))?,
                    bounds: spec.bounds(self.0.limits()),
                })
            }
            _ => None,
        };
        let waiter = Waiter::new(engine.clone(), project, task, can_drive)?;
        Task::new(engine.clone(), project.clone(), task.clone(), waiter)
    }

    /// What is known of each task of a project, by name; one that cannot be read hides no other.
    pub fn list(&self, project: &ProjectId) -> Result<Vec<Result<TaskInfo>>> {
        Ok(self.entries(project)?.into_iter().map(|(_, info)| info).collect())
    }

    /// The tasks of the whole root whose loop has not ended, in the order of their names.
    pub fn unfinished(&self) -> Result<Vec<TaskInfo>> {
        let mut unfinished = Vec::new();
        for project in self.0.projects()?.ids {
            for task in self.list(&project)? {
                let task = task?;
                if task.is_unfinished() {
                    unfinished.push(task);
                }
            }
        }
        Ok(unfinished)
    }

    /// Deletes a task with all its runs. With `stop` what lives of it is stopped first.
    ///
    /// # Errors
    /// `task.running`, naming what lives, without `stop`; `task.not_found`.
    pub fn delete(
        &self,
        project: &ProjectId,
        task: &TaskId,
        stop: Option<Stop>,
        wait: impl Into<Wait>,
    ) -> Result<()> {
        self.0.engine.delete_task(project, task, stop.as_ref(), &wait.into())
    }

    /// Sets a task back: `DONE` and `CANCELLED` are taken away, and the next start counts its
    /// attempts from one. Starts nothing; [`resume`](Tasks::resume) does both.
    ///
    /// # Errors
    /// `task.running` where somebody drives it or a run of it lives; `task.not_found`.
    pub fn set_back(
        &self,
        project: &ProjectId,
        task: &TaskId,
        wait: impl Into<Wait>,
    ) -> Result<()> {
        self.0.engine.set_back_task(project, task, &wait.into())
    }

    /// Marks a task as cancelled, with a reason, and stops it.
    pub fn cancel(
        &self,
        project: &ProjectId,
        task: &TaskId,
        stop: Stop,
        wait: impl Into<Wait>,
    ) -> Result<StopReport> {
        self.0.engine.cancel_task(project, task, &stop, &wait.into())
    }
}

/// The folder of the task that work names, where it exists.
pub(super) fn named_task(engine: &Engine, work: &Asked) -> Result<Option<Folder>> {
    let Some(task) = work.task_id()? else { return Ok(None) };
    match engine.layout().task(&work.project_id()?, &task) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        folder => folder.map(Some),
    }
}

fn missing_variable(name: &str) -> Error {
    Error::invalid(
        "env.missing",
        "env",
        format!("the task was started with the variable {name}, whose value is not kept"),
    )
    .with_hint(format!("give it again: --env {name}=..., or set it in the environment"))
}

/// What is known of a task at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The project.
    pub project: ProjectId,
    /// The task.
    pub id: TaskId,
    /// The task's folder.
    pub folder: PathBuf,
    /// How many runs it has.
    pub runs: usize,
    /// The newest run whose record can be read.
    pub latest: Option<RunInfo>,
    /// The attempt that its loop waits for, or made last; `None` where its loop has ended, or its record
    /// cannot be read. Runs that agents started in the same task may be newer.
    pub attempt: Option<RunInfo>,
    /// Runs that are newer than it and whose record cannot be read, the newest last.
    pub unreadable: Vec<RunId>,
    /// Whether `DONE` stands.
    pub done: bool,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Tasks of the same project that must be ready first.
    pub depends_on: Vec<TaskId>,
    /// Those of them that are not ready.
    pub blocked_by: Vec<TaskId>,
    /// The end of its loop; `None` while it has not ended, or where it never had one.
    pub result: Option<TaskResult>,
    /// Whether it ever had a loop of ours.
    pub has_loop: bool,
    /// Attempts of its present series.
    pub attempts: Option<u32>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// The variables that it was started with; their values are kept nowhere.
    pub env_names: Vec<String>,
    /// The process that drives it, if one does.
    pub driver: Option<u32>,
    /// When something last changed in its folder.
    pub last_activity: Timestamp,
    /// What its loop may use up, and what it did; `None` where it never had one.
    pub budget: Option<TaskBudget>,
}

impl TaskInfo {
    /// Whether its loop began and has not ended.
    pub fn is_unfinished(&self) -> bool {
        self.has_loop && self.result.is_none()
    }

    /// The run that shows what the task does: the attempt of its loop; its newest run where it has no loop,
    /// or one that has ended.
    pub fn current_run(&self) -> Option<&RunInfo> {
        self.attempt.as_ref().or(self.latest.as_ref())
    }

    /// Whether it was stopped by a person.
    pub fn is_stopped(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result.outcome == TaskOutcome::Stopped)
    }
}

/// Reads what is known of a task; changes nothing. Of several tasks, those that wait share the `lines`.
pub(crate) fn read_task(
    engine: &Engine,
    lines: &Lines,
    project: &ProjectId,
    task: &TaskId,
) -> Result<TaskInfo> {
    let folder = engine.layout().task(project, task)?;
    let runs = glance(&folder, project, task)?;
    let done = folder.has_file(DONE)?;
    let state = LoopState::read(&folder)?;
    let result = state.as_ref().and_then(LoopState::result);
    let budget = state.as_ref().map(LoopState::budget);
    let depends_on = depends_on(&folder)?;
    let blocked_by = if done || depends_on.is_empty() {
        Vec::new()
    } else {
        not_ready(engine.layout(), project, &folder)?
    };
    let stat = folder.os().stat(folder.fd()).map_err(|e| Error::io("look at", folder.path(), e))?;
    let driver = match &result {
        None if state.is_some() => living_driver(&folder)?.map(|driver| driver.pid),
        _ => None,
    };
    let last_run = state.as_ref().filter(|_| result.is_none()).and_then(LoopState::last_run);
    let attempt = match (last_run, &runs.latest) {
        (Some(run), Some(latest)) if latest.id == *run => runs.latest.clone(),
        (Some(run), _) => read_info_in(&folder, project, task, run).ok(),
        (None, _) => None,
    };
    // A run that is no attempt waits as itself.
    let queued = runs.latest.as_ref().filter(|run| run.ended.is_none()).and_then(|run| {
        let what = run.record.waiting_for.as_deref()?;
        Some(Waiting::new(what, run.record.start_time, run.record.waiting_until))
    });
    let mut waiting = state.as_ref().and_then(LoopState::waiting).cloned().or(queued);
    if let Some(waiting) = waiting.as_mut().filter(|waiting| is_wait_for_slot(&waiting.what)) {
        waiting.position = lines.place_of(engine, &waiter(project, task))?;
    }
    Ok(TaskInfo {
        project: project.clone(),
        id: task.clone(),
        folder: folder.path().to_owned(),
        runs: runs.count,
        latest: runs.latest,
        attempt,
        unreadable: runs.unreadable,
        done,
        cancelled: folder.has_file(CANCELLED)?,
        depends_on,
        blocked_by,
        has_loop: state.is_some(),
        attempts: state.as_ref().map(LoopState::attempts),
        waiting,
        env_names: state.map(|state| state.parameters().env_names.clone()).unwrap_or_default(),
        result,
        driver,
        last_activity: Timestamp::from_unix_nanos(stat.modified),
        budget,
    })
}

/// A task. Clones share it, also between threads; dropping it ends nothing.
#[derive(Clone, Debug)]
pub struct Task {
    pub(super) engine: Engine,
    project: ProjectId,
    id: TaskId,
    waiter: Arc<Mutex<Waiter>>,
    /// A copy of the waiter's descriptor, so that it can be polled while somebody steps.
    fd: Arc<OwnedFd>,
}

impl Task {
    fn new(engine: Engine, project: ProjectId, id: TaskId, waiter: Waiter) -> Result<Task> {
        let fd = waiter.fd().try_clone_to_owned().map_err(|e| {
            Error::new(ErrorKind::Io, "wait.failed", "cannot make a wait").with_source(e)
        })?;
        Ok(Task { engine, project, id, waiter: Arc::new(Mutex::new(waiter)), fd: Arc::new(fd) })
    }

    /// The project.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// The task.
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// What is known now. Reads only.
    pub fn info(&self) -> Result<TaskInfo> {
        read_task(&self.engine, &Lines::default(), &self.project, &self.id)
    }

    /// The variables that the task was started with and whose values are not here. While there are
    /// any, this handle waits for the task and does not drive it.
    pub fn missing_env(&self) -> Result<Vec<String>> {
        self.waiter.lock().missing_env()
    }

    /// What is configured here otherwise than where the task was driven, by its names in the
    /// configuration: another command, token or variable is another agent. While there is any, this
    /// handle waits for the task and does not drive it; [`Tasks::start`] and [`Tasks::resume`] go on
    /// with what is configured now.
    pub fn other_config(&self) -> Result<Vec<String>> {
        self.waiter.lock().other_config()
    }

    /// A descriptor that becomes readable when [`step`](Task::step) may have something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Does what the task needs now, without waiting: its result, or not yet.
    pub fn step(&self) -> Result<Step<TaskResult>> {
        self.step_until(&Wait::FOREVER)
    }

    /// As [`step`](Task::step), ended early by the switch of `wait`.
    pub(super) fn step_until(&self, wait: &Wait) -> Result<Step<TaskResult>> {
        // Before the lock, which a forked child may have inherited held.
        self.engine.layout().check_fork()?;
        self.waiter.lock().step(wait)
    }

    /// Drives the task until it ends; where another process drives it, stands by and takes over when
    /// that process dies.
    ///
    /// The end of the wait is never the end of the task.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] and [`ErrorKind::Cancelled`] when the wait is over first.
    pub fn wait(&self, wait: impl Into<Wait>) -> Result<TaskResult> {
        let wait = wait.into();
        block_on(self.fd(), &wait, || self.step_until(&wait))
    }

    /// Drives the task and gives the messages of its bus, from the beginning of its present loop;
    /// ends with the task, or when the wait is over.
    pub fn follow(&self, wait: impl Into<Wait>) -> Result<TaskEvents> {
        self.follow_with(ReadOptions::default(), wait)
    }

    /// As [`Task::follow`], with the filters of `options` and from their place, where they name one;
    /// their `tail` is not heeded.
    pub fn follow_with(&self, options: ReadOptions, wait: impl Into<Wait>) -> Result<TaskEvents> {
        TaskEvents::new(self.clone(), options, wait.into())
    }

    /// Stops the task for good: its loop, and everything that its attempt started.
    ///
    /// Runs that its agents started are stopped too, wherever in the root they are. Where everything is
    /// over already, nothing is signalled.
    pub fn stop(&self, stop: Stop, wait: impl Into<Wait>) -> Result<StopReport> {
        let wait = wait.into();
        self.engine.layout().check_fork()?;
        if !self.waiter.lock().is_driving() {
            return self.engine.stop_task(&self.project, &self.id, &stop, &wait);
        }
        // This handle holds the lease: it carries the wish out itself.
        self.engine.wish_task_stop(&self.project, &self.id, &stop.reason)?;
        let report = self.engine.stop_task_runs(&self.project, &self.id, &stop, &wait)?;
        self.wait(wait)?;
        Ok(report)
    }
}
