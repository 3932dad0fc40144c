//! What is told to the webhook of a run.

use super::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{CONDUCTOR, OUTBOX};
use crate::outbox::{EventKind, Notice, Outbox, event_id};
use crate::run::RunRecord;
use crate::time::Timestamp;
use serde_json::{Value, json};

impl Engine {
    /// Whether the configuration has this told.
    pub(crate) fn tells(&self, kind: EventKind) -> bool {
        let webhook = &self.settings().config.config().webhook;
        let named = |events: &Vec<String>| events.iter().any(|event| event == kind.as_str());
        // As in the older program, a list that names none leaves none out.
        let events = webhook.events.as_ref().filter(|events| !events.is_empty());
        webhook.url.is_some() && events.is_none_or(named)
    }

    /// Puts an event into the outbox, durably. What happened is named by `key` and a moment of it: what
    /// has both in common with an earlier event is that event again, and has its id.
    pub(crate) fn put_event(
        &self,
        kind: EventKind,
        (key, anchor): (&str, Timestamp),
        at: Timestamp,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<()> {
        let id = event_id(self.layout().path(), kind, key, anchor);
        let put = Outbox::of(self.layout()).put(&Notice::new(id, kind, at, fields));
        put.map_err(|error| match error.kind() {
            ErrorKind::StorageFull => error,
            _ => {
                let outbox = self.layout().path().join(CONDUCTOR).join(OUTBOX);
                let (kind, outbox) = (kind.as_str(), outbox.display());
                error.with_hint(format!(
                    "the event {kind} for the webhook must be kept: make {outbox} a folder that you may \
                     write, then `run-agent reconcile`"
                ))
            }
        })
    }

    /// Has the start of a run told, where that is configured.
    pub(super) fn tell_start(&self, record: &RunRecord) -> Result<()> {
        if !self.tells(EventKind::RunStart) {
            return Ok(());
        }
        let (key, at) = (key_of(record), record.start_time);
        self.put_event(EventKind::RunStart, (&key, at), at, beginning(record))
    }

    /// Has the end of a run told, where that is configured: here, or where it was started.
    pub(super) fn tell_end(&self, record: &RunRecord) -> Result<()> {
        if record.webhook != Some(true) && !self.tells(EventKind::RunStop) {
            return Ok(());
        }
        let mut fields = beginning(record);
        let seconds = record.end_time.since(record.start_time).as_secs_f64();
        fields.insert(4, ("status", json!(record.status.as_str())));
        fields.insert(5, ("exit_code", json!(record.exit_code)));
        fields.push(("stopped_at", json!(record.end_time.to_string())));
        fields.push(("duration_seconds", json!(seconds)));
        let mut known =
            |name, value: Option<Value>| fields.extend(value.map(|value| (name, value)));
        known("error_summary", record.error_summary.as_ref().map(|text| json!(text)));
        known("outcome", record.outcome.map(|outcome| json!(outcome.as_str())));
        known("cost_usd", record.cost_usd.map(|cost| json!(cost)));
        let (key, at) = (key_of(record), record.end_time);
        self.put_event(EventKind::RunStop, (&key, at), at, fields)
    }

    /// Has the end of a run told whose folder, and so its record, is gone.
    pub(super) fn tell_lost(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        why: &str,
    ) -> Result<()> {
        if !self.tells(EventKind::RunStop) {
            return Ok(());
        }
        let fields = [
            ("project_id", json!(project.as_str())),
            ("task_id", json!(task.as_str())),
            ("run_id", json!(run.as_str())),
            ("status", json!("failed")),
            ("exit_code", json!(-1)),
            ("error_summary", json!(why)),
            ("outcome", json!("lost")),
        ];
        let key = format!("{project}/{task}/{run}");
        self.put_event(EventKind::RunStop, (&key, Timestamp::UNIX_EPOCH), self.now(), fields)
    }
}

fn key_of(record: &RunRecord) -> String {
    format!("{}/{}/{}", record.project_id, record.task_id, record.run_id)
}

/// What is told of a run from its start on, in the older program's order.
fn beginning(record: &RunRecord) -> Vec<(&'static str, Value)> {
    vec![
        ("project_id", json!(record.project_id)),
        ("task_id", json!(record.task_id)),
        ("run_id", json!(record.run_id)),
        ("agent_type", json!(record.agent)),
        ("started_at", json!(record.start_time.to_string())),
    ]
}
