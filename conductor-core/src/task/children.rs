//! Runs that agents of a task started and that still live.

use crate::error::{ErrorKind, Result};
use crate::id::{ProjectId, RunId, TaskId};
use crate::run::store;
use crate::supervise::{Engine, OpenEntry, Verdict, observe};

/// The living runs of a task that have a parent run.
///
/// Reads the entries of open runs: the cost is that of what is open in the root.
pub(super) fn living_children(
    engine: &Engine,
    project: &ProjectId,
    task: &TaskId,
) -> Result<Vec<RunId>> {
    let mut living = Vec::new();
    for entry in OpenEntry::list(engine.layout())? {
        if entry.project != *project || entry.task != *task {
            continue;
        }
        let folder = match engine.layout().run(project, task, &entry.run) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            folder => folder?,
        };
        let record = match store::read(&folder) {
            // Its starter died before the record stood: nothing of it ran.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            record => record?,
        };
        if record.parent_run_id.is_none() || !record.is_open() {
            continue;
        }
        if !matches!(observe(&folder, &record)?, Verdict::Over(_)) {
            living.push(entry.run);
        }
    }
    Ok(living)
}
