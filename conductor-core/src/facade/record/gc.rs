//! Garbage collection as named fields.

use super::Record;
use crate::error::Error;
use crate::gc::{GcDone, GcGoal, GcHeld, GcItem, GcPlan, GcReport, GcResult};

impl From<&GcPlan> for Record {
    fn from(plan: &GcPlan) -> Record {
        let mut record = Record::default();
        record.put("plan", plan.token());
        record.put("now", plan.now().to_string());
        record.put("runs", plan.runs());
        record.put_all("goals", plan.goals().iter().map(Record::from));
        record.put_errors(plan.errors());
        record
    }
}

impl From<&GcItem> for Record {
    fn from(item: &GcItem) -> Record {
        let mut record = Record::default();
        record.put("action", item.action.as_str());
        record.put("kind", item.kind.as_str());
        record.put("reason", item.reason.as_str());
        record.put("path", item.path.to_string_lossy());
        record.put("bytes", item.bytes);
        record.put_known("project_id", item.project.as_ref().map(|id| id.as_str()));
        record.put_known("task_id", item.task.as_ref().map(|id| id.as_str()));
        record.put_known("run_id", item.run.as_ref().map(|id| id.as_str()));
        record.put_known("status", item.status.as_deref());
        record.put_known("start_time", item.start_time.map(|time| time.to_string()));
        record.put_known("end_time", item.end_time.map(|time| time.to_string()));
        record.put_known("cursor", item.cursor.as_deref());
        record
    }
}

impl From<&GcGoal> for Record {
    fn from(goal: &GcGoal) -> Record {
        let mut record = Record::default();
        record.put("goal", goal.goal.as_str());
        record.put("wanted", goal.wanted);
        record.put("now", goal.now);
        record.put("short", goal.short);
        record.put_all("held", goal.held.iter().map(Record::from));
        record
    }
}

impl From<&GcHeld> for Record {
    fn from(held: &GcHeld) -> Record {
        let mut record = Record::default();
        record.put("what", held.what.as_str());
        record.put_known("reason", held.reason.map(|reason| reason.as_str()));
        record.put("count", held.count);
        record.put("bytes", held.bytes);
        record
    }
}

impl From<&GcDone> for Record {
    fn from(done: &GcDone) -> Record {
        let mut record = Record::from(&done.item);
        let (result, reason, error) = match &done.result {
            GcResult::Done => ("done", None, None),
            GcResult::Gone => ("gone", None, None),
            GcResult::Kept(reason) => ("kept", Some(reason.as_str()), None),
            GcResult::Failed(error) => ("failed", None, Some(error.to_string())),
        };
        record.put("result", result);
        record.put_known("kept_for", reason);
        record.put_known("error", error);
        record
    }
}

/// In the place of an item: what could not be looked at.
impl From<&Error> for Record {
    fn from(error: &Error) -> Record {
        Record::of_damage(error)
    }
}

impl From<&GcReport> for Record {
    fn from(report: &GcReport) -> Record {
        let mut record = Record::default();
        record.put("runs", report.runs);
        record.put("tasks", report.tasks);
        record.put("buses", report.buses);
        record.put("archives", report.archives);
        record.put("strays", report.strays);
        record.put("freed", report.freed);
        record.put("kept", report.kept);
        record.put("failed", report.failed);
        record.put_all("goals", report.goals.iter().map(Record::from));
        record.put_errors(&report.errors);
        record
    }
}

impl Record {
    fn put_errors(&mut self, errors: &[Error]) {
        self.put_all("errors", errors.iter().map(Record::of_damage));
    }
}
