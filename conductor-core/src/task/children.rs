//! Runs that agents of a task started and that still live.

use crate::error::Result;
use crate::id::{ProjectId, RunId, TaskId};
use crate::supervise::Engine;

/// The living runs of a task that have a parent run.
pub(super) fn living_children(
    engine: &Engine,
    project: &ProjectId,
    task: &TaskId,
) -> Result<Vec<RunId>> {
    let living = engine.living_runs(|entry| entry.is_of(project, task))?;
    let children = living.into_iter().filter(|(_, record)| record.parent_run_id.is_some());
    Ok(children.map(|(entry, _)| entry.run).collect())
}
