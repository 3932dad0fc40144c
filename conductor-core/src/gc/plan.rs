//! A plan: a policy, a moment, and what must be known of the whole root to judge any of it.

use super::clock::Clocks;
use super::decide::{Verdict, judge_archive, judge_stray, may_go_early};
use super::facts::{
    ArchiveFact, BusFact, Owner, RunFact, RunState, StrayFact, StrayKind, TaskFact,
};
use super::goal::{Beside, GcGoal, Held};
use super::item::{GcHolding, GcItem, GcKind, GcReason};
use super::oldest::{Oldest, Point, Turn};
use super::policy::GcPolicy;
use super::relations::{Counted, Relations, RelationsLook};
use super::scan_run::RunScanner;
use super::scan_task::{LookAtTask, Loose, TaskScan};
use super::token::Token;
use super::walk::{GcItems, Step, Telling, Walk};
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::layout::{PROJECT_BUS, RUNS, TASK_BUS};
use crate::supervise::Engine;
use crate::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What garbage collection would do, and why; nothing is done yet.
///
/// It is no list: the things are looked at as they are asked for, one after the other, so that a plan
/// takes little memory however much there is. It is judged at one moment: what lived, changed or came
/// after it stays. Clones are the same plan.
#[derive(Clone, Debug)]
pub struct GcPlan {
    pub(super) engine: Engine,
    pub(super) look: LookAtTask,
    pub(super) root: PathBuf,
    pub(super) policy: GcPolicy,
    pub(super) now: Timestamp,
    pub(super) clocks: Clocks,
    pub(super) relations: Arc<Relations>,
    /// How far young runs go all the same.
    pub(super) early: Vec<Early>,
    pub(super) goals: Arc<[GcGoal]>,
    /// What stays, where there are goals.
    pub(super) held: Held,
    counted: Counted,
    errors: Arc<[Error]>,
}

/// Up to which one the oldest runs go, whatever their age, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Early {
    pub(super) reason: GcReason,
    pub(super) last: Turn,
}

/// Makes a plan for a policy; with a token, the plan of that moment again.
pub(crate) fn make_plan(
    engine: &Engine,
    policy: GcPolicy,
    again: Option<Token>,
    look: LookAtTask,
    wait: &Wait,
    told: &mut dyn FnMut(Counted),
) -> Result<GcPlan> {
    let root = engine.layout().root()?;
    let clocks = Clocks::now(&root)?;
    if !policy.force {
        clocks.check(&root)?;
    }
    let now = again.as_ref().map_or(clocks.wall, |token| token.now.min(clocks.wall));
    if let Some(project) = &policy.project {
        engine.layout().project(project)?;
    }
    let scanner = RunScanner::new(engine.layout().path(), now);
    let mut seen = RelationsLook::new(engine, &root, Relations::default(), scanner);
    seen.all(policy.project.as_ref(), look, wait, told)?;
    let RelationsLook { relations, counted, errors, .. } = seen;
    let mut plan = GcPlan {
        engine: engine.clone(),
        look,
        root: engine.layout().path().to_owned(),
        policy,
        now,
        clocks,
        relations: Arc::new(relations),
        early: Vec::new(),
        goals: Arc::new([]),
        held: Held::default(),
        counted,
        errors: errors.into(),
    };
    let counted = match again {
        Some(token) => (token.early, token.goals, token.held),
        None if plan.policy.goals().next().is_some() => plan.find_early(wait)?,
        None => Default::default(),
    };
    let (early, goals, held) = counted;
    (plan.early, plan.goals, plan.held) = (early, goals.into(), held);
    Ok(plan)
}

/// How many bytes there are, how many of them go anyway, and how many may.
#[derive(Default)]
struct Sum {
    total: u64,
    going: u64,
    may_go: u64,
    oldest: Oldest,
    held: Held,
}

impl Sum {
    /// Adds what lies beside tasks or runs.
    fn add(&mut self, beside: Beside, what: GcHolding, loose: &Loose, now: Timestamp) {
        self.total = self.total.saturating_add(beside.sum());
        let strays = loose.strays.iter().filter(|stray| judge_stray(now, stray).deletes());
        let going = beside.hold(what, &loose.archives, strays, &mut self.held);
        self.going = self.going.saturating_add(going);
    }
}

impl GcPlan {
    /// The policy, the moment and what was counted as one text: with it, another process makes the plan again
    /// without counting. It takes no more than this one.
    pub fn token(&self) -> String {
        let (early, goals) = (self.early.clone(), self.goals.to_vec());
        Token { now: self.now, early, goals, held: self.held.clone() }.text(&self.policy)
    }

    /// The moment that ages are counted from.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The policy.
    pub fn policy(&self) -> &GcPolicy {
        &self.policy
    }

    /// How many runs the root holds.
    pub fn runs(&self) -> usize {
        self.counted.runs
    }

    /// What could not be looked at in projects that nothing is asked about: a run in it might live
    /// that came from one which goes. The first hundred.
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }

    /// Everything that is judged, what goes and what stays, as it is found: leftovers, then project by
    /// project its files and its tasks, each task behind its runs. Each call looks anew.
    pub fn items(&self, wait: impl Into<Wait>) -> GcItems {
        GcItems::new(self, Telling::All, wait.into())
    }

    /// What is to be done: the items that do not stay as they are. Looks at less than
    /// [`GcPlan::items`].
    pub fn actions(&self, wait: impl Into<Wait>) -> GcItems {
        GcItems::new(self, Telling::Actions, wait.into())
    }

    /// As [`GcPlan::actions`], and what was asked for and stays because somebody else needs it as it is:
    /// a bus to which an older program writes, archives that a named cursor has yet to read.
    pub fn asked(&self, wait: impl Into<Wait>) -> GcItems {
        GcItems::new(self, Telling::Asked, wait.into())
    }

    /// How far the plan comes with each goal that its policy sets; empty without goals.
    pub fn goals(&self) -> &[GcGoal] {
        &self.goals
    }

    /// Finds out how far young runs go so that the root fits and enough of the disk is free, and how far
    /// that reaches.
    fn find_early(&self, wait: &Wait) -> Result<(Vec<Early>, Vec<GcGoal>, Held)> {
        let sum = self.sum(None, wait)?;
        let can_go = sum.going.saturating_add(sum.may_go);
        let (mut early, mut goals) = (Vec::new(), Vec::new());
        for (reason, wanted) in self.policy.goals() {
            let now = match reason {
                GcReason::MinFree => self.free()?,
                _ => sum.total,
            };
            let goal = GcGoal::planned(reason, wanted, now, can_go, &sum.held);
            if let Some(last) = self.find_last(&sum, goal.over(), wait)? {
                early.push(Early { reason, last });
            }
            goals.push(goal);
        }
        Ok((early, goals, sum.held))
    }

    /// The last run that goes so that `over` bytes go in all; `None` where none needs to.
    fn find_last(&self, sum: &Sum, over: u64, wait: &Wait) -> Result<Option<Turn>> {
        let mut point = sum.oldest.point(over, sum.going);
        loop {
            match point {
                Point::None => return Ok(None),
                Point::Through(last) => return Ok(Some(last)),
                Point::Between(first, last, gone) => {
                    let within = self.sum(Some((first, last)), wait)?;
                    point = match within.oldest.point(over, gone) {
                        // All of it went meanwhile: what lies before it goes.
                        Point::None => Point::Through(first),
                        point => point,
                    };
                }
            }
        }
    }

    /// The bytes of the disk that are free.
    pub(super) fn free(&self) -> Result<u64> {
        let free = self.engine.layout().os().available_space(&self.root);
        free.map_err(|e| Error::io("look at the free space of", &self.root, e))
    }

    /// Adds up what there is; of the young runs only those between two turns.
    fn sum(&self, within: Option<(Turn, Turn)>, wait: &Wait) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut walk = Walk::new(self, true, wait.clone())?;
        while let Some(step) = walk.next_step() {
            wait.check()?;
            let mut scan = match step {
                Step::Root(loose) => {
                    sum.add(walk.beside_projects()?, GcHolding::Root, &loose, self.now);
                    continue;
                }
                Step::Project(_, loose) => {
                    sum.add(walk.beside_tasks()?, GcHolding::Projects, &loose, self.now);
                    continue;
                }
                Step::Task(scan) => scan,
            };
            while let Some((found, verdict)) = walk.next_run(&mut scan) {
                wait.check()?;
                let fact = &found.fact;
                sum.total = sum.total.saturating_add(fact.bytes);
                if verdict.deletes() {
                    sum.going = sum.going.saturating_add(fact.bytes);
                } else if may_go_early(self.now, fact, verdict) {
                    sum.may_go = sum.may_go.saturating_add(fact.bytes);
                    let turn = Turn::of(fact.end, &scan.fact.project, &scan.fact.id, &fact.id);
                    if within.is_none_or(|(first, last)| first <= turn && turn <= last) {
                        sum.oldest.add(turn, fact.bytes);
                    }
                } else {
                    sum.held.add_run(verdict.reason, fact.bytes);
                }
            }
            let verdict = walk.end_task(&mut scan);
            if let Some(over) = walk.over.take() {
                return Err(over);
            }
            match verdict {
                Some(verdict) if verdict.deletes() => {
                    let TaskScan { beside, fact, .. } = &*scan;
                    sum.total = sum.total.saturating_add(beside.sum());
                    sum.going = sum.going.saturating_add(fact.bytes);
                    sum.held.add(GcHolding::Tasks, beside.sum().saturating_sub(fact.bytes));
                }
                _ => sum.add(scan.beside, GcHolding::Tasks, &scan.loose, self.now),
            }
        }
        Ok(sum)
    }

    fn task_path(&self, task: &TaskFact) -> PathBuf {
        self.root.join(&task.project).join(&task.id)
    }

    pub(super) fn run_item(&self, task: &TaskFact, run: &RunFact, verdict: Verdict) -> GcItem {
        let orphan = run.state == RunState::Orphan;
        let status = match run.state {
            RunState::Over(outcome) | RunState::Unwritten(outcome) => {
                Some(outcome.status().as_str().to_owned())
            }
            RunState::Alive => Some("running".to_owned()),
            RunState::Unreadable | RunState::Unknown | RunState::Orphan => None,
        };
        GcItem {
            kind: if orphan { GcKind::Orphan } else { GcKind::Run },
            path: self.task_path(task).join(RUNS).join(&run.id),
            bytes: run.bytes,
            project: Some(task.project.clone()),
            task: Some(task.id.clone()),
            run: Some(run.id.clone()),
            status,
            start_time: known(run.start),
            end_time: known(run.end),
            ..GcItem::of(verdict)
        }
    }

    pub(super) fn task_item(&self, task: &TaskFact, verdict: Verdict) -> GcItem {
        GcItem {
            kind: GcKind::Task,
            path: self.task_path(task),
            bytes: task.bytes,
            project: Some(task.project.clone()),
            task: Some(task.id.clone()),
            end_time: known(task.newest),
            ..GcItem::of(verdict)
        }
    }

    pub(super) fn bus_item(&self, owner: &Owner, bus: &BusFact, verdict: Verdict) -> GcItem {
        let item = self.of_bus(owner, verdict);
        let name = if owner.task.is_some() { TASK_BUS } else { PROJECT_BUS };
        GcItem { kind: GcKind::Bus, path: item.path.join(name), bytes: bus.bytes, ..item }
    }

    pub(super) fn archive_item(&self, owner: &Owner, archive: &ArchiveFact) -> GcItem {
        let item = self.of_bus(owner, judge_archive(archive));
        GcItem {
            kind: GcKind::Archive,
            path: item.path.join(&archive.name),
            bytes: archive.bytes,
            end_time: Some(archive.ended),
            cursor: archive.cursor.clone(),
            ..item
        }
    }

    /// An item of a bus: its path is that of the folder.
    fn of_bus(&self, owner: &Owner, verdict: Verdict) -> GcItem {
        let project = self.root.join(&owner.project);
        GcItem {
            path: owner.task.as_ref().map_or_else(|| project.clone(), |task| project.join(task)),
            project: Some(owner.project.clone()),
            task: owner.task.clone(),
            ..GcItem::of(verdict)
        }
    }

    pub(super) fn stray_item(&self, stray: &StrayFact, verdict: Verdict) -> GcItem {
        GcItem {
            kind: match stray.kind {
                StrayKind::Temporary | StrayKind::Unnamed => GcKind::Temporary,
                StrayKind::Trash => GcKind::Trash,
                StrayKind::Lock => GcKind::Lock,
                StrayKind::Entry => GcKind::Entry,
            },
            path: self.root.join(&stray.path),
            bytes: stray.bytes,
            end_time: known(stray.modified),
            ..GcItem::of(verdict)
        }
    }
}

impl GcItem {
    /// An item about nothing yet.
    fn of(verdict: Verdict) -> GcItem {
        GcItem {
            action: verdict.action,
            kind: GcKind::Run,
            reason: verdict.reason,
            path: Path::new("").to_owned(),
            bytes: 0,
            project: None,
            task: None,
            run: None,
            status: None,
            start_time: None,
            end_time: None,
            cursor: None,
        }
    }
}

fn known(time: Timestamp) -> Option<Timestamp> {
    (time > Timestamp::ZERO).then_some(time)
}
