//! A task as somebody holds it: driving it, standing by, or looking on.

use super::decide::Bounds;
use super::driver::Driver;
use super::lease::Lease;
use super::means::Means;
use super::parameters::Parameters;
use super::state::{LoopState, Phase, TaskResult, Waiting};
use crate::bus::Post;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, TaskId};
use crate::limits;
use crate::supervise::{Engine, OnOutputLimit, RunPlan};
use crate::sys::{News, Polled, Poller, ProcessId, Processes, TimerFd, Watch};
use crate::wait::Step;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How soon to look again for a lease whose holder just died.
const SOON: Duration = Duration::from_millis(20);
/// How soon, where somebody holds it on who cannot be seen from here: a driver of another pid namespace.
const UNSEEN: Duration = Duration::from_millis(500);
/// The looks in a row after which that is so.
const LOOKS: u32 = 10;

/// What a holder brings along to be able to drive.
#[derive(Clone, Debug)]
pub(crate) struct CanDrive {
    pub(crate) plan: RunPlan,
    pub(crate) bounds: Bounds,
}

/// Waits for a task, and drives it where it may and nobody else does.
///
/// A stand-by waits on the driver's process and looks at the truth every 30 s; it takes the task up
/// when the kernel gives it the lease.
#[derive(Debug)]
pub(crate) struct Waiter {
    engine: Engine,
    folder: Folder,
    can_drive: Option<CanDrive>,
    /// What it would drive with; empty where it cannot.
    means: Means,
    role: Role,
    poller: Poller,
    timer: TimerFd,
    /// Tells of names in the task's folder: DONE, a wish to stop, a new `.loop.yaml`. What is written to
    /// the bus is no news here.
    names: Watch,
    /// Whether it was told why this holder does not take over.
    told_why_not: bool,
    /// Looks in a row that found the lease held by nobody who can be seen.
    unseen: u32,
}

#[derive(Debug)]
enum Role {
    Driving(Box<Polled<Driver>>),
    /// Waiting on the process that drives, where it is known and lives.
    StandingBy(Option<(ProcessId, Polled<OwnedFd>)>),
}

impl Waiter {
    /// A waiter for the task; it does not drive yet.
    pub(crate) fn new(
        engine: Engine,
        project: &ProjectId,
        task: &TaskId,
        can_drive: Option<CanDrive>,
    ) -> Result<Waiter> {
        let folder = engine.layout().task(project, task)?;
        let failed = |e| folder.error("watch", "", e);
        let poller = Poller::new().map_err(failed)?;
        let timer = TimerFd::new().map_err(failed)?;
        let names = Watch::join(&poller, 2, News::Names).map_err(failed)?;
        names.add_names(folder.path()).map_err(failed)?;
        poller.add(&timer, 1).map_err(failed)?;
        timer.set(Duration::ZERO).map_err(failed)?;
        let role = Role::StandingBy(None);
        let of = |mine: &CanDrive| Means::of(&mine.plan, &engine);
        let means = can_drive.as_ref().map(of).unwrap_or_default();
        Ok(Waiter {
            engine,
            folder,
            can_drive,
            means,
            role,
            poller,
            timer,
            names,
            told_why_not: false,
            unseen: 0,
        })
    }

    /// What it would drive with.
    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    /// Goes on as the driver of a loop whose lease and state are in hand.
    pub(super) fn drive(&mut self, lease: Lease, state: LoopState) -> Result<()> {
        let Some(CanDrive { plan, bounds }) = self.can_drive.clone() else {
            return Err(Error::new(
                ErrorKind::Internal,
                "task.cannot_drive",
                "nothing to drive by",
            ));
        };
        let driver = Driver::new(self.engine.clone(), plan, bounds, lease, state)?;
        let failed = |e| self.folder.error("watch the loop of", "", e);
        self.role = Role::Driving(Box::new(self.poller.hold(driver, 3).map_err(failed)?));
        Ok(())
    }

    /// Whether this holder drives the task now.
    pub(crate) fn is_driving(&self) -> bool {
        matches!(self.role, Role::Driving(_))
    }

    /// Readable when another step may have something to do.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Does what can be done now: the result, or not yet.
    ///
    /// Once there is a result the descriptor stays readable, so that all who wait on it wake up. Of
    /// `wait` only the switch counts: it ends waits for locks early.
    pub(crate) fn step(&mut self, wait: &Wait) -> Result<Step<TaskResult>> {
        let step = self.turn(wait)?;
        if let Step::Ready(_) = step {
            self.rest(Duration::ZERO)?;
        }
        Ok(step)
    }

    fn turn(&mut self, wait: &Wait) -> Result<Step<TaskResult>> {
        self.names.drain();
        loop {
            if let Role::Driving(driver) = &mut self.role {
                let step = driver.step(wait)?;
                if let Step::Ready(_) = step {
                    // The lease goes back: the loop is over.
                    self.role = Role::StandingBy(None);
                } else {
                    // The driver has a timer of its own for what it waits for.
                    self.rest(limits::CALM_POLL)?;
                }
                return Ok(step);
            }
            let Some(state) = LoopState::read(&self.folder)? else {
                return Err(no_loop(&self.folder));
            };
            if let Some(result) = state.result() {
                return Ok(Step::Ready(result));
            }
            if self.may_drive(&state)
                && let Some(lease) = Lease::try_take(&self.folder)?
            {
                self.take_over(lease)?;
                continue;
            }
            self.tell_why_not(&state)?;
            self.stand_by(&state)?;
            return Ok(Step::Pending);
        }
    }

    /// Whether this holder can go on with the loop as it was asked for, and as it was driven: values of
    /// variables that are not kept cannot be made up, and another configuration is another agent.
    fn may_drive(&self, state: &LoopState) -> bool {
        self.can_drive.as_ref().is_some_and(|mine| {
            lacking(mine, state).next().is_none() && self.differing(state).is_empty()
        })
    }

    /// What this holder would drive the loop with that is not what it was driven with.
    fn differing(&self, state: &LoopState) -> Vec<String> {
        let Some(mine) = &self.can_drive else { return Vec::new() };
        let mut names: Vec<String> =
            self.means.differences(&state.means).into_iter().map(str::to_owned).collect();
        // Of a variable that it does not have the value cannot differ.
        names
            .retain(|name| !lacking(mine, state).any(|env| name.strip_prefix("env.") == Some(env)));
        names
    }

    /// Tells, once, why nobody goes on with a loop although somebody waits for it: on the task's bus,
    /// and as what the loop waits for.
    fn tell_why_not(&mut self, state: &LoopState) -> Result<()> {
        let Some(mine) = self.can_drive.as_ref().filter(|_| !self.told_why_not) else {
            return Ok(());
        };
        let lacking = lacking(mine, state).map(String::as_str).collect::<Vec<_>>().join(", ");
        let differing = self.differing(state).join(", ");
        let (short, long, way_out) = match (lacking.is_empty(), differing.is_empty()) {
            (true, true) => return Ok(()),
            (false, _) => (
                format!("the value of {lacking}"),
                format!("lacks the value of {lacking}"),
                "with --env, or with the variable in the environment",
            ),
            (true, false) => (
                format!("the same {differing}"),
                format!("has another {differing}"),
                "to go on with what is configured now",
            ),
        };
        // Nobody else writes down meanwhile where the loop stands.
        let Some(_lease) = Lease::try_take(&self.folder)? else { return Ok(()) };
        let Some(mut state) = LoopState::read(&self.folder)?.filter(|now| now.result().is_none())
        else {
            return Ok(());
        };
        let pid = self.folder.os().process_id();
        tracing::warn!(
            name: "task_not_taken_over", project_id = %mine.plan.project, task_id = %mine.plan.task,
            lacking, differing, "nobody drives a task, and who stands by may not",
        );
        let text = format!(
            "nobody drives the task: process {pid} stands by, and {long}. Start the task again {way_out}"
        );
        let bus = self.engine.task_bus(&mine.plan.project, &mine.plan.task)?;
        let key = format!("loop:{}:lacking:{lacking}{differing}", state.series);
        let wait = Wait::from(limits::RECORD_LOCK);
        bus.append_once(&key, state.start_cursor.as_ref(), Post::new("WARNING", text), wait)?;
        state.phase = Phase::Waiting;
        state.driver = None;
        let what = format!("a driver with {short}");
        if state.waiting.as_ref().is_none_or(|waiting| waiting.what != what) {
            state.waiting = Some(Waiting::new(&what, self.engine.now(), None));
            state.write_relaxed(&self.folder)?;
        }
        self.told_why_not = true;
        Ok(())
    }

    /// The variables that keep this holder from driving: their values are not kept.
    pub(crate) fn missing_env(&self) -> Result<Vec<String>> {
        let state = LoopState::read(&self.folder)?;
        Ok(match (&self.can_drive, &state) {
            (Some(mine), Some(state)) => lacking(mine, state).cloned().collect(),
            _ => Vec::new(),
        })
    }

    /// What is configured here otherwise than where the loop was driven, which keeps this holder from
    /// driving.
    pub(crate) fn other_config(&self) -> Result<Vec<String>> {
        let state = LoopState::read(&self.folder)?;
        Ok(state.map(|state| self.differing(&state)).unwrap_or_default())
    }

    fn take_over(&mut self, lease: Lease) -> Result<()> {
        // Read again: the loop may have ended between the look and the lease.
        let Some(mut state) = LoopState::read(&self.folder)? else {
            return Err(no_loop(&self.folder));
        };
        if state.result().is_some() {
            return Ok(());
        }
        let lease = lease.of_loop_since(state.earlier_wish.clone());
        state.driver = Processes.own().ok();
        state.boot_id = Processes.boot_id().unwrap_or_default().to_owned();
        state.write(&self.folder)?;
        tracing::info!(
            name: "task_taken_over", folder = %self.folder.path().display(), attempts = state.attempts,
        );
        self.drive(lease, state)
    }

    fn stand_by(&mut self, state: &LoopState) -> Result<()> {
        let failed = |e| self.folder.error("watch the driver of", "", e);
        let here = Processes.boot_id().is_ok_and(|boot| boot == state.boot_id);
        let driver = state.driver.filter(|_| here);
        if let Role::StandingBy(Some((known, _))) = &self.role
            && Some(*known) == driver
            && Processes.is_alive(*known).map_err(failed)?
        {
            return self.rest(limits::SAFETY_POLL);
        }
        // The descriptor of a process that ended stays readable: it must go.
        self.role = Role::StandingBy(None);
        let opened = match driver {
            Some(driver) => Processes.watch(driver).map_err(failed)?,
            None => None,
        };
        let (Some(driver), Some(fd)) = (driver, opened) else {
            self.unseen = self.unseen.saturating_add(1);
            return self.rest(match self.may_drive(state) {
                true if self.unseen > LOOKS => UNSEEN,
                true => SOON,
                false => limits::SAFETY_POLL,
            });
        };
        self.unseen = 0;
        let fd = self.poller.hold(fd, 4).map_err(failed)?;
        self.role = Role::StandingBy(Some((driver, fd)));
        self.rest(limits::SAFETY_POLL)
    }

    /// The first look of a driver that just began; its answer is kept for the next step.
    pub(super) fn first_step(&mut self, wait: &Wait) -> Result<()> {
        // An end is on disk by then, where the next step finds it.
        self.step(wait).map(drop)
    }

    fn rest(&self, delay: Duration) -> Result<()> {
        self.timer.set(delay).map_err(|e| self.folder.error("set the timer of", "", e))
    }
}

/// The variables that a loop was asked to have, and that `mine` does not bring along.
fn lacking<'a>(mine: &'a CanDrive, state: &'a LoopState) -> impl Iterator<Item = &'a String> {
    let has = |name: &String| mine.plan.env.iter().any(|(known, _)| known == name);
    state.parameters.env_names.iter().filter(move |name| !has(name))
}

fn no_loop(folder: &Folder) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "task.no_loop",
        format!("{} was never started as a task", folder.path().display()),
    )
    .with_path(folder.path())
    .with_hint("start it with `run-agent task`")
}

/// What a loop was asked for, from what a holder brings along.
pub(crate) fn parameters(mine: &CanDrive, stored_prompt: Option<&str>) -> Parameters {
    let plan = &mine.plan;
    let text = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    let command = plan.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let prompt = plan.prompt.trim();
    Parameters {
        agent: plan.agent_name.clone(),
        shared: plan.shared,
        command,
        prompt: (stored_prompt.map(str::trim) != Some(prompt)).then(|| prompt.to_owned()),
        cwd: plan.cwd.as_ref().map(text),
        parent_run_id: plan.parent_run.as_ref().map(ToString::to_string),
        env_names: plan.env.iter().map(|(name, _)| name.clone()).collect(),
        budget: mine.bounds.budget.clone(),
        family: plan.family,
        restart_delay: mine.bounds.restart_delay,
        child_wait_timeout: mine.bounds.child_wait,
        first_byte_timeout: plan.limits.first_byte.unwrap_or_default(),
        idle_timeout: plan.limits.idle.unwrap_or_default(),
        total_timeout: plan.limits.total.unwrap_or_default(),
        grace: plan.limits.grace,
        output_limit: plan.limits.output.unwrap_or(0),
        on_output_limit: match plan.limits.stop_on_output {
            true => OnOutputLimit::Stop,
            false => OnOutputLimit::Trim,
        },
        verify: mine.bounds.verify.clone(),
        verify_timeout: mine.bounds.verify_timeout,
        on_question: mine.bounds.on_question,
        question_timeout: mine.bounds.question_timeout,
    }
}

/// The process that drives the task, if it lives.
pub(crate) fn living_driver(folder: &Folder) -> Result<Option<ProcessId>> {
    if !Lease::is_held(folder)? {
        return Ok(None);
    }
    Ok(LoopState::read(folder)?.and_then(|state| state.driver))
}
