//! The fields of records are those of the vocabulary.

use super::*;
use crate::bus::Event;
use crate::bus::{Post, ReadOptions};
use crate::gc::{
    GcAction, GcDone, GcGoal, GcHeld, GcHolding, GcItem, GcKind, GcReason, GcReport, GcResult,
};
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
    assert_eq!((record.text("version").as_deref(), record.int("version")), (Some("1"), Some(1)));
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
        agent_name: text(),
        resumed_session: text(),
        slept: Some(8),
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
        attempt: None,
        env_names: Vec::new(),
        waiting: Some(Waiting { position: Some(1), ..Waiting::new("x", epoch, Some(epoch)) }),
        driver: Some(1),
        last_activity: epoch,
        budget: None,
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
        installed_version: text(),
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
        cursor: Some("reader".into()),
    };
    let failed = Error::new(ErrorKind::Io, "io.other", "no");
    let mut seen = BTreeSet::new();
    for result in [GcResult::Kept(GcReason::Busy), GcResult::Failed(failed)] {
        seen.extend(names(&Record::from(&GcDone { item: item.clone(), result }), About::Gc));
    }
    let record = Record::from(&GcReport::default());
    assert_eq!(names(&record, About::GcReport), of_the_vocabulary(About::GcReport));
    let held = GcHeld { what: GcHolding::Runs, reason: Some(GcReason::Alive), count: 1, bytes: 7 };
    assert_eq!(names(&Record::from(&held), About::GcHeld), of_the_vocabulary(About::GcHeld));
    let goal = GcGoal { goal: GcReason::MaxBytes, wanted: 1, now: 8, short: 7, held: vec![held] };
    let record = Record::from(&goal);
    assert_eq!(names(&record, About::GcGoal), of_the_vocabulary(About::GcGoal));
    assert_eq!(record.int("held.0.bytes"), Some(7));
    let known: BTreeSet<_> = of_the_vocabulary(About::Gc).into_iter().map(str::to_owned).collect();
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
    record.put_texts("meta", &[("X.y".to_owned(), "1".to_owned())]);
    let mut parent = Record::default();
    parent.put("msg_id", "m");
    record.put_records("parents", std::iter::once(parent));
    let text = |name: &str| record.text(name).map(Cow::into_owned);
    assert_eq!(text("blocked_by.1").as_deref(), Some("b"));
    assert_eq!((text("blocked_by.2"), text("blocked_by.-1")), (None, None));
    assert_eq!(text("meta.X.y").as_deref(), Some("1"));
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
    assert_eq!(record.to_json(), r#"{"waiting":{"for":"delay","since":"1970-01-01T00:00:00Z"}}"#);
}
