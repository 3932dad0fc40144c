//! Finding a task or a run by its id alone, wherever in the root it is.

use super::runs::{Run, Runs};
use super::tasks::Tasks;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::RUNS;
use std::fmt::Display;
use std::path::Path;

impl Tasks<'_> {
    /// The project of the only task with this id. Costs a look into each project.
    ///
    /// # Errors
    /// `task.not_found`; `task.ambiguous` where several projects have one.
    pub fn find(&self, task: &TaskId) -> Result<ProjectId> {
        let root = self.0.engine.layout().root()?;
        let mut found = Vec::new();
        for project in self.0.projects()?.ids {
            let path = Path::new(project.as_str()).join(task);
            if root.folder_if_exists(path)?.is_some() {
                found.push(project);
            }
        }
        the_only("task", task, found)
    }
}

impl Runs<'_> {
    /// The only run with this id. Costs a look into each task, not at each run.
    ///
    /// # Errors
    /// `run.not_found`; `run.ambiguous` where several tasks have one.
    pub fn find(&self, run: &RunId) -> Result<Run> {
        let root = self.0.engine.layout().root()?;
        let mut found = Vec::new();
        for project in self.0.projects()?.ids {
            let tasks = match self.0.tasks().ids(&project) {
                // Deleted since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                tasks => tasks?,
            };
            for task in tasks {
                let path = Path::new(project.as_str()).join(&task).join(RUNS).join(run);
                if root.folder_if_exists(path)?.is_some() {
                    found.push((project.clone(), task));
                }
            }
        }
        let (project, task) = the_only("run", run, found)?;
        self.get(&project, &task, run)
    }
}

fn the_only<T>(noun: &'static str, id: &dyn Display, mut found: Vec<T>) -> Result<T> {
    let (kind, code, message) = match (found.pop(), found.len(), noun) {
        (Some(only), 0, _) => return Ok(only),
        (None, _, "task") => {
            (ErrorKind::NotFound, "task.not_found", format!("there is no task {id}"))
        }
        (None, ..) => (ErrorKind::NotFound, "run.not_found", format!("there is no run {id}")),
        (Some(_), _, "task") => {
            (ErrorKind::Conflict, "task.ambiguous", format!("multiple tasks found: {id}"))
        }
        (Some(_), ..) => {
            (ErrorKind::Conflict, "run.ambiguous", format!("multiple runs found: {id}"))
        }
    };
    Err(Error::new(kind, code, message)
        .with_field(noun)
        .with_hint("name the project, and the task of a run, too"))
}

#[cfg(test)]
mod tests {
    use crate::facade::{Conductor, Options};
    use crate::id::{RunId, TaskId};

    #[test]
    fn what_is_there_once_is_found_by_its_id() {
        let dir = tempfile::tempdir().unwrap();
        for run in ["a/t/runs/r1", "b/t/runs/r2", "b/u/runs/r1"] {
            std::fs::create_dir_all(dir.path().join(run)).unwrap();
        }
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let task = |id: &str| match conductor.tasks().find(&TaskId::new(id).unwrap()) {
            Ok(project) => project.to_string(),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(["t", "u", "x"].map(task), ["task.ambiguous", "b", "task.not_found"]);
        let run = |id: &str| match conductor.runs().find(&RunId::new(id).unwrap()) {
            Ok(run) => format!("{}/{}", run.project(), run.task()),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(["r1", "r2", "r3"].map(run), ["run.ambiguous", "b/t", "run.not_found"]);
    }
}
