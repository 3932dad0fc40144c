//! What is known of something, as named fields: the form that every language reads.

mod bus;
mod report;

use super::tasks::TaskInfo;
use super::usage::UsageSum;
use crate::error::Error;
use crate::gc::{GcDone, GcItem, GcResult};
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
mod tests {
    use super::*;
    use crate::bus::Event;
    use crate::bus::{Post, ReadOptions};
    use crate::gc::{GcAction, GcKind, GcReason};
    use crate::outbox::{EventKind, OutboxEvent};
    use crate::vocabulary::{About, FIELDS};
    use crate::{Conductor, Options, Outcome, Phase, ProjectId, RunId, TaskId, TaskOutcome, Wait};
    use crate::{Error, ErrorKind, UpdateState, UpdateStatus};
    use std::collections::BTreeSet;

    fn run() -> RunRecord {
        let (project, task) = (ProjectId::new("shop").unwrap(), TaskId::new("fix").unwrap());
        RunRecord::new(&project, &task, &RunId::new("r1").unwrap())
    }

    #[test]
    fn what_is_not_known_has_no_field() {
        let record = Record::from(&run());
        for name in ["end_time", "exit_code", "pid", "agent_version", "outcome", "nothing.at.all"] {
            assert_eq!(record.text(name), None, "{name}");
            assert_eq!(record.int(name), None, "{name}");
        }
        assert_eq!(record.text("status").as_deref(), Some("running"));
        assert_eq!(
            (record.text("version").as_deref(), record.int("version")),
            (Some("1"), Some(1))
        );
    }

    /// The names of a record's fields; groups that the vocabulary takes apart are taken apart.
    pub(super) fn names(record: &Record, about: About) -> Vec<String> {
        let known = |name: &str| FIELDS.iter().any(|f| f.about == about && f.name == name);
        let mut names = Vec::new();
        for (name, value) in &record.0 {
            match value {
                Value::Object(parts) if !known(name) => {
                    names.extend(parts.keys().map(|part| format!("{name}.{part}")));
                }
                _ => names.push(name.clone()),
            }
        }
        names
    }

    pub(super) fn of_the_vocabulary(about: About) -> Vec<&'static str> {
        FIELDS.iter().filter(|field| field.about == about).map(|field| field.name).collect()
    }

    pub(super) fn full_run() -> RunInfo {
        let text = || Some("x".to_owned());
        let record = RunRecord {
            parent_run_id: text(),
            previous_run_id: text(),
            agent: "shell".into(),
            pid: 1,
            pgid: 1,
            start_time: Timestamp::UNIX_EPOCH,
            end_time: Timestamp::UNIX_EPOCH,
            exit_code: 0,
            cwd: text(),
            prompt_path: text(),
            output_path: text(),
            stdout_path: text(),
            stderr_path: text(),
            commandline: text(),
            error_summary: text(),
            agent_version: "1".into(),
            phase: Some(Phase::Running),
            outcome: Some(Outcome::Completed),
            stop_reason: text(),
            signal: Some(9),
            process_start: Some(1),
            boot_id: text(),
            pid_ns: Some(1),
            keeper_pid: Some(1),
            keeper_start: Some(1),
            series: Some(1),
            start_msg: text(),
            stop_msg: text(),
            session_id: text(),
            model: text(),
            usage: Some(crate::Usage::default()),
            cost_usd: Some(0.25),
            error_class: Some(crate::ErrorClass::Other),
            limit_reset: Some(Timestamp::UNIX_EPOCH),
            account: text(),
            waiting_for: text(),
            waiting_until: Some(Timestamp::UNIX_EPOCH),
            parser: text(),
            attached: true,
            ..run()
        };
        RunInfo {
            project: ProjectId::new("shop").unwrap(),
            task: TaskId::new("fix").unwrap(),
            id: RunId::new("r1").unwrap(),
            folder: "/r".into(),
            record,
            alive: Some(false),
            ended: Some(Outcome::Completed),
        }
    }

    #[test]
    fn the_fields_are_those_of_the_vocabulary() {
        let result = TaskResult {
            outcome: TaskOutcome::GaveUp,
            reason: Some("x".into()),
            attempts: 1,
            run_id: Some(RunId::new("r1").unwrap()),
        };
        let (epoch, run) = (Timestamp::UNIX_EPOCH, full_run());
        let task = TaskInfo {
            project: run.project.clone(),
            id: run.task.clone(),
            folder: "/t".into(),
            runs: 1,
            latest: Some(run.clone()),
            unreadable: Vec::new(),
            done: true,
            cancelled: false,
            depends_on: Vec::new(),
            blocked_by: Vec::new(),
            result: Some(result.clone()),
            has_loop: true,
            attempts: Some(1),
            env_names: Vec::new(),
            waiting: Some(Waiting::new("x", epoch, Some(epoch))),
            driver: Some(1),
            last_activity: epoch,
        };
        let stop = StopReport::default();
        let error = Error::invalid("id.invalid", "task", "x").with_path("/t");
        let event = OutboxEvent {
            id: "x".into(),
            kind: EventKind::RunStop,
            at: epoch,
            body: "{}".into(),
            attempts: 1,
            next: Some(epoch),
            error: Some("503".into()),
            path: "/x".into(),
        };
        let text = || Some("x".to_owned());
        let update = UpdateStatus {
            state: UpdateState::Failed,
            served: true,
            binary: Some("/new".into()),
            requested_at: Some(epoch),
            started_at: Some(epoch),
            finished_at: Some(epoch),
            active_runs_at_request: 1,
            active_runs_now: 1,
            active_runs_error: text(),
            step: text(),
            last_error: text(),
            last_note: text(),
        };
        let sum = UsageSum { name: "shop".into(), cost_usd: Some(0.5), ..UsageSum::default() };
        for (about, record) in [
            (About::Run, Record::from(&run)),
            (About::Task, Record::from(&task)),
            (About::Result, Record::from(&result)),
            (About::Stop, Record::from(&stop)),
            (About::Project, Record::of_project(&run.project, &run.folder)),
            (About::Unreadable, Record::unreadable(&run.project, &run.task, Some(&run.id), &error)),
            (About::Output, Record::of_output("x", 0)),
            (About::Usage, Record::from(&sum)),
            (About::Event, Record::from(&event)),
            (About::Update, Record::from(&update)),
        ] {
            assert_eq!(names(&record, about), of_the_vocabulary(about), "{about:?}");
        }
    }

    #[test]
    fn a_collected_things_fields_are_those_of_the_vocabulary() {
        let item = GcItem {
            action: GcAction::Delete,
            kind: GcKind::Run,
            reason: GcReason::Age,
            path: "/r/p/t/runs/r".into(),
            bytes: 7,
            project: Some(ProjectId::new("p").unwrap()),
            task: Some(TaskId::new("t").unwrap()),
            run: Some(RunId::new("r").unwrap()),
            status: Some("completed".into()),
            start_time: Some(Timestamp::UNIX_EPOCH),
            end_time: Some(Timestamp::UNIX_EPOCH),
        };
        let failed = Error::new(ErrorKind::Io, "x.y", "no");
        let mut seen = BTreeSet::new();
        for result in [GcResult::Kept(GcReason::Busy), GcResult::Failed(failed)] {
            seen.extend(names(&Record::from(&GcDone { item: item.clone(), result }), About::Gc));
        }
        let known: BTreeSet<_> =
            of_the_vocabulary(About::Gc).into_iter().map(str::to_owned).collect();
        assert_eq!(seen, known);
    }

    #[test]
    fn a_messages_fields_are_those_of_the_vocabulary() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("shop")).unwrap();
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let bus = conductor.bus("shop").unwrap();
        let posted = bus.post(Post::new("FACT", "x"), Wait::FOREVER).unwrap();
        let receipt = names(&Record::from(&posted), About::Posted);
        assert_eq!(receipt, of_the_vocabulary(About::Posted));
        let parent = posted.msg_id;
        let post = Post::new("ISSUE", "text")
            .task(&TaskId::new("fix").unwrap())
            .run(&RunId::new("r1").unwrap())
            .parent(&parent)
            .link("/x", "", "")
            .meta("by", "me");
        bus.post(post, Wait::FOREVER).unwrap();
        let message = bus.read(ReadOptions::default()).unwrap().last().unwrap().unwrap();
        let path = std::path::PathBuf::from("/bus");
        let known = of_the_vocabulary(About::Message);
        let mut seen = names(&Record::from(&message), About::Message);
        let text = Record::from(&message).text("body").map(Cow::into_owned);
        assert_eq!(text.as_deref(), Some("text"));
        for event in [Event::Gap { from: 1, to: 2 }, Event::Replaced { path, last_seq: 1 }] {
            seen.extend(names(&Record::from(&event), About::Message));
        }
        let unknown: Vec<_> = seen.iter().filter(|name| !known.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        // Damage alone says where it is and how long.
        let unseen = known.into_iter().filter(|name| !seen.contains(&(*name).to_owned()));
        assert_eq!(unseen.collect::<Vec<_>>(), ["offset", "len"]);
    }

    #[test]
    fn items_of_lists_and_names_with_dots_are_found() {
        let mut record = Record::default();
        record.put_list("blocked_by", ["a", "b"]);
        record.put_texts("meta", &[("x.y".to_owned(), "1".to_owned())]);
        let mut parent = Record::default();
        parent.put("msg_id", "m");
        record.put_records("parents", std::iter::once(parent));
        let text = |name: &str| record.text(name).map(Cow::into_owned);
        assert_eq!(text("blocked_by.1").as_deref(), Some("b"));
        assert_eq!((text("blocked_by.2"), text("blocked_by.-1")), (None, None));
        assert_eq!(text("meta.x.y").as_deref(), Some("1"));
        assert_eq!(text("parents.0.msg_id").as_deref(), Some("m"));
        assert_eq!((record.count("blocked_by"), record.count("parents.0")), (2, 1));
    }

    #[test]
    fn nested_fields_are_named_with_dots() {
        let mut record = Record::default();
        let waiting = Waiting::new("delay", Timestamp::UNIX_EPOCH, None);
        record.put_record("waiting", Record::from(&waiting));
        assert_eq!(record.text("waiting.for").as_deref(), Some("delay"));
        assert_eq!(record.text("waiting"), None);
        assert_eq!((record.count("waiting"), record.count("")), (2, 1));
        assert_eq!(record.name("waiting", 1), Some("since"));
        assert_eq!((record.name("waiting", 2), record.name("", 0)), (None, Some("waiting")));
        assert_eq!(
            record.to_json(),
            r#"{"waiting":{"for":"delay","since":"1970-01-01T00:00:00Z"}}"#
        );
    }
}
