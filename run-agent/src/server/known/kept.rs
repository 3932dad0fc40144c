//! What was read of tasks, each under what was seen of the task before.

use super::stamp::Stamp;
use conductor_core::{ProjectId, TaskId};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};

/// The most tasks of which something is kept.
const MOST: usize = 50_000;

/// Something of each task.
#[derive(Debug)]
pub(crate) struct Kept<T>(Mutex<All<T>>);

#[derive(Debug)]
struct All<T> {
    projects: HashMap<ProjectId, HashMap<TaskId, (Stamp, T)>>,
    count: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Mutex::new(All { projects: HashMap::new(), count: 0 }))
    }
}

impl<T: Clone> Kept<T> {
    /// What is kept of a task, where it is still seen as it was.
    pub(super) fn get(&self, project: &ProjectId, task: &TaskId, stamp: Stamp) -> Option<T> {
        let all = self.0.lock();
        let (known, kept) = all.projects.get(project)?.get(task)?;
        (*known == stamp).then(|| kept.clone())
    }

    /// Keeps something of a task in the place of what was kept; nothing instead of `None`, and where
    /// there is no room. Whether it is kept.
    pub(super) fn put(&self, project: &ProjectId, task: &TaskId, new: Option<(Stamp, T)>) -> bool {
        let mut all = self.0.lock();
        let All { projects, count } = &mut *all;
        let Some(new) = new else {
            let gone = projects.get_mut(project).and_then(|tasks| tasks.remove(task));
            *count -= usize::from(gone.is_some());
            return false;
        };
        if *count >= MOST && projects.get(project).is_none_or(|tasks| !tasks.contains_key(task)) {
            return false;
        }
        let tasks = projects.entry(project.clone()).or_default();
        *count += usize::from(tasks.insert(task.clone(), new).is_none());
        true
    }

    /// Forgets the projects that are not among these.
    pub(crate) fn only_projects(&self, ids: &HashSet<&ProjectId>) {
        let mut all = self.0.lock();
        let All { projects, count } = &mut *all;
        projects.retain(|id, _| ids.contains(id));
        *count = projects.values().map(HashMap::len).sum();
    }

    /// Forgets the tasks of a project that are not among these.
    pub(super) fn only(&self, project: &ProjectId, tasks: &HashSet<&TaskId>) {
        let mut all = self.0.lock();
        let All { projects, count } = &mut *all;
        let Some(known) = projects.get_mut(project) else { return };
        let before = known.len();
        known.retain(|task, _| tasks.contains(task));
        *count -= before - known.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_given_under_the_same_stamp_and_forgotten_with_its_task() {
        let (project, task) = (ProjectId::new("p").unwrap(), TaskId::new("t").unwrap());
        let other = TaskId::new("u").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("p/t")).unwrap();
        let folder = super::super::stamp::Folder::open(dir.path(), &project);
        let stamp = folder.task(&task).stamp;
        let kept = Kept::default();
        kept.put(&project, &task, Some((stamp, 1)));
        kept.put(&project, &other, Some((stamp, 2)));
        assert_eq!(kept.get(&project, &task, stamp), Some(1));
        std::fs::create_dir(dir.path().join("p/t/runs")).unwrap();
        let later = folder.task(&task).stamp;
        assert_eq!(kept.get(&project, &task, later), None);
        kept.only(&project, &HashSet::from([&task]));
        assert_eq!((kept.get(&project, &other, stamp), kept.0.lock().count), (None, 1));
        kept.put(&project, &task, None);
        assert_eq!((kept.get(&project, &task, stamp), kept.0.lock().count), (None, 0));
        assert!(kept.put(&project, &task, Some((stamp, 3))));
        kept.only_projects(&HashSet::new());
        assert_eq!((kept.get(&project, &task, stamp), kept.0.lock().count), (None, 0));
        kept.0.lock().count = MOST;
        assert!(!kept.put(&project, &task, Some((stamp, 4))), "there is no room");
    }
}
