//! The start of one run: what it needs first, and what becomes of it.

use super::admission::{Admission, Admitted, Demand, Gate, not_started_before};
use super::bounds::Family;
use super::engine::Engine;
use super::open_entry::OpenEntry;
use super::planned::PlannedAgent;
use super::prepared::{Prepared, hidden};
use super::slots::Slots;
use crate::agent::AgentCommand;
use crate::cancel::Wait;
use crate::config::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder, found};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{RUN_LOCK, RUNS, TASK_PROMPT};
use crate::sys::{KeeperLimits, LockKind, ProcessId};
use crate::update::{self, Admission as Passage};
use std::ffi::OsString;
use std::path::PathBuf;

/// A run to be started: everything is checked, nothing is made yet.
#[derive(Clone, Debug)]
pub(crate) struct RunPlan {
    pub(crate) project: ProjectId,
    pub(crate) task: TaskId,
    pub(crate) agent: AgentCommand,
    /// What work calls the agent: a name of the configuration, or of a built-in one.
    pub(crate) agent_name: String,
    /// What the configuration puts into the agent's environment. Never written down.
    pub(crate) agent_env: Vec<(String, Secret)>,
    /// The model that it is asked to use, where the configuration names one.
    pub(crate) model: Option<String>,
    /// The version of its program, where that is known.
    pub(crate) version: String,
    /// Whether the next attempt goes on with the agent's session.
    pub(crate) resumes: bool,
    /// Whether known tokens are masked in what the agent prints.
    pub(crate) redacts: bool,
    /// The session that the agent goes on with.
    pub(crate) session: Option<String>,
    /// The agents that stand in for this one when it failed, in their order.
    pub(crate) others: Vec<PlannedAgent>,
    /// Whether the work was shared out, and not given to this very agent.
    pub(crate) shared: bool,
    /// The command that work itself gave; empty where its agent has one.
    pub(crate) command: Vec<OsString>,
    /// What to do, without the preamble.
    pub(crate) prompt: String,
    /// The folder to start in; the task's folder where none is named.
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) parent_run: Option<RunId>,
    pub(crate) previous_run: Option<RunId>,
    /// The series of the task's loop that the run is an attempt of.
    pub(crate) series: Option<u64>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) limits: KeeperLimits,
    /// What its agent may start.
    pub(crate) family: Family,
    /// The account whose usage limit holds for it; `None` for an agent that tells of none.
    pub(crate) account: Option<String>,
    /// Whether it shares the terminal of this process, which keeps it.
    pub(crate) attached: bool,
    /// The process that it follows and that is not its own.
    pub(crate) external: Option<External>,
}

/// What a run tells of the process of another program that it follows.
#[derive(Clone, Debug)]
pub(crate) struct External {
    /// The process's command, as a line for people.
    pub(crate) line: String,
    /// What else is known of it, in lines for people.
    pub(crate) about: String,
}

/// A run that was started.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) run: RunId,
    /// Its keeper's process, unless it was stopped before there was one.
    pub(crate) keeper: Option<ProcessId>,
}

impl Engine {
    /// Starts a run that is no attempt of a loop. Returns when its agent runs and its record is on disk,
    /// or when somebody stopped it meanwhile. Where it may not start yet, it waits: as a run of its own,
    /// in the phase `queued`, which says what for.
    ///
    /// # Errors
    /// What stood in the way. If it came after the run's folder was made, the run is finished as
    /// `refused` and the error names it.
    pub(crate) fn start_job(&self, plan: &RunPlan, wait: &Wait) -> Result<Started> {
        // Held until the run stands among the open ones, where an update counts it.
        let (passage, demand) = self.enter(plan, wait)?;
        let (task, task_lock) =
            self.lock_task(&plan.project, &plan.task, true, LockKind::Shared, wait)?;
        self.close_what_is_over(&plan.project, &plan.task, wait);
        if task.stat(TASK_PROMPT)?.is_none() {
            task.create_once(TASK_PROMPT, format!("{}\n", plan.prompt.trim()).as_bytes())?;
        }
        let mut admission = Admission::of_run(self.clone(), demand)?;
        let admitted = admission.step(wait)?;
        let queued = match &admitted {
            Admitted::Go(_) => None,
            // A run that waits has a folder, and there is no room for one.
            Admitted::Wait(gate @ Gate::Space(_)) => return Err(not_started_before(gate)),
            Admitted::Wait(gate) => Some(gate.clone()),
        };
        let (prepared, lock) = Prepared::make(self, plan, task, queued.as_ref(), wait)?;
        drop((task_lock, passage));
        let launched = match admitted {
            Admitted::Go(slot) => Ok(slot),
            Admitted::Wait(gate) => prepared.wait_in_line(self, admission, gate, wait),
        };
        let launched =
            launched.and_then(|run| prepared.launch(self, lock, Slots { run, task: None }, wait));
        prepared.started(self, launched)
    }

    /// Starts an attempt of the loop that works in `task`, which was admitted with these slots.
    ///
    /// # Errors
    /// As [`start_job`](Engine::start_job); `task.deleted` where another folder has the task's name.
    pub(crate) fn start_attempt(
        &self,
        plan: &RunPlan,
        task: &Folder,
        slots: Slots<'_>,
        wait: &Wait,
    ) -> Result<Started> {
        let locked = self.lock_task(&plan.project, &plan.task, false, LockKind::Shared, wait);
        let (named, task_lock) = match locked {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(deleted(task)),
            locked => locked?,
        };
        // An attempt does not work in a task that took the name of a deleted one.
        let stat = |folder: &Folder| {
            folder.os().stat(folder.fd()).map_err(|e| folder.error("look at", "", e))
        };
        if !stat(task)?.same_file(&stat(&named)?) {
            return Err(deleted(task));
        }
        let (prepared, lock) = Prepared::make(self, plan, named, None, wait)?;
        drop(task_lock);
        let launched = prepared.launch(self, lock, slots, wait);
        prepared.started(self, launched)
    }

    /// Makes the folder of a run that its caller starts itself, in its own terminal. It waits for
    /// nothing: a person sits there.
    pub(super) fn prepare_attached<'a>(
        &self,
        plan: &'a RunPlan,
        wait: &Wait,
    ) -> Result<(Prepared<'a>, FileLock)> {
        let _entered = self.enter(plan, wait)?;
        let (task, _task_lock) =
            self.lock_task(&plan.project, &plan.task, true, LockKind::Shared, wait)?;
        if task.stat(TASK_PROMPT)?.is_none() {
            task.create_once(TASK_PROMPT, format!("{}\n", plan.prompt.trim()).as_bytes())?;
        }
        Prepared::make(self, plan, task, None, wait)
    }

    /// Lets a run of its own in: past the gate that an update of the server closes, which the work of a
    /// run that lives passes always; and what it wants that may be short.
    ///
    /// # Errors
    /// `update.in_progress`, and those of [`place`](Engine::place).
    fn enter(&self, plan: &RunPlan, wait: &Wait) -> Result<(Option<Passage>, Demand)> {
        let place = self.place(plan.parent_run.as_ref(), plan.family)?;
        let passage = place.is_root.then(|| update::admit(self.layout(), wait)).transpose()?;
        Ok((passage, Demand::of(plan, &place)))
    }

    /// As for a run, for a task's loop: it is let in although its parent has too many children now, as
    /// its attempts may wait. `None` is the gate's answer to the work of a run that lives.
    ///
    /// # Errors
    /// `run.too_deep`: no attempt of it could ever start. `Err` within is `update.in_progress`.
    pub(crate) fn enter_loop(
        &self,
        plan: &RunPlan,
        wait: &Wait,
    ) -> Result<Result<Option<Passage>>> {
        let is_root = match self.place(plan.parent_run.as_ref(), plan.family) {
            Err(error) if error.kind() == ErrorKind::Busy => false,
            place => place?.is_root,
        };
        match is_root.then(|| update::admit(self.layout(), wait)).transpose() {
            Err(error) if error.kind() != ErrorKind::UpdateInProgress => Err(error),
            answer => Ok(answer),
        }
    }

    /// What a run wants that may be short.
    ///
    /// # Errors
    /// Those of [`place`](Engine::place).
    pub(crate) fn demand(&self, plan: &RunPlan) -> Result<Demand> {
        Ok(Demand::of(plan, &self.place(plan.parent_run.as_ref(), plan.family)?))
    }

    /// Removes the entry of a run, and what else is left of it, whose starter died before the run's
    /// folder had its name, or whose folder somebody deleted; whether it was so.
    pub(crate) fn forget_if_gone(&self, entry: &OpenEntry) -> Result<bool> {
        let OpenEntry { project, task, run, .. } = entry;
        let exists = || found(self.layout().run(project, task, run)).map(|run| run.is_some());
        if exists()? {
            return Ok(false);
        }
        if let Some(task) = found(self.layout().task(project, task))?
            && let Some(runs) = task.folder_if_exists(RUNS)?
            && let Some(folder) = runs.folder_if_exists(hidden(run))?
        {
            let Some(_lock) = folder.try_lock(RUN_LOCK, LockKind::Exclusive)? else {
                return Ok(false);
            };
            runs.remove_tree(hidden(run))?;
        }
        // An agent that deleted its own folder lives on, and so does what says that it lives.
        if !self.marks(project, task, run).living()?.is_empty() {
            return Ok(false);
        }
        // Its starter may have given it its name between the two looks.
        if exists()? {
            return Ok(false);
        }
        OpenEntry::remove(self.layout(), project, task, run)?;
        Ok(true)
    }
}

fn deleted(folder: &Folder) -> Error {
    let what = format!("{} was deleted while its loop went on", folder.path().display());
    Error::new(ErrorKind::NotFound, "task.deleted", what)
        .with_path(folder.path())
        .with_field("task")
        .with_hint("start the task anew")
}
