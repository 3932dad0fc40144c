//! What goes and what stays: a function of the policy, a moment, and what was found.
//!
//! The moment is fixed by the plan. What lived or changed after it counts as living and as young, so
//! that a plan which is made again for the same moment takes no more than before.

use super::facts::{Facts, IdHash, RunFact, RunState, StrayFact, StrayKind, TaskFact};
use super::item::{GcAction, GcReason};
use super::policy::GcPolicy;
use crate::bus::Rotation;
use crate::id::TaskId;
use crate::run::Outcome;
use crate::time::Timestamp;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
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

const fn keep(reason: GcReason) -> Verdict {
    Verdict { action: GcAction::Keep, reason }
}

const fn delete(reason: GcReason) -> Verdict {
    Verdict { action: GcAction::Delete, reason }
}

/// What is done with everything; each list in the order of the facts.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    pub(super) runs: Vec<Verdict>,
    /// `None` for tasks that nobody asked about.
    pub(super) tasks: Vec<Option<Verdict>>,
    /// `None` for those that go with their task.
    pub(super) buses: Vec<Option<Verdict>>,
    pub(super) archives: Vec<Option<Verdict>>,
    pub(super) strays: Vec<Verdict>,
}

/// Makes numbers of run ids, the same for one collection.
#[derive(Clone, Debug, Default)]
pub(super) struct IdHasher(RandomState);

impl IdHasher {
    pub(super) fn of(&self, id: &str) -> IdHash {
        self.0.hash_one(id)
    }
}

/// Judges everything that was found.
pub(super) fn decide(
    policy: &GcPolicy,
    now: Timestamp,
    facts: &Facts,
    hasher: &IdHasher,
) -> Verdicts {
    let ancestors = ancestors(facts, now, hasher);
    let waiting = Waiting::new(facts);
    let mut runs = Vec::with_capacity(facts.runs.len());
    for task in &facts.tasks {
        let awaited = waiting.is_awaited(task);
        let of_task = &facts.runs[task.runs.clone()];
        for (index, run) in of_task.iter().enumerate() {
            let newer = of_task.len() - 1 - index;
            let place = Place {
                ancestor: !ancestors.is_empty() && ancestors.contains(&hasher.of(run.id.as_str())),
                // Without a loop and without `DONE`, its newest run is what makes it ready.
                awaited: awaited && newer == 0 && !task.done && !task.has_loop,
                newer,
            };
            runs.push(judge_run(policy, now, task, run, &place));
        }
    }
    take_more(policy, now, facts, &mut runs);
    let mut verdicts = Verdicts { runs, ..Verdicts::default() };
    for task in &facts.tasks {
        let verdict = (policy.delete_done_tasks && task.done).then(|| {
            let runs = (&facts.runs[task.runs.clone()], &verdicts.runs[task.runs.clone()]);
            judge_task(policy, now, task, runs, waiting.is_awaited(task))
        });
        verdicts.tasks.push(verdict);
    }
    let goes = |task: Option<usize>| {
        let verdict = task.and_then(|task| verdicts.tasks[task]);
        verdict.is_some_and(|verdict| verdict.action == GcAction::Delete)
    };
    let buses = facts.buses.iter().map(|bus| match &bus.refusal {
        _ if goes(bus.task) => None,
        None => Some(Verdict { action: GcAction::Rotate, reason: GcReason::Size }),
        Some(Rotation::OlderWriter) => Some(keep(GcReason::OlderWriter)),
        Some(_) => None,
    });
    verdicts.buses = buses.collect();
    let archives = facts.archives.iter();
    verdicts.archives =
        archives.map(|archive| (!goes(archive.task)).then(|| delete(GcReason::Age))).collect();
    verdicts.strays = facts.strays.iter().map(|stray| judge_stray(now, stray)).collect();
    verdicts
}

/// What judging a run needs to know of others.
struct Place {
    ancestor: bool,
    /// Whether another task waits for this very run.
    awaited: bool,
    /// How many runs of the task are newer.
    newer: usize,
}

/// Whether something is older than `age` at the moment `now`. What lies in the future has no age.
fn is_older(now: Timestamp, then: Timestamp, age: Duration) -> bool {
    now.since(then) > age
}

fn judge_run(
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
    if place.ancestor {
        keep(GcReason::Ancestor)
    } else if task.open_series.is_some() && task.open_series == run.series {
        keep(GcReason::Attempt)
    } else if place.awaited {
        keep(GcReason::Dependents)
    } else if policy.keep_failed && outcome != Outcome::Completed {
        keep(GcReason::Failed)
    } else if place.newer < policy.keep_last {
        keep(GcReason::Newest)
    } else if is_older(now, run.end, policy.older_than) {
        delete(GcReason::Age)
    } else {
        keep(GcReason::Young)
    }
}

/// Takes the oldest of the young ones too, until the root fits and enough of the disk is free.
fn take_more(policy: &GcPolicy, now: Timestamp, facts: &Facts, runs: &mut [Verdict]) {
    let total: u64 = facts.runs.iter().map(|run| run.bytes).sum::<u64>()
        + facts.tasks.iter().map(|task| task.bytes).sum::<u64>();
    let going = facts.runs.iter().zip(runs.iter()).filter(|(_, v)| v.action == GcAction::Delete);
    let mut gone: u64 = going.map(|(run, _)| run.bytes).sum();
    let wants = [
        (policy.max_bytes.map(|most| total.saturating_sub(most)), GcReason::MaxBytes),
        (
            policy.min_free.zip(facts.available).map(|(least, free)| least.saturating_sub(free)),
            GcReason::MinFree,
        ),
    ];
    let mut young: Option<Vec<usize>> = None;
    for (wanted, reason) in wants {
        let Some(wanted) = wanted.filter(|wanted| *wanted > gone) else { continue };
        let young = young.get_or_insert_with(|| {
            let can_go = |at: &usize| {
                let (run, verdict) = (&facts.runs[*at], &runs[*at]);
                *verdict == keep(GcReason::Young)
                    && run.state != RunState::Orphan
                    && run.end < now
                    && run.bytes > 0
            };
            let mut young: Vec<usize> = (0..runs.len()).filter(can_go).collect();
            // The oldest last, to be taken first.
            young.sort_by_key(|at| std::cmp::Reverse(facts.runs[*at].end));
            young
        });
        while gone < wanted
            && let Some(at) = young.pop()
        {
            runs[at] = delete(reason);
            gone += facts.runs[at].bytes;
        }
    }
}

fn judge_task(
    policy: &GcPolicy,
    now: Timestamp,
    task: &TaskFact,
    (runs, verdicts): (&[RunFact], &[Verdict]),
    awaited: bool,
) -> Verdict {
    let newest = runs.iter().map(|run| run.end).fold(task.newest, Timestamp::max);
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
    } else if awaited {
        keep(GcReason::Dependents)
    } else if task.foreign || verdicts.iter().any(|verdict| verdict.action == GcAction::Keep) {
        keep(GcReason::Runs)
    } else if !is_older(now, newest, policy.older_than) {
        keep(GcReason::Young)
    } else {
        delete(GcReason::Done)
    }
}

fn judge_stray(now: Timestamp, stray: &StrayFact) -> Verdict {
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

/// Which tasks others wait for.
struct Waiting<'a> {
    /// Of each project: the tasks that one without `DONE` names; `None` where that cannot be read.
    named: Vec<Option<HashSet<&'a TaskId>>>,
}

impl<'a> Waiting<'a> {
    fn new(facts: &'a Facts) -> Waiting<'a> {
        let mut named: Vec<Option<HashSet<&TaskId>>> =
            facts.projects.iter().map(|_| Some(HashSet::new())).collect();
        for task in facts.tasks.iter().filter(|task| !task.done) {
            match &mut named[task.project] {
                Some(_) if task.unreadable => named[task.project] = None,
                Some(named) => named.extend(&task.depends_on),
                None => {}
            }
        }
        Waiting { named }
    }

    fn is_awaited(&self, task: &TaskFact) -> bool {
        self.named[task.project].as_ref().is_none_or(|named| named.contains(&task.id))
    }
}

/// The runs that living runs came from, however many steps away.
fn ancestors(facts: &Facts, now: Timestamp, hasher: &IdHasher) -> HashSet<IdHash> {
    let mut open: Vec<IdHash> = facts.links_of_others.clone();
    let lives = |run: &&RunFact| match run.state {
        RunState::Alive => true,
        RunState::Over(_) | RunState::Unwritten(_) => run.end >= now,
        RunState::Unreadable | RunState::Unknown | RunState::Orphan => false,
    };
    for run in facts.runs.iter().filter(lives) {
        open.extend(run.parent.into_iter().chain(run.previous));
    }
    let mut found = HashSet::new();
    if open.is_empty() {
        return found;
    }
    let mut by_id: Vec<(IdHash, usize)> =
        facts.runs.iter().enumerate().map(|(at, run)| (hasher.of(run.id.as_str()), at)).collect();
    by_id.sort_unstable();
    while let Some(id) = open.pop() {
        if !found.insert(id) {
            continue;
        }
        let first = by_id.partition_point(|(known, _)| *known < id);
        for (_, at) in by_id[first..].iter().take_while(|(known, _)| *known == id) {
            let run = &facts.runs[*at];
            open.extend(run.parent.into_iter().chain(run.previous));
        }
    }
    found
}
