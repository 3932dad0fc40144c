//! The hand that carries out what [`decide`] says, as a machine of steps.
//!
//! A driver exists only while it holds the task's lease. It starts no thread: whoever waits for the
//! task calls [`Driver::step`]. Dropping it gives the lease back and ends nothing.

use super::children::living_children;
use super::decide::{Bounds, End, Facts, LastAttempt, Next, WaitFor, decide};
use super::dependencies::not_ready;
use super::lease::Lease;
use super::propagate::propagate;
use super::state::{LoopState, Phase, TaskOutcome, TaskResult, Waiting};
use crate::bus::{Bus, Post};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::{DONE, Layout, RUNS};
use crate::limits;
use crate::run::{Outcome, RunRecord};
use crate::supervise::{
    DELETED, Engine, Known, RunPlan, RunWatch, Started, Stop, exec_failed, known, tell_deleted,
};
use crate::sys::{Poller, TimerFd};
use crate::wait::Step;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often dependencies are looked at.
const DEPENDENCY_POLL: Duration = Duration::from_secs(2);
/// How often the children of a finished task are looked at.
const CHILD_POLL: Duration = Duration::from_secs(1);
/// How long a step may wait for a lock of a bus or record.
const STEP_LOCK: Duration = limits::BUS_LOCK;

/// Text in front of the prompt of every attempt but the first.
const CONTINUE: &str = "Continue working on the following:\n\n";

/// Drives one task while it holds the task's lease.
#[derive(Debug)]
pub(super) struct Driver {
    engine: Engine,
    plan: RunPlan,
    bounds: Bounds,
    lease: Lease,
    folder: Folder,
    bus: Bus,
    state: LoopState,
    attempt: Option<(RunId, RunWatch)>,
    last: Option<Ended>,
    told_blocked: Option<String>,
    told_children: bool,
    children_since: Option<Instant>,
    poller: Poller,
    timer: TimerFd,
}

/// The end of the last attempt, with the moment that this driver learned of it.
#[derive(Debug)]
struct Ended {
    run: RunId,
    attempt: LastAttempt,
    seen: Instant,
}

impl Ended {
    /// The end that a record tells of; `None` where it tells of none.
    fn of(run: RunId, record: &RunRecord, folder: &Folder, ago: Duration) -> Result<Option<Ended>> {
        let Some(outcome) = record.outcome else { return Ok(None) };
        let hopeless = outcome == Outcome::Refused && exec_failed(folder)?;
        let error = record.error_summary.clone();
        let attempt = LastAttempt { outcome, error, ago, hopeless };
        Ok(Some(Ended { run, attempt, seen: Instant::now() }))
    }
}

impl Drop for Driver {
    /// Says that nobody drives any more, which also wakes whoever stands by.
    fn drop(&mut self) {
        let mine = self.state.driver.is_some_and(|me| me.pid == self.folder.os().process_id());
        // In a forked child this driver is a copy: the parent goes on.
        if mine && self.state.result().is_none() {
            self.state.driver = None;
            // The lease that is given back next says it too.
            let _only_a_hint = self.state.write_relaxed(&self.folder);
        }
    }
}

impl Driver {
    /// Takes the task up where the files show that it stands.
    pub(super) fn new(
        engine: Engine,
        plan: RunPlan,
        bounds: Bounds,
        lease: Lease,
        state: LoopState,
    ) -> Result<Driver> {
        let folder = engine.layout().task(&plan.project, &plan.task)?;
        let bus = engine.task_bus(&plan.project, &plan.task)?;
        let failed = |e| folder.error("watch", "", e);
        let poller = Poller::new().map_err(failed)?;
        let timer = TimerFd::new().map_err(failed)?;
        poller.add(&timer, 1).map_err(failed)?;
        let mut driver = Driver {
            engine,
            plan,
            bounds,
            lease,
            folder,
            bus,
            state,
            attempt: None,
            last: None,
            told_blocked: None,
            told_children: false,
            children_since: None,
            poller,
            timer,
        };
        driver.find_attempts()?;
        Ok(driver)
    }

    /// Counts the attempts of this series from their records, and finds the one that may live.
    fn find_attempts(&mut self) -> Result<()> {
        let (mut counted, newest) = (0, self.state.last_run.clone());
        for run in Layout::runs_in(&self.folder)?.ids {
            let folder = self.folder.folder(Path::new(RUNS).join(&run))?;
            // A run whose record cannot be read is told by `status`; it is no attempt of ours, unless
            // the loop's state says so. The older program drops the series from a record.
            let Ok(Known { record, .. }) = known(&folder) else { continue };
            let ours = match record.series {
                Some(series) => series == self.state.series,
                None => newest.as_ref() == Some(&run),
            };
            if !ours {
                continue;
            }
            counted += 1;
            self.state.last_run = Some(run.clone());
            if record.is_open() || record.stop_msg.is_none() {
                self.watch(Started { run, keeper: None })?;
            } else {
                let ago = self.engine.now().since(record.end_time);
                self.last = Ended::of(run, &record, &folder, ago)?;
            }
        }
        // An attempt may be gone from the disk; it was made all the same.
        self.state.attempts = self.state.attempts.max(counted);
        Ok(())
    }

    fn watch(&mut self, started: Started) -> Result<()> {
        let run = started.run.clone();
        let (project, task) = (self.plan.project.clone(), self.plan.task.clone());
        let watch = RunWatch::of_started(self.engine.clone(), project, task, started)?;
        self.poller.add(watch.fd(), 3).map_err(|e| self.folder.error("watch a run of", "", e))?;
        self.attempt = Some((run, watch));
        Ok(())
    }

    /// Readable when another step may have something to do, but for names in the task's folder (DONE,
    /// a wish to stop), which the holder watches.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Does what can be done now: the result, or not yet.
    pub(super) fn step(&mut self) -> Result<Step<TaskResult>> {
        loop {
            if let Some(ended) = self.look_at_attempt()? {
                self.last = Some(ended);
                self.attempt = None;
                self.tell_failure()?;
            }
            let facts = self.facts()?;
            match decide(&facts, &self.bounds) {
                Next::Start => self.start_attempt()?,
                Next::StopAttempt(_) => {
                    self.ask_attempt_to_stop(facts.stop.as_deref().unwrap_or_default())?;
                    return self.rest(None, limits::SAFETY_POLL);
                }
                Next::Wait(what) => return self.wait_for(what),
                Next::End(end) => return self.end(end).map(Step::Ready),
            }
        }
    }

    /// The end of the attempt that is watched; `None` while it lives, or where there is none.
    fn look_at_attempt(&self) -> Result<Option<Ended>> {
        let Some((run, watch)) = &self.attempt else { return Ok(None) };
        let wait = Wait::from(STEP_LOCK);
        match watch.step(&wait) {
            Ok(Step::Pending) => Ok(None),
            Ok(Step::Ready(record)) => {
                let folder = self.folder.folder(Path::new(RUNS).join(run))?;
                Ended::of(run.clone(), &record, &folder, Duration::ZERO)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tell_deleted(&self.engine, &self.plan.project, &self.plan.task, run, &wait)?;
                let (outcome, error) = (Outcome::Lost, Some(DELETED.to_owned()));
                let attempt = LastAttempt { outcome, error, ago: Duration::ZERO, hopeless: false };
                Ok(Some(Ended { run: run.clone(), attempt, seen: Instant::now() }))
            }
            Err(error) => Err(error),
        }
    }

    fn facts(&self) -> Result<Facts> {
        let done = self.is_done()?;
        let last = self.last.as_ref().map(|ended| LastAttempt {
            ago: ended.attempt.ago + ended.seen.elapsed(),
            ..ended.attempt.clone()
        });
        Ok(Facts {
            stop: self.lease.stop_wish(&self.folder)?,
            done,
            blocked_by: if done || self.state.attempts > 0 {
                Vec::new()
            } else {
                not_ready(self.engine.layout(), &self.plan.project, &self.folder)?
            },
            attempt: self.attempt.as_ref().map(|(run, _)| run.clone()),
            attempts: self.state.attempts,
            last,
            children: if done && self.attempt.is_none() {
                living_children(&self.engine, &self.plan.project, &self.plan.task)?
            } else {
                Vec::new()
            },
            waited_for_children: self.children_since.map_or(Duration::ZERO, |at| at.elapsed()),
        })
    }

    /// Whether `DONE` stands; something else of that name is an error that names it.
    fn is_done(&self) -> Result<bool> {
        self.folder.has_file(DONE).map_err(|error| {
            error
                .with_field("DONE")
                .with_hint("DONE must be an empty file; remove what stands there")
        })
    }

    fn start_attempt(&mut self) -> Result<()> {
        let layout = self.engine.layout();
        if !layout.is_task(&self.folder, &self.plan.project, &self.plan.task)? {
            return Err(deleted(&self.folder));
        }
        if self.told_blocked.take().is_some() {
            self.post("FACT", "dependencies satisfied; starting task")?;
        }
        self.post("INFO", &format!("starting root agent (restart #{})", self.state.attempts))?;
        let mut plan = self.plan.clone();
        plan.series = Some(self.state.series);
        plan.previous_run = self.last.as_ref().map(|ended| ended.run.clone());
        let raw = plan.agent.prompt == crate::agent::PromptForm::Raw;
        if self.state.goes_on() && !raw {
            plan.prompt.insert_str(0, CONTINUE);
        }
        self.set_phase(Phase::Running, None)?;
        match self.engine.start_run(&plan, &Wait::from(STEP_LOCK)) {
            Ok(started) => {
                self.state.attempts += 1;
                self.state.last_run = Some(started.run.clone());
                // For those who look; the truth about attempts is in their records.
                self.state.write_relaxed(&self.folder)?;
                self.watch(started)
            }
            Err(error) if error.kind() == ErrorKind::SpawnFailed => {
                // Its record says `refused`, from which the next decision is made.
                self.last = None;
                self.find_attempts()?;
                if let Some(ended) = &mut self.last {
                    ended.attempt.hopeless = true;
                }
                self.tell_refused(&error)
            }
            Err(error) => Err(error),
        }
    }

    fn tell_refused(&self, error: &Error) -> Result<()> {
        let restart = self.state.attempts.saturating_sub(1);
        self.post("WARNING", &format!("root agent failed on restart #{restart}: {error}"))
    }

    fn tell_failure(&self) -> Result<()> {
        let error = self.last.as_ref().and_then(|ended| ended.attempt.error.as_ref());
        let Some(error) = error else { return Ok(()) };
        let restart = self.state.attempts.saturating_sub(1);
        self.post("WARNING", &format!("root agent failed on restart #{restart}: {error}"))
    }

    fn ask_attempt_to_stop(&self, reason: &str) -> Result<()> {
        let Some((run, _)) = &self.attempt else { return Ok(()) };
        let stop = Stop::because(reason);
        match self.engine.ask_run_to_stop(&self.plan.project, &self.plan.task, run, &stop) {
            // Its agent deleted its folder; the end of its process is awaited.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            asked => asked.map(drop),
        }
    }

    fn wait_for(&mut self, what: WaitFor) -> Result<Step<TaskResult>> {
        match what {
            WaitFor::Attempt(_) => self.rest(None, limits::SAFETY_POLL),
            WaitFor::Delay(left) => {
                let until = self.engine.now().plus(left);
                self.rest(Some(Waiting::new("delay", self.engine.now(), Some(until))), left)
            }
            WaitFor::Dependencies(tasks) => {
                let names: Vec<_> = tasks.iter().map(ToString::to_string).collect();
                let names = names.join(", ");
                if self.told_blocked.as_deref() != Some(names.as_str()) {
                    self.post("PROGRESS", &format!("task blocked by dependencies: {names}"))?;
                    self.told_blocked = Some(names.clone());
                }
                let what = format!("dependencies: {names}");
                self.rest(Some(Waiting::new(&what, self.engine.now(), None)), DEPENDENCY_POLL)
            }
            WaitFor::Children(runs, left) => {
                self.children_since.get_or_insert_with(Instant::now);
                let names: Vec<_> = runs.iter().map(ToString::to_string).collect();
                if !self.told_children {
                    let text = format!(
                        "waiting for {} children to complete: [{}]",
                        runs.len(),
                        names.join(" ")
                    );
                    self.post("INFO", &text)?;
                    self.told_children = true;
                }
                let until = self.engine.now().plus(left);
                let what = format!("children: {}", names.join(", "));
                let waiting = Waiting::new(&what, self.engine.now(), Some(until));
                self.rest(Some(waiting), CHILD_POLL.min(left))
            }
        }
    }

    /// Nothing to do before something happens or `delay` passed.
    fn rest(&mut self, waiting: Option<Waiting>, delay: Duration) -> Result<Step<TaskResult>> {
        let phase = if waiting.is_some() { Phase::Waiting } else { Phase::Running };
        self.set_phase(phase, waiting)?;
        self.timer.set(delay).map_err(|e| self.folder.error("set the timer of", "", e))?;
        Ok(Step::Pending)
    }

    /// Writes down what the loop does, when it is something else than before.
    fn set_phase(&mut self, phase: Phase, waiting: Option<Waiting>) -> Result<()> {
        let same = self.state.phase == phase
            && match (&self.state.waiting, &waiting) {
                (None, None) => true,
                (Some(old), Some(new)) => old.what == new.what,
                _ => false,
            };
        if same {
            return Ok(());
        }
        self.state.phase = phase;
        self.state.waiting = waiting;
        // What the loop waits for is news for people; a power cut may take it back.
        self.state.write_relaxed(&self.folder)
    }

    fn end(&mut self, end: End) -> Result<TaskResult> {
        match &end {
            End::Done => self.tell_done()?,
            End::GaveUp(reason) => self.post("ERROR", &format!("task failed: {reason}"))?,
            End::Stopped(reason) => self.post("INFO", &format!("task stopped: {reason}"))?,
        }
        let (outcome, reason) = match end {
            End::Done => (TaskOutcome::Done, None),
            End::GaveUp(reason) => (TaskOutcome::GaveUp, Some(reason)),
            End::Stopped(reason) => (TaskOutcome::Stopped, Some(reason)),
        };
        self.state.end(outcome, reason, self.engine.now());
        self.state.write(&self.folder)?;
        if outcome == TaskOutcome::Done {
            self.propagate()?;
        }
        self.lease.forget_stop_wish(&self.folder)?;
        self.state.result().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "task.no_result", "an ended loop has no result")
        })
    }

    fn tell_done(&self) -> Result<()> {
        let left = living_children(&self.engine, &self.plan.project, &self.plan.task)?;
        if !left.is_empty() {
            let names: Vec<_> = left.iter().map(ToString::to_string).collect();
            let waited = crate::time::format_duration(self.bounds.child_wait);
            let text =
                format!("timeout waiting for children after {waited}: [{}]", names.join(" "));
            return self.post("WARNING", &text);
        }
        self.post(
            "INFO",
            if self.told_children {
                "task completed (all children finished)"
            } else {
                "task completed (DONE marker present, no active children)"
            },
        )
    }

    /// Tells the project's bus; a failure is told to the task's bus and does not undo the end.
    fn propagate(&self) -> Result<()> {
        let told = propagate(&self.engine, &self.plan.project, &self.plan.task);
        match told {
            Ok(Some(text)) => self.post("INFO", &text),
            Ok(None) => Ok(()),
            Err(error) => {
                self.post("ERROR", &format!("task completion fact propagation failed: {error}"))
            }
        }
    }

    fn post(&self, kind: &str, body: &str) -> Result<()> {
        self.bus.post(Post::new(kind, body), Wait::from(STEP_LOCK)).map(drop)
    }
}

fn deleted(folder: &Folder) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "task.deleted",
        format!("{} was deleted while its loop went on", folder.path().display()),
    )
    .with_path(folder.path())
    .with_field("task")
    .with_hint("start the task anew")
}
