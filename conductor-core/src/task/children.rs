//! Runs that agents of a task started and that still live, in this task or in others of its project.

use super::state::LoopState;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::Layout;
use crate::supervise::{Engine, LivingRun, is_damage};
use crate::sys::Stat;
use crate::time::Timestamp;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

/// How much a file system's clock may be behind.
const COARSE: Duration = Duration::from_secs(2);

/// The children of a task, as its driver knows them.
#[derive(Debug)]
pub(super) struct Children {
    /// When the task's loop began.
    since: Timestamp,
    /// Other tasks that agents of this one started: between two attempts nothing of them lives.
    tasks: BTreeSet<TaskId>,
    /// Whether the project was looked through for such tasks.
    looked: bool,
}

impl Children {
    /// The children of a task whose loop began then; none is known yet.
    pub(super) fn of_loop_since(since: Timestamp) -> Children {
        Children { since, tasks: BTreeSet::new(), looked: false }
    }

    /// The runs that are waited for: those that live, and the last attempt of each task that an agent
    /// started and whose loop somebody drives.
    pub(super) fn living(
        &mut self,
        engine: &Engine,
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<Vec<RunId>> {
        let mut runs: Vec<RunId> =
            self.runs(engine, project, task)?.into_iter().map(|(_, run)| run).collect();
        if !self.looked {
            self.look_for_tasks(engine, project, task)?;
            self.looked = true;
        }
        for child in std::mem::take(&mut self.tasks) {
            let Some(last) = last_attempt_of_driven(engine, project, &child)? else { continue };
            self.tasks.insert(child);
            if !runs.contains(&last) {
                runs.push(last);
            }
        }
        Ok(runs)
    }

    /// Finds the tasks that agents of this one started and of which nothing lives just now. Once is
    /// enough: its attempts have ended, and what a living child starts lives.
    ///
    /// One look at each folder of the project; read is what changed since the loop began.
    fn look_for_tasks(
        &mut self,
        engine: &Engine,
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<()> {
        let folder = engine.layout().project(project)?;
        let mut own = None;
        for other in engine.layout().tasks(project)?.ids {
            // The clock of a file system is a coarse one.
            let changed =
                |stat: Stat| Timestamp::from_unix_nanos(stat.modified).plus(COARSE) >= self.since;
            if other == *task || !folder.stat(other.as_str())?.is_some_and(changed) {
                continue;
            }
            let Some(state) = loop_of(engine, project, &other)? else { continue };
            let Some(parent) = &state.parameters.parent_run_id else { continue };
            if own.is_none() {
                own = Some(own_runs(&engine.layout().task(project, task)?)?);
            }
            if own.as_ref().is_some_and(|own| own.contains(parent)) {
                self.tasks.insert(other);
            }
        }
        Ok(())
    }

    /// Those that live, each with its task.
    pub(super) fn runs(
        &mut self,
        engine: &Engine,
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<Vec<(TaskId, RunId)>> {
        let living = engine.living_runs(|entry| entry.project == *project)?.runs;
        let own = match living.is_empty() {
            true => HashSet::new(),
            false => own_runs(&engine.layout().task(project, task)?)?,
        };
        let mut runs = Vec::new();
        for run in &living {
            let entry = &run.entry;
            let is_child = match entry.task == *task {
                // An attempt is no child, also where its task is that of somebody's agent.
                true => is_started_by_an_agent(run) && !is_attempt(engine, run)?,
                false => entry.parents.iter().any(|id| own.contains(id.as_str())),
            };
            if is_child {
                if entry.task != *task && is_attempt(engine, run)? {
                    self.tasks.insert(entry.task.clone());
                }
                runs.push((entry.task.clone(), entry.run.clone()));
            }
        }
        Ok(runs)
    }
}

/// The last attempt of a task whose loop has not ended and is driven by somebody.
fn last_attempt_of_driven(
    engine: &Engine,
    project: &ProjectId,
    task: &TaskId,
) -> Result<Option<RunId>> {
    if loop_of(engine, project, task)?.is_none() {
        return Ok(None);
    }
    let folder = engine.layout().task(project, task)?;
    match super::handle::living_driver(&folder)? {
        Some(_) => Ok(Layout::runs_in(&folder)?.ids.pop()),
        None => Ok(None),
    }
}

/// The loop of a task that has not ended. One whose file is damaged is nobody's to wait for; what lives
/// of it is found without it.
fn loop_of(engine: &Engine, project: &ProjectId, task: &TaskId) -> Result<Option<LoopState>> {
    let folder = match engine.layout().task(project, task) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    match LoopState::read(&folder) {
        Err(error) if is_damage(&error) || error.kind() == ErrorKind::TooNew => Ok(None),
        state => Ok(state?.filter(|state| state.result().is_none())),
    }
}

fn is_started_by_an_agent(run: &LivingRun) -> bool {
    match &run.record {
        Some(record) => record.parent_run_id.is_some(),
        None => run.entry.parent().is_some(),
    }
}

/// Whether a living run is an attempt of its task's loop.
pub(super) fn is_attempt(engine: &Engine, run: &LivingRun) -> Result<bool> {
    let LivingRun { entry, record } = run;
    match record {
        Some(record) => Ok(record.series.is_some()),
        // Its folder cannot tell; its loop can.
        None => {
            let state = loop_of(engine, &entry.project, &entry.task)?;
            Ok(state.is_some_and(|state| state.last_run.as_ref() == Some(&entry.run)))
        }
    }
}

/// The ids of a task's runs.
pub(super) fn own_runs(folder: &Folder) -> Result<HashSet<String>> {
    Ok(Layout::runs_in(folder)?.ids.iter().map(ToString::to_string).collect())
}
