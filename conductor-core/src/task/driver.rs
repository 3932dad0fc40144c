//! The hand that carries out what [`decide`] says, as a machine of steps.
//!
//! A driver exists only while it holds the task's lease. It starts no thread: whoever waits for the
//! task calls [`Driver::step`]. Dropping it gives the lease back and ends nothing.

mod admit;
mod attempts;
mod ending;
mod gauge;
mod notify;
mod waits;

use super::children::Children;
use super::decide::{Bounds, Facts, Judgement, Next, WaitFor, decide};
use super::dependencies::not_ready;
use super::judge::Judge;
use super::lease::Lease;
use super::policy::{LastAttempt, Tally};
use super::state::{LoopState, TaskResult};
use crate::bus::{Bus, Cursor, Follower, Post};
use crate::cancel::{Cancel, Wait};
use crate::error::{ErrorKind, Result};
use crate::fsx::{FileLock, Folder};
use crate::id::RunId;
use crate::layout::DONE;
use crate::limits;
use crate::run::{Outcome, RunRecord};
use crate::supervise::{Engine, RunPlan, RunWatch, cannot_be_executed};
use crate::sys::{Polled, Poller, TimerFd};
use crate::usage::ErrorClass;
use crate::wait::Step;
use admit::{Asking, Met};
use gauge::Gauge;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How soon to look again at what nothing tells of.
const SOON: Duration = Duration::from_millis(20);
/// How soon to look again whether there is space on the disk.
const NO_SPACE: Duration = Duration::from_secs(5);
/// How long a step waits for a lock of a bus or record before it comes back later.
const STEP_LOCK: Duration = Duration::from_millis(200);

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
    attempt: Option<(RunId, Polled<RunWatch>)>,
    /// Whether an attempt may live that is not watched: a start was tried, and what came of it is not
    /// known yet.
    uncertain: bool,
    last: Option<Ended>,
    /// Agents that cannot be started, as far as this driver tried: others that share the work do it.
    missing: BTreeSet<String>,
    judge: Option<Judge>,
    /// What the attempts of the series used up.
    tally: Tally,
    /// What the attempt that lives used so far, where that can end it.
    gauge: Gauge,
    /// What keeps the next attempt from starting, while it asks to.
    asking: Option<Asking>,
    /// What lets the task count among those that run; held until the loop ends. Where a keeper of an
    /// earlier driver's attempt has it, it is ours when that ends.
    task_slot: Option<FileLock>,
    /// What kept the last try to start an attempt from it.
    trouble: Option<Met>,
    /// Whether the end of the last attempt has still to be told.
    untold: bool,
    /// Ends waits for locks early; of whoever is inside a step.
    cancel: Option<Cancel>,
    /// Since when locks that a step needs are held by others.
    busy_since: Option<Instant>,
    /// Tells of answers while they are waited for.
    answers: Option<Polled<Follower>>,
    told_blocked: Option<String>,
    told_children: bool,
    children: Children,
    children_since: Option<Instant>,
    poller: Poller,
    timer: TimerFd,
}

/// The end of the last attempt, with the moment that this driver learned of it.
#[derive(Debug)]
struct Ended {
    run: RunId,
    /// Who made it, where that is known.
    agent: Option<String>,
    attempt: LastAttempt,
    /// The place of the message about it.
    cursor: Option<Cursor>,
    seen: Instant,
}

impl Ended {
    /// The end that a record tells of; `None` where it tells of none.
    fn of(run: RunId, record: &RunRecord, folder: &Folder, ago: Duration) -> Result<Option<Ended>> {
        let Some(outcome) = record.outcome else { return Ok(None) };
        let hopeless = outcome == Outcome::Refused && cannot_be_executed(folder)?;
        // What was wrong may be what went on: a fresh session can do better.
        let resumed = record.resumed_session.is_some();
        let class = record.error_class.filter(|class| *class != ErrorClass::BadRequest || !resumed);
        let error = record.error_summary.clone();
        let spread = run.as_str().bytes().fold(0u8, |sum, byte| sum.wrapping_mul(31) ^ byte);
        let attempt = LastAttempt { outcome, class, error, ago, hopeless, spread };
        let cursor = record.stop_msg.as_deref().and_then(|cursor| cursor.parse().ok());
        let agent = Some(record.agent_name().to_owned());
        Ok(Some(Ended { run, agent, attempt, cursor, seen: Instant::now() }))
    }
}

impl Drop for Driver {
    /// Says that nobody drives any more, which also wakes whoever stands by.
    fn drop(&mut self) {
        // A living attempt keeps its task's slot: an unlock would take it from the keeper.
        drop(self.task_slot.take().map(FileLock::passed_on));
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
        let judge = Judge::of(&state.parameters);
        let children = Children::of_loop_since(state.started_at);
        let mut driver = Driver {
            engine,
            plan,
            bounds,
            lease,
            folder,
            bus,
            state,
            attempt: None,
            uncertain: true,
            last: None,
            missing: BTreeSet::new(),
            judge,
            tally: Tally::default(),
            gauge: Gauge::default(),
            asking: None,
            task_slot: None,
            trouble: None,
            untold: false,
            cancel: None,
            busy_since: None,
            answers: None,
            told_blocked: None,
            told_children: false,
            children,
            children_since: None,
            poller,
            timer,
        };
        driver.find_attempts()?;
        Ok(driver)
    }

    /// Does what can be done now: the result, or not yet. Setting the switch of `wait` ends it early.
    pub(super) fn step(&mut self, wait: &Wait) -> Result<Step<TaskResult>> {
        self.cancel = wait.cancel().cloned();
        match self.turn() {
            // Each turn begins with the facts: what was done is not done again.
            Err(error) if error.code() == "lock.timeout" => {
                let since = *self.busy_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= limits::BUS_LOCK {
                    return Err(error);
                }
                self.come_back_in(SOON)
            }
            // A loop outlives a disk that is full for a while, although it can tell nobody then.
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                tracing::warn!(%error, "a task waits for space on its disk");
                self.come_back_in(NO_SPACE)
            }
            turned => {
                self.busy_since = None;
                turned
            }
        }
    }

    fn turn(&mut self) -> Result<Step<TaskResult>> {
        loop {
            if self.uncertain {
                // Another attempt beside one that lives would be worse than an error.
                self.find_attempts()?;
            }
            if let Some(ended) = self.look_at_attempt()? {
                let LastAttempt { outcome, class, hopeless, .. } = ended.attempt;
                self.tally.count(outcome, class, hopeless);
                self.note_whether_missing(&ended);
                self.last = Some(ended);
                self.attempt = None;
                self.untold = true;
            }
            if self.untold {
                if self.charge()? {
                    // Whoever takes over counts it, also where an agent removes the receipts.
                    self.state.write(&self.folder)?;
                }
                self.tell_failure()?;
                self.untold = false;
            }
            self.measure();
            let facts = self.facts()?;
            match decide(&facts, &self.bounds) {
                Next::Start => {
                    if let Some(gate) = self.start_if_admitted()? {
                        return self.wait_at(&gate);
                    }
                }
                Next::StopAttempt(why) => {
                    self.ask_attempt_to_stop(&why)?;
                    return self.rest(None, limits::SAFETY_POLL);
                }
                Next::EndTold(why) => {
                    self.end_told_attempt(&why);
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
                Next::Wait(what) => {
                    // Who waits for something else keeps no place in a line.
                    self.asking = None;
                    return self.wait_for(what);
                }
                Next::End(end) => return self.end(end).map(Step::Ready),
            }
        }
    }

    fn come_back_in(&mut self, delay: Duration) -> Result<Step<TaskResult>> {
        self.timer.set(delay).map_err(|e| self.folder.error("set the timer of", "", e))?;
        Ok(Step::Pending)
    }

    /// How long to wait for a lock.
    fn patience(&self, limit: Duration) -> Wait {
        let wait = self.cancel.as_ref().map_or(Wait::FOREVER, Wait::from);
        wait.at_most(limit)
    }

    fn facts(&mut self) -> Result<Facts> {
        let done = self.is_done()?;
        let open = if done || self.attempt.is_some() { Vec::new() } else { self.open_questions()? };
        let now = self.engine.now();
        let asked_for = open.first().map_or(Duration::ZERO, |asked| now.since(asked.asked_at));
        let last = self.last.as_ref().map(|ended| {
            let ago = ended.attempt.ago + ended.seen.elapsed();
            self.for_all_agents(LastAttempt { ago, ..ended.attempt.clone() })
        });
        Ok(Facts {
            stop: self.lease.stop_wish(&self.folder)?,
            done,
            blocked_by: if done || self.state.attempts > 0 {
                Vec::new()
            } else {
                not_ready(self.engine.layout(), &self.plan.project, &self.folder)?
            },
            attempt: self.attempt.is_some(),
            running: self.gauge.used(),
            told: self.told_and_silent(),
            tally: self.tally.clone(),
            last,
            children: if done && self.attempt.is_none() {
                self.children.living(&self.engine, &self.plan.project, &self.plan.task)?
            } else {
                Vec::new()
            },
            waited_for_children: self.children_since.map_or(Duration::ZERO, |at| at.elapsed()),
            questions: open.into_iter().map(|question| question.id).collect(),
            asked_for,
            trouble: self.trouble.as_ref().map(Met::trouble),
            judgement: if done && self.attempt.is_none() { self.judgement()? } else { None },
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

    /// Posts what may have been posted by a driver that died right after: everything that tells of the
    /// same event has the same key. Looks at what came since the last attempt ended.
    fn post_once(&self, event: &str, kind: &str, body: &str) -> Result<()> {
        let since = self
            .last
            .as_ref()
            .map_or(self.state.start_cursor.as_ref(), |ended| ended.cursor.as_ref());
        let key = format!("loop:{}:{event}", self.state.series);
        let post = Post::new(kind, body);
        self.bus.append_once(&key, since, post, self.patience(STEP_LOCK)).map(drop)
    }

    fn post(&self, kind: &str, body: &str) -> Result<()> {
        self.bus.post(Post::new(kind, body), self.patience(STEP_LOCK)).map(drop)
    }
}

impl AsFd for Driver {
    /// Readable when another step may have something to do, but for names in the task's folder (DONE,
    /// a wish to stop), which the holder watches.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
