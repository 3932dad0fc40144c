//! A task's runs, counted.

use crate::error::Result;
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::Layout;
use crate::run::Status;
use crate::supervise::read_info_in;
use crate::time::Timestamp;

/// A task's runs, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct RunSummary {
    /// All ids, sorted as text.
    pub(super) ids: Vec<String>,
    /// The ids of runs whose record cannot be read.
    pub(super) missing: Vec<String>,
    /// The runs whose record can be read, sorted by id.
    pub(super) read: Vec<RunLine>,
    pub(super) completed: usize,
    pub(super) failed: usize,
    pub(super) running: usize,
    /// The newest run whose record can be read.
    pub(super) latest: Option<RunLine>,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct RunLine {
    pub(super) id: RunId,
    pub(super) status: String,
    pub(super) exit_code: i32,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// Counts the runs of the task whose folder is open.
pub(super) fn summarise(folder: &Folder, project: &ProjectId, task: &TaskId) -> Result<RunSummary> {
    let mut summary = RunSummary::default();
    for run in Layout::runs_in(folder)?.ids {
        summary.ids.push(run.to_string());
        let Ok(info) = read_info_in(folder, project, task, &run) else {
            summary.missing.push(run.to_string());
            continue;
        };
        let status = info.status();
        match status {
            Status::Completed => summary.completed += 1,
            Status::Failed => summary.failed += 1,
            Status::Running => summary.running += 1,
            _ => {}
        }
        let line = RunLine {
            id: run.clone(),
            status: status.as_str().to_owned(),
            exit_code: info.record.exit_code,
            start: info.record.start_time,
            end: info.record.end_time,
        };
        summary.latest = Some(line.clone());
        summary.read.push(line);
    }
    summary.ids.sort_unstable();
    summary.missing.sort_unstable();
    summary.read.sort_unstable_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    Ok(summary)
}
