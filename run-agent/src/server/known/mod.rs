//! What is known of tasks: read once, and then only looked at while nothing changes. A project of 10,000 tasks is
//! read at its first view; a second one opens what changed since.
//!
//! Only tasks at rest are kept: those whose loop and runs are over. All else is read each time.

mod kept;
mod stamp;

pub(crate) use kept::Kept;
pub(crate) use stamp::Seen;

use conductor_core::{Conductor, ProjectId, Result, TaskId, TaskInfo, Timestamp, UsageReport};
use parking_lot::Mutex;
use stamp::{Changed, Folder};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// What is known of each project, with what it was read from.
type OfProjects<T> = Mutex<HashMap<ProjectId, ([Changed; 2], T)>>;

/// Reads a task.
type Read<'a> = Box<dyn Fn(&TaskId) -> Result<TaskInfo> + 'a>;

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Known {
    infos: Kept<Arc<TaskInfo>>,
    created: Kept<Timestamp>,
    used: Kept<Arc<UsageReport>>,
    /// What the tasks of a project used that are gone.
    gone: OfProjects<Arc<UsageReport>>,
    /// The folders of sources that projects are linked to.
    sources: OfProjects<Option<PathBuf>>,
}

/// A task as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) info: Arc<TaskInfo>,
    /// Whether nothing of it changes by itself.
    pub(crate) rests: bool,
}

/// Tasks that are read one by one; those of them that wait for their turn share a look at the line.
type Infos<'a> = Box<dyn Iterator<Item = (ProjectId, TaskId, Result<TaskInfo>)> + 'a>;

/// What one request reads.
pub(crate) struct Reader<'a> {
    known: &'a Known,
    conductor: &'a Conductor,
    next: &'a Cell<Option<(ProjectId, TaskId)>>,
    infos: RefCell<Infos<'a>>,
    /// How many more tasks may be read that will be known then.
    left: Cell<usize>,
}

impl Known {
    /// Reads for a request, at most so many tasks that were not known.
    pub(crate) fn read<T>(
        &self,
        conductor: &Conductor,
        most: usize,
        read: impl FnOnce(&Reader<'_>) -> T,
    ) -> T {
        let next = Cell::new(None);
        let infos = Box::new(conductor.tasks().infos(std::iter::from_fn(|| next.take())));
        let (infos, left) = (RefCell::new(infos as Infos<'_>), Cell::new(most));
        read(&Reader { known: self, conductor, next: &next, infos, left })
    }
}

impl Known {
    /// Forgets the projects that are not among these.
    pub(crate) fn only_projects(&self, ids: &HashSet<&ProjectId>) {
        self.infos.only_projects(ids);
        self.created.only_projects(ids);
        self.used.only_projects(ids);
        self.gone.lock().retain(|id, _| ids.contains(id));
        self.sources.lock().retain(|id, _| ids.contains(id));
    }
}

impl<'a> Reader<'a> {
    /// The tasks of a project.
    pub(crate) fn of<'b>(&'b self, project: &'b ProjectId) -> Look<'b> {
        let folder = Folder::open(self.conductor.root(), project);
        Look {
            known: self.known,
            conductor: self.conductor,
            project,
            folder,
            left: &self.left,
            info: Box::new(move |task| self.info(project, task)),
        }
    }

    fn info(&self, project: &ProjectId, task: &TaskId) -> Result<TaskInfo> {
        self.next.set(Some((project.clone(), task.clone())));
        match self.infos.borrow_mut().next() {
            Some((_, _, info)) => info,
            None => self.conductor.tasks().info(project, task),
        }
    }
}

/// A look at the tasks of a project.
pub(crate) struct Look<'a> {
    known: &'a Known,
    pub(crate) conductor: &'a Conductor,
    pub(crate) project: &'a ProjectId,
    folder: Folder,
    left: &'a Cell<usize>,
    info: Read<'a>,
}

impl Look<'_> {
    /// The ids of its tasks, by name. What is known of others is forgotten.
    ///
    /// # Errors
    /// `project.not_found`.
    pub(crate) fn ids(&self) -> Result<Vec<TaskId>> {
        let ids = self.conductor.tasks().ids(self.project)?;
        let all: HashSet<&TaskId> = ids.iter().collect();
        self.known.infos.only(self.project, &all);
        self.known.created.only(self.project, &all);
        self.known.used.only(self.project, &all);
        Ok(ids)
    }

    /// When its own folder changed last.
    pub(crate) fn at(&self) -> Timestamp {
        self.folder.changed(".").at()
    }

    /// Looks at a task, without opening anything. What is known is asked for with what was seen before: a
    /// change meanwhile is seen the next time.
    pub(crate) fn see(&self, task: &TaskId) -> Seen {
        self.folder.task(task)
    }

    /// What is known of a task, read where it is not known; `None` where it was not read, as enough others were.
    ///
    /// # Errors
    /// `task.not_found`, and what keeps its files from being read.
    pub(crate) fn task(&self, task: &TaskId, seen: &Seen) -> Result<Option<Told>> {
        let kept = self.known.infos.get(self.project, task, seen.stamp);
        if let Some(info) = kept {
            return Ok(Some(Told { info, rests: true }));
        }
        if self.left.get() == 0 {
            return Ok(None);
        }
        let info = (self.info)(task).map(Arc::new);
        let rests = seen.is_firm() && info.as_ref().is_ok_and(|info| rests(info));
        let new = info.as_ref().ok().filter(|_| rests);
        let new = new.map(|info| (seen.stamp, info.clone()));
        let kept = self.known.infos.put(self.project, task, new);
        // What is read each time is no progress.
        self.left.set(self.left.get() - usize::from(kept));
        info.map(|info| Some(Told { info, rests }))
    }

    /// What the finished runs of a task used.
    ///
    /// # Errors
    /// `task.not_found`.
    pub(crate) fn used(&self, task: &TaskId, seen: &Seen) -> Result<Arc<UsageReport>> {
        self.keep(&self.known.used, task, seen, || {
            let report = self.conductor.usage(Some(self.project), Some(task))?;
            // One that cannot be read is never known; what it used may be told all the same.
            let told = self.task(task, seen);
            let rests = told.is_ok_and(|told| told.is_some_and(|told| told.rests));
            let holds = rests && report.damage.is_empty();
            Ok((Arc::new(report), holds))
        })
    }

    /// When a task was made, as `read` finds out.
    pub(crate) fn created(
        &self,
        task: &TaskId,
        seen: &Seen,
        rests: bool,
        read: impl FnOnce() -> Timestamp,
    ) -> Timestamp {
        let read = || Ok((read(), rests));
        self.keep(&self.known.created, task, seen, read).unwrap_or(Timestamp::ZERO)
    }

    /// What is kept of a task, read where nothing is. `read` also tells whether it holds while nothing changes.
    pub(crate) fn keep<T: Clone>(
        &self,
        kept: &Kept<T>,
        task: &TaskId,
        seen: &Seen,
        read: impl FnOnce() -> Result<(T, bool)>,
    ) -> Result<T> {
        if let Some(known) = kept.get(self.project, task, seen.stamp) {
            return Ok(known);
        }
        let new = read();
        let keep = new.as_ref().ok().filter(|(_, holds)| *holds && seen.is_firm());
        kept.put(self.project, task, keep.map(|(new, _)| (seen.stamp, new.clone())));
        new.map(|(new, _)| new)
    }

    /// Forgets what is kept elsewhere of tasks that are not among these.
    pub(crate) fn only<T: Clone>(&self, kept: &Kept<T>, ids: &[TaskId]) {
        kept.only(self.project, &ids.iter().collect());
    }

    /// What tasks of the project used that are gone.
    ///
    /// # Errors
    /// `project.not_found`.
    pub(crate) fn gone(&self) -> Result<Arc<UsageReport>> {
        let seen = [self.folder.changed("."), self.folder.changed(".receipts.jsonl")];
        known_as(&self.known.gone, self.project, seen, || {
            self.conductor.usage_of_gone(self.project).map(Arc::new)
        })
    }

    /// The folder of sources that the project is linked to.
    ///
    /// # Errors
    /// `project.not_found`.
    pub(crate) fn source(&self) -> Result<Option<PathBuf>> {
        let seen = ["home-folders.md", "PROJECT-ROOT.txt"].map(|name| self.folder.changed(name));
        known_as(&self.known.sources, self.project, seen, || {
            Ok(self.conductor.project(self.project)?.source_folder)
        })
    }
}

/// What is known of a project under what was seen of it, read where that changed.
fn known_as<T: Clone>(
    known: &Mutex<HashMap<ProjectId, ([Changed; 2], T)>>,
    project: &ProjectId,
    seen: [Changed; 2],
    read: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if let Some((under, kept)) = known.lock().get(project)
        && *under == seen
    {
        return Ok(kept.clone());
    }
    let new = read();
    let mut known = known.lock();
    match &new {
        Ok(new) if !seen.into_iter().any(Changed::is_young) => {
            known.insert(project.clone(), (seen, new.clone()));
        }
        _ => drop(known.remove(project)),
    }
    new
}

/// Whether nothing of a task changes before somebody wakes it up.
fn rests(info: &TaskInfo) -> bool {
    let ended = info.latest.as_ref().is_none_or(|run| run.ended.is_some());
    // One that never ran waits for nobody, unless it was made to wait for others.
    let waits = info.latest.is_none() && !info.done && !info.depends_on.is_empty();
    let readable = info.blocked_by.is_empty() && info.unreadable.is_empty();
    ended && readable && !waits && !info.is_unfinished()
}
