//! The hand that carries out what [`decide`] says, as a machine of steps.
//!
//! A driver exists only while it holds the task's lease. It starts no thread: whoever waits for the
//! task calls [`Driver::step`]. Dropping it gives the lease back and ends nothing.

mod attempts;
mod ending;
mod waits;

use super::children::living_children;
use super::decide::{Bounds, Facts, Judgement, LastAttempt, Next, WaitFor, decide};
use super::dependencies::not_ready;
use super::judge::Judge;
use super::lease::Lease;
use super::state::{LoopState, TaskResult};
use crate::bus::{Bus, Cursor, Follower, Post};
use crate::cancel::Wait;
use crate::error::Result;
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::DONE;
use crate::limits;
use crate::run::{Outcome, RunRecord};
use crate::supervise::{Engine, RunPlan, RunWatch, exec_failed};
use crate::sys::{Polled, Poller, TimerFd};
use crate::wait::Step;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How soon to look again at what nothing tells of.
const SOON: Duration = Duration::from_millis(20);
/// How long a step may wait for a lock of a bus or record.
const STEP_LOCK: Duration = limits::BUS_LOCK;

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
    last: Option<Ended>,
    judge: Option<Judge>,
    /// Attempts that failed one after the other, up to the last.
    failures: u32,
    /// Tells of answers while they are waited for.
    answers: Option<Polled<Follower>>,
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
    /// The place of the message about it.
    cursor: Option<Cursor>,
    seen: Instant,
}

impl Ended {
    /// The end that a record tells of; `None` where it tells of none.
    fn of(run: RunId, record: &RunRecord, folder: &Folder, ago: Duration) -> Result<Option<Ended>> {
        let Some(outcome) = record.outcome else { return Ok(None) };
        let hopeless = outcome == Outcome::Refused && exec_failed(folder)?;
        let error = record.error_summary.clone();
        let attempt = LastAttempt { outcome, error, ago, hopeless };
        let cursor = record.stop_msg.as_deref().and_then(|cursor| cursor.parse().ok());
        Ok(Some(Ended { run, attempt, cursor, seen: Instant::now() }))
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
            failures: 0,
            answers: None,
            told_blocked: None,
            told_children: false,
            children_since: None,
            poller,
            timer,
        };
        driver.find_attempts()?;
        Ok(driver)
    }

    /// Does what can be done now: the result, or not yet.
    pub(super) fn step(&mut self) -> Result<Step<TaskResult>> {
        loop {
            if let Some(ended) = self.look_at_attempt()? {
                self.count(ended.attempt.outcome);
                self.last = Some(ended);
                self.attempt = None;
                self.tell_failure()?;
            }
            let facts = self.facts()?;
            match decide(&facts, &self.bounds) {
                Next::Start => self.start_attempt()?,
                Next::StopAttempt => {
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
        let open = if done || self.attempt.is_some() { Vec::new() } else { self.open_questions()? };
        let now = self.engine.now();
        let asked_for = open.first().map_or(Duration::ZERO, |asked| now.since(asked.asked_at));
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
            attempt: self.attempt.is_some(),
            attempts: self.state.attempts,
            last,
            children: if done && self.attempt.is_none() {
                living_children(&self.engine, &self.plan.project, &self.plan.task)?
            } else {
                Vec::new()
            },
            waited_for_children: self.children_since.map_or(Duration::ZERO, |at| at.elapsed()),
            questions: open.into_iter().map(|question| question.id).collect(),
            asked_for,
            failures: self.failures,
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
        self.bus.append_once(&key, since, post, Wait::from(STEP_LOCK)).map(drop)
    }

    fn post(&self, kind: &str, body: &str) -> Result<()> {
        self.bus.post(Post::new(kind, body), Wait::from(STEP_LOCK)).map(drop)
    }
}

impl AsFd for Driver {
    /// Readable when another step may have something to do, but for names in the task's folder (DONE,
    /// a wish to stop), which the holder watches.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
