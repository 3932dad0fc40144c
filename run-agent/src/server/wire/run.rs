//! Runs.

use conductor_core::{ExtraRunInfo, OutputFile, Run as Handle, RunId, RunInfo};
use serde::Serialize;
use utoipa::ToSchema;

/// A run as it stands by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Run {
    pub(crate) run_id: String,
    pub(crate) project_id: String,
    pub(crate) task_id: String,
    /// `running`, `completed`, `failed` or `unknown`.
    pub(crate) status: String,
    /// `managed`, or `external` for a process that is never signalled.
    pub(crate) process_ownership: String,
    #[schema(format = DateTime)]
    pub(crate) start_time: String,
    /// `0001-01-01T00:00:00Z` while it runs.
    #[schema(format = DateTime)]
    pub(crate) end_time: String,
    /// -1 while it runs, and where nobody knows.
    pub(crate) exit_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_summary: Option<String>,
    /// How it ended, more precisely than `status` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'static str>,
}

/// A run among those of its task.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TaskRun {
    pub(crate) id: String,
    pub(crate) agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent_version: Option<String>,
    pub(crate) status: String,
    pub(crate) process_ownership: String,
    pub(crate) exit_code: i32,
    #[schema(format = DateTime)]
    pub(crate) start_time: String,
    /// Missing while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent_run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous_run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) files: Option<Vec<File>>,
}

/// A run in the flat list of a project.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FlatRun {
    pub(crate) id: String,
    pub(crate) task_id: String,
    pub(crate) agent: String,
    pub(crate) status: String,
    pub(crate) exit_code: i32,
    #[schema(format = DateTime)]
    pub(crate) start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent_run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous_run_id: Option<String>,
}

/// A file of a run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct File {
    /// The name to ask for it by.
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// Its length in bytes; missing for an empty file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
}

fn ownership(info: &RunInfo) -> String {
    info.record.process_ownership.clone().unwrap_or_else(|| "managed".to_owned())
}

fn known(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn ended(info: &RunInfo) -> Option<String> {
    Some(info.record.end_time).filter(|time| !time.is_zero()).map(|time| time.to_string())
}

/// The exit code; that of a run whose end nobody wrote down yet is not known.
fn exit_code(info: &RunInfo) -> i32 {
    info.record.exit_code
}

impl From<&RunInfo> for Run {
    fn from(info: &RunInfo) -> Run {
        Run {
            run_id: info.id.to_string(),
            project_id: info.project.to_string(),
            task_id: info.task.to_string(),
            status: info.status().as_str().to_owned(),
            process_ownership: ownership(info),
            start_time: info.record.start_time.to_string(),
            end_time: info.record.end_time.to_string(),
            exit_code: exit_code(info),
            agent_version: known(&info.record.agent_version),
            error_summary: info.record.error_summary.clone(),
            outcome: info.outcome().map(|outcome| outcome.as_str()),
        }
    }
}

impl Run {
    /// A run of an extra root.
    pub(crate) fn of_extra(id: &RunId, info: &ExtraRunInfo) -> Run {
        let record = &info.record;
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Run {
            run_id: id.to_string(),
            project_id: given(&record.project_id).unwrap_or_else(|| "unknown".to_owned()),
            task_id: given(&record.task_id).unwrap_or_else(|| id.to_string()),
            status: info.status.as_str().to_owned(),
            // Whoever started it: it is not signalled from here.
            process_ownership: "external".to_owned(),
            start_time: record.start_time.to_string(),
            end_time: record.end_time.to_string(),
            exit_code: record.exit_code,
            agent_version: known(&record.agent_version),
            error_summary: record.error_summary.clone(),
            outcome: info.ended.map(|outcome| outcome.as_str()),
        }
    }
}

impl From<&RunInfo> for TaskRun {
    fn from(info: &RunInfo) -> TaskRun {
        TaskRun {
            id: info.id.to_string(),
            agent: info.record.agent.clone(),
            agent_version: known(&info.record.agent_version),
            status: info.status().as_str().to_owned(),
            process_ownership: ownership(info),
            exit_code: exit_code(info),
            start_time: info.record.start_time.to_string(),
            end_time: ended(info),
            parent_run_id: info.record.parent_run_id.clone(),
            previous_run_id: info.record.previous_run_id.clone(),
            error_summary: info.record.error_summary.clone(),
            outcome: info.outcome().map(|outcome| outcome.as_str()),
            files: None,
        }
    }
}

impl From<&RunInfo> for FlatRun {
    fn from(info: &RunInfo) -> FlatRun {
        FlatRun {
            id: info.id.to_string(),
            task_id: info.task.to_string(),
            agent: info.record.agent.clone(),
            status: info.status().as_str().to_owned(),
            exit_code: exit_code(info),
            start_time: info.record.start_time.to_string(),
            end_time: ended(info),
            parent_run_id: info.record.parent_run_id.clone(),
            previous_run_id: info.record.previous_run_id.clone(),
        }
    }
}

impl TaskRun {
    /// The run with its files.
    pub(crate) fn with_files(self, run: &Handle) -> conductor_core::Result<TaskRun> {
        let files = run.files()?.into_iter().map(|(file, size)| {
            let name = wire_name(file);
            File { name, label: name, size: Some(size).filter(|size| *size > 0) }
        });
        Ok(TaskRun { files: Some(files.collect()), ..self })
    }
}

/// The name by which clients ask for a file.
pub(crate) fn wire_name(file: OutputFile) -> &'static str {
    match file {
        OutputFile::Output => "output.md",
        file => file.as_str(),
    }
}
