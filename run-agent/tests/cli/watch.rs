//! `watch`: until tasks are over.

use crate::support::*;
use conductor_core::{JobSpec, Wait};
use conductor_tests::agents::open_gate;
use conductor_tests::sandbox::Sandbox;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::{Value, json};

#[test]
fn what_is_over_is_told_at_once() {
    let sandbox = reference();
    assert_eq!(
        see(&sandbox, &format!("watch --project shop --task {CART}")),
        "\
Watching 1 task(s) for project \"shop\":
  phase counts: active=0 blocked=0 completed=1 failed=0 pending=0
  task-20261123-150121-lis7rv                   [completed] completed duration: 0m0s
    transition: unknown -> completed
All tasks complete.
"
    );
    let json = see(&sandbox, &format!("watch --project shop --task {CART} --json"));
    let look: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json.lines().count(), &look["all_done"]), (1, &json!(true)));
    let task = &look["tasks"][0];
    assert_eq!((&task["task_id"], &task["status"]), (&json!(CART), &json!("completed")));
    assert!(task["elapsed"].is_f64() && task["done"] == true);
}

#[test]
fn a_task_that_failed_is_the_answer_no() {
    let sandbox = Sandbox::new();
    write(&sandbox, "p/t/runs/20260301-0800000000-1-1/run-info.yaml", record("failed", 0));
    let watch = look(&sandbox, cli(&sandbox, "watch --project p --task t"), 1);
    assert!(watch.stdout.contains("[failed   ] failed    duration: 1m15s\n"), "{}", watch.stdout);
}

#[test]
fn the_end_of_a_run_is_seen_as_it_comes() {
    let sandbox = Sandbox::new();
    let gate = sandbox.work().join("gate");
    mkfifoat(CWD, &gate, Mode::RUSR | Mode::WUSR).unwrap();
    let script = format!("cat '{}'", gate.display());
    let spec = JobSpec::new("p").task("t").agent("shell").prompt(script);
    let run = conductor(&sandbox).jobs().start(spec, Wait::FOREVER).unwrap();
    // Without a task: what lives.
    let mut watch = cli(&sandbox, "watch --project p --json").start();
    let first = watch.wait_for("the first look", |text| text.ends_with('\n'));
    assert!(first.contains("\"status\":\"running\""), "{first}");
    open_gate(&gate);
    let end = watch.finish().expect_code(0).stdout;
    assert!(end.lines().last().unwrap().contains("\"all_done\":true"), "{end}");
    run.wait(Wait::FOREVER).unwrap();
}

#[test]
fn a_task_may_come_later_and_its_coming_is_seen() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.root().join("p")).unwrap();
    let mut watch = cli(&sandbox, "watch --project p --task later").start();
    watch.wait_for("the wait", |text| text.contains("pending=1"));
    let run = "p/later/runs/20260301-0800000000-1-1";
    // As a starter does it: folder after folder, the record last and at once.
    std::fs::create_dir_all(sandbox.root().join(run)).unwrap();
    let next = write(&sandbox, &format!("{run}/next"), record("completed", 0));
    std::fs::rename(&next, next.with_file_name("run-info.yaml")).unwrap();
    let finished = watch.finish().expect_code(0);
    assert!(finished.stdout.ends_with("All tasks complete.\n"), "{}", finished.stdout);
    assert!(finished.stderr.contains("there is no task p/later"), "{}", finished.stderr);
}

#[test]
fn the_end_of_the_time_and_an_interruption_have_codes_of_their_own() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.root().join("p")).unwrap();
    let late = look(&sandbox, cli(&sandbox, "watch --project p --task t --timeout 1ms"), 124);
    assert!(
        late.stderr.contains("Error: timeout after 1ms: not all tasks completed\n"),
        "{}",
        late.stderr
    );
    let mut watch = cli(&sandbox, "watch --project p --task t").start();
    watch.wait_for("the wait", |text| text.contains("pending=1"));
    watch.signal(Signal::INT);
    let _interrupted = watch.finish().expect_code(130);
}
