//! The completion check of a task, with real processes: `DONE` is a claim.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod support;

use conductor_core::{Stop, TaskOutcome, TaskSpec};
use std::fs;
use std::time::Duration;
use support::*;

/// Claims to be done with every attempt.
const CLAIMS: &str = "echo x >>count; touch DONE";

#[test]
fn a_done_that_fails_its_check_is_set_aside_and_the_next_attempt_goes_on() {
    let root = root();
    let spec = task(CLAIMS).verify("echo looked; [ $(wc -l <count) -ge 2 ]");
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
    assert!(root.task_folder().join("DONE.rejected-1").exists());
    assert!(root.task_folder().join("DONE").exists());
    let warning = root.messages().into_iter().find(|m| m.msg_type == "WARNING").unwrap();
    assert_eq!(
        warning.body.trim_end(),
        "DONE was set aside: the check exited with code 1. The end of what it printed:\n\nlooked"
    );
    let first = root.task_folder().join("runs");
    let mut runs: Vec<_> = fs::read_dir(first).unwrap().map(|run| run.unwrap().path()).collect();
    runs.sort();
    assert_eq!(fs::read_to_string(runs[0].join("verify-1.txt")).unwrap(), "looked\n");
    assert!(runs[1].join("verify-2.txt").exists());
}

#[test]
fn the_next_attempt_is_told_why() {
    let root = root();
    let agent = "cat >prompt-$(ls runs | wc -l); touch DONE";
    let spec = TaskSpec::new("shop")
        .task("fix")
        .agent("command")
        .command(["/bin/sh", "-c", agent])
        .prompt("Do it.")
        .restart_delay(Duration::from_millis(10))
        .verify("echo 'the cart is empty'; [ -e prompt-2 ]");
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(result.attempts, 2);
    let prompt =
        |n: u32| fs::read_to_string(root.task_folder().join(format!("prompt-{n}"))).unwrap();
    assert!(!prompt(1).contains("set aside"));
    let second = prompt(2);
    assert!(second.contains("DONE was set aside: the check exited with code 1."), "{second}");
    assert!(second.contains("the cart is empty"), "{second}");
    assert!(second.ends_with("Continue working on the following:\n\nDo it.\n"), "{second}");
}

#[test]
fn a_check_that_never_passes_uses_up_the_attempts() {
    let root = root();
    let spec = task(CLAIMS).verify("false").max_attempts(2);
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 2));
    assert!(!root.task_folder().join("DONE").exists());
    assert!(root.task_folder().join("DONE.rejected-2").exists());
}

#[test]
fn a_check_that_hangs_or_does_not_exist_has_failed() {
    let root = root();
    let hangs = task(CLAIMS).max_attempts(1).verify("sleep 1000 & wait");
    let hangs = hangs.verify_timeout(Duration::from_millis(50)).grace(Duration::from_millis(50));
    let result = root.conductor.tasks().start(hangs, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(result.outcome, TaskOutcome::GaveUp);
    let told = root.told();
    assert!(told.contains(&"WARNING DONE was set aside: the check took longer than 50ms".into()));

    // An attempt may make it.
    let spec = TaskSpec::new("shop").task("other").agent("shell").max_attempts(2);
    let makes = "[ -e count ] && printf '#!/bin/sh\\nexit 0' >check && chmod +x check; echo x >>count; touch DONE";
    let spec = spec.prompt(makes).verify_program(["./check"]);
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
    let bus = root.conductor.bus(("shop", "other")).unwrap();
    let why = "the check could not be started: No such file or directory";
    assert!(messages(&bus).iter().any(|m| m.body.contains(why)));
}

#[test]
fn a_check_whose_program_is_not_installed_uses_up_no_attempt() {
    let root = root();
    let spec = task(CLAIMS).verify_program(["no-such-program"]);
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 1));
    let why = "the completion check cannot be made: no program no-such-program is on PATH";
    assert_eq!(result.reason.as_deref(), Some(why));
    assert!(root.task_folder().join("DONE").exists(), "it was not judged");
    // Once there is one, the claim is looked at.
    let spec = task(CLAIMS).verify_program(["true"]);
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 0));
}

#[test]
fn a_check_that_prints_too_much_fills_no_disk_and_is_not_disturbed() {
    let root = root();
    // Waits until the middle of what it printed is given back.
    let check = "yes | head -c 4194304; file=\"$JRUN_RUN_FOLDER/verify-1.txt\"
        while [ $(stat -c %b \"$file\") -gt 2048 ]; do sleep 0.05; done; echo last";
    let spec = task(CLAIMS).max_attempts(1).output_limit(256 << 10).verify(check);
    let spec = spec.verify_timeout(LONG);
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(result.outcome, TaskOutcome::Done, "{:?}", root.told());
}

#[test]
fn stopping_ends_a_check_too() {
    let root = root();
    let spec = task(CLAIMS).verify("echo $$ >judge; sleep 1000");
    let handle = root.conductor.tasks().start(spec, LONG).unwrap();
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| handle.wait(LONG).unwrap());
        let judge = number_in(&root.task_folder().join("judge"));
        handle.stop(Stop::because("enough"), LONG).unwrap();
        assert_eq!(driver.join().unwrap().outcome, TaskOutcome::Stopped);
        assert!(!lives(judge));
    });
    assert!(root.task_folder().join("DONE").exists(), "it was not judged");
}

/// A host that drives a task with a check until it is killed.
#[test]
fn host_drives_a_task_with_a_check() {
    let Some(path) = std::env::var_os(HOST) else { return };
    let conductor = open(path.as_ref());
    let check = "echo x >>checks; echo $$ >judge; while [ ! -e go ]; do sleep 0.01; done";
    conductor.tasks().start(task(CLAIMS).verify(check), LONG).unwrap().wait(LONG).unwrap();
}

#[test]
fn a_check_outlives_the_driver_that_began_it() {
    let root = root();
    let mut host = host("host_drives_a_task_with_a_check", &root.path());
    let judge = number_in(&root.task_folder().join("judge"));
    host.kill();
    assert!(lives(judge));
    let (project, id) = ids();
    let handle = root.conductor.tasks().attach(&project, &id).unwrap();
    fs::write(root.task_folder().join("go"), "").unwrap();
    let result = handle.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 1));
    let checks = fs::read_to_string(root.task_folder().join("checks")).unwrap();
    assert_eq!(checks, "x\n", "it was not made again");
}

#[test]
fn the_check_of_the_configuration_counts_and_each_done_is_judged_anew() {
    let root = root();
    let folder = root.task_folder();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("TASK-CONFIG.yaml"), "verify: echo x >>checks\n").unwrap();
    let start =
        |spec: TaskSpec| root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(start(task(CLAIMS)).attempts, 1);
    // A later DONE, of a person this time.
    let resume = TaskSpec::new("shop").task("fix").prompt("true").agent("shell").max_attempts(0);
    let gave_up = root.conductor.tasks().resume(resume, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(gave_up.outcome, TaskOutcome::GaveUp);
    fs::write(folder.join("DONE"), "").unwrap();
    let again = TaskSpec::new("shop").task("fix").max_attempts(5);
    assert_eq!(start(again).outcome, TaskOutcome::Done);
    assert_eq!(fs::read_to_string(folder.join("checks")).unwrap(), "x\nx\n");
}
