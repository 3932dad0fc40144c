//! A plan: what was found, and what is to be done about it.

use super::clock::Clocks;
use super::decide::{IdHasher, Verdict, Verdicts, decide};
use super::facts::{
    ArchiveFact, BusFact, Facts, RunFact, RunState, StrayFact, StrayKind, TaskFact,
};
use super::item::{GcAction, GcItem, GcKind};
use super::policy::GcPolicy;
use super::scan_task::LookAtTask;
use super::survey::{Looked, survey};
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::id::ProjectId;
use crate::layout::{PROJECT_BUS, RUNS, TASK_BUS};
use crate::supervise::Engine;
use crate::time::Timestamp;
use std::path::{Path, PathBuf};

/// What garbage collection would do, and why; nothing is done yet.
///
/// It holds for one moment: what changed since is looked at again before it goes, and stays.
#[derive(Debug)]
pub struct GcPlan {
    pub(super) root: PathBuf,
    pub(super) policy: GcPolicy,
    pub(super) now: Timestamp,
    pub(super) clocks: Clocks,
    pub(super) facts: Facts,
    pub(super) verdicts: Verdicts,
}

/// Makes a plan for a policy; with a moment, the plan of that moment again.
pub(crate) fn make_plan(
    engine: &Engine,
    policy: GcPolicy,
    now: Option<Timestamp>,
    look: LookAtTask<'_>,
    wait: &Wait,
    told: &mut dyn FnMut(Looked),
) -> Result<GcPlan> {
    let root = engine.layout().root()?;
    let clocks = Clocks::now(&root)?;
    if !policy.force {
        clocks.check(&root)?;
    }
    let now = now.unwrap_or(clocks.wall).min(clocks.wall);
    let hasher = IdHasher::default();
    let facts = survey(engine, &policy, now, &hasher, look, wait, told)?;
    let verdicts = decide(&policy, now, &facts, &hasher);
    Ok(GcPlan { root: engine.layout().path().to_owned(), policy, now, clocks, facts, verdicts })
}

impl GcPlan {
    /// The policy and the moment as one text: with it, another process makes the plan again. It takes
    /// no more than this one.
    pub fn token(&self) -> String {
        self.policy.token(self.now)
    }

    /// The moment that ages are counted from.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The policy.
    pub fn policy(&self) -> &GcPolicy {
        &self.policy
    }

    /// What could not be looked at. It stays, with everything in it.
    pub fn errors(&self) -> &[Error] {
        &self.facts.errors
    }

    /// How many runs were looked at.
    pub fn runs(&self) -> usize {
        self.facts.runs.len()
    }

    /// Everything that was judged, what goes and what stays: runs in the order of their tasks, each
    /// task behind its runs, then buses, archives and strays.
    pub fn items(&self) -> impl Iterator<Item = GcItem> {
        let tasks = (0..self.facts.tasks.len()).flat_map(move |task| {
            let runs = self.facts.tasks[task].runs.clone().map(move |run| self.run_item(task, run));
            runs.chain(self.task_item(task))
        });
        let buses = (0..self.facts.buses.len()).filter_map(|bus| self.bus_item(bus));
        let archives = (0..self.facts.archives.len()).filter_map(|at| self.archive_item(at));
        let strays = (0..self.facts.strays.len()).map(|stray| self.stray_item(stray));
        tasks.chain(buses).chain(archives).chain(strays)
    }

    /// What is to be done: the items that do not stay as they are.
    pub fn actions(&self) -> impl Iterator<Item = GcItem> {
        self.items().filter(|item| item.action != GcAction::Keep)
    }

    /// How many bytes the deletions give back.
    pub fn bytes(&self) -> u64 {
        self.actions().filter(|i| i.action == GcAction::Delete).map(|item| item.bytes).sum()
    }

    pub(super) fn project(&self, task: &TaskFact) -> &ProjectId {
        &self.facts.projects[task.project]
    }

    pub(super) fn task_path(&self, task: &TaskFact) -> PathBuf {
        self.root.join(self.project(task)).join(&task.id)
    }

    pub(super) fn run_item(&self, task: usize, run: usize) -> GcItem {
        let (verdict, task) = (self.verdicts.runs[run], &self.facts.tasks[task]);
        let run: &RunFact = &self.facts.runs[run];
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
            project: Some(self.project(task).clone()),
            task: Some(task.id.clone()),
            run: Some(run.id.clone()),
            status,
            start_time: known(run.start),
            end_time: known(run.end),
            ..GcItem::of(verdict)
        }
    }

    pub(super) fn task_item(&self, task: usize) -> Option<GcItem> {
        let (verdict, task) = (self.verdicts.tasks[task]?, &self.facts.tasks[task]);
        Some(GcItem {
            kind: GcKind::Task,
            path: self.task_path(task),
            bytes: task.bytes,
            project: Some(self.project(task).clone()),
            task: Some(task.id.clone()),
            end_time: known(task.newest),
            ..GcItem::of(verdict)
        })
    }

    pub(super) fn bus_item(&self, at: usize) -> Option<GcItem> {
        let (verdict, bus): (_, &BusFact) = (self.verdicts.buses[at]?, &self.facts.buses[at]);
        let item = self.of_bus(verdict, bus.project, bus.task);
        let name = if bus.task.is_some() { TASK_BUS } else { PROJECT_BUS };
        Some(GcItem { kind: GcKind::Bus, path: item.path.join(name), bytes: bus.bytes, ..item })
    }

    pub(super) fn archive_item(&self, at: usize) -> Option<GcItem> {
        let archive: &ArchiveFact = &self.facts.archives[at];
        let item = self.of_bus(self.verdicts.archives[at]?, archive.project, archive.task);
        Some(GcItem {
            kind: GcKind::Archive,
            path: item.path.join(&archive.name),
            bytes: archive.bytes,
            end_time: Some(archive.ended),
            ..item
        })
    }

    /// An item of a bus: its path is that of the folder.
    fn of_bus(&self, verdict: Verdict, project: usize, task: Option<usize>) -> GcItem {
        let task = task.map(|task| &self.facts.tasks[task]);
        let project = &self.facts.projects[project];
        GcItem {
            path: task.map_or_else(|| self.root.join(project), |task| self.task_path(task)),
            project: Some(project.clone()),
            task: task.map(|task| task.id.clone()),
            ..GcItem::of(verdict)
        }
    }

    pub(super) fn stray_item(&self, at: usize) -> GcItem {
        let stray: &StrayFact = &self.facts.strays[at];
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
            ..GcItem::of(self.verdicts.strays[at])
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
