//! Where a task stands, in the words of the dashboard, and the rows that it shows.

use conductor_core::{RunInfo, Status, TaskInfo, TaskOutcome, TaskStatus, Timestamp};
use serde::{Serialize, Serializer};
use std::ops::Deref;
use std::sync::Arc;
use utoipa::ToSchema;

/// Where a task stands. Each has a word, a colour and a sign of its own on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// A run of it lives.
    Running,
    /// It waits for a person's answer.
    Question,
    /// It waits for something else that it names.
    Waiting,
    /// It waits for its turn: a slot, disk space, the end of a usage limit.
    Queued,
    /// Other tasks must be ready first.
    Blocked,
    /// It is unfinished, and no process drives it: nothing happens until somebody goes on with it.
    Stalled,
    /// Its loop goes on between two attempts.
    Between,
    /// It gave up, or its last run failed.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// It was cancelled.
    Cancelled,
    /// It is done.
    Done,
    /// Nothing was ever run.
    Idle,
    /// Nobody knows how its last run ended.
    Unknown,
}

/// What tasks wait for when they only wait for their turn.
const TURNS: [&str; 3] = ["a slot", "disk space", "the usage limit"];

impl State {
    /// Its word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Question => "question",
            State::Waiting => "waiting",
            State::Queued => "queued",
            State::Blocked => "blocked",
            State::Stalled => "stalled",
            State::Between => "between",
            State::Failed => "failed",
            State::Stopped => "stopped",
            State::Cancelled => "cancelled",
            State::Done => "done",
            State::Idle => "idle",
            State::Unknown => "unknown",
        }
    }

    /// Where a task stands.
    pub(super) fn of(info: &TaskInfo) -> State {
        let waits_for = info.waiting.as_ref().map(|waiting| waiting.what.as_str());
        let status = info.status();
        if status == TaskStatus::Run(Status::Running) {
            return State::Running;
        }
        if info.done {
            return State::Done;
        }
        if info.cancelled {
            return State::Cancelled;
        }
        if let Some(result) = &info.result {
            return match result.outcome {
                TaskOutcome::Done => State::Done,
                TaskOutcome::Stopped => State::Stopped,
                _ => State::Failed,
            };
        }
        if info.is_unfinished() && info.driver.is_none() {
            return State::Stalled;
        }
        match waits_for {
            Some(what) if what.starts_with("answers") => return State::Question,
            Some(what) if what.starts_with("dependencies") => return State::Blocked,
            Some(what) if TURNS.iter().any(|turn| what.starts_with(turn)) => return State::Queued,
            Some(_) => return State::Waiting,
            None => {}
        }
        match status {
            _ if info.is_unfinished() => State::Between,
            TaskStatus::Blocked => State::Blocked,
            TaskStatus::Run(Status::Completed) => State::Done,
            TaskStatus::Run(Status::Failed) => State::Failed,
            TaskStatus::Idle => State::Idle,
            _ => State::Unknown,
        }
    }
}

/// What a task waits for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct WaitsFor {
    /// What, in a few words.
    what: String,
    #[schema(format = DateTime)]
    since: String,
    /// Until when at the latest, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// A task.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct TaskRow {
    pub(super) id: String,
    pub(super) project_id: String,
    pub(super) state: State,
    /// How many runs it has.
    runs: usize,
    /// Attempts of its present series.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// Whether a process drives it.
    driven: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<WaitsFor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked_by: Vec<String>,
    /// How its loop ended, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[schema(format = DateTime)]
    pub(super) last_activity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latest: Option<RunRow>,
    /// When that ended.
    #[serde(skip)]
    pub(super) ended: Option<Timestamp>,
    /// Runs whose records cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
}

/// A task that several answers tell of.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<TaskRow>);

impl Shared {
    pub(super) fn new(row: TaskRow) -> Shared {
        Shared(Arc::new(row))
    }
}

impl Deref for Shared {
    type Target = TaskRow;

    fn deref(&self) -> &TaskRow {
        &self.0
    }
}

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RunRow {
    pub(super) id: String,
    pub(super) task_id: String,
    agent: String,
    /// `running`, `completed`, `failed` or `unknown`.
    status: String,
    /// How it ended, more precisely.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    /// Tokens of all kinds together.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    /// When it last printed something, where it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(super) printed: Option<String>,
}

fn time(at: Timestamp) -> Option<String> {
    Some(at).filter(|at| !at.is_zero()).map(|at| at.to_string())
}

fn given(text: Option<&String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

impl RunRow {
    pub(super) fn of(info: &RunInfo) -> RunRow {
        let record = &info.record;
        RunRow {
            id: info.id.to_string(),
            task_id: info.task.to_string(),
            agent: record.agent_name.clone().unwrap_or_else(|| record.agent.clone()),
            status: info.status().as_str().to_owned(),
            outcome: info.outcome().map(|outcome| outcome.as_str()),
            start: time(record.start_time),
            end: time(record.end_time),
            exit_code: Some(record.exit_code).filter(|code| *code >= 0),
            error: given(record.error_summary.as_ref()),
            parent: given(record.parent_run_id.as_ref()),
            previous: given(record.previous_run_id.as_ref()),
            model: given(record.model.as_ref()),
            cost_usd: record.cost_usd,
            tokens: record.usage.map(|usage| usage.total()),
            printed: None,
        }
    }
}

impl TaskRow {
    pub(super) fn of(info: &TaskInfo) -> TaskRow {
        let words = |ids: &[conductor_core::TaskId]| ids.iter().map(ToString::to_string).collect();
        let newest = info.latest.as_ref().map(|run| &run.record);
        let active = newest.and_then(|run| time(run.end_time).or_else(|| time(run.start_time)));
        TaskRow {
            id: info.id.to_string(),
            project_id: info.project.to_string(),
            state: State::of(info),
            runs: info.runs,
            attempts: info.attempts,
            driven: info.driver.is_some(),
            waiting: info.waiting.as_ref().map(|waiting| WaitsFor {
                what: waiting.what.clone(),
                since: waiting.since.to_string(),
                until: waiting.until.map(|until| until.to_string()),
            }),
            depends_on: words(&info.depends_on),
            blocked_by: words(&info.blocked_by),
            outcome: info.result.as_ref().map(|result| result.outcome.as_str()),
            reason: info.result.as_ref().and_then(|result| result.reason.clone()),
            last_activity: active.unwrap_or_else(|| info.last_activity.to_string()),
            latest: info.latest.as_ref().map(RunRow::of),
            ended: newest.map(|run| run.end_time).filter(|end| !end.is_zero()),
            unreadable: info.unreadable.iter().map(ToString::to_string).collect(),
        }
    }
}
