//! What is told to the webhook of a task.

use super::Driver;
use crate::error::Result;
use crate::outbox::EventKind;
use crate::task::state::{TaskOutcome, Waiting};
use crate::time::Timestamp;
use serde_json::{Value, json};

/// Waits that end by themselves, and soon: nobody needs to know.
const QUIET: &[&str] = &["delay", "children", "the completion check", "a slot"];

impl Driver {
    /// Has the end of the loop told, where that is configured, and that it came at one of the loop's
    /// bounds.
    pub(super) fn tell_end(&self, outcome: TaskOutcome, reason: Option<&str>) -> Result<()> {
        let kind = match outcome {
            TaskOutcome::Done => EventKind::TaskDone,
            TaskOutcome::GaveUp | TaskOutcome::Stopped => EventKind::TaskFailed,
        };
        let mut fields = vec![
            ("outcome", json!(outcome.as_str())),
            ("attempts", json!(self.state.attempts)),
            ("started_at", json!(self.state.started_at.to_string())),
        ];
        fields.extend(self.state.last_run.as_ref().map(|run| ("run_id", json!(run.as_str()))));
        fields.extend(reason.map(|reason| ("reason", json!(reason))));
        // The loop began once; a driver that died on the way is followed by one that tells the same.
        let begun = self.state.started_at;
        if outcome == TaskOutcome::GaveUp && self.is_at_a_bound() {
            self.tell(EventKind::Budget, "end", begun, fields.clone())?;
        }
        self.tell(kind, "end", begun, fields)
    }

    /// Has it told that the loop waits for something that may need a person.
    pub(super) fn tell_waiting(&self, waiting: &Waiting) -> Result<()> {
        let what = waiting.what.split(':').next().unwrap_or_default();
        if QUIET.contains(&what) {
            return Ok(());
        }
        let mut fields = vec![
            ("waiting_for", json!(waiting.what)),
            ("waiting_since", json!(waiting.since.to_string())),
        ];
        fields.extend(waiting.until.map(|until| ("waiting_until", json!(until.to_string()))));
        self.tell(EventKind::Waiting, &waiting.what, waiting.since, fields)
    }

    fn tell(
        &self,
        kind: EventKind,
        what: &str,
        anchor: Timestamp,
        more: Vec<(&'static str, Value)>,
    ) -> Result<()> {
        if !self.engine.tells(kind) {
            return Ok(());
        }
        let (project, task) = (&self.plan.project, &self.plan.task);
        let fields = [("project_id", json!(project.as_str())), ("task_id", json!(task.as_str()))];
        let key = format!("{project}/{task}/{}/{what}", self.state.series);
        self.engine.put_event(
            kind,
            (&key, anchor),
            self.engine.now(),
            fields.into_iter().chain(more),
        )
    }

    /// Whether the loop used up what it may use.
    fn is_at_a_bound(&self) -> bool {
        self.bounds.budget.used_up(&self.tally).is_some()
    }
}
