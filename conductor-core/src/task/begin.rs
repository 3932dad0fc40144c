//! Beginning a task's loop, going on with one, or attaching to one that somebody drives.

use super::config::TaskConfig;
use super::decide::Bounds;
use super::dependencies::refuse_cycle;
use super::handle::{CanDrive, Waiter, living_driver, parameters};
use super::lease::{Lease, driven_elsewhere, wish_stop};
use super::state::{LoopState, TaskOutcome, TaskResult};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, TaskId};
use crate::layout::{CANCELLED, DONE, TASK_LOCK, TASK_PROMPT};
use crate::limits;
use crate::supervise::{Engine, RunPlan};
use crate::sys::LockKind;

/// A wish to start a task, checked.
#[derive(Clone, Debug)]
pub(crate) struct Begin {
    pub(crate) plan: RunPlan,
    pub(crate) bounds: Bounds,
    /// Replaces the stored dependencies.
    pub(crate) depends_on: Option<Vec<TaskId>>,
    /// Whether the caller gave a prompt, or the stored one is used.
    pub(crate) prompt_given: bool,
    /// Whether even the first attempt goes on with earlier work.
    pub(crate) resume: bool,
}

impl Engine {
    /// Starts a task, goes on with one that is unfinished, or attaches to one that is driven.
    pub(crate) fn begin_task(&self, begin: Begin, wait: &Wait) -> Result<Waiter> {
        let Begin { plan, bounds, depends_on, prompt_given, resume } = begin;
        let (project, task) = (plan.project.clone(), plan.task.clone());
        if let Some(tasks) = &depends_on {
            refuse_cycle(self.layout(), &project, &task, tasks)?;
        }
        let folder = self.layout().ensure_task(&project, &task)?;
        let task_lock = folder.lock(TASK_LOCK, LockKind::Shared, wait)?;
        let stored = stored_prompt(&folder)?;
        let mine = CanDrive { plan, bounds };
        let wanted = parameters(&mine, stored.as_deref());
        let mut waiter = Waiter::new(self.clone(), &project, &task, Some(mine))?;
        let Some(lease) = Lease::try_take(&folder)? else {
            return attach(&folder, waiter, &wanted, prompt_given);
        };
        let before = LoopState::read(&folder)?;
        let done = folder.has_file(DONE)?;
        if done && prompt_given && wanted.prompt.is_some() && stored.is_some() {
            return Err(already_done(&folder));
        }
        if let Some(tasks) = &depends_on {
            TaskConfig::set_depends_on(&folder, &task, tasks)?;
        }
        if stored.is_none() {
            let text = format!("{}\n", wanted.prompt.as_deref().unwrap_or_default());
            folder.create(TASK_PROMPT, text.as_bytes())?;
        }
        let mut wanted = wanted;
        if stored.is_none() {
            wanted.prompt = None;
        }
        let state = match before {
            // A driver died: its series goes on, with what is asked for now.
            Some(mut state) if state.result().is_none() => {
                let now = LoopState::begin(state.series, wanted, self.now());
                state.parameters = now.parameters;
                state.driver = now.driver;
                state.boot_id = now.boot_id;
                state
            }
            before => {
                let series = before.map_or(1, |state| state.series + 1);
                let mut state = LoopState::begin(series, wanted, self.now());
                state.start_cursor = self.task_bus(&project, &task)?.end()?;
                state.resumed = resume;
                state
            }
        };
        state.write(&folder)?;
        drop(task_lock);
        waiter.drive(lease, state)?;
        // The first attempt is running and on disk when this returns, unless it must wait.
        waiter.first_step()?;
        Ok(waiter)
    }

    /// A waiter that drives with what the loop was asked for, where nobody else does.
    pub(crate) fn attach_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        can_drive: Option<CanDrive>,
    ) -> Result<Waiter> {
        Waiter::new(self.clone(), project, task, can_drive)
    }

    /// Stops a task for good: its loop, and everything that its attempt started.
    ///
    /// The wish is durable before anything is signalled, so that a driver that comes up meanwhile
    /// honours it.
    pub(crate) fn stop_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        reason: &str,
        wait: &Wait,
    ) -> Result<Option<TaskResult>> {
        let folder = self.layout().task(project, task)?;
        match LoopState::read(&folder)? {
            Some(state) if state.result().is_none() => {}
            ended => return Ok(ended.and_then(|state| state.result())),
        }
        wish_stop(&folder, self.now(), reason)?;
        let mut pause = std::time::Duration::from_millis(1);
        loop {
            if let Some(lease) = Lease::try_take(&folder)? {
                // Nobody drives: the end of the loop is written here.
                let Some(mut state) = LoopState::read(&folder)? else { return Ok(None) };
                if state.result().is_none() {
                    state.end(TaskOutcome::Stopped, Some(reason.to_owned()), self.now());
                    state.write(&folder)?;
                }
                lease.forget_stop_wish(&folder)?;
                return Ok(state.result());
            }
            // The driver sees the wish by itself; it gives the lease back when the loop is over.
            wait.check()?;
            self.layout().os().sleep(pause);
            pause = (pause * 2).min(std::time::Duration::from_millis(50));
        }
    }

    /// Marks a task as cancelled, with a reason, and stops it.
    pub(crate) fn cancel_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        reason: &str,
        wait: &Wait,
    ) -> Result<()> {
        let folder = self.layout().task(project, task)?;
        let mut note = crate::yaml::Mapping::new();
        note.insert("cancelled_at", crate::yaml::Value::timestamp(self.now()));
        note.insert("reason", crate::yaml::Value::from(reason));
        folder.replace(CANCELLED, note.to_yaml().as_bytes())?;
        self.stop_task(project, task, reason, wait).map(drop)
    }
}

/// Joins a loop that another process drives; what it was asked for must be the same.
fn attach(
    folder: &Folder,
    waiter: Waiter,
    wanted: &super::state::Parameters,
    prompt_given: bool,
) -> Result<Waiter> {
    // A driver that has just taken the lease writes the state first thing.
    let Some(state) = LoopState::read(folder)? else { return Ok(waiter) };
    let mut differences = state.parameters.differences(wanted);
    if !prompt_given {
        differences.retain(|name| *name != "prompt");
    }
    if differences.is_empty() {
        return Ok(waiter);
    }
    let driver = living_driver(folder)?.map(|driver| driver.pid);
    Err(driven_elsewhere(folder, &differences, driver))
}

fn already_done(folder: &Folder) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "task.already_done",
        format!("{} is done, and the prompt is a new one", folder.path().display()),
    )
    .with_path(folder.join(DONE))
    .with_field("prompt")
    .with_hint("`run-agent task resume` goes on with it; another --task begins anew")
}

fn stored_prompt(folder: &Folder) -> Result<Option<String>> {
    let Some(bytes) = folder.read_if_exists(TASK_PROMPT, limits::PROMPT)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|source| {
        Error::new(
            ErrorKind::Corrupt,
            "prompt.not_utf8",
            format!("{} is not UTF-8", folder.join(TASK_PROMPT).display()),
        )
        .with_path(folder.join(TASK_PROMPT))
        .with_source(source)
    })
}
