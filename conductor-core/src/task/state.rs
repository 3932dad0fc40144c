//! `.loop.yaml`: what a task's loop was asked for, and where it stands.
//!
//! It is written by whoever holds the lease. After a crash it says `running` or `waiting` while nobody
//! holds the lease: the loop is unfinished, and whoever takes it up goes on in the same series.

use super::lease::WishId;
use super::means::Means;
use super::parameters::Parameters;
use crate::bus::Cursor;
use crate::id::RunId;
use crate::sys::{ProcessId, Processes};
use crate::time::Timestamp;
use std::time::Duration;

/// What a loop is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Waiting,
    Ended,
}

pub(super) const PHASES: [(Phase, &str); 3] =
    [(Phase::Running, "running"), (Phase::Waiting, "waiting"), (Phase::Ended, "ended")];

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskOutcome {
    /// `DONE` stands.
    Done,
    /// A limit was reached, or no further attempt could succeed.
    GaveUp,
    /// Somebody stopped it.
    Stopped,
}

pub(super) const OUTCOMES: [(TaskOutcome, &str); 3] = [
    (TaskOutcome::Done, "done"),
    (TaskOutcome::GaveUp, "gave_up"),
    (TaskOutcome::Stopped, "stopped"),
];

impl TaskOutcome {
    /// Its word on disk and in every surface.
    pub fn as_str(self) -> &'static str {
        OUTCOMES.iter().find(|(outcome, _)| *outcome == self).map_or("", |(_, word)| word)
    }
}

/// The end of a task's loop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskResult {
    /// How it ended.
    pub outcome: TaskOutcome,
    /// Why, unless it is done.
    pub reason: Option<String>,
    /// Attempts of this series.
    pub attempts: u32,
    /// The last attempt.
    pub run_id: Option<RunId>,
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// What for, in a few words.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest, where that is known.
    pub until: Option<Timestamp>,
    /// Its place among all who wait for a slot of that kind, from 1, where it waits for one.
    pub position: Option<usize>,
}

impl Waiting {
    pub(crate) fn new(what: &str, since: Timestamp, until: Option<Timestamp>) -> Waiting {
        Waiting { what: what.to_owned(), since, until, position: None }
    }
}

/// What the attempts of a loop used up, as it was last written down.
///
/// The truth is in their receipts; what was counted once stays counted where an agent removed these.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spent {
    pub(super) wall: Duration,
    pub(super) tokens: u64,
    pub(super) cost_usd: f64,
}

/// What the loop of a task may use up, and what its attempts did by the time it was last written down.
/// What is `None` is not limited.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TaskBudget {
    /// The most attempts.
    pub max_attempts: u32,
    /// The longest time that all attempts may run together.
    pub max_wall: Option<Duration>,
    /// The most tokens.
    pub max_tokens: Option<u64>,
    /// The highest cost, in US dollars.
    pub max_cost_usd: Option<f64>,
    /// The time that its attempts ran.
    pub spent_wall: Duration,
    /// The tokens that they used.
    pub spent_tokens: u64,
    /// What they cost, in US dollars, as far as that is known.
    pub spent_cost_usd: f64,
    /// The command that checks whether the work is done, for people.
    pub verify: Option<String>,
    /// How often it was run.
    pub checks: u32,
    /// Why it failed last, until the next attempt was told.
    pub rejection: Option<String>,
}

/// The state of a task's loop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoopState {
    /// Counts the loops of this task: the attempts of each are counted from zero.
    pub(super) series: u64,
    pub(super) phase: Phase,
    pub(super) waiting: Option<Waiting>,
    pub(super) started_at: Timestamp,
    /// The wish to stop that stood when the loop began, which was meant for a loop before it.
    pub(super) earlier_wish: Option<WishId>,
    /// The last message on the task's bus before the loop.
    pub(super) start_cursor: Option<Cursor>,
    pub(super) driver: Option<ProcessId>,
    pub(super) boot_id: String,
    /// Whether even the first attempt goes on with earlier work.
    pub(super) resumed: bool,
    /// The number of the last check of which the consequence was drawn; goes on from loop to loop.
    pub(super) checks: u32,
    /// Why it failed, until the next attempt has been told.
    pub(super) rejection: Option<String>,
    pub(super) attempts: u32,
    pub(super) spent: Spent,
    pub(super) last_run: Option<RunId>,
    pub(super) outcome: Option<TaskOutcome>,
    pub(super) reason: Option<String>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) parameters: Parameters,
    /// What its driver brings along beside these; empty where an earlier version wrote the state.
    pub(super) means: Means,
}

impl LoopState {
    /// A loop that begins now and is driven by this process.
    pub(super) fn begin(
        series: u64,
        earlier_wish: Option<WishId>,
        parameters: Parameters,
        means: Means,
        now: Timestamp,
    ) -> LoopState {
        LoopState {
            series,
            phase: Phase::Running,
            waiting: None,
            started_at: now,
            earlier_wish,
            start_cursor: None,
            driver: Processes.own().ok(),
            boot_id: Processes.boot_id().unwrap_or_default().to_owned(),
            resumed: false,
            checks: 0,
            rejection: None,
            attempts: 0,
            spent: Spent::default(),
            last_run: None,
            outcome: None,
            reason: None,
            ended_at: None,
            parameters,
            means,
        }
    }

    /// Whether the next attempt goes on with earlier work.
    pub(super) fn goes_on(&self) -> bool {
        self.resumed || self.attempts > 0
    }

    /// Notes the end of the loop.
    pub(super) fn end(&mut self, outcome: TaskOutcome, reason: Option<String>, now: Timestamp) {
        self.phase = Phase::Ended;
        self.waiting = None;
        self.outcome = Some(outcome);
        self.reason = reason;
        self.ended_at = Some(now);
    }

    /// The result of a loop that ended.
    pub(crate) fn result(&self) -> Option<TaskResult> {
        Some(TaskResult {
            outcome: self.outcome?,
            reason: self.reason.clone(),
            attempts: self.attempts,
            run_id: self.last_run.clone(),
        })
    }

    /// Which loop of the task it is.
    pub(crate) fn series(&self) -> u64 {
        self.series
    }

    /// When it ended; `None` while it is unfinished.
    pub(crate) fn ended_at(&self) -> Option<Timestamp> {
        // One that does not say when ended long ago.
        self.outcome.map(|_| self.ended_at.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Attempts of its series.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What it was asked for.
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What it may use up, and what it did.
    pub(crate) fn budget(&self) -> TaskBudget {
        let (budget, verify) = (&self.parameters.budget, &self.parameters.verify);
        TaskBudget {
            max_attempts: budget.max_attempts,
            max_wall: budget.max_wall,
            max_tokens: budget.max_tokens,
            max_cost_usd: budget.max_cost_usd,
            spent_wall: self.spent.wall,
            spent_tokens: self.spent.tokens,
            spent_cost_usd: self.spent.cost_usd,
            verify: Some(verify.join(" ")).filter(|line| !line.is_empty()),
            checks: self.checks,
            rejection: self.rejection.clone(),
        }
    }

    /// The place on the task's bus where the loop began.
    pub(crate) fn start_cursor(&self) -> Option<&Cursor> {
        self.start_cursor.as_ref()
    }

    /// What it waits for.
    pub(crate) fn last_run(&self) -> Option<&RunId> {
        self.last_run.as_ref()
    }

    pub(crate) fn waiting(&self) -> Option<&Waiting> {
        self.waiting.as_ref()
    }
}
