//! A plan: a policy, a moment, and what must be known of the whole root to judge any of it.

use super::clock::Clocks;
use super::decide::{Verdict, delete, may_go_early};
use super::facts::{
    ArchiveFact, BusFact, Owner, RunFact, RunState, StrayFact, StrayKind, TaskFact,
};
use super::item::{GcItem, GcKind, GcReason};
use super::oldest::{Oldest, Point, Turn};
use super::policy::GcPolicy;
use super::relations::{Counted, Relations, RelationsLook};
use super::scan_run::RunScanner;
use super::scan_task::LookAtTask;
use super::token::Token;
use super::walk::{GcItems, Step, Walk};
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
        counted,
        errors: errors.into(),
    };
    plan.early = match again {
        Some(token) => token.early,
        None => plan.find_early(wait)?,
    };
    Ok(plan)
}

/// How many bytes there are, and how many of them go by their age.
#[derive(Default)]
struct Sum {
    total: u64,
    going: u64,
    oldest: Oldest,
}

impl GcPlan {
    /// The policy and the moment as one text: with it, another process makes the plan again. It takes
    /// no more than this one.
    pub fn token(&self) -> String {
        Token { now: self.now, early: self.early.clone() }.text(&self.policy)
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
        GcItems::new(self, true, wait.into())
    }

    /// What is to be done: the items that do not stay as they are. Looks at less than
    /// [`GcPlan::items`].
    pub fn actions(&self, wait: impl Into<Wait>) -> GcItems {
        GcItems::new(self, false, wait.into())
    }

    /// Finds out how far young runs go so that the root fits and enough of the disk is free.
    fn find_early(&self, wait: &Wait) -> Result<Vec<Early>> {
        if self.policy.max_bytes.is_none() && self.policy.min_free.is_none() {
            return Ok(Vec::new());
        }
        let sum = self.sum(None, wait)?;
        let mut wants = Vec::new();
        if let Some(most) = self.policy.max_bytes {
            wants.push((GcReason::MaxBytes, sum.total.saturating_sub(most)));
        }
        if let Some(least) = self.policy.min_free {
            let os = self.engine.layout().os();
            let free = os.available_space(&self.root);
            let free = free.map_err(|e| Error::io("look at the free space of", &self.root, e))?;
            wants.push((GcReason::MinFree, least.saturating_sub(free)));
        }
        let mut early = Vec::new();
        for (reason, wanted) in wants {
            let mut point = sum.oldest.point(wanted, sum.going);
            loop {
                match point {
                    Point::None => break,
                    Point::Through(last) => {
                        early.push(Early { reason, last });
                        break;
                    }
                    Point::Between(first, last, gone) => {
                        let within = self.sum(Some((first, last)), wait)?;
                        point = match within.oldest.point(wanted, gone) {
                            // All of it went meanwhile: what lies before it goes.
                            Point::None => Point::Through(first),
                            point => point,
                        };
                    }
                }
            }
        }
        Ok(early)
    }

    /// Adds up what there is; of the young runs only those between two turns.
    fn sum(&self, within: Option<(Turn, Turn)>, wait: &Wait) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut walk = Walk::new(self, true)?;
        while let Some(step) = walk.next_step() {
            let Step::Task(mut scan) = step else { continue };
            while let Some((found, verdict)) = walk.next_run(&mut scan) {
                wait.check()?;
                let fact = &found.fact;
                sum.total = sum.total.saturating_add(fact.bytes);
                if verdict.deletes() {
                    sum.going = sum.going.saturating_add(fact.bytes);
                } else if may_go_early(self.now, fact, verdict) {
                    let turn = Turn::of(fact.end, &scan.fact.project, &scan.fact.id, &fact.id);
                    if within.is_none_or(|(first, last)| first <= turn && turn <= last) {
                        sum.oldest.add(turn, fact.bytes);
                    }
                }
            }
            walk.end_task(&mut scan);
            sum.total = sum.total.saturating_add(scan.fact.bytes);
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
        let item = self.of_bus(owner, delete(GcReason::Age));
        GcItem {
            kind: GcKind::Archive,
            path: item.path.join(&archive.name),
            bytes: archive.bytes,
            end_time: Some(archive.ended),
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
        }
    }
}

fn known(time: Timestamp) -> Option<Timestamp> {
    (time > Timestamp::ZERO).then_some(time)
}
