//! No event is lost: not by a command that ends at once, not by one that is killed, not by a receiver
//! that fails.

use crate::receiver::Receiver;
use crate::support::{cli, conductor, run_agent};
use crate::{SECRET, configure, configure_section, job};
use conductor_tests::agents::open_gate;
use conductor_tests::http::Nobody;
use conductor_tests::sandbox::Sandbox;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// How many jobs run, in all.
const JOBS: &str = "CONDUCTOR_TEST_WEBHOOK_JOBS";

/// Half of all calls, in no pattern that a caller could fall in step with.
fn by_halves(number: u64) -> u16 {
    let mut hash = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        hash = (hash ^ (hash >> 30)).wrapping_mul(factor);
    }
    if (hash >> 40).is_multiple_of(2) { 200 } else { 503 }
}

#[test]
fn one_shot_jobs_lose_no_event_to_a_receiver_that_fails_half_its_calls() {
    let jobs: u64 = std::env::var(JOBS).map_or(30, |jobs| jobs.parse().unwrap());
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(by_halves);
    // In no more time than a command has for it usually.
    configure_section(&sandbox, &receiver.url, "  events: [run_stop]\n");
    for _ in 0..jobs {
        drop(job(&sandbox, ":").succeed());
    }
    let left = cli(&sandbox, "webhook list --json").succeed().stdout.lines().count();
    drop(cli(&sandbox, "webhook deliver --wait 100s").succeed());
    let calls = receiver.so_far();
    let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
    let mut runs = BTreeSet::new();
    for call in &calls {
        call.assert_signed(SECRET);
        if call.status == 200 {
            *taken.entry(call.header("idempotency-key")).or_default() += 1;
            runs.insert(call.body["run_id"].as_str().unwrap());
        }
    }
    assert_eq!((taken.len() as u64, runs.len() as u64), (jobs, jobs));
    let twice = taken.values().filter(|times| **times > 1).count();
    println!("{jobs} jobs, {} calls, {left} left to the end, {twice} told twice", calls.len());
    assert!(calls.iter().any(|call| call.status == 503), "the receiver never failed");
}

/// The events that wait for the webhook.
fn waiting(sandbox: &Sandbox) -> Vec<Value> {
    let list = cli(sandbox, "webhook list --json").succeed().stdout;
    list.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_receiver_that_is_gone_costs_no_run_and_is_told_by_doctor() {
    let sandbox = Sandbox::new();
    let gone = Nobody::new();
    let url = format!("{}/secret-path", gone.url());
    configure_section(&sandbox, &url, "  at_exit: 10ms\n");
    assert_eq!(job(&sandbox, "echo hello").succeed().stdout, "hello\n");
    let names: Vec<Value> =
        waiting(&sandbox).into_iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names, ["run_start", "run_stop"]);
    // The job may have ended before its first try. Behind five of them the next one is minutes away.
    while waiting(&sandbox).iter().any(|event| event["attempts"].as_u64().unwrap() < 5) {
        drop(cli(&sandbox, "webhook deliver --wait 100ms").exits(1));
    }
    let doctor = cli(&sandbox, "doctor").exits(1).stdout;
    let parts = ["not_told", "events that wait for the webhook: 2", "refused", "webhook deliver"];
    for part in parts.into_iter().chain([", the next try at 20"]) {
        assert!(doctor.contains(part), "{part} in {doctor}");
    }
    assert!(!doctor.contains("secret-path"), "{doctor}");
    let list = cli(&sandbox, "webhook list").succeed().stdout;
    assert!(list.lines().next().unwrap().contains("NEXT"), "{list}");

    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "");
    let told = cli(&sandbox, "webhook deliver --wait 100s").succeed().stdout;
    assert_eq!(told, "delivered: 2, left: 0\n");
    assert!(!cli(&sandbox, "doctor").run().stdout.contains("not_told"));
}

#[test]
fn an_outbox_that_is_no_folder_is_told_with_the_way_out_and_hides_nothing_else() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "  events: [run_stop]\n");
    fs::create_dir_all(sandbox.root().join(".conductor")).unwrap();
    fs::create_dir(sandbox.root().join("with space")).unwrap();
    let outbox = sandbox.root().join(".conductor/outbox");
    fs::write(&outbox, "").unwrap();
    let refused = job(&sandbox, ":").exits(2);
    for part in ["run_stop", "webhook", "run-agent reconcile", ".conductor/outbox"] {
        assert!(refused.stderr.contains(part), "{part} in {}", refused.stderr);
    }
    let doctor = cli(&sandbox, "doctor").exits(1).stdout;
    for part in ["foreign", "damaged", ".conductor/outbox"] {
        assert!(doctor.contains(part), "{part} in {doctor}");
    }
    // Nothing was given up: the next process closes the run, and tells its end.
    fs::remove_file(&outbox).unwrap();
    drop(cli(&sandbox, "reconcile").succeed());
    assert_eq!(receiver.next().event(), "run_stop");
}

/// Puts an event of 2001 into the outbox, as a machine leaves it that was switched off since.
fn put_old_event(sandbox: &Sandbox, number: u32, more: &str) {
    let outbox = sandbox.root().join(".conductor/outbox");
    fs::create_dir_all(&outbox).unwrap();
    let (id, at) = (format!("{number}{:031}", 0), "2001-02-03T04:05:06Z");
    let body = format!(r#"{{"event":"run_stop","event_id":"{id}","run_id":"r{number}"}}"#);
    let line = format!(r#"{{"id":"{id}","event":"run_stop","at":"{at}",{more},"body":{body}}}"#);
    let name = format!("20010203-0405060000-run_stop-{}", &id[..16]);
    fs::write(outbox.join(name), line + "\n").unwrap();
}

#[test]
fn an_old_event_that_nobody_tried_to_tell_is_told() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "");
    put_old_event(&sandbox, 1, r#""attempts":0"#);
    put_old_event(&sandbox, 2, r#""attempts":1,"error":"refused""#);
    let told = cli(&sandbox, "webhook deliver --wait 100s").succeed().stdout;
    assert_eq!(told, "delivered: 2, left: 0\n");
    assert_eq!(receiver.so_far().len(), 2);
    assert!(!cli(&sandbox, "doctor").run().stdout.contains("not_told"));
}

#[test]
fn an_event_that_was_not_taken_for_days_is_tried_once_more_before_it_is_given_up() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|number| if number == 0 { 200 } else { 503 });
    configure(&sandbox, &receiver.url, "");
    let tried = r#""attempts":40,"failing_since":"2001-02-03T04:05:07Z","error":"refused""#;
    put_old_event(&sandbox, 1, tried);
    put_old_event(&sandbox, 2, tried);
    let told = cli(&sandbox, "webhook deliver").exits(1).stdout;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..2], ["delivered: 1, left: 0", "given up: 1"]);
    assert!(lines[2].starts_with("last error: it answered 503"), "{told}");
    assert_eq!(receiver.so_far().len(), 2);
    let doctor = cli(&sandbox, "doctor").exits(1).stdout;
    assert!(doctor.contains("events that were given up: 1"), "{doctor}");
}

#[test]
fn a_killed_command_leaves_its_event_to_whoever_writes_the_end_down() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "  events: [run_stop]\n");
    let gate = sandbox.work().join("gate");
    mkfifoat(CWD, &gate, Mode::RUSR | Mode::WUSR).unwrap();
    let script = format!("echo ready; read line <'{}'", gate.display());
    let mut running = job(&sandbox, &script).arg("--follow").start();
    running.wait_for("the agent", |text| text == "ready\n");
    let root = conductor(&sandbox);
    let (project, task) = ("p".parse().unwrap(), "t".parse().unwrap());
    running.signal(Signal::KILL);
    drop(running.finish());
    open_gate(&gate);
    // Opened without a configuration, and so without a webhook.
    let run = root.runs().list(&project, &task).unwrap().remove(0).unwrap();
    let run = root.runs().get(&project, &task, &run.id).unwrap();
    run.wait(std::time::Duration::from_secs(120)).unwrap();
    assert!(receiver.so_far().is_empty());
    assert_eq!(root.outbox().list().unwrap().len(), 1);
    drop(run_agent(&sandbox, ["reconcile"]).succeed());
    let stop = receiver.next();
    assert_eq!((stop.event(), stop.body["run_id"].as_str()), ("run_stop", Some(run.id().as_str())));
}

#[test]
fn jobs_side_by_side_tell_each_event_once() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "  events: [run_stop]\n");
    let running: Vec<_> = (0..8).map(|_| job(&sandbox, ":").start()).collect();
    for job in running {
        drop(job.finish().expect_code(0));
    }
    drop(cli(&sandbox, "webhook deliver --wait 100s").succeed());
    let calls = receiver.so_far();
    let ids: BTreeSet<&str> = calls.iter().map(|call| call.header("idempotency-key")).collect();
    assert_eq!((calls.len(), ids.len()), (8, 8));
}

#[test]
fn a_root_that_does_not_exist_is_not_made_for_the_webhook() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(|_| 200);
    configure(&sandbox, &receiver.url, "");
    let nowhere = sandbox.work().join("nowhere");
    let line = format!("reconcile --root {}", nowhere.display());
    drop(cli(&sandbox, &line).succeed());
    assert!(!nowhere.exists());
}
