//! Carrying a plan out. Each thing is looked at again under its lock before it goes.

use super::item::{GcAction, GcItem, GcKind, GcReason};
use super::plan::GcPlan;
use super::scan_run::newest_of_orphan;
use super::scan_task::LookAtTask;
use super::strays::remove_lock;
use super::trash::{self, Trash};
use crate::bus::{Rotation, Scope};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::{CONDUCTOR, OPEN, RUN_LOCK};
use crate::limits;
use crate::supervise::{Engine, OpenEntry};
use crate::sys::{FileKind, LockKind};
use std::ffi::{OsStr, OsString};
use std::path::Path;

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
    /// Items that stay for now although the plan said otherwise.
    pub kept: usize,
    /// What could not be done. It kept nothing else from being done.
    pub errors: Vec<Error>,
}

/// A plan while it is carried out.
pub(super) struct Work<'a> {
    pub(super) engine: &'a Engine,
    pub(super) plan: &'a GcPlan,
    pub(super) wait: &'a Wait,
    pub(super) look: LookAtTask<'a>,
    pub(super) trash: Trash<Moved>,
    told: &'a mut dyn FnMut(&GcDone),
    report: GcReport,
}

/// What was moved into the trash.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moved {
    /// A run, by its task and itself.
    Run(usize, usize),
    /// A task.
    Task(usize),
}

/// Carries a plan out. Tells of each item as it is done.
///
/// # Errors
/// What keeps all of it from being done, as [`ErrorKind::Cancelled`]; what was done by then was told.
pub(crate) fn apply(
    engine: &Engine,
    plan: &GcPlan,
    wait: &Wait,
    look: LookAtTask<'_>,
    told: &mut dyn FnMut(&GcDone),
) -> Result<GcReport> {
    // It must exist, and lie where locks and syncs mean something.
    engine.layout().root()?;
    let root = engine.layout().ensure_root()?;
    let trash = Trash::open(engine.layout())?;
    let mut work = Work { engine, plan, wait, look, trash, told, report: GcReport::default() };
    let done = work.all(&root);
    work.flush();
    let Work { trash, report, .. } = work;
    trash.close();
    done?;
    plan.clocks.note(&root)?;
    Ok(report)
}

impl Work<'_> {
    fn all(&mut self, root: &Folder) -> Result<()> {
        self.strays(root)?;
        for task in 0..self.plan.facts.tasks.len() {
            self.task(task)?;
        }
        self.flush();
        self.buses()?;
        self.archives()
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
            self.report.errors.push(error);
        }
    }

    /// Deletes what was moved into the trash.
    pub(super) fn flush(&mut self) {
        for (moved, result) in self.trash.flush() {
            let item = match moved {
                Moved::Run(task, run) => Some(self.plan.run_item(task, run)),
                Moved::Task(task) => self.plan.task_item(task),
            };
            if let Some(item) = item {
                self.tell(item, result.map(|()| GcResult::Done));
            }
        }
    }

    fn strays(&mut self, root: &Folder) -> Result<()> {
        for at in 0..self.plan.facts.strays.len() {
            self.wait.check()?;
            let item = self.plan.stray_item(at);
            if item.action == GcAction::Delete {
                let path = &self.plan.facts.strays[at].path;
                let result = self.stray(root, path, &item);
                self.tell(item, result);
            }
        }
        Ok(())
    }

    fn stray(&self, root: &Folder, path: &Path, item: &GcItem) -> Result<GcResult> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(GcResult::Gone);
        };
        let Some(folder) = root.folder_if_exists(parent)? else { return Ok(GcResult::Gone) };
        let Some(stat) = folder.stat(name)? else { return Ok(GcResult::Gone) };
        let removed = match item.kind {
            GcKind::Trash => match trash::empty(&folder, name)? {
                None => return Ok(GcResult::Kept(GcReason::Busy)),
                Some(removed) => removed,
            },
            GcKind::Lock => {
                if !remove_lock(&folder, name)? {
                    return Ok(GcResult::Kept(GcReason::Busy));
                }
                true
            }
            GcKind::Entry => {
                let found = OpenEntry::list(self.engine.layout())?.entries;
                let Some(entry) = found.into_iter().find(|e| OsStr::new(&e.name) == name) else {
                    return Ok(GcResult::Gone);
                };
                if !self.engine.forget_if_gone(&entry)? {
                    return Ok(GcResult::Kept(GcReason::Busy));
                }
                true
            }
            _ if stat.kind == FileKind::Folder => return unnamed_run(&folder, name, item),
            _ => {
                let same = item.end_time.map(|time| time.unix_nanos()) == Some(stat.modified);
                if !same {
                    return Ok(GcResult::Kept(GcReason::Changed));
                }
                folder.remove_file(name)?
            }
        };
        Ok(if removed { GcResult::Done } else { GcResult::Gone })
    }

    fn buses(&mut self) -> Result<()> {
        for at in 0..self.plan.facts.buses.len() {
            self.wait.check()?;
            let Some(item) = self.plan.bus_item(at) else { continue };
            if item.action == GcAction::Rotate {
                let result = self.rotate(&item);
                self.tell(item, result);
            }
        }
        Ok(())
    }

    fn rotate(&self, item: &GcItem) -> Result<GcResult> {
        let Some(scope) = scope(item) else { return Ok(GcResult::Gone) };
        let bus = match self.engine.bus(scope) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(GcResult::Gone),
            bus => bus?,
        };
        match bus.rotate(self.wait.clone().at_most(limits::BUS_LOCK))? {
            Rotation::Done { .. } => Ok(GcResult::Done),
            Rotation::Empty => Ok(GcResult::Gone),
            Rotation::OlderWriter => Ok(GcResult::Kept(GcReason::OlderWriter)),
        }
    }

    fn archives(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.plan.facts.archives.len() {
            self.wait.check()?;
            let first = &self.plan.facts.archives[at];
            let of_bus = self.plan.facts.archives[at..]
                .iter()
                .take_while(|next| (next.project, next.task) == (first.project, first.task));
            let end = at + of_bus.count();
            let items: Vec<GcItem> =
                (at..end).filter_map(|at| self.plan.archive_item(at)).collect();
            at = end;
            let removed = self.prune(&items);
            for item in items {
                let name = item.path.file_name().unwrap_or_default();
                let result = match &removed {
                    Ok(removed) if removed.iter().any(|gone| gone == name) => Ok(GcResult::Done),
                    Ok(_) if item.path.symlink_metadata().is_err() => Ok(GcResult::Gone),
                    Ok(_) => Ok(GcResult::Kept(GcReason::Busy)),
                    Err(error) => Err(trash::again(error)),
                };
                self.tell(item, result);
            }
        }
        Ok(())
    }

    fn prune(&self, items: &[GcItem]) -> Result<Vec<OsString>> {
        let (Some(scope), Some(age)) =
            (items.first().and_then(scope), self.plan.policy.prune_archives)
        else {
            return Ok(Vec::new());
        };
        let bus = match self.engine.bus(scope) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            bus => bus?,
        };
        let cursors = self.engine.layout().cursors()?;
        let chosen = |name: &OsStr| items.iter().any(|i| i.path.file_name() == Some(name));
        bus.remove_old_archives(self.plan.now.minus(age), cursors.as_ref(), chosen)
    }

    /// The names of the entries of open runs.
    pub(super) fn open_entries(&self) -> Result<Option<Folder>> {
        let root = self.engine.layout().root()?;
        root.folder_if_exists(Path::new(CONDUCTOR).join(OPEN))
    }
}

/// Removes the folder of a run whose starter died before the folder had its name.
fn unnamed_run(runs: &Folder, name: &OsStr, item: &GcItem) -> Result<GcResult> {
    let folder = match runs.folder_here(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(GcResult::Gone),
        folder => folder?,
    };
    let newest = newest_of_orphan(&folder, &folder.measure(&mut |_, _| true)?)?;
    if item.end_time != Some(newest) {
        return Ok(GcResult::Kept(GcReason::Changed));
    }
    let Some(_lock) = folder.try_lock(RUN_LOCK, LockKind::Exclusive)? else {
        return Ok(GcResult::Kept(GcReason::Busy));
    };
    let removed = runs.remove_tree(name)?;
    Ok(if removed { GcResult::Done } else { GcResult::Gone })
}

/// Whose bus an item is of.
fn scope(item: &GcItem) -> Option<Scope> {
    Some(Scope { project: item.project.clone()?, task: item.task.clone() })
}
