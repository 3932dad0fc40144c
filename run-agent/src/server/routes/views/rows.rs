//! Rows of tasks, kept while nothing changes: a project of 10,000 tasks is read once, and then looked at.
//!
//! Only tasks at rest are kept: those whose loop and runs are over. Whatever wakes one up makes, removes or
//! renames a file in its folder or in the one of its runs, which changes the times of these.

use super::state::{RunRow, Shared};
use super::tasks::row;
use conductor_core::{Conductor, ProjectId, Result, TaskId};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most rows that are kept.
const MOST: usize = 200_000;
/// Times of files are not told apart that lie closer together: a folder that changed just now may change
/// again without its time telling so.
const YOUNG: Duration = Duration::from_secs(2);

/// Something that is known of tasks, under what it was known by.
type Known<T> = Mutex<HashMap<(ProjectId, TaskId), (Stamp, T)>>;

/// What is known of tasks at rest.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Known<Shared>,
    /// Their runs that other runs started.
    children: Known<Arc<[RunRow]>>,
}

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
        if let Some((known, row)) = self.rows.lock().get(&key)
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
        let mut kept = self.rows.lock();
        match &row {
            Ok(row) if rests && !stamp.is_young() && kept.len() < MOST => {
                kept.insert(key, (stamp, row.clone()));
            }
            _ => drop(kept.remove(&key)),
        }
        row
    }

    /// The runs of a task that other runs started, by their ids, read anew where they may have changed.
    pub(super) fn children(
        &self,
        conductor: &Conductor,
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<Arc<[RunRow]>> {
        let key = (project.clone(), task.clone());
        let stamp = Stamp::of(conductor.root(), project, task);
        if let Some((known, runs)) = self.children.lock().get(&key)
            && *known == stamp
        {
            return Ok(runs.clone());
        }
        let runs = conductor.runs().list(project, task)?;
        let over = runs.iter().all(|run| run.as_ref().is_ok_and(|run| run.ended.is_some()));
        let runs = runs.iter().flatten().filter(|run| run.record.parent_run_id.is_some());
        let runs: Arc<[RunRow]> = runs.map(RunRow::of).collect();
        let mut kept = self.children.lock();
        match over && !stamp.is_young() && kept.len() < MOST {
            true => drop(kept.insert(key, (stamp, runs.clone()))),
            false => drop(kept.remove(&key)),
        }
        Ok(runs)
    }

    /// Forgets the tasks of a project that are not among these.
    pub(super) fn keep(&self, project: &ProjectId, tasks: &[TaskId]) {
        let known: HashSet<&TaskId> = tasks.iter().collect();
        let mut rows = self.rows.lock();
        if rows.len() > tasks.len() {
            rows.retain(|(of, task), _| of != project || known.contains(task));
        }
        drop(rows);
        let mut children = self.children.lock();
        if children.len() > tasks.len() {
            children.retain(|(of, task), _| of != project || known.contains(task));
        }
    }
}
