//! The hand that carries out what [`decide`] says, as a machine of steps.
//!
//! A driver exists only while it holds the task's lease. It starts no thread: whoever waits for the
//! task calls [`Driver::step`]. Dropping it gives the lease back and ends nothing.

use super::children::living_children;
use super::decide::{Bounds, End, Facts, Judgement, LastAttempt, Next, WaitFor, decide};
use super::dependencies::not_ready;
use super::judge::{Bench, Judge};
use super::lease::Lease;
use super::propagate::propagate;
use super::state::{LoopState, Phase, TaskOutcome, TaskResult, Waiting};
use crate::bus::{Bus, Cursor, Post};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::{DONE, Layout, RUNS};
use crate::limits;
use crate::run::{Outcome, RunRecord, store};
use crate::supervise::{Engine, RunPlan, RunWatch, Stop};
use crate::sys::{LOOK_OFTEN, Poller, TimerFd, Watch};
use crate::wait::Step;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How soon to look again at what nothing tells of.
const SOON: Duration = Duration::from_millis(20);
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
    judge: Option<Judge>,
    told_blocked: Option<String>,
    told_children: bool,
    children_since: Option<Instant>,
    poller: Poller,
    timer: TimerFd,
    names: Watch,
}

/// The end of the last attempt, with the moment that this driver learned of it.
#[derive(Debug)]
struct Ended {
    run: RunId,
    attempt: LastAttempt,
    /// The place of the message about it.
    cursor: Option<Cursor>,
    seen: Instant,
}

impl Ended {
    fn new(run: RunId, outcome: Outcome, record: &RunRecord, ago: Duration) -> Ended {
        let attempt = LastAttempt { outcome, error: record.error_summary.clone(), ago };
        let cursor = record.stop_msg.as_deref().and_then(|cursor| cursor.parse().ok());
        Ended { run, attempt, cursor, seen: Instant::now() }
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
        let names = Watch::or_silent().map_err(failed)?;
        // DONE and STOP-REQUESTED appear as names; what is written to the bus is no news here.
        names.add_names(folder.path()).map_err(failed)?;
        poller.add(&timer, 1).map_err(failed)?;
        poller.add(&names, 2).map_err(failed)?;
        let judge = Judge::of(&state.parameters);
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
            judge,
            told_blocked: None,
            told_children: false,
            children_since: None,
            poller,
            timer,
            names,
        };
        driver.find_attempts()?;
        Ok(driver)
    }

    /// Counts the attempts of this series from their records, and finds the one that may live.
    fn find_attempts(&mut self) -> Result<()> {
        self.state.attempts = 0;
        for run in Layout::runs_in(&self.folder)?.ids {
            let folder = self.folder.folder(Path::new(RUNS).join(&run))?;
            // A run whose record cannot be read is told by `status`; it is no attempt of ours.
            let Ok(record) = store::read(&folder) else { continue };
            if record.series != Some(self.state.series) {
                continue;
            }
            self.state.attempts += 1;
            self.state.last_run = Some(run.clone());
            if record.is_open() || record.stop_msg.is_none() {
                self.watch(run)?;
            } else if let Some(outcome) = record.outcome {
                let ago = self.engine.now().since(record.end_time);
                self.last = Some(Ended::new(run, outcome, &record, ago));
            }
        }
        Ok(())
    }

    fn watch(&mut self, run: RunId) -> Result<()> {
        let watch = RunWatch::new(
            self.engine.clone(),
            self.plan.project.clone(),
            self.plan.task.clone(),
            run.clone(),
        )?;
        self.poller.add(watch.fd(), 3).map_err(|e| self.folder.error("watch a run of", "", e))?;
        self.attempt = Some((run, watch));
        Ok(())
    }

    /// Readable when another step may have something to do.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Does what can be done now: the result, or not yet.
    pub(super) fn step(&mut self) -> Result<Step<TaskResult>> {
        self.names.drain();
        loop {
            if let Some((run, watch)) = &self.attempt
                && let Step::Ready(record) = watch.step(&Wait::from(STEP_LOCK))?
            {
                let run = run.clone();
                self.attempt = None;
                let Some(outcome) = record.outcome else { continue };
                let ended = Ended::new(run, outcome, &record, Duration::ZERO);
                self.tell_failure(&ended.attempt)?;
                self.last = Some(ended);
            }
            let facts = self.facts()?;
            match decide(&facts, &self.bounds) {
                Next::Start => self.start_attempt()?,
                Next::StopAttempt(_) => {
                    self.ask_attempt_to_stop(facts.stop.as_deref().unwrap_or_default())?;
                    return self.rest(None, limits::SAFETY_POLL);
                }
                Next::Check => {
                    self.begin_check()?;
                    if self.judgement()? == Some(Judgement::Wanted) {
                        return self.rest(None, SOON);
                    }
                }
                Next::StopCheck => {
                    self.stop_check()?;
                    return self.wait_for(WaitFor::Check);
                }
                Next::Reject(why) => self.reject(&why)?,
                Next::Wait(what) => return self.wait_for(what),
                Next::End(end) => return self.end(end).map(Step::Ready),
            }
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
            judgement: if done && self.attempt.is_none() { self.judgement()? } else { None },
        })
    }

    /// What the judge says of the `DONE` that stands.
    fn judgement(&self) -> Result<Option<Judgement>> {
        let Some(judge) = &self.judge else { return Ok(None) };
        judge.says(&self.bench()?, self.state.checks).map(Some)
    }

    fn bench(&self) -> Result<Bench> {
        Bench::of(&self.folder, self.state.last_run.as_ref())
    }

    fn begin_check(&self) -> Result<()> {
        let Some(judge) = &self.judge else { return Ok(()) };
        judge.begin(&self.engine, &self.plan, &self.bench()?, self.state.checks)
    }

    fn stop_check(&self) -> Result<()> {
        let Some(judge) = &self.judge else { return Ok(()) };
        judge.stop(&self.bench()?, self.state.checks)
    }

    /// Sets a `DONE` aside that failed its check, and keeps what the next attempt must know. Done again
    /// from the start by whoever takes over from a driver that died on the way.
    fn reject(&mut self, why: &str) -> Result<()> {
        let Some(judge) = &self.judge else { return Ok(()) };
        let bench = self.bench()?;
        let (number, lines) = judge.findings(&bench, self.state.checks)?;
        let mut text = format!("DONE was set aside: {why}");
        if !lines.is_empty() {
            text.push_str(". The end of what it printed:\n\n");
            text.push_str(&lines);
        }
        self.post_once(&format!("rejected:{number}"), "WARNING", &text)?;
        bench.set_done_aside(number)?;
        self.state.checks = number;
        self.state.rejection =
            Some(format!("{text}\n\nMake the check pass before you create DONE again.\n\n"));
        self.state.write(&self.folder)
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
        if self.told_blocked.take().is_some() {
            self.post("FACT", "dependencies satisfied; starting task")?;
        }
        let restart = self.state.attempts;
        let text = format!("starting root agent (restart #{restart})");
        self.post_once(&format!("start:{restart}"), "INFO", &text)?;
        let mut plan = self.plan.clone();
        plan.series = Some(self.state.series);
        plan.previous_run = self.last.as_ref().map(|ended| ended.run.clone());
        let raw = plan.agent.prompt == crate::agent::PromptForm::Raw;
        if self.state.goes_on() && !raw {
            let rejection = self.state.rejection.take().unwrap_or_default();
            plan.prompt.insert_str(0, &format!("{rejection}{CONTINUE}"));
        }
        self.set_phase(Phase::Running, None)?;
        self.state.attempts += 1;
        match self.engine.start_run(&plan, &Wait::from(STEP_LOCK)) {
            Ok(run) => {
                self.state.last_run = Some(run.clone());
                // For those who look; the truth about attempts is in their records.
                self.state.write_relaxed(&self.folder)?;
                self.watch(run)
            }
            Err(error) if error.kind() == ErrorKind::SpawnFailed => {
                self.tell_refused(&error)?;
                // Its record says `refused`, from which the next decision is made.
                self.last = None;
                self.find_attempts()
            }
            Err(error) => Err(error),
        }
    }

    fn tell_refused(&self, error: &Error) -> Result<()> {
        let restart = self.state.attempts.saturating_sub(1);
        self.post("WARNING", &format!("root agent failed on restart #{restart}: {error}"))
    }

    fn tell_failure(&self, attempt: &LastAttempt) -> Result<()> {
        let Some(error) = &attempt.error else { return Ok(()) };
        let restart = self.state.attempts.saturating_sub(1);
        let text = format!("root agent failed on restart #{restart}: {error}");
        self.post_once(&format!("failed:{restart}"), "WARNING", &text)
    }

    fn ask_attempt_to_stop(&self, reason: &str) -> Result<()> {
        let Some((run, _)) = &self.attempt else { return Ok(()) };
        let stop = Stop::because(reason);
        self.engine.ask_run_to_stop(&self.plan.project, &self.plan.task, run, &stop).map(drop)
    }

    fn wait_for(&mut self, what: WaitFor) -> Result<Step<TaskResult>> {
        match what {
            WaitFor::Attempt(_) => self.rest(None, limits::SAFETY_POLL),
            WaitFor::Check => {
                let bench = self.bench()?;
                let tells = match &mut self.judge {
                    Some(judge) => judge.watch(&bench, self.state.checks, &self.poller)?,
                    None => false,
                };
                let waiting = Waiting::new("the completion check", self.engine.now(), None);
                self.rest(Some(waiting), if tells { limits::SAFETY_POLL } else { SOON })
            }
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
        let delay = if self.names.is_silent() { delay.min(LOOK_OFTEN) } else { delay };
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
            End::GaveUp(reason) => {
                self.post_once("end", "ERROR", &format!("task failed: {reason}"))?;
            }
            End::Stopped(reason) => {
                self.post_once("end", "INFO", &format!("task stopped: {reason}"))?;
            }
        }
        let (outcome, reason) = match end {
            End::Done => (TaskOutcome::Done, None),
            End::GaveUp(reason) => (TaskOutcome::GaveUp, Some(reason)),
            End::Stopped(reason) => (TaskOutcome::Stopped, Some(reason)),
        };
        // The loop is over only when everything that its end brings is done: whoever takes over from a
        // driver that died on the way does it again, and each step of it once in all.
        if outcome == TaskOutcome::Done {
            self.propagate()?;
            if let Some(judge) = &self.judge {
                // Another DONE, of a later loop, is judged anew.
                self.state.checks = judge.findings(&self.bench()?, self.state.checks)?.0;
            }
        }
        self.state.end(outcome, reason, self.engine.now());
        self.state.write(&self.folder)?;
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
            return self.post_once("end", "WARNING", &text);
        }
        self.post_once(
            "end",
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
            Ok(Some(text)) => self.post_once("told", "INFO", &text),
            Ok(None) => Ok(()),
            Err(error) => {
                self.post("ERROR", &format!("task completion fact propagation failed: {error}"))
            }
        }
    }

    /// Posts what may have been posted by a driver that died right after: everything that tells of the
    /// same event has the same key. Looks at what came since the last attempt ended.
    fn post_once(&self, event: &str, kind: &str, body: &str) -> Result<()> {
        let since = self
            .last
            .as_ref()
            .map_or(self.state.start_cursor.as_ref(), |ended| ended.cursor.as_ref());
        let key = format!("loop:{}:{event}", self.state.series);
        let post = Post::new(kind, body);
        self.bus.append_once(&key, since, post, Wait::from(STEP_LOCK)).map(drop)
    }

    fn post(&self, kind: &str, body: &str) -> Result<()> {
        self.bus.post(Post::new(kind, body), Wait::from(STEP_LOCK)).map(drop)
    }
}
