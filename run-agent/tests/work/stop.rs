//! `stop`: a task for good, one attempt, one run.

use crate::support::{cli, conductor, run_agent};
use crate::workshop::*;
use conductor_core::{Outcome, TaskOutcome};
use conductor_tests::sandbox::Sandbox;
use serde_json::json;

const DEAF: &str = "trap '' TERM\nrun-agent bus post --body deaf\nwhile :; do sleep 1000; done";

fn deaf(sandbox: &Sandbox) {
    task(sandbox, DEAF).args(["--grace", "1h", "--wait", "1ms"]).exits(124);
    await_message(sandbox, |message| message.body == "deaf");
}

#[test]
fn a_task_is_stopped_with_a_reason_and_again_is_no_error() {
    let sandbox = Sandbox::new();
    let mut driver = task(&sandbox, "sleep 1000").start();
    driver.wait_for("the attempt", |text| text.contains("RUN_START"));
    let program = run_agent(&sandbox, ["stop", "--project", "p", "--task", "t", "--no-restart"]);
    let stopped = program.args(["--reason", "enough"]).succeed().stdout;
    let id = runs(&sandbox)[0].id.clone();
    assert_eq!(stopped, format!("p/t: stopped {id}; nothing had to be killed\n"));
    let text = driver.finish().expect_code(3).stdout;
    assert!(text.contains("stopped after 1 attempt") && text.contains(": enough\n"), "{text}");
    let result = info(&sandbox).result.unwrap();
    assert_eq!((result.outcome, result.reason.as_deref()), (TaskOutcome::Stopped, Some("enough")));
    assert_eq!(runs(&sandbox)[0].record.stop_reason.as_deref(), Some("enough"));
    let again = cli(&sandbox, "stop --project p --task t").succeed().stdout;
    assert_eq!(again, "p/t: nothing runs\n");
    assert_eq!(runs(&sandbox).len(), 1);
}

#[test]
fn force_kills_at_once() {
    let sandbox = Sandbox::new();
    deaf(&sandbox);
    let stopped = cli(&sandbox, "stop --project p --task t --force --json").succeed().stdout;
    let report: serde_json::Value = serde_json::from_str(&stopped).unwrap();
    assert_eq!(report["signalled"], json!([runs(&sandbox)[0].id.as_str()]));
    assert!(report["killed"].as_u64().unwrap() >= 1, "{report}");
    assert!(sandbox.living().is_empty());
}

#[test]
fn one_attempt_can_be_stopped_and_the_task_goes_on() {
    let sandbox = Sandbox::new();
    let first =
        "echo x >>\"$JRUN_TASK_FOLDER/count\"; run-agent bus post --body counted; sleep 1000";
    let script = format!("[ -e \"$JRUN_TASK_FOLDER/count\" ] || {{ {first}; }}\n{TWO}");
    let mut driver = task(&sandbox, &script).start();
    driver.wait_for("the attempt", |text| text.contains("RUN_START"));
    // One that was stopped before it had counted would not be the last to wait.
    await_message(&sandbox, |message| message.body == "counted");
    let stopped = cli(&sandbox, "stop --project p --task t --attempt").succeed().stdout;
    assert!(stopped.starts_with("p/t/") && stopped.contains(": stopped "), "{stopped}");
    let text = driver.finish().expect_code(0).stdout;
    assert!(text.contains("p/t: done after 2 attempts"), "{text}");
    let none = cli(&sandbox, "stop --project p --task t --attempt").exits(10);
    assert!(none.stderr.contains("no attempt of p/t runs"), "{}", none.stderr);
}

#[test]
fn a_run_is_stopped_by_its_id_or_its_folder() {
    let sandbox = Sandbox::new();
    for flag in ["--run", "--run-dir"] {
        let started = job(&sandbox, "sleep 1000").arg("-d").succeed().stdout;
        let id = started.trim_end().to_owned();
        let folder = sandbox.root().join("p/t/runs").join(&id);
        let stop = match flag {
            "--run" => run_agent(&sandbox, ["stop", "--project", "p", "--task", "t", "--run", &id]),
            _ => run_agent(&sandbox, ["stop", "--run-dir", folder.to_str().unwrap()]),
        };
        let stopped = stop.succeed().stdout;
        assert_eq!(stopped, format!("p/t/{id}: stopped {id}; nothing had to be killed\n"));
    }
    assert!(runs(&sandbox).iter().all(|run| run.outcome() == Some(Outcome::Stopped)));
}

#[test]
fn what_an_agent_starts_is_stopped_with_it_unless_it_is_told_to_be_nobodys() {
    let sandbox = Sandbox::new();
    let start = "run-agent job -d --quiet --agent shell --prompt 'sleep 1000'";
    let script = format!(
        "{start} --task child >child\n{start} --task free --parent-run-id '' >free\n\
         run-agent task -d --quiet --agent shell --task loop --prompt 'sleep 1000' >loop\n\
         run-agent bus post --body begun; sleep 1000"
    );
    task(&sandbox, &script).arg("-d").succeed();
    await_message(&sandbox, |message| message.body == "begun");
    let stopped = cli(&sandbox, "stop --project p --task t").succeed().stdout;
    assert!(stopped.contains("stopped 2 runs"), "{stopped}");
    let latest = |task: &str| {
        let (project, task) = ("p".parse().unwrap(), task.parse().unwrap());
        conductor(&sandbox).tasks().info(&project, &task).unwrap().latest.unwrap()
    };
    assert_eq!(latest("child").outcome(), Some(Outcome::Stopped));
    for free in ["free", "loop"] {
        let run = latest(free);
        assert_eq!((run.alive, run.record.parent_run_id), (Some(true), None), "{free}");
    }
    cli(&sandbox, "stop --project p --task loop").succeed();
    cli(&sandbox, "stop --project p --task free").succeed();
}
