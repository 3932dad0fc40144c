//! What a task on the list needs, from facts alone.
//!
//! What a person decided is never undone: a task that was stopped, cancelled, or gave up is left to them.

use crate::id::RunId;
use crate::task::{TaskOutcome, TaskResult};
use crate::time::format_duration;
use std::time::Duration;

/// What is known of a task on the list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// Whether `DONE` stands.
    pub(super) done: bool,
    /// Whether it was cancelled.
    pub(super) cancelled: bool,
    /// Whether somebody's wish to stop stands.
    pub(super) stop_requested: bool,
    /// Whether it ever had a loop.
    pub(super) has_loop: bool,
    /// The end of its loop.
    pub(super) result: Option<TaskResult>,
    /// The process that drives it.
    pub(super) driver: Option<u32>,
    /// What its loop waits for.
    pub(super) waits_for: Option<String>,
    /// How its newest run stands, if it has one.
    pub(super) run: Option<RunFacts>,
    /// Whether anything says what to do.
    pub(super) has_prompt: bool,
}

/// What is known of the run that a task is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunFacts {
    pub(super) id: RunId,
    /// Whether it lives; `None` where it may.
    pub(super) alive: Option<bool>,
    /// For how long neither its output nor the bus had anything new.
    pub(super) silent_for: Duration,
}

/// What a task on the list needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MonitorAction {
    /// Nothing, for now or until a person decides.
    Leave,
    /// Its box can be ticked.
    Tick,
    /// Its loop is to be started.
    Start,
    /// Its loop, which nobody drives any more, is to be gone on with.
    GoOn,
    /// Its attempt, which is silent for too long, is to be ended; the loop starts the next one.
    EndAttempt,
}

impl MonitorAction {
    /// Its word in every surface.
    pub const fn as_str(self) -> &'static str {
        match self {
            MonitorAction::Leave => "leave",
            MonitorAction::Tick => "tick",
            MonitorAction::Start => "start",
            MonitorAction::GoOn => "go_on",
            MonitorAction::EndAttempt => "end",
        }
    }
}

/// What the task needs, and why.
pub(super) fn decide(facts: &Facts, stale_after: Duration) -> (MonitorAction, String) {
    use MonitorAction::{EndAttempt, GoOn, Leave, Start, Tick};
    let unfinished = facts.has_loop && facts.result.is_none();
    let say = |action, reason: &str| (action, reason.to_owned());
    let ended = facts.result.as_ref();
    let why = || ended.and_then(|end| end.reason.clone()).unwrap_or_else(|| "no reason".to_owned());
    if facts.cancelled {
        return say(Leave, "it was cancelled");
    }
    if unfinished {
        let Some(driver) = facts.driver else {
            return say(GoOn, "nobody drives it any more");
        };
        if facts.done {
            return say(Leave, "DONE stands, and its loop has still to end");
        }
        return match &facts.run {
            Some(run) if run.alive == Some(true) && run.silent_for >= stale_after => {
                let silent = format_duration(Duration::from_secs(run.silent_for.as_secs()));
                (EndAttempt, format!("its attempt has been silent for {silent}"))
            }
            Some(run) if run.alive == Some(true) => say(Leave, "it runs"),
            _ => match &facts.waits_for {
                Some(what) => (Leave, format!("it waits for {what}")),
                None => (Leave, format!("process {driver} drives it")),
            },
        };
    }
    match facts.run.as_ref().map(|run| run.alive) {
        Some(Some(true)) => return say(Leave, "a run of it lives"),
        Some(None) => return say(Leave, "a run of it may live: ask the program that started it"),
        _ => {}
    }
    if facts.done {
        return say(Tick, "DONE stands");
    }
    match ended.map(|end| end.outcome) {
        Some(TaskOutcome::Stopped) => return (Leave, format!("it was stopped: {}", why())),
        Some(TaskOutcome::GaveUp) => return (Leave, format!("it gave up: {}", why())),
        Some(TaskOutcome::Done) => return say(Leave, "it was done, and DONE is gone since"),
        _ => {}
    }
    if facts.stop_requested {
        return say(Leave, "somebody asked it to stop, and STOP-REQUESTED stands");
    }
    if !facts.has_prompt {
        return say(Leave, "nothing says what to do: neither TASK.md nor the list");
    }
    match facts.run {
        Some(_) => say(Start, "it has runs, and is not done"),
        None => say(Start, "it has no runs yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_table() {
        use MonitorAction::{EndAttempt, GoOn, Leave, Start, Tick};
        let run = |alive, silent| {
            let silent_for = Duration::from_secs(silent);
            Some(RunFacts { id: RunId::new("r1").unwrap(), alive, silent_for })
        };
        let end = |outcome| {
            Some(TaskResult { outcome, reason: Some("why".into()), attempts: 1, run_id: None })
        };
        let new = Facts { has_prompt: true, ..Facts::default() };
        let looping = Facts { has_loop: true, driver: Some(7), ..new.clone() };
        let table = [
            ("new", new.clone(), Start),
            ("no prompt", Facts::default(), Leave),
            ("ran before", Facts { run: run(Some(false), 0), ..new.clone() }, Start),
            ("a job lives", Facts { run: run(Some(true), 9999), ..new.clone() }, Leave),
            ("may live", Facts { run: run(None, 9999), ..new.clone() }, Leave),
            ("done", Facts { done: true, ..new.clone() }, Tick),
            (
                "done, a run lives",
                Facts { done: true, run: run(Some(true), 0), ..new.clone() },
                Leave,
            ),
            ("cancelled", Facts { cancelled: true, ..new.clone() }, Leave),
            ("cancelled in its loop", Facts { cancelled: true, ..looping.clone() }, Leave),
            ("asked to stop", Facts { stop_requested: true, ..new.clone() }, Leave),
            ("driven", looping.clone(), Leave),
            ("runs", Facts { run: run(Some(true), 59), ..looping.clone() }, Leave),
            ("silent", Facts { run: run(Some(true), 60), ..looping.clone() }, EndAttempt),
            ("between attempts", Facts { run: run(Some(false), 9999), ..looping.clone() }, Leave),
            ("about to end", Facts { done: true, ..looping.clone() }, Leave),
            ("nobody drives", Facts { driver: None, ..looping.clone() }, GoOn),
            (
                "nobody drives, the attempt lives",
                Facts { driver: None, run: run(Some(true), 9999), ..looping.clone() },
                GoOn,
            ),
            ("stopped", Facts { result: end(TaskOutcome::Stopped), ..looping.clone() }, Leave),
            ("gave up", Facts { result: end(TaskOutcome::GaveUp), ..looping.clone() }, Leave),
            ("undone", Facts { result: end(TaskOutcome::Done), ..looping.clone() }, Leave),
            (
                "done in its loop",
                Facts { done: true, result: end(TaskOutcome::Done), ..looping },
                Tick,
            ),
        ];
        for (name, facts, action) in table {
            let (found, reason) = decide(&facts, Duration::from_secs(60));
            assert_eq!(found, action, "{name}: {reason}");
        }
    }
}
