//! The runs of a task at a glance.

use super::info::{RunInfo, read_info_in};
use crate::error::Result;
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::Layout;

/// The runs of a task at a glance: one record is read, however many there are.
#[derive(Debug)]
pub(crate) struct Glance {
    /// How many there are.
    pub(crate) count: usize,
    /// The newest whose record can be read.
    pub(crate) latest: Option<RunInfo>,
    /// Those that are newer than it, the newest last.
    pub(crate) unreadable: Vec<RunId>,
}

/// Looks at the runs of a task.
pub(crate) fn glance(task_folder: &Folder, project: &ProjectId, task: &TaskId) -> Result<Glance> {
    let mut runs = Layout::runs_in(task_folder)?.ids;
    let count = runs.len();
    let found = runs.iter().enumerate().rev().find_map(|(index, run)| {
        read_info_in(task_folder, project, task, run).ok().map(|info| (index, info))
    });
    let newer = found.as_ref().map_or(0, |(index, _)| index + 1);
    Ok(Glance { count, latest: found.map(|(_, info)| info), unreadable: runs.split_off(newer) })
}
