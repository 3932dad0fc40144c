//! Beginning a task's loop, going on with one, or attaching to one that somebody drives.

use super::config::TaskConfig;
use super::decide::Bounds;
use super::dependencies::refuse_cycle;
use super::handle::{CanDrive, Waiter, living_driver, parameters};
use super::lease::{Lease, driven_elsewhere};
use super::means::Means;
use super::parameters::Parameters;
use super::state::{LoopState, TaskOutcome};
use crate::bus::Bus;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{Folder, found};
use crate::id::{ProjectId, TaskId};
use crate::layout::{CANCELLED, DONE, LOOP, TASK_PROMPT};
use crate::limits;
use crate::supervise::{Engine, RunPlan};
use crate::sys::LockKind;
use std::time::Duration;

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
        // To attach to a loop that is driven needs no passage.
        let passage = match self.enter_loop(&plan, wait)? {
            Err(error) if !self.is_driven(&project, &task)? => return Err(error),
            answer => answer,
        };
        let (folder, task_lock) = self.lock_task(&project, &task, true, LockKind::Shared, wait)?;
        self.close_what_is_over(&project, &task, wait);
        let held = take_or_join(&folder, wait)?;
        // Whoever holds the lease has written TASK.md by now.
        let stored = stored_prompt(&folder)?;
        let mine = CanDrive { plan, bounds };
        let mut wanted = parameters(&mine, stored.as_deref());
        let mut waiter = Waiter::new(self.clone(), &project, &task, Some(mine))?;
        let lease = match held {
            Ok(lease) => lease,
            Err(driven) => return attach(&folder, waiter, &driven, &wanted, prompt_given),
        };
        let passage = passage?;
        let before = LoopState::read(&folder)?;
        if resume {
            // Taken away once all that may fail has been done; what is no file is an error now.
            look_at_marks(&folder)?;
        } else if folder.has_file(CANCELLED)? {
            return Err(cancelled(&folder));
        } else if folder.has_file(DONE)? {
            let known = before.as_ref().and_then(|state| state.parameters.prompt.as_ref());
            if prompt_given && stored.is_some() && wanted.prompt.as_ref() != known {
                return Err(already_done(&folder));
            }
            let result = before.as_ref().and_then(LoopState::result);
            if result.is_some_and(|result| result.outcome == TaskOutcome::Done) {
                // Nothing is begun anew: the waiter finds the result that stands.
                return Ok(waiter);
            }
        }
        // A prompt that TASK.md does not hold yet goes there.
        let first_prompt = stored.is_none().then(|| wanted.prompt.take().unwrap_or_default());
        let bus = self.task_bus(&project, &task)?;
        let state =
            self.next_state(&bus, before.clone(), wanted, waiter.means().clone(), &lease, resume)?;
        state.check_size(&folder)?;
        if let Some(tasks) = &depends_on {
            TaskConfig::set_depends_on(&folder, tasks)?;
        }
        if let Some(prompt) = first_prompt {
            // The loop that is written next does not hold it; its sync of the folder keeps both names.
            folder.create_once_synced(TASK_PROMPT, format!("{prompt}\n").as_bytes())?;
        }
        state.write(&folder)?;
        if resume && let Err(error) = set_aside(&folder) {
            // Nothing is begun. What kept the mark in its place is the error to tell.
            let _first_error_is_told = match before {
                Some(before) => before.write(&folder),
                None => folder.remove_file(LOOP).map(drop),
            };
            return Err(error);
        }
        tracing::info!(
            name: "task_run_started", project_id = %project, task_id = %task, series = state.series,
            attempts = state.attempts, max_attempts = state.parameters.budget.max_attempts,
        );
        // From here on the loop is driven, and an update counts it.
        drop((task_lock, passage));
        waiter.drive(lease, state)?;
        // The first attempt is running and on disk when this returns, unless it must wait.
        waiter.first_step(wait)?;
        Ok(waiter)
    }

    fn is_driven(&self, project: &ProjectId, task: &TaskId) -> Result<bool> {
        match found(self.layout().task(project, task))? {
            Some(folder) => Ok(living_driver(&folder)?.is_some()),
            None => Ok(false),
        }
    }

    /// The state to begin with: the series of a driver that died goes on with what is asked for now,
    /// a loop that ended is followed by a new series.
    fn next_state(
        &self,
        bus: &Bus,
        before: Option<LoopState>,
        wanted: Parameters,
        means: Means,
        lease: &Lease,
        resume: bool,
    ) -> Result<LoopState> {
        let series = before.as_ref().map_or(0, |state| state.series);
        let checks = before.as_ref().map_or(0, |state| state.checks);
        let fresh =
            |series| LoopState::begin(series, lease.earlier_wish(), wanted, means, self.now());
        match before {
            Some(state) if state.result().is_none() => {
                let now = fresh(series);
                Ok(LoopState {
                    parameters: now.parameters,
                    means: now.means,
                    driver: now.driver,
                    boot_id: now.boot_id,
                    earlier_wish: now.earlier_wish,
                    ..state
                })
            }
            _ => {
                let mut state = fresh(series + 1);
                state.start_cursor = bus.end()?;
                state.resumed = resume;
                state.checks = checks;
                Ok(state)
            }
        }
    }
}

/// The marks of an end that stand.
///
/// # Errors
/// `file.not_plain` where one is something else than a file.
fn look_at_marks(folder: &Folder) -> Result<Vec<&'static str>> {
    let mut marks = Vec::new();
    for mark in [DONE, CANCELLED] {
        if folder.has_file(mark)? {
            marks.push(mark);
        }
    }
    Ok(marks)
}

/// Takes the marks of an end away, so that the task can go on.
pub(super) fn set_aside(folder: &Folder) -> Result<()> {
    let mut changed = false;
    for mark in look_at_marks(folder)? {
        changed |= folder.remove_file(mark)?;
    }
    if changed { folder.sync() } else { Ok(()) }
}

/// The lease, or the state of the loop that its holder drives.
///
/// Who has just taken the lease writes the state of its loop first thing, and who gives it back has
/// written the end: between these the state tells of a loop before this one, or of none.
fn take_or_join(folder: &Folder, wait: &Wait) -> Result<std::result::Result<Lease, LoopState>> {
    const PAUSE: Duration = Duration::from_millis(1);
    loop {
        if let Some(lease) = Lease::try_take(folder)? {
            return Ok(Ok(lease));
        }
        if let Some(state) = LoopState::read(folder)?.filter(|state| state.result().is_none())
            // Not somebody who only looks at the lock for an instant.
            && Lease::is_held(folder)?
        {
            return Ok(Err(state));
        }
        wait.check()?;
        folder.os().sleep(PAUSE);
    }
}

/// Joins a loop that another process drives; what it was asked for must be the same.
fn attach(
    folder: &Folder,
    waiter: Waiter,
    driven: &LoopState,
    wanted: &Parameters,
    prompt_given: bool,
) -> Result<Waiter> {
    let mut differences = driven.parameters.differences(wanted);
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

fn cancelled(folder: &Folder) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "task.cancelled",
        format!("{} was cancelled", folder.path().display()),
    )
    .with_path(folder.join(CANCELLED))
    .with_field("task")
    .with_hint("`run-agent task resume` goes on with it all the same")
}

/// The prompt that an existing task keeps.
pub(crate) fn stored_prompt(folder: &Folder) -> Result<Option<String>> {
    let Some(bytes) = folder.read_if_exists(TASK_PROMPT, limits::PROMPT_SIZE)? else {
        return Ok(None);
    };
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
