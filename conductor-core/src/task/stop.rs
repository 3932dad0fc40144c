//! Ending a task for good: its loop, and everything that it started.

use super::children::{is_attempt, own_runs};
use super::judge::{Bench, Judge};
use super::lease::{Lease, wish_stop};
use super::state::{LoopState, TaskOutcome};
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::CANCELLED;
use crate::supervise::{Engine, OpenEntry, Stop, StopReport, glance};
use crate::yaml::{Mapping, Value};
use std::collections::HashSet;
use std::time::Duration;

/// How long a living driver is given to notice that its loop is over. After that the stop is
/// complete all the same: nothing of the task runs, and the wish keeps the driver from starting more.
const DRIVER_ANSWER: Duration = Duration::from_secs(2);

impl Engine {
    /// Writes down that the task's loop shall end; `false` where it has none that could.
    ///
    /// Durable when it returns, so that a driver that comes up meanwhile honours it.
    pub(crate) fn wish_task_stop(
        &self,
        project: &ProjectId,
        task: &TaskId,
        reason: &str,
    ) -> Result<bool> {
        let folder = self.layout().task(project, task)?;
        if !is_unfinished(&folder)? {
            return Ok(false);
        }
        wish_stop(&folder, self.now(), reason)?;
        Ok(true)
    }

    /// Stops what runs in a task now: its own runs, and the runs that their agents started.
    ///
    /// # Errors
    /// `run.not_ours` where the only living run is another program's.
    pub(crate) fn stop_task_runs(
        &self,
        project: &ProjectId,
        task: &TaskId,
        stop: &Stop,
        wait: &Wait,
    ) -> Result<StopReport> {
        let folder = self.layout().task(project, task)?;
        let own = own_runs(&folder)?;
        self.wish_child_tasks_to_stop(project, task, &own, &stop.reason)?;
        let of_task = |entry: &OpenEntry| entry.is_of(project, task);
        let unlisted = self.living_unlisted(project, task)?;
        let report = self.stop_open_runs(stop, wait, unlisted, of_task, |id| own.contains(id))?;
        if report.signalled.is_empty() {
            let newest = glance(&folder, project, task)?.latest;
            if let Some(run) = newest.filter(|run| run.outcome().is_none()) {
                // The error of a run that is not ours; ours that just ended is no error.
                self.stop_run(project, task, &run.id, stop, wait)?;
            }
        }
        Ok(report)
    }

    /// The living runs of a task, and those that descend from any of its runs.
    fn living_with_children(&self, project: &ProjectId, task: &TaskId) -> Result<Vec<RunId>> {
        let own = own_runs(&self.layout().task(project, task)?)?;
        let living = self.living_runs(|entry| {
            entry.is_of(project, task) || entry.parents.iter().any(|id| own.contains(id.as_str()))
        })?;
        let ours = living.runs.into_iter().filter(|run| !run.is_external());
        Ok(ours.map(|run| run.entry.run).collect())
    }

    /// Writes down that the loops of tasks which this task's agents started shall end: somebody else may
    /// drive them, and would start their next attempts.
    fn wish_child_tasks_to_stop(
        &self,
        project: &ProjectId,
        task: &TaskId,
        own: &HashSet<String>,
        reason: &str,
    ) -> Result<()> {
        let living = self.living_runs(|entry| {
            !entry.is_of(project, task) && entry.parents.iter().any(|id| own.contains(id.as_str()))
        })?;
        for run in &living.runs {
            if is_attempt(self, run)? {
                self.wish_task_stop(&run.entry.project, &run.entry.task, reason)?;
            }
        }
        Ok(())
    }

    /// Stops a task for good.
    pub(crate) fn stop_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        stop: &Stop,
        wait: &Wait,
    ) -> Result<StopReport> {
        let living = self.living_with_children(project, task)?;
        let looping = self.wish_task_stop(project, task, &stop.reason)?;
        let stopped = self.stop_task_runs(project, task, stop, wait);
        if !looping {
            return stopped;
        }
        let mut report = unless_not_ours(stopped)?;
        // A driver that saw the wish first asked its attempt itself.
        for run in living {
            if !report.signalled.contains(&run) {
                report.signalled.push(run);
            }
        }
        let folder = self.layout().task(project, task)?;
        let deadline = self.layout().os().monotonic() + DRIVER_ANSWER;
        loop {
            if let Some(lease) = Lease::take_unless_driven(&folder)? {
                // Nobody drives. An attempt may have begun between the look and now.
                report.add(unless_not_ours(self.stop_task_runs(project, task, stop, wait))?);
                end_loop(self, &folder, &lease, &stop.reason)?;
                return Ok(report);
            }
            if !is_unfinished(&folder)? || self.layout().os().monotonic() >= deadline {
                return Ok(report);
            }
            wait.check()?;
        }
    }

    /// Marks a task as cancelled, with a reason, and stops it.
    pub(crate) fn cancel_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        stop: &Stop,
        wait: &Wait,
    ) -> Result<StopReport> {
        let folder = self.layout().task(project, task)?;
        let mut note = Mapping::new();
        note.insert("cancelled_at", Value::timestamp(self.now()));
        note.insert("reason", Value::from(stop.reason.as_str()));
        folder.replace_unguarded(CANCELLED, note.to_yaml().as_bytes())?;
        self.stop_task(project, task, stop, wait)
    }
}

/// A process of another program that is followed in the task keeps nobody from ending its loop.
fn unless_not_ours(stopped: Result<StopReport>) -> Result<StopReport> {
    match stopped {
        Err(error) if error.code() == "run.not_ours" => Ok(StopReport::default()),
        stopped => stopped,
    }
}

/// Whether the task has a loop that may go on. One whose file is damaged may: its driver has the state
/// in memory, and a stop that failed for it would leave everything running.
fn is_unfinished(folder: &Folder) -> Result<bool> {
    match LoopState::read(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::InvalidInput) => {
            Ok(true)
        }
        state => Ok(state?.is_some_and(|state| state.result().is_none())),
    }
}

/// Ends the completion check of a loop that nobody drives: it outlives the driver that began it.
pub(super) fn end_check(folder: &Folder, state: &LoopState) -> Result<()> {
    match Judge::of(&state.parameters) {
        Some(judge) => judge.stop(&Bench::of(folder, state.last_run.as_ref())?, state.checks),
        None => Ok(()),
    }
}

/// Writes the end of a loop that nobody drives.
fn end_loop(engine: &Engine, folder: &Folder, lease: &Lease, reason: &str) -> Result<()> {
    if let Some(mut state) = LoopState::read(folder)?
        && state.result().is_none()
    {
        end_check(folder, &state)?;
        state.end(TaskOutcome::Stopped, Some(reason.to_owned()), engine.now());
        state.write(folder)?;
    }
    lease.forget_stop_wish(folder)
}
