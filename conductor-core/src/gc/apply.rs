//! Carrying a plan out: the same way through the root, and what goes is looked at under its lock.

use super::decide::{Verdict, judge_bus, judge_stray};
use super::facts::{ArchiveFact, BusFact, Owner, StrayFact};
use super::item::{GcAction, GcItem, GcKind, GcReason};
use super::leftovers::remove_stray;
use super::plan::GcPlan;
use super::relations::{MOST_ERRORS, RelationsLook};
use super::scan_run::RunScanner;
use super::scan_task::{Loose, scope};
use super::trash::{self, Flushed, Trash};
use super::walk::{Step, Walk};
use crate::bus::Rotation;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use std::collections::HashSet;
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
}

/// A plan while it is carried out.
pub(super) struct Work<'a> {
    pub(super) plan: &'a GcPlan,
    pub(super) walk: Walk<'a>,
    pub(super) wait: &'a Wait,
    pub(super) trash: Trash<GcItem>,
    told: &'a mut dyn FnMut(&GcDone),
    report: GcReport,
}

/// Carries a plan out. Tells of each item as it is done.
///
/// # Errors
/// What keeps all of it from being done, as [`ErrorKind::Cancelled`]; what was done by then was told.
pub(crate) fn apply(plan: &GcPlan, wait: &Wait, told: &mut dyn FnMut(&GcDone)) -> Result<GcReport> {
    let layout = plan.engine.layout();
    // It must exist, and lie where locks and syncs mean something.
    layout.root()?;
    let root = layout.ensure_root()?;
    let (walk, trash) = (Walk::new(plan, false)?, Trash::new(layout));
    let mut work = Work { plan, walk, wait, trash, told, report: GcReport::default() };
    let done = work.all();
    work.flush();
    let Work { trash, mut report, .. } = work;
    trash.close();
    done?;
    if let Err(error) = plan.clocks.note(&root) {
        report.fail(error);
    }
    Ok(report)
}

impl GcReport {
    fn fail(&mut self, error: Error) {
        self.failed += 1;
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(error);
        }
    }
}

impl Work<'_> {
    fn all(&mut self) -> Result<()> {
        while let Some(step) = self.walk.next_step() {
            self.wait.check()?;
            match step {
                Step::Root(loose) => self.loose(None, loose)?,
                Step::Project(owner, loose) => self.loose(Some(&owner), loose)?,
                Step::Task(scan) => self.task(*scan)?,
            }
        }
        Ok(())
    }

    /// Notes what could not be looked at.
    pub(super) fn fail(&mut self, error: Error) {
        self.report.fail(error);
    }

    /// Tells what became of an item, and counts it.
    pub(super) fn tell(&mut self, item: GcItem, result: Result<GcResult>) {
        let result = result.unwrap_or_else(GcResult::Failed);
        let report = &mut self.report;
        match &result {
            GcResult::Done => {
                if item.action == GcAction::Delete {
                    report.freed += item.bytes;
                }
                *match item.kind {
                    GcKind::Run | GcKind::Orphan => &mut report.runs,
                    GcKind::Task => &mut report.tasks,
                    GcKind::Bus => &mut report.buses,
                    GcKind::Archive => &mut report.archives,
                    _ => &mut report.strays,
                } += 1;
            }
            GcResult::Gone => {}
            GcResult::Kept(_) => report.kept += 1,
            GcResult::Failed(_) => {}
        }
        let done = GcDone { item, result };
        (self.told)(&done);
        if let GcResult::Failed(error) = done.result {
            self.report.fail(error);
        }
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

    /// Does what is to be done beside tasks and runs.
    pub(super) fn loose(&mut self, owner: Option<&Owner>, loose: Loose) -> Result<()> {
        loose.errors.into_iter().for_each(|error| self.fail(error));
        for stray in &loose.strays {
            self.wait.check()?;
            self.stray(stray);
        }
        let Some(owner) = owner else { return Ok(()) };
        if let Some(bus) = loose.bus
            && let Some(verdict) = judge_bus(&bus)
        {
            self.bus(owner, &bus, verdict);
        }
        self.archives(owner, &loose.archives);
        Ok(())
    }

    fn stray(&mut self, stray: &StrayFact) {
        let verdict = judge_stray(self.plan.now, stray);
        if verdict.deletes() {
            let item = self.plan.stray_item(stray, verdict);
            let result = remove_stray(&self.plan.engine, &self.walk.root, stray, self.wait);
            self.tell(item, result);
        }
    }

    fn bus(&mut self, owner: &Owner, bus: &BusFact, verdict: Verdict) {
        if verdict.action == GcAction::Rotate {
            let item = self.plan.bus_item(owner, bus, verdict);
            let result = self.rotate(owner);
            self.tell(item, result);
        }
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
            let result = match &removed {
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
