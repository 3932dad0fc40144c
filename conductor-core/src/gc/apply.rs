//! Carrying a plan out: the same way through the root, and what goes is looked at under its lock.

use super::decide::{Verdict, judge_archive, judge_bus, judge_stray};
use super::facts::{ArchiveFact, BusFact, Owner, StrayFact};
use super::goal::{GcGoal, Held};
use super::item::{GcAction, GcItem, GcKind, GcReason};
use super::leftovers::remove_stray;
use super::plan::GcPlan;
use super::relations::{MOST_ERRORS, RelationsLook};
use super::scan_run::RunScanner;
use super::scan_task::{Loose, scope};
use super::trash::{self, Flushed, Trash};
use super::walk::{Step, Walk};
use super::work::TaskWork;
use crate::bus::Rotation;
use crate::cancel::{Cancel, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::{limits, wait};
use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};

/// What became of one item of a plan.
#[derive(Debug)]
#[non_exhaustive]
pub enum GcResult {
    /// It was done.
    Done,
    /// Somebody else did it, or it went otherwise.
    Gone,
    /// It stays for now: it is in use, or changed since it was judged.
    Kept(GcReason),
    /// It could not be done. A thing that was moved into the trash is deleted by the next collection.
    Failed(Error),
}

/// An item of a plan and what became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct GcDone {
    /// The item.
    pub item: GcItem,
    /// What became of it.
    pub result: GcResult,
}

/// What a collection did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct GcReport {
    /// Runs that were deleted, those without a record among them.
    pub runs: usize,
    /// Tasks that were deleted.
    pub tasks: usize,
    /// Buses that were rotated.
    pub buses: usize,
    /// Archives of buses that were deleted.
    pub archives: usize,
    /// Strays that were removed.
    pub strays: usize,
    /// The bytes of all that was deleted.
    pub freed: u64,
    /// Items that stay for now although they were to go.
    pub kept: usize,
    /// How much could not be looked at or not be done. It kept nothing else from being done.
    pub failed: usize,
    /// Why; of the first hundred.
    pub errors: Vec<Error>,
    /// How far each goal of the policy is reached now; empty without goals, and before the work is over.
    pub goals: Vec<GcGoal>,
}

/// A plan while it is carried out, thing after thing; from [`Gc::work`](crate::Gc::work).
///
/// What became of each thing comes as soon as that is certain; no lock is held meanwhile. After the error
/// of a wait that is over nothing follows. What was begun is ended when this is dropped.
#[derive(Debug)]
pub struct GcWork {
    pub(super) plan: GcPlan,
    pub(super) walk: Walk,
    pub(super) wait: Wait,
    pub(super) trash: Trash<GcItem>,
    task: Option<Box<TaskWork>>,
    loose: Option<LooseWork>,
    root: Folder,
    done: VecDeque<GcDone>,
    report: GcReport,
    /// The bytes that went, whoever deleted them.
    went: u64,
    /// What stays.
    held: Held,
    /// The error of the wait, to be told last.
    over: Option<Error>,
    has_ended: bool,
}

/// What is to be done beside tasks and runs.
#[derive(Debug)]
struct LooseWork {
    owner: Option<Owner>,
    strays: std::vec::IntoIter<StrayFact>,
    bus: Option<BusFact>,
    archives: Vec<ArchiveFact>,
}

impl GcReport {
    fn fail(&mut self, error: Error) {
        self.failed += 1;
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(error);
        }
    }
}

impl Iterator for GcWork {
    type Item = Result<GcDone>;

    fn next(&mut self) -> Option<Result<GcDone>> {
        loop {
            if let Some(done) = self.done.pop_front() {
                return Some(Ok(done));
            }
            if self.has_ended {
                return self.over.take().map(Err);
            }
            match self.is_ours().and_then(|()| self.wait.check()) {
                Ok(()) => self.go_on(),
                Err(over) => {
                    self.end();
                    self.over = Some(over);
                }
            }
        }
    }
}

impl Drop for GcWork {
    fn drop(&mut self) {
        self.end();
    }
}

impl GcWork {
    /// Begins to carry a plan out.
    pub(crate) fn new(plan: &GcPlan, wait: Wait) -> Result<GcWork> {
        let layout = plan.engine.layout();
        layout.check_fork()?;
        // It must exist, and lie where locks and syncs mean something.
        layout.root()?;
        let root = layout.ensure_root()?;
        Ok(GcWork {
            plan: plan.clone(),
            // What is deleted takes longer than looking at it: that ends between two things.
            walk: Walk::new(plan, false, Wait::FOREVER)?,
            wait,
            trash: Trash::new(layout),
            task: None,
            loose: None,
            root,
            done: VecDeque::new(),
            report: GcReport::default(),
            went: 0,
            held: plan.held.clone(),
            over: None,
            has_ended: false,
        })
    }

    /// What was done so far.
    pub fn report(&self) -> &GcReport {
        &self.report
    }

    /// Ends it, and says what was done.
    pub fn into_report(mut self) -> GcReport {
        self.end();
        std::mem::take(&mut self.report)
    }

    /// Does a part of it: what became of a thing, where that is certain by now. `switch` ends what waits
    /// within the part.
    ///
    /// # Errors
    /// `handle.forked`.
    pub(crate) fn step(&mut self, switch: Option<&Cancel>) -> Result<wait::Step<Option<GcDone>>> {
        self.is_ours()?;
        if self.done.is_empty() && !self.has_ended {
            self.wait = switch.map_or(Wait::FOREVER, Wait::from);
            self.go_on();
        }
        Ok(match self.done.pop_front() {
            None if !self.has_ended => wait::Step::Pending,
            done => wait::Step::Ready(done),
        })
    }

    fn is_ours(&self) -> Result<()> {
        self.plan.engine.layout().check_fork()
    }

    /// Does the next part, so much that a lock is held for a moment only.
    fn go_on(&mut self) {
        if let Some(mut loose) = self.loose.take() {
            if self.loose_part(&mut loose) {
                self.loose = Some(loose);
            }
        } else if let Some(mut task) = self.task.take() {
            if self.task_part(&mut task) {
                self.task = Some(task);
            } else {
                let (owner, loose) = task.into_loose();
                self.begin_loose(Some(owner), loose);
            }
        } else {
            match self.walk.next_step() {
                Some(Step::Root(loose)) => self.begin_loose(None, loose),
                Some(Step::Project(owner, loose)) => self.begin_loose(Some(owner), loose),
                Some(Step::Task(scan)) => self.task = Some(Box::new(TaskWork::new(*scan))),
                None => {
                    self.end();
                    if let Err(error) = self.plan.clocks.note(&self.root) {
                        self.report.fail(error);
                    }
                }
            }
        }
    }

    /// Ends what was begun; in a forked child it is the parent's to end.
    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) && self.is_ours().is_ok() {
            (self.task, self.loose) = (None, None);
            self.flush();
            self.trash.close();
            self.see_goals();
        }
    }

    /// Notes how far the goals are reached.
    fn see_goals(&mut self) {
        for goal in self.plan.clone().goals.iter() {
            let now = match goal.goal {
                GcReason::MinFree => self.plan.free(),
                _ => Ok(goal.now.saturating_sub(self.went)),
            };
            match now {
                Ok(now) => self.report.goals.push(goal.reached(now, &self.held)),
                Err(error) => self.report.fail(error),
            }
        }
    }

    /// Notes what could not be looked at.
    pub(super) fn fail(&mut self, error: Error) {
        self.report.fail(error);
    }

    /// Tells what became of an item, and counts it.
    pub(super) fn tell(&mut self, item: GcItem, result: Result<GcResult>) {
        let result = result.unwrap_or_else(GcResult::Failed);
        let report = &mut self.report;
        let deletes = item.action == GcAction::Delete;
        match &result {
            GcResult::Done => {
                if deletes {
                    report.freed += item.bytes;
                    self.went += item.bytes;
                }
                *match item.kind {
                    GcKind::Run | GcKind::Orphan => &mut report.runs,
                    GcKind::Task => &mut report.tasks,
                    GcKind::Bus => &mut report.buses,
                    GcKind::Archive => &mut report.archives,
                    _ => &mut report.strays,
                } += 1;
            }
            GcResult::Gone if deletes => self.went += item.bytes,
            GcResult::Gone => {}
            GcResult::Kept(reason) => {
                report.kept += 1;
                if deletes {
                    self.held.add_kept(&item, *reason);
                }
            }
            GcResult::Failed(_) if deletes => self.held.add_kept(&item, item.reason),
            GcResult::Failed(_) => {}
        }
        let result = match result {
            GcResult::Failed(error) => {
                let told = trash::again(&error);
                self.report.fail(error);
                GcResult::Failed(told)
            }
            result => result,
        };
        self.done.push_back(GcDone { item, result });
    }

    /// Deletes what was moved into the trash.
    pub(super) fn flush(&mut self) {
        let followed = self.follow_new_runs();
        let relations = self.walk.relations();
        // A task lies behind its runs: it goes back with them.
        let mut tasks = HashSet::new();
        let mut is_needed = |item: &GcItem| {
            let task = (item.project.clone(), item.task.clone());
            let Some(run) = &item.run else { return tasks.contains(&task) };
            let needed = followed.is_err() || relations.is_ancestor(run);
            if needed {
                tasks.insert(task);
            }
            needed
        };
        let flushed = self.trash.flush(&mut is_needed);
        for (item, result) in flushed {
            let result = result.map(|flushed| match flushed {
                Flushed::Deleted => GcResult::Done,
                Flushed::PutBack => GcResult::Kept(GcReason::Ancestor),
                Flushed::Gone => GcResult::Gone,
            });
            self.tell(item, result);
        }
        if let Err(error) = followed {
            self.fail(error);
        }
    }

    /// Takes runs into account that began since, and what they came from.
    pub(super) fn follow_new_runs(&mut self) -> Result<()> {
        if self.walk.relations().misses_open_runs(&self.walk.root)? {
            let scanner = RunScanner::new(self.plan.engine.layout().path(), self.plan.now);
            let known = self.walk.relations().clone();
            let mut look = RelationsLook::new(&self.plan.engine, &self.walk.root, known, scanner);
            // Not cut short: nothing would be known of what they came from.
            look.again(&Wait::FOREVER)?;
            self.walk.newer = Some(look.relations);
        }
        Ok(())
    }

    fn begin_loose(&mut self, owner: Option<Owner>, loose: Loose) {
        let Loose { strays, bus, archives, errors } = loose;
        errors.into_iter().for_each(|error| self.fail(error));
        self.loose = Some(LooseWork { owner, strays: strays.into_iter(), bus, archives });
    }

    /// Does the next of what is beside tasks and runs; `false` once that is all.
    fn loose_part(&mut self, loose: &mut LooseWork) -> bool {
        if let Some(stray) = loose.strays.next() {
            self.stray(&stray);
            return true;
        }
        if let Some(owner) = &loose.owner {
            if let Some(bus) = &loose.bus
                && let Some(verdict) = judge_bus(bus)
            {
                self.bus(owner, bus, verdict);
            }
            self.archives(owner, &loose.archives);
        }
        false
    }

    fn stray(&mut self, stray: &StrayFact) {
        let verdict = judge_stray(self.plan.now, stray);
        if verdict.deletes() {
            let item = self.plan.stray_item(stray, verdict);
            let result = remove_stray(&self.plan.engine, &self.walk.root, stray, &self.wait);
            self.tell(item, result);
        }
    }

    fn bus(&mut self, owner: &Owner, bus: &BusFact, verdict: Verdict) {
        let item = self.plan.bus_item(owner, bus, verdict);
        let result = match verdict.action {
            GcAction::Rotate => self.rotate(owner),
            _ => Ok(GcResult::Kept(verdict.reason)),
        };
        self.tell(item, result);
    }

    fn rotate(&self, owner: &Owner) -> Result<GcResult> {
        let bus = match self.plan.engine.bus(scope(owner)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(GcResult::Gone),
            bus => bus?,
        };
        match bus.rotate(self.wait.clone().at_most(limits::BUS_LOCK))? {
            Rotation::Done { .. } => Ok(GcResult::Done),
            Rotation::Empty => Ok(GcResult::Gone),
            Rotation::OlderWriter => Ok(GcResult::Kept(GcReason::OlderWriter)),
        }
    }

    fn archives(&mut self, owner: &Owner, archives: &[ArchiveFact]) {
        if archives.is_empty() {
            return;
        }
        let removed = self.prune(owner, archives);
        for archive in archives {
            let item = self.plan.archive_item(owner, archive);
            let verdict = judge_archive(archive);
            let result = match &removed {
                _ if !verdict.deletes() => Ok(GcResult::Kept(verdict.reason)),
                Ok(removed) if removed.contains(&archive.name) => Ok(GcResult::Done),
                Ok(_) if item.path.symlink_metadata().is_err() => Ok(GcResult::Gone),
                Ok(_) => Ok(GcResult::Kept(GcReason::Busy)),
                Err(error) => Err(trash::again(error)),
            };
            self.tell(item, result);
        }
    }

    fn prune(&self, owner: &Owner, archives: &[ArchiveFact]) -> Result<Vec<OsString>> {
        let Some(age) = self.plan.policy.prune_archives else { return Ok(Vec::new()) };
        let bus = match self.plan.engine.bus(scope(owner)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            bus => bus?,
        };
        let chosen = |name: &OsStr| archives.iter().any(|archive| archive.name == name);
        let before = self.plan.now.minus(age);
        bus.remove_old_archives(before, self.walk.cursors(), chosen)
    }
}
