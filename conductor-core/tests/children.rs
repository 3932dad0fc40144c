//! Child runs: a task waits for those of its agents, wherever in the project they are, and takes them
//! along when it is stopped.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use conductor_core::{JobSpec, Outcome, Run, Stop, Task, TaskOutcome, TaskSpec, Wait};
use std::fs;
use std::time::Duration;
use support::*;

/// Waits for a file, then says that it is done.
const DONE_AT_GO: &str =
    "echo $JRUN_ID >parent; while [ ! -e go ]; do sleep 0.01; done; touch DONE";

struct Family {
    root: Root,
    task: Task,
    /// The attempt.
    parent: String,
}

/// The task `fix` with an attempt that runs this script, which writes its id to `parent`.
fn family(script: &str, more: impl FnOnce(TaskSpec) -> TaskSpec) -> Family {
    let root = root();
    let task = root.conductor.tasks().start(more(task(script)), LONG).unwrap();
    let file = root.task_folder().join("parent");
    until("the parent's id", || fs::read_to_string(&file).is_ok_and(|id| id.ends_with('\n')));
    let parent = fs::read_to_string(file).unwrap().trim().to_owned();
    Family { root, task, parent }
}

impl Family {
    /// A run in a task of the project `shop`, started by the agent of `parent`.
    fn child(&self, task: &str, parent: &str, script: &str) -> Run {
        let spec = JobSpec::new("shop").task(task).agent("shell").prompt(script);
        self.root.conductor.jobs().start(spec.parent_run_id(parent), LONG).unwrap()
    }

    /// A run in the task `other` that this run started, and one that it starts before it ends.
    fn orphan(&self, parent: &str, script: &str) -> Run {
        let leave = self.root.task_folder().join("leave");
        let wait = format!("while [ ! -e '{}' ]; do sleep 0.01; done", leave.display());
        let child = self.child("other", parent, &wait);
        let orphan = self.child("other", child.id().as_str(), script);
        fs::write(leave, "").unwrap();
        child.wait(LONG).unwrap();
        orphan
    }

    /// A run that ends when `end` stands in the folder of `fix`.
    fn waiting_child(&self, task: &str, parent: &str) -> Run {
        let end = self.root.task_folder().join("end");
        self.child(
            task,
            parent,
            &format!("while [ ! -e '{}' ]; do sleep 0.01; done", end.display()),
        )
    }

    fn say_done(&self) {
        fs::write(self.root.task_folder().join("go"), "").unwrap();
    }

    fn end_children(&self) {
        fs::write(self.root.task_folder().join("end"), "").unwrap();
    }

    /// Drives until the task waits for these.
    fn await_wait_for(&self, runs: &[&str]) {
        until("the wait for children", || {
            assert!(self.task.wait(Wait::NONE).is_err(), "ended before its children");
            let waiting = self.task.info().unwrap().waiting;
            waiting.is_some_and(|waiting| {
                waiting.what.starts_with("children: ")
                    && runs.iter().all(|run| waiting.what.contains(run))
            })
        });
    }
}

#[test]
fn a_task_waits_for_children_in_other_tasks_of_its_project() {
    let family = family(DONE_AT_GO, |spec| spec);
    let child = family.waiting_child("other", &family.parent);
    family.say_done();
    family.await_wait_for(&[child.id().as_str()]);
    family.end_children();
    assert_eq!(family.task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert_eq!(child.info().unwrap().outcome(), Some(Outcome::Completed));
    assert!(family.root.told().contains(&"INFO task completed (all children finished)".into()));
}

#[test]
fn a_task_waits_for_grandchildren_whose_parent_has_ended() {
    let family = family(DONE_AT_GO, |spec| spec);
    let end = family.root.task_folder().join("end");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.01; done", end.display());
    let grandchild = family.orphan(&family.parent, &script);
    family.say_done();
    family.await_wait_for(&[grandchild.id().as_str()]);
    family.end_children();
    assert_eq!(family.task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
}

#[test]
fn a_task_does_not_wait_for_runs_of_nobody_of_its_own() {
    let family = family(DONE_AT_GO, |spec| spec);
    let other = family.child("other", "20260101-0000000000-1-1", "sleep 1000");
    let spec = JobSpec::new("shop").task("third").agent("shell").prompt("sleep 1000");
    let orphan = family.root.conductor.jobs().start(spec, LONG).unwrap();
    let spec = JobSpec::new("elsewhere").task("t").agent("shell").prompt("sleep 1000");
    let spec = spec.parent_run_id(&family.parent);
    let abroad = family.root.conductor.jobs().start(spec, LONG).unwrap();
    family.say_done();
    assert_eq!(family.task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    for run in [other, orphan, abroad] {
        assert_eq!(run.info().unwrap().alive, Some(true));
    }
}

#[test]
fn the_wait_for_children_has_an_end() {
    let family = family(DONE_AT_GO, |spec| spec.child_wait_timeout(Duration::from_millis(200)));
    let child = family.waiting_child("other", &family.parent);
    family.say_done();
    assert_eq!(family.task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert_eq!(child.info().unwrap().alive, Some(true), "nobody ended it");
    let warning = format!("WARNING timeout waiting for children after 200ms: [{}]", child.id());
    assert!(family.root.told().contains(&warning), "{:?}", family.root.told());
}

#[test]
fn a_task_waits_for_a_child_task_between_two_of_its_attempts() {
    let family = family(DONE_AT_GO, |spec| spec);
    let end = family.root.task_folder().join("end");
    let script = format!("[ ! -e '{}' ] || touch \"$JRUN_TASK_FOLDER/DONE\"", end.display());
    let spec = TaskSpec::new("shop").task("sub").agent("shell").prompt(script);
    let spec = spec.parent_run_id(&family.parent).restart_delay(Duration::from_millis(50));
    let sub = family.root.conductor.tasks().start(spec, LONG).unwrap();
    let attempts = || sub.info().unwrap().attempts.unwrap_or(0);
    family.say_done();
    until("several attempts of the child", || {
        let _not_done_yet = sub.wait(Duration::from_millis(5));
        assert!(family.task.wait(Wait::NONE).is_err(), "ended before its child task");
        attempts() >= 4
    });
    family.end_children();
    assert_eq!(sub.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert_eq!(family.task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
}

#[test]
fn a_stop_takes_the_children_of_ended_attempts_and_of_ended_children_along() {
    let script = "echo $JRUN_ID >>\"$JRUN_TASK_FOLDER/parent\"; \
                  [ -e \"$JRUN_TASK_FOLDER/go\" ] || while [ ! -e go ]; do sleep 0.01; done; \
                  [ $(wc -l <parent) -gt 1 ] && sleep 1000";
    let family = family(script, |spec| spec);
    let of_first = family.child("other", &family.parent, "sleep 1000");
    let of_ended = family.orphan(&family.parent, "sleep 1000");
    family.say_done();
    until("the second attempt", || {
        let _not_yet = family.task.wait(Wait::NONE);
        family.task.info().unwrap().attempts == Some(2)
    });
    let report = family.task.stop(Stop::because("enough"), LONG).unwrap();
    assert_eq!(report.signalled.len(), 3, "{report:?}");
    for run in [of_first, of_ended] {
        let info = run.info().unwrap();
        assert_eq!(info.outcome(), Some(Outcome::Stopped));
        assert_eq!(info.record.stop_reason.as_deref(), Some("enough"));
    }
}

#[test]
fn a_stop_ends_the_loop_of_a_child_task_that_somebody_else_drives() {
    let family = family("echo $JRUN_ID >parent; sleep 1000", |spec| spec);
    let spec = TaskSpec::new("shop").task("sub").agent("shell").prompt("sleep 1000");
    let spec = spec.parent_run_id(&family.parent).restart_delay(Duration::from_millis(1));
    let sub = family.root.conductor.tasks().start(spec, LONG).unwrap();
    family.task.stop(Stop::because("enough"), LONG).unwrap();
    let result = sub.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Stopped, 1));
}

#[test]
fn a_wish_of_the_older_program_takes_the_children_along_too() {
    let family = family("echo $JRUN_ID >parent; sleep 1000", |spec| spec);
    let child = family.child("other", &family.parent, "sleep 1000");
    let wish = "requested_at: 2099-01-01T00:00:00Z\npermanent: true\n";
    fs::write(family.root.task_folder().join("STOP-REQUESTED"), wish).unwrap();
    assert_eq!(family.task.wait(LONG).unwrap().outcome, TaskOutcome::Stopped);
    assert_eq!(child.wait(LONG).unwrap().outcome(), Some(Outcome::Stopped));
}

#[test]
fn a_run_without_a_parent_is_nobodys_child() {
    let family = family("echo $JRUN_ID >parent; sleep 1000", |spec| spec);
    let spec = JobSpec::new("shop").task("other").agent("shell").prompt("sleep 1000");
    let detached = family.root.conductor.jobs().start(spec, LONG).unwrap();
    family.task.stop(Stop::because("enough"), LONG).unwrap();
    assert_eq!(detached.info().unwrap().alive, Some(true));
}
