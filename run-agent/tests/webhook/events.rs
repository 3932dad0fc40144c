//! What is told, and how.

use crate::receiver::Receiver;
use crate::support::{cli, run_agent};
use crate::{SECRET, configure, job};
use conductor_tests::sandbox::Sandbox;
use std::fs;

#[test]
fn a_run_is_told_in_the_older_programs_words_and_ours() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 204);
    configure(&sandbox, &receiver.url, "");
    drop(job(&sandbox, "exit 3").exits(1));
    let (start, stop) = (receiver.next(), receiver.next());
    start.assert_signed(SECRET);
    stop.assert_signed(SECRET);
    assert_eq!((start.event(), stop.event()), ("run_start", "run_stop"));
    assert!(stop.header("user-agent").starts_with("conductor/"));
    assert_eq!(stop.header("content-type"), "application/json");
    let keys: Vec<&str> = stop.body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "event event_id project_id task_id run_id agent_type status exit_code started_at \
                    stopped_at duration_seconds error_summary outcome";
    assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!((&stop.body["project_id"], &stop.body["task_id"]), (&"p".into(), &"t".into()));
    assert_eq!((&stop.body["status"], &stop.body["exit_code"]), (&"failed".into(), &3.into()));
    assert_eq!(
        (&stop.body["agent_type"], &stop.body["outcome"]),
        (&"shell".into(), &"failed".into())
    );
    assert_eq!(stop.body["run_id"], start.body["run_id"]);
    assert!(stop.body["duration_seconds"].as_f64().unwrap() >= 0.0);
    assert_eq!(cli(&sandbox, "webhook list --json").succeed().stdout, "");
}

#[test]
fn only_the_events_that_were_asked_for_are_told() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "  events: [task_done]\n");
    let script = "touch \"$JRUN_TASK_FOLDER/DONE\"";
    let line = ["task", "--project", "p", "--task", "t", "--agent", "shell", "--prompt", script];
    drop(run_agent(&sandbox, line).succeed());
    let done = receiver.next();
    done.assert_signed(SECRET);
    assert_eq!((done.event(), &done.body["outcome"]), ("task_done", &"done".into()));
    assert_eq!((&done.body["attempts"], &done.body["task_id"]), (&1.into(), &"t".into()));
    assert!(receiver.so_far().is_empty());
}

#[test]
fn a_list_that_names_no_event_leaves_none_out() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "  events: []\n");
    drop(job(&sandbox, ":").succeed());
    drop(cli(&sandbox, "webhook deliver --wait 100s").succeed());
    let told = receiver.so_far();
    let events: Vec<&str> = told.iter().map(|call| call.event()).collect();
    assert_eq!(events, ["run_start", "run_stop"]);
}

#[test]
fn a_task_that_waits_and_one_that_used_up_its_attempts_are_told() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "  events: [waiting, budget, task_failed]\n");
    let line =
        "task --project p --task t --agent shell --max-attempts 2 --restart-delay 1ms --prompt :";
    drop(cli(&sandbox, line).exits(1));
    let told = [receiver.next(), receiver.next()];
    let mut events: Vec<&str> = told.iter().map(|call| call.event()).collect();
    events.sort_unstable();
    assert_eq!(events, ["budget", "task_failed"]);
    for call in &told {
        assert_eq!(call.body["reason"], "max attempts (2) exceeded");
        assert_eq!(call.body["outcome"], "gave_up");
    }

    fs::create_dir_all(sandbox.root().join("p/other")).unwrap();
    let line = "task --project p --task late --agent shell --depends-on other --prompt :";
    let waiting = cli(&sandbox, line).start();
    let call = receiver.next();
    assert_eq!(call.event(), "waiting");
    assert_eq!(call.body["waiting_for"], "dependencies: other");
    drop(cli(&sandbox, "stop --project p --task late").succeed());
    let stopped = receiver.next();
    assert_eq!((stopped.event(), &stopped.body["outcome"]), ("task_failed", &"stopped".into()));
    drop(waiting.finish());
}
