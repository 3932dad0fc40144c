//! Other tasks that must be ready before a task starts.

use super::config::TaskConfig;
use super::state::{LoopState, TaskOutcome};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, TaskId};
use crate::layout::{DONE, Layout};
use crate::run::Outcome;
use crate::supervise::glance;
use std::collections::BTreeSet;

/// What the task in `folder` depends on, in the order of its configuration.
pub(crate) fn depends_on(folder: &Folder) -> Result<Vec<TaskId>> {
    Ok(TaskConfig::read(folder)?.depends_on)
}

/// The dependencies of the task in `folder` that are not ready, in the order of its configuration.
pub(crate) fn not_ready(
    layout: &Layout,
    project: &ProjectId,
    folder: &Folder,
) -> Result<Vec<TaskId>> {
    let mut blocked = Vec::new();
    for task in depends_on(folder)? {
        if !is_ready(layout, project, &task)? {
            blocked.push(task);
        }
    }
    Ok(blocked)
}

/// Whether a task may be built upon.
///
/// One with a loop of ours is ready when the loop ended in `done`: a `DONE` that is not judged yet
/// does not count. One without (the older program's) is ready when `DONE` stands, or when no run of
/// it lives and the newest completed.
fn is_ready(layout: &Layout, project: &ProjectId, task: &TaskId) -> Result<bool> {
    let folder = match layout.task(project, task) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        folder => folder?,
    };
    if let Some(state) = LoopState::read(&folder)? {
        return Ok(state.result().is_some_and(|result| result.outcome == TaskOutcome::Done));
    }
    if folder.has_file(DONE)? {
        return Ok(true);
    }
    let newest = glance(&folder, project, task)?.latest;
    Ok(newest.is_some_and(|run| run.outcome() == Some(Outcome::Completed)))
}

/// Refuses dependencies that lead back to the task itself.
///
/// # Errors
/// `task.dependency_cycle`, naming the way round.
pub(crate) fn refuse_cycle(
    layout: &Layout,
    project: &ProjectId,
    task: &TaskId,
    depends_on: &[TaskId],
) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut way: Vec<(TaskId, usize)> = Vec::new();
    let mut open: Vec<(TaskId, usize)> = depends_on.iter().map(|next| (next.clone(), 0)).collect();
    while let Some((next, depth)) = open.pop() {
        way.truncate(depth);
        way.push((next.clone(), depth));
        if next == *task {
            let names: Vec<_> = std::iter::once(task.as_str())
                .chain(way.iter().map(|(task, _)| task.as_str()))
                .collect();
            return Err(Error::invalid(
                "task.dependency_cycle",
                "depends_on",
                format!("the dependencies lead back: {}", names.join(" -> ")),
            )
            .with_hint("remove one of them"));
        }
        if !seen.insert(next.clone()) {
            continue;
        }
        let folder = match layout.task(project, &next) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            folder => folder?,
        };
        let further = TaskConfig::read(&folder)?.depends_on;
        open.extend(further.into_iter().map(|task| (task, depth + 1)));
    }
    Ok(())
}
