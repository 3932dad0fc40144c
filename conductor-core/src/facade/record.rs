//! What is known of something, as named fields: the form that every language reads.

mod bus;
mod gc;
mod report;

use super::tasks::TaskInfo;
use super::usage::UsageSum;
use crate::error::Error;
use crate::id::{ProjectId, RunId, TaskId};
use crate::run::RunRecord;
use crate::supervise::{RunInfo, StopReport};
use crate::task::{TaskResult, Waiting};
use crate::time::Timestamp;
use crate::yaml;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::path::Path;

/// Named fields in a stable order, with the names of [`crate::vocabulary::FIELDS`].
///
/// What is not known has no field: it is never zero and never an empty text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record(Map<String, Value>);

impl Record {
    /// The text of a field; numbers as they are printed. Nested fields are named with dots, as
    /// `waiting.until`. `None` where it is not known, or is a list or a group of fields.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The whole number of a field; true is 1 and false 0. `None` where it is not known.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Bool(value) => Some(i64::from(*value)),
            value => value.as_i64(),
        }
    }

    /// The texts of a field that is a list; none where it is not known.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let items = self.get(name).and_then(Value::as_array).map(Vec::as_slice);
        items.unwrap_or_default().iter().filter_map(Value::as_str).collect()
    }

    /// The names of the fields, in order; those of groups not told apart.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All of it as one line of JSON.
    pub fn to_json(&self) -> String {
        // A map of texts, numbers and lists always has a JSON form.
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// The number of parts of what stands under `name`: of a list or a group of fields. All
    /// fields for the empty name; 0 where it is something else, or not known.
    pub fn count(&self, name: &str) -> usize {
        match self.get(name) {
            _ if name.is_empty() => self.0.len(),
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(parts)) => parts.len(),
            _ => 0,
        }
    }

    /// The name of a field of the group `name`, by its place; of all fields for the empty name.
    pub fn name(&self, name: &str, index: usize) -> Option<&str> {
        let group = match self.get(name) {
            _ if name.is_empty() => &self.0,
            Some(Value::Object(parts)) => parts,
            _ => return None,
        };
        group.keys().nth(index).map(String::as_str)
    }

    /// All fields, for a surface that has its own form for each kind of value.
    #[doc(hidden)]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    fn get(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(name) {
            return Some(value);
        }
        let (first, rest) = name.split_once('.')?;
        find(self.0.get(first)?, rest)
    }

    pub(super) fn of_project(project: &ProjectId, folder: &Path) -> Record {
        let mut record = Record::default();
        record.put("project_id", project.as_str());
        record.put("folder", folder.to_string_lossy());
        record
    }

    /// A task or a run in a list that cannot be read.
    pub(super) fn unreadable(
        project: &ProjectId,
        task: &TaskId,
        run: Option<&RunId>,
        error: &Error,
    ) -> Record {
        let mut record = Record::default();
        record.put("project_id", project.as_str());
        record.put("task_id", task.as_str());
        record.put_known("run_id", run.map(|run| run.as_str()));
        record.put("error", error.to_string());
        record.put("error_code", error.code());
        record.put_known("error_path", error.path().map(|path| path.to_string_lossy()));
        record
    }

    /// A piece of what a run wrote.
    pub(super) fn of_output(text: &str, offset: u64) -> Record {
        let mut record = Record::default();
        record.put("text", text);
        record.put("offset", offset);
        record
    }

    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(super) fn put_known(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn put_time(&mut self, name: &str, time: Timestamp) {
        self.put_known(name, Some(time).filter(|time| !time.is_zero()).map(|t| t.to_string()));
    }

    fn put_record(&mut self, name: &str, record: Record) {
        self.put(name, Value::Object(record.0));
    }

    /// A group of named texts; nothing where there are none.
    pub(super) fn put_texts(&mut self, name: &str, texts: &[(String, String)]) {
        if !texts.is_empty() {
            let texts = texts.iter().map(|(key, text)| (key.clone(), text.as_str().into()));
            self.put(name, Value::Object(texts.collect()));
        }
    }

    /// A list of groups of fields; nothing where there are none.
    fn put_records(&mut self, name: &str, records: impl Iterator<Item = Record>) {
        let records: Vec<Value> = records.map(|record| Value::Object(record.0)).collect();
        if !records.is_empty() {
            self.put(name, records);
        }
    }

    fn put_list<T: ToString>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        let items: Vec<Value> = items.into_iter().map(|item| item.to_string().into()).collect();
        self.put(name, items);
    }
}

/// What stands under `name` in a value. An item of a list is named by its number; a name may hold dots
/// itself.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let here = match value {
        Value::Array(items) => name.parse().ok().and_then(|index: usize| items.get(index)),
        value => value.get(name),
    };
    here.or_else(|| {
        let (first, rest) = name.split_once('.')?;
        match value {
            Value::Array(items) => find(items.get(first.parse::<usize>().ok()?)?, rest),
            value => find(value.get(first)?, rest),
        }
    })
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The record of a run as it stands on disk, by the names on disk.
impl From<&RunRecord> for Record {
    fn from(run: &RunRecord) -> Record {
        let mut record = Record::default();
        // Whom its end is told to is conductor's own affair.
        for (name, value) in run.fields().into_iter().filter(|(name, _)| *name != "webhook") {
            let unknown = matches!(&value, Some(yaml::Value::Time(time)) if time.is_zero())
                || matches!(&value, Some(yaml::Value::Text(text)) if text.is_empty())
                || (matches!(name, "pid" | "pgid") && run.pid == 0)
                || (name == "exit_code" && run.exit_code == -1);
            if let Some(value) = value.filter(|_| !unknown) {
                record.put(name, json(value));
            }
        }
        record
    }
}

fn json(value: yaml::Value) -> Value {
    match value {
        yaml::Value::Int(number) => number.into(),
        yaml::Value::Large(number) => number.into(),
        yaml::Value::Bool(value) => value.into(),
        yaml::Value::Float(number) => number.into(),
        yaml::Value::Map(map) => {
            let fields = map.iter().map(|(name, value)| (name.to_owned(), json(value.clone())));
            Value::Object(fields.collect())
        }
        other => other.as_text().map_or(Value::Null, Value::String),
    }
}

impl From<&RunInfo> for Record {
    fn from(info: &RunInfo) -> Record {
        let mut record = Record::from(&info.record);
        record.put("run_id", info.id.as_str());
        record.put("status", info.status().as_str());
        record.put_known("outcome", info.outcome().map(|outcome| outcome.as_str()));
        record.put_known("alive", info.alive);
        record.put("folder", info.folder.to_string_lossy());
        record
    }
}

impl From<&TaskInfo> for Record {
    fn from(info: &TaskInfo) -> Record {
        let mut record = Record::default();
        record.put("project_id", info.project.as_str());
        record.put("task_id", info.id.as_str());
        record.put("folder", info.folder.to_string_lossy());
        record.put("runs", info.runs);
        record.put("done", info.done);
        record.put_known("attempts", info.attempts);
        record.put_known("driver_pid", info.driver);
        record.put_list("blocked_by", &info.blocked_by);
        if let Some(waiting) = &info.waiting {
            record.put_record("waiting", Record::from(waiting));
        }
        if let Some(result) = &info.result {
            record.put("outcome", result.outcome.as_str());
            record.put_known("reason", result.reason.as_deref());
        }
        if let Some(latest) = &info.latest {
            record.put_record("latest", Record::from(latest));
        }
        record.put_time("last_activity", info.last_activity);
        record.put("status", info.status().as_str());
        record
    }
}

impl From<&Waiting> for Record {
    fn from(waiting: &Waiting) -> Record {
        let mut record = Record::default();
        record.put("for", waiting.what.as_str());
        record.put_time("since", waiting.since);
        record.put_known("until", waiting.until.map(|until| until.to_string()));
        record.put_known("position", waiting.position);
        record
    }
}

impl From<&TaskResult> for Record {
    fn from(result: &TaskResult) -> Record {
        let mut record = Record::default();
        record.put("outcome", result.outcome.as_str());
        record.put_known("reason", result.reason.as_deref());
        record.put("attempts", result.attempts);
        record.put_known("run_id", result.run_id.as_ref().map(|run| run.as_str()));
        record
    }
}

impl From<&StopReport> for Record {
    fn from(report: &StopReport) -> Record {
        let mut record = Record::default();
        record.put_list("signalled", &report.signalled);
        record.put("killed", report.killed);
        record
    }
}

impl From<&UsageSum> for Record {
    fn from(sum: &UsageSum) -> Record {
        let mut record = Record::default();
        record.put_known("name", Some(sum.name.as_str()).filter(|name| !name.is_empty()));
        record.put("runs", sum.runs);
        let mut usage = Record::default();
        for (name, tokens) in sum.usage.parts() {
            usage.put(name, tokens);
        }
        record.put_record("usage", usage);
        record.put("unknown_usage", sum.unknown_usage);
        record.put_known("cost_usd", sum.cost_usd);
        record.put("unknown_cost", sum.unknown_cost);
        record
    }
}

#[cfg(test)]
mod tests;
