//! Rows of tasks, kept while nothing changes: a project of 10,000 tasks is read once, and then looked at.
//!
//! Only tasks at rest are kept: those whose loop and runs are over. Whatever wakes one up makes, removes or
//! renames a file in its folder or in the one of its runs, which changes the times of these.

use super::state::Shared;
use super::tasks::row;
use conductor_core::{Conductor, ProjectId, Result, TaskId};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most rows that are kept.
const MOST: usize = 200_000;
/// Times of files are not told apart that lie closer together: a folder that changed just now may change
/// again without its time telling so.
const YOUNG: Duration = Duration::from_secs(2);

/// The rows of tasks at rest.
#[derive(Debug, Default)]
pub(crate) struct Rows(Mutex<HashMap<(ProjectId, TaskId), (Stamp, Shared)>>);

/// What changes when anything in a task does that is at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp([Changed; 2]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changed {
    inode: u64,
    /// In nanoseconds since 1970.
    at: i128,
}

impl Changed {
    /// Of a folder; nothing for one that is not there.
    fn of(path: &Path) -> Changed {
        fs::symlink_metadata(path).map_or(Changed::default(), |meta| Changed {
            inode: meta.ino(),
            at: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
        })
    }
}

impl Stamp {
    fn of(root: &Path, project: &ProjectId, task: &TaskId) -> Stamp {
        let folder = root.join(project.as_str()).join(task.as_str());
        Stamp([Changed::of(&folder), Changed::of(&folder.join("runs"))])
    }

    fn is_young(self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let young = now.saturating_sub(YOUNG).as_nanos();
        self.0.iter().any(|changed| u128::try_from(changed.at).is_ok_and(|at| at > young))
    }
}

impl Rows {
    /// The row of a task, read anew where it may have changed.
    pub(super) fn get(
        &self,
        conductor: &Conductor,
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<Shared> {
        let key = (project.clone(), task.clone());
        // Looked at before the task is read: a change meanwhile is seen the next time.
        let stamp = Stamp::of(conductor.root(), project, task);
        if let Some((known, row)) = self.0.lock().get(&key)
            && *known == stamp
        {
            return Ok(row.clone());
        }
        let info = conductor.tasks().info(project, task);
        let rests = info.as_ref().is_ok_and(|info| {
            let ended = info.latest.as_ref().is_none_or(|run| run.ended.is_some());
            info.is_over() && ended && info.blocked_by.is_empty() && info.unreadable.is_empty()
        });
        let row = info.and_then(|info| row(conductor, &info)).map(Shared::new);
        let mut kept = self.0.lock();
        match &row {
            Ok(row) if rests && !stamp.is_young() && kept.len() < MOST => {
                kept.insert(key, (stamp, row.clone()));
            }
            _ => drop(kept.remove(&key)),
        }
        row
    }

    /// Forgets the tasks of a project that are not among these.
    pub(super) fn keep(&self, project: &ProjectId, tasks: &[TaskId]) {
        let mut kept = self.0.lock();
        if kept.len() <= tasks.len() {
            return;
        }
        let tasks: HashSet<&TaskId> = tasks.iter().collect();
        kept.retain(|(of, task), _| of != project || tasks.contains(task));
    }
}
