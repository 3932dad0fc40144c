//! Projects.

use conductor_core::ProjectInfo;
use serde::Serialize;
use utoipa::ToSchema;

/// A project.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Project {
    pub(crate) id: String,
    #[schema(format = DateTime)]
    pub(crate) last_activity: String,
    pub(crate) task_count: usize,
    /// The folder of sources that it is linked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project_root: Option<String>,
}

/// Counts of a project.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Stats {
    pub(crate) project_id: String,
    pub(crate) total_tasks: usize,
    pub(crate) total_runs: usize,
    pub(crate) running_runs: usize,
    pub(crate) completed_runs: usize,
    pub(crate) failed_runs: usize,
    /// Runs of which it is not known how they ended.
    pub(crate) crashed_runs: usize,
    pub(crate) message_bus_files: u64,
    pub(crate) message_bus_total_bytes: u64,
}

impl From<&ProjectInfo> for Project {
    fn from(info: &ProjectInfo) -> Project {
        Project {
            id: info.id.to_string(),
            last_activity: info.last_activity.to_string(),
            task_count: info.tasks.len(),
            project_root: info.source_folder.as_ref().map(|path| path.display().to_string()),
        }
    }
}
