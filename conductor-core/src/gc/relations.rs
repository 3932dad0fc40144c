//! What must be known of the whole root before any of it is judged: which runs living runs came from,
//! and which tasks others wait for.
//!
//! Found by a look at each record, task by task. What is remembered grows with what lives and waits,
//! not with what is there: a link is kept only while the run that it leads to is looked for.

use super::facts::IdHash;
use super::scan_run::{CameFrom, IdHasher, RunScanner};
use super::scan_task::{LookAtTask, waits_for};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{CONDUCTOR, Layout, OPEN, RUNS};
use crate::run::store;
use crate::supervise::{Engine, OpenEntry, Verdict, observe};
use crate::sys::FileKind;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// How many errors are remembered.
pub(super) const MOST_ERRORS: usize = 100;

/// What binds the things of a root to each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Relations {
    hasher: IdHasher,
    /// What living runs came from, however many steps away.
    ancestors: HashSet<IdHash>,
    /// Those of them whose own links are not known yet.
    pending: HashSet<IdHash>,
    /// Of each project in which something waits: for which tasks.
    awaited: HashMap<ProjectId, Awaited>,
    /// The names of the entries of open runs that are taken into account.
    entries: HashSet<String>,
    /// The paths of open runs, below the root.
    open: HashSet<PathBuf>,
}

/// What the unfinished tasks of a project wait for.
#[derive(Clone, Debug)]
enum Awaited {
    Tasks(HashSet<TaskId>),
    /// For any task, as far as anybody can tell.
    Any,
}

/// A run that came from others.
struct Link {
    id: IdHash,
    up: CameFrom,
    lives: bool,
}

/// How much the look at the relations saw so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) tasks: usize,
    pub(crate) runs: usize,
}

impl Relations {
    /// Whether a living run came from this one.
    pub(super) fn is_ancestor(&self, run: &RunId) -> bool {
        !self.ancestors.is_empty() && self.ancestors.contains(&self.hasher.of(run.as_str()))
    }

    /// Whether a task waits for this one, or may.
    pub(super) fn is_awaited(&self, project: &ProjectId, task: &TaskId) -> bool {
        match self.awaited.get(project) {
            None => false,
            Some(Awaited::Any) => true,
            Some(Awaited::Tasks(tasks)) => tasks.contains(task),
        }
    }

    /// Whether the run has an entry among the open ones.
    pub(super) fn is_open(&self, project: &ProjectId, task: &TaskId, run: &RunId) -> bool {
        !self.open.is_empty() && self.open.contains(&path_of(project, task, run))
    }

    /// Whether there are entries of open runs that were not taken into account.
    pub(super) fn misses_open_runs(&self, root: &Folder) -> Result<bool> {
        let entries = root.folder_if_exists(Path::new(CONDUCTOR).join(OPEN))?;
        let (Some(entries), mut new) = (entries, false) else { return Ok(false) };
        entries.visit(&mut |name, _| {
            let name = name.to_str().unwrap_or_default();
            new = !name.starts_with('.') && !self.entries.contains(name);
            !new
        })?;
        Ok(new)
    }

    /// Notes what a task waits for that has no `DONE`; `None` where that cannot be read.
    fn wait_for(&mut self, project: &ProjectId, tasks: Option<Vec<TaskId>>) {
        let awaited = match self.awaited.get_mut(project) {
            Some(awaited) => awaited,
            None if tasks.as_ref().is_some_and(Vec::is_empty) => return,
            None => self
                .awaited
                .entry(project.clone())
                .or_insert_with(|| Awaited::Tasks(HashSet::new())),
        };
        match (tasks, &mut *awaited) {
            (None, _) => *awaited = Awaited::Any,
            (Some(tasks), Awaited::Tasks(known)) => known.extend(tasks),
            (Some(_), Awaited::Any) => {}
        }
    }

    /// Follows what a living run came from.
    fn follow(&mut self, up: CameFrom) {
        for id in up.into_iter().flatten() {
            if self.ancestors.insert(id) {
                self.pending.insert(id);
            }
        }
    }

    /// Follows the links of a task's runs as far as they are wanted.
    fn follow_all(&mut self, mut links: Vec<Link>) {
        let wanted = |link: &&Link| link.lives || self.pending.contains(&link.id);
        let mut open: Vec<IdHash> = links.iter().filter(wanted).map(|link| link.id).collect();
        if open.is_empty() {
            return;
        }
        links.sort_unstable_by_key(|link| link.id);
        while let Some(id) = open.pop() {
            let first = links.partition_point(|link| link.id < id);
            for link in links[first..].iter().take_while(|link| link.id == id) {
                self.pending.remove(&id);
                for id in link.up.into_iter().flatten() {
                    if self.ancestors.insert(id) {
                        // Until it is found, in this task or in another.
                        self.pending.insert(id);
                        open.push(id);
                    }
                }
            }
        }
    }
}

fn path_of(project: &ProjectId, task: &TaskId, run: &RunId) -> PathBuf {
    Path::new(project.as_str()).join(task).join(RUNS).join(run)
}

/// A look at what binds the things of a root to each other.
pub(super) struct RelationsLook<'a> {
    engine: &'a Engine,
    root: Folder,
    scanner: RunScanner,
    pub(super) relations: Relations,
    pub(super) counted: Counted,
    /// What could not be looked at outside the one project that is asked for, as far as is told.
    pub(super) errors: Vec<Error>,
}

impl<'a> RelationsLook<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        root: &Folder,
        relations: Relations,
        scanner: RunScanner,
    ) -> RelationsLook<'a> {
        let (counted, errors) = (Counted::default(), Vec::new());
        RelationsLook { engine, root: root.clone(), scanner, relations, counted, errors }
    }

    /// Looks at every task of the root: a living run keeps what it came from, wherever that is.
    pub(super) fn all(
        &mut self,
        only: Option<&ProjectId>,
        look: LookAtTask,
        wait: &Wait,
        told: &mut dyn FnMut(Counted),
    ) -> Result<()> {
        // Before the runs: one that starts meanwhile is found by its entry when something is done.
        self.open_runs()?;
        for project in Layout::projects_in(&self.root)?.ids {
            let found = self.project(&project, look, wait, told);
            let found = found.map_err(|error| self.tell(&project, only, error));
            if let Err(Some(over)) = found {
                return Err(over);
            }
        }
        self.rest(wait)
    }

    /// Remembers an error where nobody else tells of it; gives back one that ends the look.
    fn tell(&mut self, at: &ProjectId, only: Option<&ProjectId>, error: Error) -> Option<Error> {
        match error.kind() {
            ErrorKind::Cancelled | ErrorKind::Timeout => return Some(error),
            // Deleted by somebody at this very moment.
            ErrorKind::NotFound => {}
            _ if only.is_none_or(|only| only == at) => {}
            _ if self.errors.len() < MOST_ERRORS => self.errors.push(error),
            _ => {}
        }
        None
    }

    fn project(
        &mut self,
        project: &ProjectId,
        look: LookAtTask,
        wait: &Wait,
        told: &mut dyn FnMut(Counted),
    ) -> Result<()> {
        let folder = self.root.folder_here(project)?;
        let mut failed = None;
        for task in Layout::tasks_in(&folder)?.ids {
            wait.check()?;
            self.counted.tasks += 1;
            let task_folder = match folder.folder_here(&task) {
                Ok(folder) => folder,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) if error.code() == "path.mount_point" => continue,
                Err(_) => {
                    // Whoever looks for what goes tells why.
                    self.relations.wait_for(project, None);
                    continue;
                }
            };
            if let Some(waits) = waits_for(&task_folder, look) {
                self.relations.wait_for(project, waits.ok());
            }
            // Whatever becomes of one task: what lives in the others keeps what it came from.
            match self.task(project, &task, &task_folder, wait) {
                Err(over) if matches!(over.kind(), ErrorKind::Cancelled | ErrorKind::Timeout) => {
                    return Err(over);
                }
                Err(error) => failed = failed.or(Some(error)),
                Ok(()) => {}
            }
            told(self.counted);
        }
        failed.map_or(Ok(()), Err)
    }

    fn task(
        &mut self,
        project: &ProjectId,
        task: &TaskId,
        folder: &Folder,
        wait: &Wait,
    ) -> Result<()> {
        let mut links = Vec::new();
        let Ok(runs) = folder.folder_here(RUNS) else { return Ok(()) };
        let mut over = None;
        let looked = runs.visit(&mut |name, kind| {
            let id = name.to_str().and_then(|name| RunId::new(name).ok());
            let Some(id) = id.filter(|_| kind == FileKind::Folder) else { return true };
            self.counted.runs += 1;
            if self.counted.runs.is_multiple_of(1024) {
                over = wait.check().err();
            }
            let open = self.relations.is_open(project, task, &id);
            let hasher = &self.relations.hasher;
            // One whose record cannot be read names nobody.
            let found = self.scanner.came_from(&runs, &id, open, hasher);
            let (up, lives) = found.unwrap_or(([None, None], false));
            links.push(Link { id: hasher.of(id.as_str()), up, lives });
            over.is_none()
        });
        self.relations.follow_all(links);
        match looked {
            // Deleted by somebody at this very moment.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            looked => looked?,
        }
        over.map_or(Ok(()), Err)
    }

    /// Looks for the runs that are still to be followed, by name, until none is found any more.
    fn rest(&mut self, wait: &Wait) -> Result<()> {
        let mut before = usize::MAX;
        while !self.relations.pending.is_empty() && before != 0 {
            before = 0;
            for project in Layout::projects_in(&self.root)?.ids {
                let Ok(folder) = self.root.folder_here(&project) else { continue };
                let Ok(tasks) = Layout::tasks_in(&folder) else { continue };
                for task in tasks.ids {
                    wait.check()?;
                    let Ok(runs) = folder.folder_here(Path::new(task.as_str()).join(RUNS)) else {
                        continue;
                    };
                    before += self.named(&runs)?;
                }
            }
        }
        // Those that are nowhere any more need not be looked for again.
        self.relations.pending.clear();
        Ok(())
    }

    /// Follows those runs of a task that are wanted; tells how many those are.
    fn named(&mut self, runs: &Folder) -> Result<usize> {
        let (mut found, mut ids) = (0, Vec::new());
        loop {
            let Relations { hasher, pending, .. } = &self.relations;
            let looked = runs.visit(&mut |name, _| {
                let name = name.to_str().unwrap_or_default();
                if pending.contains(&hasher.of(name)) {
                    ids.extend(RunId::new(name));
                }
                true
            });
            match looked {
                // Deleted by somebody at this very moment.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                looked => looked?,
            }
            if ids.is_empty() {
                return Ok(found);
            }
            for id in ids.drain(..) {
                found += 1;
                self.relations.pending.remove(&self.relations.hasher.of(id.as_str()));
                let came = self.scanner.came_from(runs, &id, false, &self.relations.hasher);
                self.relations.follow(came.unwrap_or(([None, None], false)).0);
            }
        }
    }

    /// Takes the open runs into account that were not yet.
    fn open_runs(&mut self) -> Result<()> {
        if !self.relations.misses_open_runs(&self.root)? {
            return Ok(());
        }
        for OpenEntry { name, project, task, run, .. } in
            OpenEntry::list(self.engine.layout())?.entries
        {
            if self.relations.entries.contains(&name) {
                continue;
            }
            let named = path_of(&project, &task, &run);
            let unnamed = named.with_file_name(format!(".{run}"));
            self.relations.open.insert(named.clone());
            // One that is just being started may not have its name yet.
            let folder = match self.root.folder_if_exists(&named) {
                Ok(None) => self.root.folder_if_exists(&unnamed),
                folder => folder,
            };
            let Ok(Some(folder)) = folder else { continue };
            // One without a record is looked at again when something is done.
            let Ok(record) = store::read(&folder) else { continue };
            self.relations.entries.insert(name);
            if !matches!(observe(&folder, &record), Ok(Verdict::Over(_))) {
                let links = [&record.parent_run_id, &record.previous_run_id];
                let hasher = &self.relations.hasher;
                let up = links.map(|id| id.as_deref().map(|id| hasher.of(id.trim())));
                self.relations.follow(up);
            }
        }
        Ok(())
    }

    /// Takes those open runs into account that began since, and what they came from.
    pub(super) fn again(&mut self, wait: &Wait) -> Result<()> {
        self.open_runs()?;
        self.rest(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is looked at first: the runs that living ones came from are found.
        #[test]
        fn links_are_followed_across_tasks_in_any_order(
            runs in prop::collection::vec((0u64..12, 0u64..12, prop::bool::weighted(0.2)), 1..12),
            cuts in prop::collection::vec(1usize..5, 0..6),
        ) {
            let all: Vec<(u64, CameFrom, bool)> = runs
                .iter()
                .enumerate()
                .map(|(id, (parent, previous, lives))| {
                    let other = |link: &u64| Some(*link).filter(|link| *link < runs.len() as u64);
                    (id as u64, [other(parent), other(previous)], *lives)
                })
                .collect();
            let mut wanted = HashSet::new();
            let mut open: Vec<CameFrom> =
                all.iter().filter(|run| run.2).map(|run| run.1).collect();
            while let Some(up) = open.pop() {
                for id in up.into_iter().flatten() {
                    if wanted.insert(id) {
                        open.push(all[usize::try_from(id).unwrap()].1);
                    }
                }
            }
            // The same runs in tasks of some sizes, looked at until nothing new is found.
            let mut relations = Relations::default();
            let mut rounds = 0;
            loop {
                let mut rest = &all[..];
                let mut cuts = cuts.iter().copied();
                while !rest.is_empty() {
                    let size = cuts.next().unwrap_or(2).min(rest.len());
                    let (task, others) = rest.split_at(size);
                    let links = task.iter().map(|&(id, up, lives)| Link { id, up, lives });
                    relations.follow_all(links.collect());
                    rest = others;
                }
                rounds += 1;
                if relations.pending.is_empty() || rounds > 20 {
                    break;
                }
            }
            prop_assert_eq!(relations.ancestors, wanted);
        }
    }
}
