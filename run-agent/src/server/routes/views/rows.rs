//! Rows of tasks, kept as what is known of the tasks is.

use super::super::super::known::{Kept, Look, Seen, Told};
use super::state::{RunRow, Shared};
use super::tasks::row;
use conductor_core::{ProjectId, Result, TaskId};
use std::collections::HashSet;
use std::sync::Arc;

/// The rows of tasks at rest.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Kept<Shared>,
    /// Their runs that other runs started.
    children: Kept<Arc<[RunRow]>>,
}

impl Rows {
    /// The ids of a project's tasks. What is kept of others is forgotten.
    pub(super) fn ids(&self, look: &Look<'_>) -> Result<Vec<TaskId>> {
        let ids = look.ids()?;
        look.only(&self.rows, &ids);
        look.only(&self.children, &ids);
        Ok(ids)
    }

    /// Forgets the projects that are not among these.
    pub(super) fn only_projects(&self, ids: &HashSet<&ProjectId>) {
        self.rows.only_projects(ids);
        self.children.only_projects(ids);
    }

    /// The row of a task; `None` where it was not read, as enough others were.
    pub(super) fn row(
        &self,
        look: &Look<'_>,
        task: &TaskId,
        seen: &Seen,
    ) -> Result<Option<Shared>> {
        let Some(Told { info, rests }) = look.task(task, seen)? else { return Ok(None) };
        let read = || row(look.conductor, &info).map(|row| (Shared::new(row), rests));
        look.keep(&self.rows, task, seen, read).map(Some)
    }

    /// The runs of a task that other runs started, by their ids.
    pub(super) fn children(&self, look: &Look<'_>, task: &TaskId) -> Result<Arc<[RunRow]>> {
        let seen = look.see(task);
        look.keep(&self.children, task, &seen, || {
            let runs = look.conductor.runs().list(look.project, task)?;
            let over = runs.iter().all(|run| run.as_ref().is_ok_and(|run| run.ended.is_some()));
            let runs = runs.iter().flatten().filter(|run| run.record.parent_run_id.is_some());
            Ok((runs.map(RunRow::of).collect(), over))
        })
    }
}
