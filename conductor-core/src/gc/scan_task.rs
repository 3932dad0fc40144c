//! What is to be known of one task: its runs, its loop, what lies in it, its bus.

use super::facts::{ArchiveFact, BusFact, StrayFact, StrayKind, TaskFact};
use super::scan_run::below;
use super::strays::is_temporary_of_task;
use super::survey::Survey;
use crate::bus::{Rotation, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{RunId, TaskId};
use crate::layout::{
    DONE, LOOP, LOOP_LOCK, Layout, PROJECT_BUS, PROPAGATION_LOCK, RECEIPTS, RUNS, TASK_BUS,
    TASK_CONFIG, TASK_LOCK,
};
use crate::sys::{FileKind, Stat};
use crate::time::Timestamp;
use std::ffi::OsStr;
use std::path::Path;

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
pub(crate) type LookAtTask<'a> = &'a dyn Fn(&Folder) -> Result<TaskLook>;

/// Lock files and receipts say nothing of a task's age, and runs are looked at on their own.
pub(super) fn is_own(name: &OsStr) -> bool {
    ![RUNS, RECEIPTS, TASK_LOCK, LOOP_LOCK, PROPAGATION_LOCK].iter().any(|other| name == *other)
}

/// What stands right in a task's folder.
#[derive(Default)]
struct Names {
    done: bool,
    has_loop: bool,
    has_lease: bool,
    has_config: bool,
    bus: Option<u64>,
    archives: bool,
}

impl Names {
    fn note(&mut self, name: &OsStr, stat: &Stat) {
        let file = stat.kind == FileKind::File;
        match name.to_str() {
            Some(DONE) => self.done = file,
            Some(LOOP) => self.has_loop = true,
            Some(LOOP_LOCK) => self.has_lease = true,
            Some(TASK_CONFIG) => self.has_config = true,
            Some(TASK_BUS) if file => self.bus = Some(stat.size),
            Some(name) => self.archives |= is_archive_of(name, TASK_BUS),
            None => {}
        }
    }
}

/// Whether a file may be an archive of a bus. The bus itself knows for certain.
pub(super) fn is_archive_of(name: &str, bus: &str) -> bool {
    name.strip_prefix(bus).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".archived"))
}

impl Survey<'_> {
    /// Looks at a task and everything in it.
    pub(super) fn task(&mut self, project: usize, folder: &Folder, id: TaskId) {
        let first = self.facts.runs.len();
        let mut fact = TaskFact {
            project,
            id,
            runs: first..first,
            done: false,
            driven: false,
            open_series: None,
            has_loop: false,
            depends_on: Vec::new(),
            unreadable: false,
            foreign: false,
            bytes: 0,
            newest: Timestamp::ZERO,
            whole: true,
            mounted: false,
        };
        match folder.folder_here(&fact.id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) if error.code() == "path.mount_point" => fact.mounted = true,
            Err(error) => {
                fact.unreadable = true;
                self.facts.errors.push(error);
            }
            Ok(task) => {
                if let Err(error) = self.look_at_task(&task, &mut fact) {
                    if error.kind() == ErrorKind::NotFound {
                        // Deleted by somebody at this very moment.
                        self.facts.runs.truncate(first);
                        return;
                    }
                    fact.unreadable = true;
                    self.facts.errors.push(error);
                }
            }
        }
        fact.runs = first..self.facts.runs.len();
        self.facts.tasks.push(fact);
    }

    fn look_at_task(&mut self, task: &Folder, fact: &mut TaskFact) -> Result<()> {
        let mut names = Names::default();
        let strays = &mut self.facts.strays;
        let sum = task.measure(&mut |name, stat| {
            names.note(name, stat);
            if stat.kind == FileKind::File && is_temporary_of_task(name) {
                strays.push(StrayFact {
                    kind: StrayKind::Temporary,
                    path: below(&self.root, task).join(name),
                    bytes: stat.size,
                    modified: Timestamp::from_unix_nanos(stat.modified),
                    held: false,
                });
            }
            is_own(name)
        })?;
        fact.done = names.done;
        (fact.bytes, fact.whole, fact.mounted) = (sum.bytes, sum.whole, sum.mounted);
        fact.newest = Timestamp::from_unix_nanos(sum.newest);
        // The runs first: what the loop says afterwards is newer.
        self.look_at_runs(task, fact)?;
        fact.driven = names.has_lease && task.is_locked(LOOP_LOCK)?;
        if names.has_loop || names.has_config {
            match (self.look)(task) {
                Ok(look) => {
                    fact.has_loop = look.series.is_some();
                    let ended = look.ended_at.is_some_and(|ended| ended < self.now);
                    fact.open_series = look.series.filter(|_| !ended);
                    fact.depends_on = look.depends_on;
                }
                Err(error) => self.unreadable(fact, error),
            }
        }
        let at = Some(self.facts.tasks.len());
        if let Some(bytes) = names.bus {
            self.look_at_bus(task, (fact.project, at), Some(&fact.id), bytes);
        }
        if names.archives {
            self.look_at_archives(task, (fact.project, at), Some(&fact.id));
        }
        Ok(())
    }

    /// Its loop cannot be read: which of its runs are counted is not known either.
    fn unreadable(&mut self, fact: &mut TaskFact, error: Error) {
        fact.unreadable = true;
        self.facts.errors.push(error);
    }

    fn look_at_runs(&mut self, task: &Folder, fact: &mut TaskFact) -> Result<()> {
        let runs = match task.folder_here(RUNS) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.code() == "path.mount_point" => {
                fact.mounted = true;
                return Ok(());
            }
            runs => runs?,
        };
        let listing = Layout::runs_in(task)?;
        fact.foreign = !listing.foreign.is_empty();
        self.unnamed_runs(&runs)?;
        for run in listing.ids {
            let open = self.is_open(fact.project, &fact.id, &run);
            let found = self.runs.scan(&runs, run, open, &mut self.facts.strays);
            match found {
                Ok(None) => {}
                Ok(Some(found)) => {
                    self.facts.errors.extend(found.error);
                    self.facts.runs.push(found.fact);
                }
                // It is not judged, and so stays; the task stays with it.
                Err(error) => {
                    fact.foreign = true;
                    self.facts.errors.push(error);
                }
            }
        }
        Ok(())
    }

    fn is_open(&self, project: usize, task: &TaskId, run: &RunId) -> bool {
        let path = Path::new(self.facts.projects[project].as_str()).join(task).join(RUNS).join(run);
        !self.open.is_empty() && self.open.contains(&path)
    }

    /// Notes a bus that is larger than asked for.
    pub(super) fn look_at_bus(
        &mut self,
        folder: &Folder,
        (project, at): (usize, Option<usize>),
        task: Option<&TaskId>,
        bytes: u64,
    ) {
        if !self.policy.rotate_bus || bytes <= self.policy.bus_max_size {
            return;
        }
        let bus = self.engine.bus(self.scope(project, task));
        match bus.and_then(|bus| bus.rotation_refusal()) {
            Ok(Some(Rotation::Empty)) => {}
            Ok(refusal) => {
                self.facts.buses.push(BusFact { project, task: at, bytes, refusal });
            }
            Err(error) => self.trouble(folder, error),
        }
    }

    /// Notes the archives of a bus that are old enough to go.
    pub(super) fn look_at_archives(
        &mut self,
        folder: &Folder,
        (project, at): (usize, Option<usize>),
        task: Option<&TaskId>,
    ) {
        let Some(age) = self.policy.prune_archives else { return };
        let bus = self.engine.bus(self.scope(project, task));
        let before = self.now.minus(age);
        match bus.and_then(|bus| bus.old_archives(before, self.cursors.as_ref())) {
            Ok(archives) => self.facts.archives.extend(archives.into_iter().map(|archive| {
                let (name, bytes, ended) = (archive.name, archive.bytes, archive.ended);
                ArchiveFact { project, task: at, name, bytes, ended }
            })),
            Err(error) => self.trouble(folder, error),
        }
    }

    fn scope(&self, project: usize, task: Option<&TaskId>) -> Scope {
        Scope { project: self.facts.projects[project].clone(), task: task.cloned() }
    }

    /// Tells of something that could not be looked at, unless it is gone with its folder.
    fn trouble(&mut self, folder: &Folder, error: Error) {
        let gone = error.kind() == ErrorKind::NotFound && folder.stat(PROJECT_BUS).is_err();
        if !gone {
            self.facts.errors.push(error);
        }
    }
}
