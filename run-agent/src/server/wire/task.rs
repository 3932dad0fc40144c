//! Tasks.

use super::run::{Run, TaskRun};
use conductor_core::{RunInfo, Status, TaskInfo, TaskStatus, ThreadLink, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How many runs a task has of each status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunCounts(pub(crate) BTreeMap<String, usize>);

impl RunCounts {
    /// Counts runs; one that cannot be read counts as unknown.
    pub(crate) fn of<E>(runs: &[Result<RunInfo, E>]) -> RunCounts {
        let mut counts = RunCounts::default();
        for run in runs {
            let word = run.as_ref().map_or(Status::Unknown, RunInfo::status);
            *counts.0.entry(word.as_str().to_owned()).or_default() += 1;
        }
        counts
    }

    fn has(&self, word: &str) -> bool {
        self.0.get(word).is_some_and(|count| *count > 0)
    }
}

/// A task in the list of all, or by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ListedTask {
    pub(crate) project_id: String,
    pub(crate) task_id: String,
    /// `idle`, `running`, `partial_failure`, `all_finished`, `blocked`, `cancelled`, or the status of its
    /// newest run.
    pub(crate) status: String,
    /// Its place in the line, from 1, where it waits for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue_position: Option<usize>,
    #[schema(format = DateTime)]
    pub(crate) last_activity: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocked_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) runs: Option<Vec<Run>>,
}

/// A task in the pages of a project.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PageTask {
    pub(crate) blocked_by: Option<Vec<String>>,
    pub(crate) depends_on: Option<Vec<String>>,
    /// Whether `DONE` stands.
    pub(crate) done: bool,
    pub(crate) id: String,
    #[schema(format = DateTime)]
    pub(crate) last_activity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_run_exit_code: Option<i32>,
    /// The length of the longer of its output and its result, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_run_output_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_run_status: Option<String>,
    pub(crate) project_id: String,
    /// Its place in the line, from 1, where it waits for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue_position: Option<usize>,
    pub(crate) run_count: usize,
    pub(crate) run_counts: BTreeMap<String, usize>,
    pub(crate) status: String,
    /// The message that the task answers.
    pub(crate) thread_parent: Option<Thread>,
    /// What the task waits for, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting_for: Option<String>,
    /// Whether nothing more comes of it by itself.
    pub(crate) over: bool,
    /// Whether it is over and came to a good end.
    pub(crate) success: bool,
}

/// A task with its runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Detail {
    pub(crate) id: String,
    pub(crate) project_id: String,
    pub(crate) status: String,
    #[schema(format = DateTime)]
    pub(crate) last_activity: String,
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    pub(crate) done: bool,
    /// `idle`, `running`, `queued`, `done` or `blocked`.
    pub(crate) state: &'static str,
    /// Its place in the line, from 1, where it waits for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue_position: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocked_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting_for: Option<String>,
    /// How its loop ended, where it has one that did: `done`, `gave_up`, `stopped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'static str>,
    /// The message that the task answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread_parent: Option<Thread>,
    pub(crate) runs: Vec<TaskRun>,
}

/// The message that a task answers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Thread {
    project_id: String,
    task_id: String,
    run_id: String,
    message_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message_type: String,
}

impl From<ThreadLink> for Thread {
    fn from(link: ThreadLink) -> Thread {
        Thread {
            project_id: link.project.to_string(),
            task_id: link.task.to_string(),
            run_id: link.run.to_string(),
            message_id: link.message,
            message_type: link.message_type,
        }
    }
}

fn words<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn is_running(info: &TaskInfo) -> bool {
    info.status() == TaskStatus::Run(Status::Running)
}

/// When its newest run last did something, else when its folder changed.
pub(crate) fn last_activity(info: &TaskInfo) -> Timestamp {
    let times = info.latest.as_ref().map(|run| (run.record.end_time, run.record.start_time));
    match times {
        Some((end, _)) if !end.is_zero() => end,
        Some((_, start)) if !start.is_zero() => start,
        _ => info.last_activity,
    }
}

/// Whether it waits for its turn: for a slot, for free space, for the end of a usage limit.
fn is_queued(info: &TaskInfo) -> bool {
    let waits_for = info.waiting.as_ref().map_or("", |waiting| waiting.what.as_str());
    let turns = ["a slot", "disk space", "the usage limit"];
    info.result.is_none() && turns.iter().any(|turn| waits_for.starts_with(turn))
}

/// The place in the line of one that waits for its turn.
pub(crate) fn queue_position(info: &TaskInfo) -> Option<usize> {
    let waiting = info.waiting.as_ref().filter(|_| is_queued(info));
    waiting.and_then(|waiting| waiting.position)
}

/// The word for where a task stands; `idle` says that nothing was ever run.
fn status(info: &TaskInfo, counts: Option<&RunCounts>, idle: &str) -> String {
    let failed = counts.is_some_and(|counts| counts.has("failed"));
    let running = is_running(info) || counts.is_some_and(|counts| counts.has("running"));
    match info.status() {
        _ if running && failed => "partial_failure".to_owned(),
        _ if running => "running".to_owned(),
        _ if is_queued(info) => "queued".to_owned(),
        _ if info.done => "all_finished".to_owned(),
        TaskStatus::Idle => idle.to_owned(),
        status => status.as_str().to_owned(),
    }
}

impl ListedTask {
    pub(crate) fn of(info: &TaskInfo, counts: Option<&RunCounts>) -> ListedTask {
        ListedTask {
            project_id: info.project.to_string(),
            task_id: info.id.to_string(),
            status: status(info, counts, "idle"),
            queue_position: queue_position(info),
            last_activity: last_activity(info).to_string(),
            depends_on: words(&info.depends_on),
            blocked_by: words(&info.blocked_by),
            runs: None,
        }
    }
}

impl PageTask {
    pub(crate) fn of(info: &TaskInfo, counts: RunCounts, output_size: Option<u64>) -> PageTask {
        let given = |ids: Vec<String>| Some(ids).filter(|ids| !ids.is_empty());
        PageTask {
            blocked_by: given(words(&info.blocked_by)),
            depends_on: given(words(&info.depends_on)),
            done: info.done,
            id: info.id.to_string(),
            last_activity: last_activity(info).to_string(),
            last_run_exit_code: info.latest.as_ref().map(|run| run.record.exit_code),
            last_run_output_size: output_size,
            last_run_status: info.latest.as_ref().map(|run| run.status().as_str().to_owned()),
            project_id: info.project.to_string(),
            queue_position: queue_position(info),
            run_count: info.runs,
            status: status(info, Some(&counts), "-"),
            run_counts: counts.0,
            thread_parent: None,
            waiting_for: info.waiting.as_ref().map(|waiting| waiting.what.clone()),
            over: info.is_over(),
            success: info.is_over() && info.is_success(),
        }
    }

    /// Whether the task belongs to what a word of the query chooses; a word that nobody knows chooses
    /// everything.
    pub(crate) fn is_chosen(&self, word: &str) -> bool {
        match word {
            "running" | "active" => self.status == "running",
            "done" | "all_finished" => self.done,
            "queued" | "postponed" => self.status == "queued",
            "failed" | "blocked" | "partial_failure" => self.status == word,
            _ => true,
        }
    }
}

impl Detail {
    pub(crate) fn of(info: &TaskInfo, counts: &RunCounts, runs: Vec<TaskRun>) -> Detail {
        let status = status(info, Some(counts), "-");
        let state = match status.as_str() {
            "running" | "partial_failure" => "running",
            "queued" => "queued",
            _ if info.done => "done",
            _ if !info.blocked_by.is_empty() => "blocked",
            _ => "idle",
        };
        let created = runs.first().map(|run| run.start_time.clone());
        Detail {
            id: info.id.to_string(),
            project_id: info.project.to_string(),
            status,
            last_activity: last_activity(info).to_string(),
            created_at: created.unwrap_or_else(|| info.last_activity.to_string()),
            done: info.done,
            state,
            queue_position: queue_position(info),
            depends_on: words(&info.depends_on),
            blocked_by: words(&info.blocked_by),
            waiting_for: info.waiting.as_ref().map(|waiting| waiting.what.clone()),
            outcome: info.result.as_ref().map(|result| result.outcome.as_str()),
            thread_parent: None,
            runs,
        }
    }
}
