//! What `list` and `status` show of a task: its row, its activity, its filter.

use crate::args::duration;
use crate::context::Context;
use crate::render::table::Cell;
use crate::render::text::{place_in_line, preview};
use crate::render::time::{local_minute, now, seconds};
use clap::{Args, ValueEnum};
use conductor_core::{
    Activity, Conductor, Drift, Error, ErrorKind, ProjectId, Result, Status, TaskId, TaskInfo,
    TaskStatus, Timestamp, format_duration,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The longest preview of a message's text, in characters.
const PREVIEW: usize = 96;

/// Flags about what tasks did last.
#[derive(Args, Clone, Debug)]
pub(crate) struct ActivityFlags {
    /// Also show the last message and output of each task, and whether it drifts
    #[arg(long)]
    activity: bool,
    /// Silence of a running task that counts as drift
    #[arg(long, value_name = "DURATION", default_value = "20m", value_parser = duration,
        allow_hyphen_values = true)]
    drift_after: Duration,
}

/// A task as it was found.
pub(crate) struct TaskView {
    pub(crate) project: ProjectId,
    pub(crate) id: TaskId,
    /// Nothing where it cannot be read; the trouble was told.
    pub(crate) info: Option<TaskInfo>,
    /// What is wrong with the newest run, or with the task.
    pub(crate) trouble: Option<Error>,
    activity: Option<(Activity, Drift)>,
    drift_after: Duration,
}

impl TaskView {
    /// Looks closer at a task that was found, and tells of what cannot be read.
    pub(crate) fn new(
        context: &mut Context,
        conductor: &Conductor,
        project: &ProjectId,
        task: TaskId,
        found: Result<TaskInfo>,
        flags: &ActivityFlags,
    ) -> TaskView {
        let (info, mut trouble) = match found {
            Ok(info) => (Some(info), None),
            Err(error) => (None, Some(error)),
        };
        for run in info.iter().flat_map(|info| &info.unreadable) {
            // What was unreadable a moment ago may have been written since.
            if let Err(error) = conductor.runs().info(project, &task, run)
                && let Some(older) = trouble.replace(error)
            {
                context.trouble(&older);
            }
        }
        if let Some(error) = &trouble {
            context.trouble(error);
        }
        let activity = info.as_ref().filter(|_| flags.activity).and_then(|info| {
            let activity = conductor.tasks().activity(info);
            activity.map_err(|error| context.trouble(&error)).ok()
        });
        let activity = activity.map(|activity| {
            let drift = activity.drift(now(), flags.drift_after);
            (activity, drift)
        });
        let (project, drift_after) = (project.clone(), flags.drift_after);
        TaskView { project, id: task, info, trouble, activity, drift_after }
    }

    /// Where the task stands, by its newest run that can be read.
    pub(crate) fn status_of_readable(&self) -> String {
        match &self.info {
            Some(info) if info.status() != TaskStatus::Unknown => info.status().as_str().to_owned(),
            _ => self.trouble_word().to_owned(),
        }
    }

    /// Where the task stands, by its newest run, whether that can be read or not.
    pub(crate) fn status_of_newest(&self) -> String {
        match self.info.as_ref().map(TaskInfo::status) {
            _ if self.trouble.is_some() => self.trouble_word().to_owned(),
            Some(TaskStatus::Done) => TaskStatus::Idle.as_str().to_owned(),
            Some(status) => status.as_str().to_owned(),
            None => self.trouble_word().to_owned(),
        }
    }

    fn trouble_word(&self) -> &'static str {
        match &self.trouble {
            Some(error) if error.kind() != ErrorKind::NotFound => "damaged",
            _ => "unknown",
        }
    }

    /// What the task waits for, until when.
    pub(crate) fn waits_for(&self) -> String {
        match self.info.as_ref().and_then(|info| info.waiting.as_ref()) {
            None => "-".to_owned(),
            Some(waiting) => {
                let what = format!("{}{}", waiting.what, place_in_line(waiting.position));
                match waiting.until {
                    Some(until) => format!("{what} until {}", seconds(until)),
                    None => format!("{what} since {}", seconds(waiting.since)),
                }
            }
        }
    }

    /// The dependencies that are not ready, joined by commas.
    pub(crate) fn blocked_by(&self) -> String {
        let blocked: Vec<&str> =
            self.info.iter().flat_map(|info| &info.blocked_by).map(TaskId::as_str).collect();
        if blocked.is_empty() { "-".to_owned() } else { blocked.join(",") }
    }

    /// Adds what is known of the loop, and what is wrong.
    pub(crate) fn add_state(&self, fields: &mut Map<String, Value>) {
        let put_ids = |fields: &mut Map<String, Value>, name: &str, ids: &[TaskId]| {
            if !ids.is_empty() {
                let ids: Vec<&str> = ids.iter().map(TaskId::as_str).collect();
                fields.insert(name.to_owned(), json!(ids));
            }
        };
        if let Some(info) = &self.info {
            put_ids(fields, "depends_on", &info.depends_on);
            put_ids(fields, "blocked_by", &info.blocked_by);
            if let Some(attempts) = info.attempts {
                fields.insert("attempts".to_owned(), json!(attempts));
            }
            if let Some(result) = &info.result {
                fields.insert("outcome".to_owned(), json!(result.outcome.as_str()));
                if let Some(reason) = &result.reason {
                    fields.insert("reason".to_owned(), json!(reason));
                }
            }
            if let Some(waiting) = &info.waiting {
                fields.insert("waiting".to_owned(), json!(conductor_core::Record::from(waiting)));
            }
            if let Some(driver) = info.driver {
                fields.insert("driver_pid".to_owned(), json!(driver));
            }
        }
        if let Some(error) = &self.trouble {
            fields.insert("error".to_owned(), json!(error.to_string()));
        }
        if let Some(activity) = self.activity_json() {
            fields.insert("activity".to_owned(), activity);
        }
    }

    fn activity_json(&self) -> Option<Value> {
        let (activity, drift) = self.activity.as_ref()?;
        let time = |time: Option<Timestamp>| time.map(seconds);
        Some(json!({
            "latest_bus_message": activity.latest_message.as_ref().map(|message| json!({
                "timestamp": seconds(message.time),
                "type": message.msg_type,
                "body_preview": preview(&message.body, PREVIEW),
            })),
            "latest_output_activity_at": time(activity.latest_output),
            "last_meaningful_signal_at": time(activity.last_signal),
            "meaningful_signal_age_seconds": drift.signal_age.map(|age| age.as_secs()),
            "analysis_drift_risk": drift.risk,
            "drift_threshold_seconds": self.drift_after.as_secs(),
            "drift_reason": drift.reason,
        }))
    }

    /// The cells of [`ACTIVITY_HEADINGS`].
    pub(crate) fn activity_cells(&self) -> Vec<Cell> {
        let Some((activity, drift)) = &self.activity else {
            return ACTIVITY_HEADINGS.iter().map(|_| Cell::from("-")).collect();
        };
        let message = activity.latest_message.as_ref().map(|message| {
            let text = preview(&message.body, PREVIEW);
            format!("{} {} {text}", seconds(message.time), message.msg_type)
        });
        let age = drift.signal_age.map(|age| format_duration(Duration::from_secs(age.as_secs())));
        let dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
        vec![
            dash(message),
            dash(activity.latest_output.map(local_minute)),
            dash(age),
            Cell::risk(drift.risk),
            drift.reason.as_str().into(),
        ]
    }

    /// The fields that a concise line has of the activity.
    pub(crate) fn activity_fields(&self) -> Vec<String> {
        let Some((activity, drift)) = &self.activity else { return vec!["-".to_owned(); 6] };
        let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let message = activity.latest_message.as_ref();
        vec![
            dash(drift.signal_age.map(|age| age.as_secs().to_string())),
            drift.risk.to_string(),
            dash(message.map(|message| message.msg_type.clone())),
            dash(message.map(|message| seconds(message.time))),
            dash(message.map(|message| preview(&message.body, PREVIEW))),
            dash(activity.latest_output.map(seconds)),
        ]
    }
}

/// The headings that `--activity` adds.
pub(crate) const ACTIVITY_HEADINGS: [&str; 5] =
    ["LAST_BUS", "LAST_OUTPUT", "MEANINGFUL_AGE", "DRIFT_RISK", "DRIFT_REASON"];

/// Those of them that may be cut.
pub(crate) const ACTIVITY_ELASTIC: [&str; 2] = ["LAST_BUS", "DRIFT_REASON"];

impl ActivityFlags {
    /// Whether the activity is shown.
    pub(crate) fn is_wanted(&self) -> bool {
        self.activity
    }
}

/// Which tasks to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Filter {
    #[value(alias = "active")]
    Running,
    #[value(alias = "all_finished")]
    Done,
    Completed,
    Failed,
    Blocked,
    Waiting,
    Queued,
    #[value(alias = "partial_failure")]
    PartialFailure,
    Cancelled,
    Pending,
    Unknown,
    Damaged,
}

impl Filter {
    /// Whether a task is one of those that are wanted; `status` is the word that is shown.
    pub(crate) fn takes(self, view: &TaskView, status: &str) -> bool {
        let info = view.info.as_ref();
        match self {
            Filter::Done => info.is_some_and(|info| info.done),
            Filter::Pending => status == TaskStatus::Idle.as_str(),
            Filter::Blocked => info.is_some_and(|info| !info.blocked_by.is_empty()),
            Filter::Waiting => info.is_some_and(|info| info.waiting.is_some()),
            Filter::Running => status == Status::Running.as_str(),
            Filter::Completed => status == Status::Completed.as_str(),
            Filter::Failed => status == Status::Failed.as_str(),
            Filter::Queued => status == "queued",
            Filter::PartialFailure => status == "partial_failure",
            Filter::Cancelled => status == TaskStatus::Cancelled.as_str(),
            Filter::Unknown => status == TaskStatus::Unknown.as_str(),
            Filter::Damaged => view.trouble.is_some() && status != TaskStatus::Unknown.as_str(),
        }
    }

    /// Its word on the command line.
    pub(crate) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
