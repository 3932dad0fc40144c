//! Where a task stands, in one word, and the tasks that live or wait.

use super::tasks::{TaskInfo, Tasks, read_task};
use super::watch::TaskWatch;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ProjectId, RunId, TaskId};
use crate::run::Status;
use crate::supervise::{Lines, OpenEntry, RunInfo};
use crate::task::TaskOutcome;
use std::collections::BTreeMap;

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskStatus {
    /// Nothing was ever run, and it is not done.
    Idle,
    /// It is done, and nothing is known of its runs.
    Done,
    /// Other tasks must be ready first.
    Blocked,
    /// It was cancelled.
    Cancelled,
    /// That of its newest run whose record can be read.
    Run(Status),
    /// It has runs, and no record of them can be read.
    Unknown,
}

impl TaskStatus {
    /// Its word in every surface.
    pub fn as_str(&self) -> &str {
        match self {
            TaskStatus::Idle => "-",
            TaskStatus::Done => "done",
            TaskStatus::Blocked => "blocked",
            TaskStatus::Cancelled => "cancelled",
            TaskStatus::Run(status) => status.as_str(),
            TaskStatus::Unknown => "unknown",
        }
    }
}

impl TaskInfo {
    /// Where it stands, in one word.
    pub fn status(&self) -> TaskStatus {
        let run = self.latest.as_ref().map(|run| run.status());
        match run {
            Some(Status::Running) => TaskStatus::Run(Status::Running),
            _ if self.cancelled && !self.done => TaskStatus::Cancelled,
            _ if !self.blocked_by.is_empty() => TaskStatus::Blocked,
            Some(status) => TaskStatus::Run(status),
            None if self.done => TaskStatus::Done,
            None if self.unreadable.is_empty() => TaskStatus::Idle,
            None => TaskStatus::Unknown,
        }
    }

    /// The newest run, whether its record can be read or not.
    pub fn newest_run(&self) -> Option<&RunId> {
        self.unreadable.last().or(self.latest.as_ref().map(|run| &run.id))
    }

    /// Whether nothing more comes of it by itself: its loop has ended, or, where it has none, its
    /// newest run.
    pub fn is_over(&self) -> bool {
        match &self.latest {
            _ if self.has_loop => self.result.is_some(),
            Some(run) => run.ended.is_some(),
            None => self.done,
        }
    }

    /// Whether it is over and came to a good end.
    pub fn is_success(&self) -> bool {
        match (&self.result, &self.latest) {
            (Some(result), _) => result.outcome == TaskOutcome::Done,
            (None, Some(run)) => run.status() == Status::Completed,
            (None, None) => self.done,
        }
    }

    /// Whether a run of it lives, or may live, or its loop has not ended.
    fn lives_or_waits(&self) -> bool {
        self.is_unfinished()
            || self
                .latest
                .as_ref()
                .is_some_and(|run| run.ended.is_none() && run.status() == Status::Running)
    }
}

impl Tasks<'_> {
    /// The ids of a project's tasks, by name.
    pub fn ids(&self, project: &ProjectId) -> Result<Vec<TaskId>> {
        Ok(self.0.engine.layout().tasks(project)?.ids)
    }

    /// As [`list`](Tasks::list), each with its id.
    pub fn entries(&self, project: &ProjectId) -> Result<Vec<(TaskId, Result<TaskInfo>)>> {
        let tasks = self.ids(project)?.into_iter().map(|task| (project.clone(), task));
        Ok(self.infos(tasks).map(|(_, task, info)| (task, info)).collect())
    }

    /// What is known of each of these tasks, of any projects, as it is asked for. Reads only.
    pub fn infos(
        self,
        tasks: impl IntoIterator<Item = (ProjectId, TaskId)>,
    ) -> impl Iterator<Item = (ProjectId, TaskId, Result<TaskInfo>)> {
        let lines = Lines::default();
        tasks.into_iter().map(move |(project, task)| {
            let info = read_task(&self.0.engine, &lines, &project, &task);
            (project, task, info)
        })
    }

    /// What is known of a task. Reads only.
    ///
    /// # Errors
    /// `task.not_found`, and what keeps its files from being read.
    pub fn info(&self, project: &ProjectId, task: &TaskId) -> Result<TaskInfo> {
        read_task(&self.0.engine, &Lines::default(), project, task)
    }

    /// Looks on at some tasks of a project while they go their way, without driving them. They need
    /// not exist yet.
    pub fn watch(
        &self,
        project: &ProjectId,
        tasks: impl IntoIterator<Item = TaskId>,
    ) -> Result<TaskWatch> {
        TaskWatch::new(self.0, project, tasks.into_iter().collect())
    }

    /// The tasks of the whole root of which a run lives or whose loop has not ended, by name.
    ///
    /// Costs a look at each task and at each run that is not finished, not at each run.
    pub fn living(&self) -> Result<Living> {
        let layout = self.0.engine.layout();
        let (mut living, lines) = (Living::default(), Lines::default());
        let mut open = self.open_runs(&mut living.unreadable)?;
        for project in layout.projects()?.ids {
            let tasks = match layout.tasks(&project) {
                // Deleted since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                tasks => tasks?.ids,
            };
            for task in tasks {
                let id = (project.clone(), task);
                let mut info = read_task(&self.0.engine, &lines, &id.0, &id.1);
                match (&mut info, open.remove(&id)) {
                    (Err(error), _) if error.kind() == ErrorKind::NotFound => continue,
                    (Err(_), _) => {}
                    // A run that lives says more of the task than a newer one that is over.
                    (Ok(info), Some(run)) if !info.lives_or_waits() => {
                        info.latest = Some(run);
                        info.unreadable.clear();
                    }
                    (Ok(info), _) if info.lives_or_waits() => {}
                    (Ok(_), _) => continue,
                }
                living.tasks.push((id.0, id.1, info));
            }
        }
        Ok(living)
    }

    /// The newest living run of each task that has one, by the entries of open runs.
    fn open_runs(&self, unreadable: &mut Vec<Error>) -> Result<OpenRuns> {
        let mut open = OpenRuns::new();
        let found = OpenEntry::list(self.0.engine.layout())?;
        unreadable.extend(found.damaged);
        for OpenEntry { project, task, run, .. } in found.entries {
            match self.0.runs().info(&project, &task, &run) {
                Ok(info) if info.ended.is_none() => {
                    let id = (project, task);
                    let newer = |known: &RunInfo| known.id.sort_key() < info.id.sort_key();
                    if open.get(&id).is_none_or(newer) {
                        open.insert(id, info);
                    }
                }
                Ok(_) => {}
                // It has no folder yet, or none any more.
                Err(error) if error.code() == "run.not_found" => {}
                Err(error) => unreadable.push(error),
            }
        }
        Ok(open)
    }
}

/// A living run of each task.
type OpenRuns = BTreeMap<(ProjectId, TaskId), RunInfo>;

/// What lives or waits in a root; from [`Tasks::living`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Living {
    /// The tasks, by name, each as far as it can be read.
    pub tasks: Vec<(ProjectId, TaskId, Result<TaskInfo>)>,
    /// Why more may live than that: entries and records of open runs that cannot be read.
    pub unreadable: Vec<Error>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::{Conductor, Options};
    use std::fs;

    const TASK: &str = "t";

    /// A task with these runs, each an id and a record, and these other files.
    fn task(runs: &[(&str, &str)], files: &[&str]) -> TaskInfo {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("p").join(TASK);
        fs::create_dir_all(&folder).unwrap();
        for (run, record) in runs {
            let run = folder.join("runs").join(run);
            fs::create_dir_all(&run).unwrap();
            fs::write(run.join("run-info.yaml"), record).unwrap();
        }
        for file in files {
            fs::write(folder.join(file), "").unwrap();
        }
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        conductor.tasks().info(&"p".parse().unwrap(), &TASK.parse().unwrap()).unwrap()
    }

    fn ended(status: &str) -> String {
        format!("run_id: r\nstatus: {status}\nexit_code: 0\n")
    }

    #[test]
    fn the_word_is_that_of_the_newest_run_that_can_be_read() {
        assert_eq!(task(&[], &[]).status().as_str(), "-");
        assert_eq!(task(&[], &["DONE"]).status().as_str(), "done");
        assert_eq!(task(&[("r1", "")], &[]).status().as_str(), "unknown");
        let (good, bad) = (ended("completed"), ended("failed"));
        let damaged = task(&[("r1", &good), ("r2", &bad), ("r3", "")], &[]);
        assert_eq!(damaged.status().as_str(), "failed");
        assert_eq!(damaged.newest_run().unwrap().as_str(), "r3");
        assert_eq!((damaged.runs, damaged.unreadable.len()), (3, 1));
        assert_eq!(task(&[("r1", &good)], &["CANCELLED"]).status().as_str(), "cancelled");
        assert_eq!(task(&[("r1", &good)], &["CANCELLED", "DONE"]).status().as_str(), "completed");
    }

    #[test]
    fn a_task_without_a_loop_is_over_with_its_newest_run() {
        let (good, bad) = (ended("completed"), ended("failed"));
        let living = format!("run_id: r\nstatus: running\npid: {}\n", std::process::id());
        for (runs, files, over, success) in [
            (vec![("r1", good.as_str())], vec![], true, true),
            (vec![("r1", good.as_str()), ("r2", bad.as_str())], vec![], true, false),
            (vec![("r1", living.as_str())], vec!["DONE"], false, false),
            (vec![], vec!["DONE"], true, true),
            (vec![], vec![], false, false),
        ] {
            let info = task(&runs, &files);
            assert_eq!((info.is_over(), info.is_success()), (over, success), "{runs:?}");
        }
    }
}
