//! `task`, `attach` and `task resume`, in front of somebody who only reads.

use crate::support::{cli, run_agent};
use crate::workshop::*;
use conductor_core::TaskOutcome;
use conductor_tests::agents::open_gate;
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

#[test]
fn a_task_says_where_it_is_what_happens_and_what_came_of_it() {
    let sandbox = Sandbox::new();
    let finished = task(&sandbox, TWO).succeed();
    let text = &finished.stdout;
    let folder = sandbox.root().join("p/t");
    let head: Vec<&str> = text.lines().take(5).collect();
    assert_eq!(
        head,
        [
            "task:     p/t",
            &format!("folder:   {}", folder.display()),
            &format!("works in: {}", sandbox.work().display()),
            "agent:    shell, without permission prompts: it may do whatever you may do",
            "",
        ]
    );
    let ids: Vec<String> = runs(&sandbox).iter().map(|run| run.id.to_string()).collect();
    assert_eq!(ids.len(), 2);
    for (number, id) in ids.iter().enumerate() {
        let start = format!("RUN_START  attempt {}: {id}\n", number + 1);
        assert!(text.contains(&start), "{text}");
        assert!(text.contains(&format!("RUN_STOP   attempt {} completed after ", number + 1)));
    }
    let output = folder.join("runs").join(&ids[1]).join("output.md");
    assert!(text.contains("\n\np/t: done after 2 attempts, "), "{text}");
    assert!(text.ends_with(&format!("output: {}\n\n  attempt 2\n", output.display())), "{text}");
    assert!(!text.contains('\x1b') && !text.contains('\r'), "plain where nobody looks");
    assert_eq!(finished.stderr, "");

    // Asked again it is still done, and nothing runs.
    let again = cli(&sandbox, "task --project p --task t").succeed();
    assert!(again.stdout.contains("p/t: done after 2 attempts\n"), "{}", again.stdout);
    assert_eq!(runs(&sandbox).len(), 2);
}

#[test]
fn programs_read_a_record_a_line_or_the_end_alone() {
    let sandbox = Sandbox::new();
    let lines = task(&sandbox, TWO).arg("--json").succeed().stdout;
    let records: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (result, told) = records.split_last().unwrap();
    assert_eq!((&result["outcome"], &result["attempts"]), (&"done".into(), &2.into()));
    assert_eq!(told.len(), messages(&sandbox).len());
    assert!(told.iter().all(|record| record["kind"] == "message" && record["task_id"] == "t"));

    let quiet = cli(&sandbox, "attach --project p --task t --quiet").succeed().stdout;
    assert!(quiet.starts_with("p/t: done after 2 attempts\noutput: "), "{quiet}");
    let json = cli(&sandbox, "attach --project p --task t --json").succeed().stdout;
    assert_eq!(json.lines().count(), 1);
}

#[test]
fn giving_up_is_the_answer_no_and_says_how_to_go_on() {
    let sandbox = Sandbox::new();
    let program = task(&sandbox, "echo oops >&2; exit 7").args(["--max-restarts", "2"]);
    let text = program.exits(1).stdout;
    assert!(text.contains("RUN_CRASH  attempt 2 failed after "), "{text}");
    assert!(text.contains(": exit code 7\n"), "{text}");
    assert!(text.contains(&format!("{:21}oops\n", "")), "{text}");
    assert!(text.contains("p/t: gave up after 2 attempts, "), "{text}");
    assert!(text.ends_with("to go on: run-agent task resume --project p --task t\n"), "{text}");
    assert_eq!(cli(&sandbox, "attach --project p --task t").exits(1).stderr, "");
}

#[test]
fn the_end_of_the_wait_is_not_the_end_of_the_task() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO);
    let waited = task(&sandbox, &script).args(["--wait", "1ms"]).exits(124);
    assert!(waited.stderr.contains("run-agent attach --project p --task t"), "{}", waited.stderr);
    assert!(info(&sandbox).is_unfinished() && info(&sandbox).driver.is_none());
    assert_eq!(runs(&sandbox)[0].alive, Some(true));
    // Whoever comes back goes on with it: here, without a name, for it is the only one.
    let attach = cli(&sandbox, "attach").start();
    open_gate(&gate);
    let text = attach.finish().expect_code(0).stdout;
    assert!(text.contains("attempt 2 completed") && text.contains("p/t: done after 2"), "{text}");
}

#[test]
fn somebody_who_stands_by_takes_over_from_a_driver_that_dies() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO);
    let mut driver = task(&sandbox, &script).start();
    driver.wait_for("the first attempt", |text| text.contains("RUN_START"));
    let mut second = cli(&sandbox, "attach").start();
    second.wait_for("the first attempt", |text| text.contains("RUN_START"));
    assert_eq!(info(&sandbox).driver, Some(driver.id()));
    driver.signal(Signal::KILL);
    driver.finish();
    open_gate(&gate);
    let text = second.finish().expect_code(0).stdout;
    assert!(text.contains("p/t: done after 2 attempts"), "{text}");
}

#[test]
fn a_reader_who_had_enough_does_not_end_the_task() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, &format!("{TWO}\nfalse"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_run-agent"))
        .args(["task", "--project", "p", "--task", "t", "--agent", "shell", "--prompt", &script])
        .args(["--restart-delay", "10ms", "--max-attempts", "1"])
        .env_clear()
        .envs(sandbox.environment())
        .env("CONDUCTOR_ROOT", sandbox.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    open_gate(&gate);
    // The exit code is still that of the task.
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(info(&sandbox).result.unwrap().outcome, TaskOutcome::GaveUp);
}

#[test]
fn the_prompt_may_come_on_the_standard_input() {
    let sandbox = Sandbox::new();
    let program = run_agent(&sandbox, ["task", "--project", "p", "--agent", "shell", "-q"]);
    let text = program.args(["--prompt-file", "-"]).stdin("touch \"$JRUN_TASK_FOLDER/DONE\"");
    let text = text.succeed().stdout;
    // Without a name the task gets one, made of the prompt.
    assert!(text.starts_with("p/task-") && text.contains("-touch-jrun-task-folder-done: done"));
}

#[test]
fn a_task_goes_on_where_it_worked_with_nothing_said_again() {
    let sandbox = Sandbox::new();
    let folder = sandbox.folder("elsewhere");
    let script = format!("pwd >>\"$JRUN_TASK_FOLDER/where\"\n{TWO}");
    let program = task(&sandbox, &script).args(["--max-attempts", "1"]).cwd(&folder);
    program.exits(1);
    // From inside the task's folder it needs no name either.
    let again = run_agent(&sandbox, ["task", "--max-attempts", "5"]);
    again.cwd(sandbox.root().join("p/t")).succeed();
    let places = fs::read_to_string(sandbox.root().join("p/t/where")).unwrap();
    assert_eq!(places, format!("{0}\n{0}\n", folder.display()));
}

#[test]
fn resuming_sets_done_aside_and_counts_anew() {
    let sandbox = Sandbox::new();
    task(&sandbox, TWO).succeed();
    let text = cli(&sandbox, "task resume --project p --task t").succeed().stdout;
    assert!(text.contains("p/t: done after 1 attempt, "), "{text}");
    assert_eq!(runs(&sandbox).len(), 3);

    let set_back = cli(&sandbox, "resume --project p --task t").succeed().stdout;
    assert_eq!(set_back, "Resumed task t (restart counter reset)\n");
    assert!(!sandbox.root().join("p/t/DONE").exists());
    assert_eq!(info(&sandbox).result.unwrap().outcome, TaskOutcome::Stopped);
    let text = cli(&sandbox, "resume --project p --task t --agent shell").succeed().stdout;
    assert!(text.contains("p/t: done after 1 attempt, "), "{text}");
    assert_eq!(runs(&sandbox).len(), 4);
}

#[test]
fn everything_unfinished_is_gone_on_with_at_once() {
    let sandbox = Sandbox::new();
    let gates: Vec<_> = ["a", "b", "c"].map(|name| gate(&sandbox, name)).into();
    for (gate, name) in gates.iter().zip(["a", "b", "c"]) {
        let end = if name == "c" { "echo x >>\"$JRUN_TASK_FOLDER/count\"; exit 1" } else { TWO };
        let script = first_waits_at(gate, end);
        let program = run_agent(&sandbox, ["task", "--project", "p", "--task", name])
            .args(["--agent", "shell", "--restart-delay", "10ms", "--max-attempts", "2"])
            .args(["--prompt", &script, "--wait", "1ms"]);
        program.exits(124);
    }
    run_agent(&sandbox, ["job", "--project", "p", "--task", "no-loop", "--agent", "shell"])
        .args(["--prompt", ":"])
        .succeed();
    let mut all = cli(&sandbox, "task resume --all").start();
    all.wait_for("all three", |text| {
        ["p/a", "p/b", "p/c"].iter().all(|name| text.contains(&format!("RUN_START  {name}  ")))
    });
    // In an order that only all at once can follow.
    gates.iter().rev().for_each(|gate| open_gate(gate));
    let finished = all.finish().expect_code(1);
    assert!(finished.stdout.contains("p/a: done after 2 attempts\n"), "{}", finished.stdout);
    assert!(finished.stdout.contains("p/b: done after 2 attempts\n"));
    assert!(finished.stdout.contains("p/c: gave up after 2 attempts: max attempts"));
    assert_eq!(finished.stderr, "going on with 3 tasks\n");
    assert_eq!(cli(&sandbox, "task resume --all").succeed().stdout, "nothing is unfinished\n");
}

#[test]
fn who_lacks_a_variable_of_the_task_says_so_and_does_not_drive() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO);
    let env = ["--env", "SECRET=sesame", "--wait", "1ms"];
    task(&sandbox, &script).args(env).exits(124);
    let told = "is not driven from here: it was started with SECRET";
    let waits = cli(&sandbox, "attach --timeout 1ms").exits(124);
    assert!(waits.stderr.contains(told), "{}", waits.stderr);
    let all = cli(&sandbox, "task resume --all").exits(2);
    assert!(all.stderr.contains(told), "{}", all.stderr);
    let attach = cli(&sandbox, "attach").env("SECRET", "sesame").start();
    open_gate(&gate);
    assert!(attach.finish().expect_code(0).stdout.contains("p/t: done after 2 attempts"));
}

#[test]
fn who_has_another_agent_says_so_and_does_not_drive() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO).replace('"', "\\\"").replace('\n', "; ");
    let config = |name: &str, token: &str| {
        let path = sandbox.work().join(name);
        let text = format!(
            "agents:\n  worker:\n    type: command\n    command: [sh, -c, \"{script}\"]\n    env: \
             {{A_TOKEN: {token}}}\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (first, other) = (config("first.yaml", "sesame-1"), config("other.yaml", "sesame-2"));
    run_agent(&sandbox, ["--config", &first, "task", "--project", "p", "--task", "t"])
        .args(["--agent", "worker", "--prompt", "x", "--wait", "1ms"])
        .exits(124);
    let told = "is not driven from here: it was started with another agents.worker.env";
    let waits = run_agent(&sandbox, ["--config", &other, "attach", "--timeout", "1ms"]).exits(124);
    assert!(waits.stderr.contains(told), "{}", waits.stderr);
    let status = cli(&sandbox, "status --project p").succeed().stdout;
    assert!(status.contains("a driver with the same agents.worker.env"), "{status}");
    let all = run_agent(&sandbox, ["--config", &other, "task", "resume", "--all"]).exits(12);
    assert!(all.stderr.contains(told), "{}", all.stderr);
    // To start it again is to say what it shall be driven with.
    let task = run_agent(&sandbox, ["--config", &other, "task", "--project", "p", "--task", "t"]);
    let task = task.start();
    open_gate(&gate);
    assert!(task.finish().expect_code(0).stdout.contains("p/t: done after 2 attempts"));
}

#[test]
fn several_that_are_unfinished_are_named_to_choose_from() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    for name in ["a", "b"] {
        run_agent(&sandbox, ["task", "--project", "p", "--task", name, "--agent", "shell"])
            .args(["--prompt", &wait_at(&gate), "--wait", "1ms"])
            .exits(124);
    }
    let refused = cli(&sandbox, "attach").exits(2);
    assert!(
        refused.stderr.contains("name one: --project p --task a, or --project p --task b"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_task_is_deleted_only_when_nothing_of_it_lives() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    task(&sandbox, &wait_at(&gate)).args(["--wait", "1ms"]).exits(124);
    let refused = cli(&sandbox, "task delete --project p --task t").exits(12);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    let deleted = cli(&sandbox, "task delete --project p --task t --force").succeed();
    assert_eq!(deleted.stdout, "Deleted task: t\n");
    assert!(!sandbox.root().join("p/t").exists());
    assert!(sandbox.living().is_empty(), "nothing of it lives");
}

#[test]
fn a_cancelled_task_is_not_started_again_by_chance() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    task(&sandbox, &wait_at(&gate)).args(["--wait", "1ms"]).exits(124);
    let program = run_agent(&sandbox, ["task", "cancel", "--project", "p", "--task", "t"]);
    let cancelled = program.args(["--reason", "not wanted"]).succeed().stdout;
    let id = &runs(&sandbox)[0].id;
    let expected = format!(
        "task p/t marked as cancelled\nreason: not wanted\nstopped {id}; nothing had to be killed\n"
    );
    assert_eq!(cancelled, expected);
    let refused = cli(&sandbox, "task --project p --task t").exits(12);
    assert!(refused.stderr.contains("was cancelled"), "{}", refused.stderr);
}
