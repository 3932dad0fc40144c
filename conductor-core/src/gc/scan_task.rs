//! What is to be known of one task: its loop, what lies in it, its bus; and its runs one by one.

use super::decide::{RunsJudged, Verdict, judge_task};
use super::facts::{ArchiveFact, BusFact, Owner, StrayFact, TaskFact};
use super::goal::Beside;
use super::going;
use super::scan_run::FoundRun;
use super::strays::{is_temporary_of_project, is_temporary_of_task, is_unnamed_run};
use super::walk::Walk;
use crate::bus::{OldArchive, Rotation, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{
    DONE, LOOP, LOOP_LOCK, Layout, PROJECT_BUS, PROPAGATION_LOCK, RECEIPTS, RUNS, TASK_BUS,
    TASK_CONFIG, TASK_LOCK,
};
use crate::sys::{Entry, FileKind};
use crate::time::Timestamp;
use std::ffi::{OsStr, OsString};

/// What the task loop knows of a task. Garbage collection knows no loops: it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskLook {
    /// The series of its loop; `None` where it never had one.
    pub(crate) series: Option<u64>,
    /// When the loop ended; `None` while it is unfinished.
    pub(crate) ended_at: Option<Timestamp>,
    /// The tasks that it waits for.
    pub(crate) depends_on: Vec<TaskId>,
}

/// Reads what the loop knows of the task whose folder is open.
pub(crate) type LookAtTask = fn(&Folder) -> Result<TaskLook>;

/// Lock files and receipts say nothing of a task's age, and runs are looked at on their own.
pub(super) fn is_own(name: &OsStr) -> bool {
    ![RUNS, RECEIPTS, TASK_LOCK, LOOP_LOCK, PROPAGATION_LOCK].iter().any(|other| name == *other)
}

/// What stands right in the folder of a task or a project.
#[derive(Debug, Default)]
struct Names {
    done: bool,
    has_loop: bool,
    has_lease: bool,
    has_config: bool,
    has_runs: bool,
    bus: bool,
    archives: bool,
    temporaries: Vec<OsString>,
    /// Tasks that were being deleted where they stood.
    going: Vec<OsString>,
}

impl Names {
    fn of(folder: &Folder, bus: &str, is_temporary: fn(&OsStr) -> bool) -> Result<Names> {
        let mut names = Names::default();
        folder.visit(&mut |name, kind| {
            let file = kind == FileKind::File;
            match name.to_str() {
                Some(DONE) => names.done = file,
                Some(LOOP) => names.has_loop = true,
                Some(LOOP_LOCK) => names.has_lease = true,
                Some(TASK_CONFIG) => names.has_config = true,
                Some(RUNS) => names.has_runs = true,
                Some(text) if text == bus => names.bus = file,
                Some(text) => names.archives |= is_archive_of(text, bus),
                None => {}
            }
            if file && is_temporary(name) {
                names.temporaries.push(name.to_owned());
            }
            let going = kind == FileKind::Folder && going::id_of(name).is_some();
            if going && bus == PROJECT_BUS {
                names.going.push(name.to_owned());
            }
            true
        })?;
        Ok(names)
    }
}

/// Whether it is the folder of a run.
fn is_run(entry: &Entry) -> bool {
    entry.kind == FileKind::Folder && entry.name.to_str().is_some_and(|id| RunId::new(id).is_ok())
}

/// Whether a file may be an archive of a bus. The bus itself knows for certain.
pub(super) fn is_archive_of(name: &str, bus: &str) -> bool {
    name.strip_prefix(bus).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".archived"))
}

/// The tasks that a task waits for which is not done; `None` where it waits for none.
pub(super) fn waits_for(task: &Folder, look: LookAtTask) -> Option<Result<Vec<TaskId>>> {
    let names = match Names::of(task, TASK_BUS, |_| false) {
        Ok(names) => names,
        Err(error) => return Some(Err(error)),
    };
    let asks = !names.done && (names.has_config || names.has_loop);
    asks.then(|| look(task).map(|look| look.depends_on))
}

/// What was found beside tasks and runs, and what went wrong.
#[derive(Debug, Default)]
pub(super) struct Loose {
    pub(super) strays: Vec<StrayFact>,
    pub(super) bus: Option<BusFact>,
    pub(super) archives: Vec<ArchiveFact>,
    pub(super) errors: Vec<Error>,
}

/// A task that is looked at run by run.
#[derive(Debug)]
pub(super) struct TaskScan {
    pub(super) fact: TaskFact,
    /// Its folder, where it may be opened.
    pub(super) folder: Option<Folder>,
    /// The folder of its runs, where it has one.
    pub(super) runs: Option<Folder>,
    pub(super) judged: RunsJudged,
    pub(super) loose: Loose,
    /// What lies in it beside its runs, where sizes are looked at.
    pub(super) beside: Beside,
    names: Names,
    ids: std::vec::IntoIter<RunId>,
    /// What lies among its runs and is none.
    others: Vec<OsString>,
}

impl TaskScan {
    /// Whose its bus is.
    pub(super) fn owner(&self) -> Owner {
        Owner { project: self.fact.project.clone(), task: Some(self.fact.id.clone()) }
    }
}

impl Walk {
    /// Looks at a task, its runs not yet; `None` where it is gone.
    pub(super) fn open_task(
        &self,
        project: &ProjectId,
        folder: &Folder,
        id: TaskId,
    ) -> Option<TaskScan> {
        let mut scan = TaskScan {
            fact: TaskFact::of(project, id),
            folder: None,
            runs: None,
            judged: RunsJudged::NONE,
            loose: Loose::default(),
            beside: Beside::default(),
            names: Names::default(),
            ids: Vec::new().into_iter(),
            others: Vec::new(),
        };
        scan.fact.awaited = self.relations().is_awaited(project, &scan.fact.id);
        match folder.folder_here(&scan.fact.id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) if error.code() == "path.mount_point" => scan.fact.mounted = true,
            Err(error) => self.unreadable(&mut scan, error),
            Ok(folder) => {
                scan.folder = Some(folder.clone());
                match self.look_at_task(&folder, &mut scan) {
                    // Deleted by somebody at this very moment.
                    Err(error) if error.kind() == ErrorKind::NotFound => return None,
                    Err(error) => self.unreadable(&mut scan, error),
                    Ok(()) => {}
                }
            }
        }
        Some(scan)
    }

    /// It cannot be read: which of its runs are counted is not known either.
    fn unreadable(&self, scan: &mut TaskScan, error: Error) {
        scan.fact.unreadable = true;
        scan.loose.errors.push(error);
    }

    fn look_at_task(&self, task: &Folder, scan: &mut TaskScan) -> Result<()> {
        scan.names = Names::of(task, TASK_BUS, is_temporary_of_task)?;
        scan.fact.done = scan.names.done;
        let temporaries = std::mem::take(&mut scan.names.temporaries);
        scan.loose.strays = self.temporaries(task, temporaries)?;
        if scan.names.has_loop || scan.names.has_config {
            match (self.plan.look)(task) {
                Ok(look) => {
                    scan.fact.has_loop = look.series.is_some();
                    let ended = look.ended_at.is_some_and(|ended| ended < self.plan.now);
                    scan.fact.open_series = look.series.filter(|_| !ended);
                }
                Err(error) => self.unreadable(scan, error),
            }
        }
        if !scan.names.has_runs {
            scan.fact.changed = self.changed_since(task)?;
            return Ok(());
        }
        let runs = match task.folder_here(RUNS) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.code() == "path.mount_point" => {
                scan.fact.mounted = true;
                return Ok(());
            }
            runs => runs?,
        };
        // Before anything of it is deleted on this way.
        scan.fact.changed = self.changed_since(task)? || self.changed_since(&runs)?;
        let names = runs.list()?;
        let unnamed = names.iter().filter(|name| name.kind == FileKind::Folder);
        let hidden =
            |name: &&Entry| is_unnamed_run(&name.name) || going::id_of(&name.name).is_some();
        for name in unnamed.filter(hidden) {
            match self.unnamed_run(&runs, &name.name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => scan.loose.errors.push(error),
                Ok(stray) => scan.loose.strays.extend(stray),
            }
        }
        if self.sizes {
            let others = names.iter().filter(|entry| !is_run(entry));
            scan.others = others.map(|entry| entry.name.clone()).collect();
        }
        let listing = Layout::runs_of(names);
        scan.fact.foreign = !listing.foreign.is_empty();
        scan.ids = listing.ids.into_iter();
        scan.runs = Some(runs);
        Ok(())
    }

    /// Whether a name came into a folder or went since the moment that is judged at.
    fn changed_since(&self, folder: &Folder) -> Result<bool> {
        let stat = folder.os().stat(folder.fd()).map_err(|e| folder.error("look at", "", e))?;
        Ok(Timestamp::from_unix_nanos(stat.modified) >= self.plan.now)
    }

    /// The next run of a task, oldest first, and what is to become of it.
    pub(super) fn next_run(&mut self, scan: &mut TaskScan) -> Option<(FoundRun, Verdict)> {
        let runs = scan.runs.clone()?;
        while self.over.is_none() {
            let id = scan.ids.next()?;
            let newer = scan.ids.len();
            match self.look_at_run(&scan.fact, &runs, id, newer) {
                Ok(None) => {}
                Ok(Some((mut found, verdict))) => {
                    scan.judged.add(&found.fact, verdict);
                    scan.loose.errors.extend(found.error.take());
                    if !verdict.deletes() {
                        scan.loose.strays.append(&mut found.strays);
                    }
                    return Some((found, verdict));
                }
                // Deleted by somebody at this very moment.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // It is not judged, and so stays; the task stays with it.
                Err(error) => {
                    scan.fact.foreign = true;
                    scan.loose.errors.extend(self.unless_over(error));
                }
            }
        }
        None
    }

    /// Looks at what else lies in a task, and judges it; `None` for a task that nobody asked about.
    /// What goes with it is not told of.
    pub(super) fn end_task(&mut self, scan: &mut TaskScan) -> Option<Verdict> {
        if self.over.is_some() {
            return None;
        }
        let asked = self.plan.policy.delete_done_tasks && scan.fact.done;
        if let Some(task) = scan.folder.clone()
            && let Err(error) = self.look_at_rest(&task, scan, asked)
            && error.kind() != ErrorKind::NotFound
        {
            let error = self.unless_over(error)?;
            self.unreadable(scan, error);
        }
        let TaskScan { fact, judged, .. } = &*scan;
        let verdict = asked.then(|| judge_task(&self.plan.policy, self.plan.now, fact, judged));
        if verdict.is_some_and(Verdict::deletes) {
            (scan.loose.strays, scan.loose.bus, scan.loose.archives) = Default::default();
        }
        verdict
    }

    fn look_at_rest(&self, task: &Folder, scan: &mut TaskScan, asked: bool) -> Result<()> {
        let fact = &mut scan.fact;
        if asked || self.sizes {
            let beside = &mut scan.beside;
            // Lock files are empty; receipts stay when the task goes.
            let mut receipts = 0;
            let sum = task.measure_until(self.wait(), &mut |name, stat| {
                if name == RECEIPTS {
                    receipts = stat.takes();
                }
                beside.note(name, stat, TASK_BUS);
                is_own(name)
            })?;
            (fact.bytes, fact.whole) = (sum.bytes, sum.whole);
            fact.mounted |= sum.mounted;
            fact.newest = Timestamp::from_unix_nanos(sum.newest);
            beside.rest = sum.bytes.saturating_sub(beside.bus + beside.archives) + receipts;
            if let Some(runs) = &scan.runs {
                beside.rest +=
                    runs.measure_names(&scan.others, self.wait(), &mut |_, _| true)?.bytes;
            }
        }
        fact.driven = scan.names.has_lease && task.is_locked(LOOP_LOCK)?;
        let owner = Owner { project: fact.project.clone(), task: Some(fact.id.clone()) };
        self.look_at_bus(task, &owner, &scan.names, &mut scan.loose);
        Ok(())
    }

    /// Looks at the files of a project.
    pub(super) fn project_files(&self, project: &ProjectId, folder: &Folder) -> Loose {
        let mut loose = Loose::default();
        let owner = Owner { project: project.clone(), task: None };
        let found =
            Names::of(folder, PROJECT_BUS, is_temporary_of_project).and_then(|mut names| {
                loose.strays = self.temporaries(folder, std::mem::take(&mut names.temporaries))?;
                for name in &names.going {
                    match self.going_task(folder, name) {
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        stray => loose.strays.extend(stray?),
                    }
                }
                self.look_at_bus(folder, &owner, &names, &mut loose);
                Ok(())
            });
        loose.errors.extend(found.err());
        loose
    }

    fn temporaries(&self, folder: &Folder, names: Vec<OsString>) -> Result<Vec<StrayFact>> {
        let mut found = Vec::new();
        for name in names {
            found.extend(self.temporary(folder, &name)?);
        }
        Ok(found)
    }

    /// Notes a bus that is larger than asked for, and archives that are old enough to go.
    fn look_at_bus(&self, folder: &Folder, owner: &Owner, names: &Names, loose: &mut Loose) {
        let policy = &self.plan.policy;
        if policy.rotate_bus && names.bus {
            match self.large_bus(folder, owner) {
                Ok(bus) => loose.bus = bus,
                Err(error) => trouble(folder, error, loose),
            }
        }
        if let Some(age) = policy.prune_archives
            && names.archives
        {
            let before = self.plan.now.minus(age);
            let bus = self.plan.engine.bus(scope(owner));
            match bus.and_then(|bus| bus.old_archives(before, self.cursors())) {
                Ok(archives) => loose.archives.extend(archives.into_iter().map(|archive| {
                    let OldArchive { name, bytes, ended, cursor } = archive;
                    ArchiveFact { name, bytes, ended, cursor }
                })),
                Err(error) => trouble(folder, error, loose),
            }
        }
    }

    fn large_bus(&self, folder: &Folder, owner: &Owner) -> Result<Option<BusFact>> {
        let name = if owner.task.is_some() { TASK_BUS } else { PROJECT_BUS };
        let bytes = folder.stat(name)?.map_or(0, |stat| stat.size);
        if bytes <= self.plan.policy.bus_max_size {
            return Ok(None);
        }
        let refusal = self.plan.engine.bus(scope(owner))?.rotation_refusal()?;
        Ok((refusal != Some(Rotation::Empty)).then_some(BusFact { bytes, refusal }))
    }
}

/// Whose bus something is of.
pub(super) fn scope(owner: &Owner) -> Scope {
    Scope { project: owner.project.clone(), task: owner.task.clone() }
}

/// Tells of something that could not be looked at, unless it is gone with its folder.
fn trouble(folder: &Folder, error: Error, loose: &mut Loose) {
    let gone = error.kind() == ErrorKind::NotFound && folder.stat(PROJECT_BUS).is_err();
    if !gone {
        loose.errors.push(error);
    }
}
