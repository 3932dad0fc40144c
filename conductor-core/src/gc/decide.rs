//! What goes and what stays: a function of the policy, a moment, and what was found of one thing.
//!
//! The moment is fixed by the plan. What lived or changed after it counts as living and as young, so
//! that whoever judges again for the same moment takes no more than before.

use super::facts::{ArchiveFact, BusFact, RunFact, RunState, StrayFact, StrayKind, TaskFact};
use super::item::{GcAction, GcReason};
use super::policy::GcPolicy;
use crate::bus::Rotation;
use crate::run::Outcome;
use crate::time::Timestamp;
use std::time::Duration;

/// The age from which things go that nobody should need: an unfinished start or replacement takes
/// seconds.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// What is done with one thing, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) action: GcAction,
    pub(super) reason: GcReason,
}

impl Verdict {
    pub(super) fn deletes(self) -> bool {
        self.action == GcAction::Delete
    }
}

pub(super) const fn keep(reason: GcReason) -> Verdict {
    Verdict { action: GcAction::Keep, reason }
}

pub(super) const fn delete(reason: GcReason) -> Verdict {
    Verdict { action: GcAction::Delete, reason }
}

/// What judging a run needs to know of others.
pub(super) struct Place {
    /// Whether a living run came from it.
    pub(super) ancestor: bool,
    /// How many runs of the task are newer.
    pub(super) newer: usize,
}

/// What became of the runs of a task, as far as the task's own verdict needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunsJudged {
    /// Whether one stays.
    pub(super) kept: bool,
    /// When the last one ended.
    pub(super) newest: Timestamp,
}

impl RunsJudged {
    pub(super) const NONE: RunsJudged = RunsJudged { kept: false, newest: Timestamp::ZERO };

    pub(super) fn add(&mut self, run: &RunFact, verdict: Verdict) {
        self.kept |= !verdict.deletes();
        self.newest = self.newest.max(run.end);
    }
}

/// Whether something is older than `age` at the moment `now`. What lies in the future has no age.
fn is_older(now: Timestamp, then: Timestamp, age: Duration) -> bool {
    now.since(then) > age
}

/// Judges a run by everything but the bytes that the root may hold.
pub(super) fn judge_run(
    policy: &GcPolicy,
    now: Timestamp,
    task: &TaskFact,
    run: &RunFact,
    place: &Place,
) -> Verdict {
    let outcome = match run.state {
        _ if run.mounted => return keep(GcReason::Mounted),
        RunState::Over(_) | RunState::Unwritten(_) if task.unreadable => {
            return keep(GcReason::Unreadable);
        }
        RunState::Alive => return keep(GcReason::Alive),
        RunState::Unreadable => return keep(GcReason::Unreadable),
        RunState::Unknown => return keep(GcReason::UnknownStatus),
        RunState::Orphan if !run.whole => return keep(GcReason::Hidden),
        RunState::Orphan if place.ancestor => return keep(GcReason::Ancestor),
        RunState::Orphan => {
            let old = is_older(now, run.end, policy.older_than.max(STALE));
            return if old { delete(GcReason::Stale) } else { keep(GcReason::Young) };
        }
        RunState::Over(outcome) | RunState::Unwritten(outcome) => outcome,
    };
    // Without a loop and without `DONE`, its newest run is what makes a task ready.
    let awaited = task.awaited && place.newer == 0 && !task.done && !task.has_loop;
    if place.ancestor {
        keep(GcReason::Ancestor)
    } else if task.open_series.is_some() && task.open_series == run.series {
        keep(GcReason::Attempt)
    } else if awaited {
        keep(GcReason::Dependents)
    } else if policy.keep_failed && outcome != Outcome::Completed {
        keep(GcReason::Failed)
    } else if place.newer < policy.keep_last {
        keep(GcReason::Newest)
    } else if !is_older(now, run.end, policy.older_than) {
        keep(GcReason::Young)
    } else if is_rewritten(now, run) {
        keep(GcReason::Changed)
    } else {
        delete(GcReason::Age)
    }
}

/// Whether the record says something else than it said at the moment `now`. The clock of files is a
/// tick behind: a record that is rewritten within that tick is judged by what it says then.
fn is_rewritten(now: Timestamp, run: &RunFact) -> bool {
    matches!(run.state, RunState::Over(_)) && run.written >= now
}

/// Whether a young run may go all the same when the root holds too much.
pub(super) fn may_go_early(now: Timestamp, run: &RunFact, verdict: Verdict) -> bool {
    verdict == keep(GcReason::Young)
        && run.state != RunState::Orphan
        && run.end < now
        && run.bytes > 0
        && !is_rewritten(now, run)
}

/// Judges a task all of whose runs were judged.
pub(super) fn judge_task(
    policy: &GcPolicy,
    now: Timestamp,
    task: &TaskFact,
    runs: &RunsJudged,
) -> Verdict {
    if task.mounted {
        keep(GcReason::Mounted)
    } else if task.unreadable {
        keep(GcReason::Unreadable)
    } else if !task.whole {
        keep(GcReason::Hidden)
    } else if task.driven {
        keep(GcReason::Busy)
    } else if task.open_series.is_some() {
        keep(GcReason::Attempt)
    } else if task.awaited {
        keep(GcReason::Dependents)
    } else if task.foreign || runs.kept {
        keep(GcReason::Runs)
    } else if !is_older(now, task.newest.max(runs.newest), policy.older_than) {
        keep(GcReason::Young)
    } else if task.changed {
        keep(GcReason::Changed)
    } else {
        delete(GcReason::Done)
    }
}

/// Judges a bus that is larger than asked for; `None` where there is nothing to say.
pub(super) fn judge_bus(bus: &BusFact) -> Option<Verdict> {
    match &bus.refusal {
        None => Some(Verdict { action: GcAction::Rotate, reason: GcReason::Size }),
        Some(Rotation::OlderWriter) => Some(keep(GcReason::OlderWriter)),
        Some(_) => None,
    }
}

/// Judges an archive that is old enough to go.
pub(super) fn judge_archive(archive: &ArchiveFact) -> Verdict {
    match archive.cursor {
        None => delete(GcReason::Age),
        Some(_) => keep(GcReason::Cursor),
    }
}

pub(super) fn judge_stray(now: Timestamp, stray: &StrayFact) -> Verdict {
    match stray.kind {
        _ if stray.held => keep(GcReason::Busy),
        StrayKind::Trash | StrayKind::Entry => delete(GcReason::Stale),
        StrayKind::Temporary | StrayKind::Unnamed | StrayKind::Lock => {
            match is_older(now, stray.modified, STALE) {
                true => delete(GcReason::Stale),
                false => keep(GcReason::Young),
            }
        }
    }
}
