//! `job` and `job batch`.

use crate::support::{cli, run_agent};
use crate::workshop::*;
use conductor_core::Outcome;
use conductor_tests::agents::open_gate;
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;

#[test]
fn the_result_is_the_output_and_the_rest_is_said_beside_it() {
    let sandbox = Sandbox::new();
    let finished = job(&sandbox, "printf 'a\\tb\\nno line feed'; pwd >&2").succeed();
    assert_eq!(finished.stdout, "a\tb\nno line feed");
    let run = &runs(&sandbox)[0];
    for part in [
        format!("run:      p/t/{}\n", run.id),
        format!("folder:   {}\n", run.folder.display()),
        format!("works in: {}\n", sandbox.work().display()),
        "without permission prompts".to_owned(),
        "run completed after ".to_owned(),
        format!("output:   {}\n", run.folder.join("output.md").display()),
    ] {
        assert!(finished.stderr.contains(&part), "{part}: {}", finished.stderr);
    }
    let quiet = job(&sandbox, "echo x").arg("-q").succeed();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("x\n", ""));
    let json = job(&sandbox, "echo x; exit 3").args(["-q", "--json"]).exits(1);
    let record: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&record["outcome"], &record["exit_code"]), (&"failed".into(), &3.into()));
}

#[test]
fn what_happens_can_be_followed_in_the_log_and_no_secret_with_it() {
    let sandbox = Sandbox::new();
    let script = "echo password=hunter2; exit 3";
    let log = job(&sandbox, script).args(["-q", "--log", "info"]).exits(1).stderr;
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("ts=")).collect();
    let run = &runs(&sandbox)[0].id;
    for (line, event) in lines.iter().zip(["run_started", "run_execution_failed"]) {
        let expected = format!(
            " level=INFO subsystem=runner event={event} project_id=p task_id=t run_id={run}"
        );
        assert!(line.contains(&expected), "{line}");
    }
    assert!(lines[1].contains(" outcome=failed ") && lines[1].contains(" exit_code=3"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_failure_shows_what_the_agent_complained_of() {
    let sandbox = Sandbox::new();
    let failed = job(&sandbox, "echo part; echo one >&2; echo two >&2; exit 9").run();
    let failed = failed.expect_code(1);
    assert_eq!(failed.stdout, "part\n");
    assert!(failed.stderr.contains(": exit code 9\n"), "{}", failed.stderr);
    assert!(failed.stderr.ends_with("  one\n  two\n"), "{}", failed.stderr);
}

#[test]
fn following_passes_on_every_byte_as_it_comes() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = format!("echo first; {}; head -c 300000 /dev/zero | tr '\\0' x", wait_at(&gate));
    let mut running = job(&sandbox, &script).arg("--follow").start();
    running.wait_for("the first line", |text| text == "first\n");
    open_gate(&gate);
    let text = running.finish().expect_code(0).stdout;
    assert_eq!(text, format!("first\n{}", "x".repeat(300_000)));
}

#[test]
fn the_end_of_the_wait_is_not_the_end_of_the_run() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let waited = job(&sandbox, &wait_at(&gate)).args(["--wait", "1ms"]).exits(124);
    assert!(waited.stderr.contains("the run goes on"), "{}", waited.stderr);
    // On a terminal, where it says that the agent runs.
    let second = crate::signals::started(&sandbox, "job", &wait_at(&gate), &[]);
    second.signal(Signal::TERM);
    let (status, text) = second.finish();
    assert_eq!(status.code(), Some(143), "{text}");
    let runs = runs(&sandbox);
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run.alive == Some(true)));
}

#[test]
fn inside_an_agent_the_run_is_a_child_of_its_run() {
    let sandbox = Sandbox::new();
    let child = "run-agent job -q --agent shell --prompt 'echo I am a child'";
    // Also an agent that asks for work elsewhere is its parent.
    let elsewhere = "run-agent job -q --project other --task o --agent shell --prompt :";
    let finished = job(&sandbox, &format!("{child}\n{elsewhere}")).succeed();
    assert_eq!(finished.stdout, "I am a child\n");
    let runs = runs(&sandbox);
    assert_eq!(runs.len(), 2, "in the same task");
    let parent = runs.iter().find(|run| run.record.parent_run_id.is_none()).unwrap();
    let child = runs.iter().find(|run| run.id != parent.id).unwrap();
    assert_eq!(child.record.parent_run_id.as_deref(), Some(parent.id.as_str()));
    let list = cli(&sandbox, "list --project other --task o --json").succeed().stdout;
    assert!(list.contains("completed"), "{list}");
    let record = fs::read_dir(sandbox.root().join("other/o/runs")).unwrap().next().unwrap();
    let record = fs::read_to_string(record.unwrap().path().join("run-info.yaml")).unwrap();
    assert!(record.contains(parent.id.as_str()), "{record}");
    // A terminal that an agent left behind has its variables still.
    let later = job(&sandbox, ":").env("JRUN_PROJECT_ID", "p").env("JRUN_TASK_ID", "t");
    later.env("JRUN_ID", parent.id.as_str()).succeed();
    let newest = self::runs(&sandbox).pop().unwrap();
    assert_eq!(newest.record.parent_run_id, None);
}

#[test]
fn any_program_is_an_agent() {
    let sandbox = Sandbox::new();
    let dashes = run_agent(&sandbox, ["job", "-q", "--project", "p", "--task", "t"]);
    let text = dashes.args(["--prompt", "hello", "--", "tail", "-n", "1"]).succeed().stdout;
    assert_eq!(text, "hello\n");
    let flags = run_agent(&sandbox, ["job", "-q", "--project", "p", "--task", "t"]);
    let flags = flags.args(["--prompt", "hello", "--command", "tail", "--command", "-n1"]);
    assert_eq!(flags.succeed().stdout, "hello\n");
    assert_eq!(runs(&sandbox)[0].record.agent, "command");
}

fn batch(sandbox: &Sandbox) -> conductor_tests::process::Program {
    run_agent(sandbox, ["job", "batch", "--project", "p", "--agent", "shell"])
}

#[test]
fn a_batch_runs_one_after_the_other_and_stops_at_a_failure() {
    let sandbox = Sandbox::new();
    let file = sandbox.work().join("last");
    fs::write(&file, "echo c >>order").unwrap();
    let three =
        |first: &str| {
            batch(&sandbox)
                .args(["--prompt-file", file.to_str().unwrap(), "--prompt", first])
                .args(["--prompt", "echo b >>order", "--task", "a", "--task", "b", "--task", "c"])
        };
    let done = three("echo a >>order").succeed();
    assert_eq!(
        done.stdout,
        "batch item 1/3 completed: a\nbatch item 2/3 completed: b\nbatch item 3/3 completed: c\n"
    );
    let order = sandbox.work().join("order");
    assert_eq!(fs::read_to_string(&order).unwrap(), "a\nb\nc\n");

    let failed = three("exit 4").exits(1);
    assert_eq!(failed.stdout, "");
    assert!(failed.stderr.contains("batch item 1 failed (task a): run failed after "));
    assert!(failed.stderr.contains("1 of 3 batch items failed: "), "{}", failed.stderr);
    assert_eq!(fs::read_to_string(&order).unwrap(), "a\nb\nc\n", "nothing more was started");

    let on = three("exit 4").args(["--continue-on-fail", "--json"]).exits(1);
    assert_eq!(on.stdout.lines().count(), 3);
    assert_eq!(fs::read_to_string(&order).unwrap(), "a\nb\nc\nb\nc\n");
}

#[test]
fn a_batch_can_run_several_at_once() {
    let sandbox = Sandbox::new();
    let gates: Vec<_> = ["1", "2", "3"].map(|name| gate(&sandbox, name)).into();
    let mut program = batch(&sandbox).args(["--parallel", "3"]);
    for gate in &gates {
        program = program.args(["--prompt", &wait_at(gate)]);
    }
    let running = program.start();
    // The last first: they must all run by then.
    gates.iter().rev().for_each(|gate| open_gate(gate));
    let text = running.finish().expect_code(0).stdout;
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn a_run_that_takes_too_long_is_ended() {
    let sandbox = Sandbox::new();
    let late = job(&sandbox, "sleep 1000").args(["--total-timeout", "100ms"]).run();
    assert!(late.expect_code(1).stderr.contains("run timed out after "));
    let silent = job(&sandbox, "echo x; sleep 1000").args(["--timeout", "100ms"]).run();
    drop(silent.expect_code(1));
    assert!(runs(&sandbox).iter().all(|run| run.outcome() == Some(Outcome::TimedOut)));
}
