//! Ctrl-C, a closed terminal, SIGTERM: on real terminals.

use crate::support::cli;
use crate::terminal::Terminal;
use crate::workshop::*;
use conductor_core::{Outcome, TaskOutcome};
use conductor_tests::agents::open_gate;
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;

const CTRL_C: &[u8] = b"\x03";

/// A command on a terminal that has said that its agent runs.
pub(crate) fn started(sandbox: &Sandbox, noun: &str, script: &str, more: &[&str]) -> Terminal {
    let mut args = vec![noun, "--project", "p", "--task", "t", "--agent", "shell"];
    args.extend(["--prompt", script]);
    args.extend(more);
    let mut terminal = Terminal::start(sandbox, args);
    let word = if noun == "job" { "works in:" } else { "RUN_START" };
    terminal.wait_for("its start", |text| text.contains(word));
    terminal
}

#[test]
fn ctrl_c_stops_a_task_for_good_and_says_so() {
    let sandbox = Sandbox::new();
    let mut terminal = started(&sandbox, "task", "sleep 1000", &[]);
    terminal.press(CTRL_C);
    let (status, text) = terminal.finish();
    assert_eq!(status.code(), Some(130), "{text}");
    let told =
        "stopping: SIGTERM to everything of it, SIGKILL after 10s; press Ctrl-C again to kill now";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("attempt 1 stopped after "), "{text}");
    assert!(text.contains("stopped after 1 attempt") && text.contains(": Ctrl-C"), "{text}");
    let result = info(&sandbox).result.unwrap();
    assert_eq!((result.outcome, result.reason.as_deref()), (TaskOutcome::Stopped, Some("Ctrl-C")));
    assert_eq!(runs(&sandbox)[0].outcome(), Some(Outcome::Stopped));
    assert!(sandbox.living().is_empty());
}

#[test]
fn a_second_ctrl_c_kills_what_does_not_listen() {
    let sandbox = Sandbox::new();
    let script = "trap '' TERM\nrun-agent bus post --body deaf\nwhile :; do sleep 1000; done";
    for noun in ["task", "job"] {
        let before = messages_of(&sandbox, "deaf");
        let mut terminal = started(&sandbox, noun, script, &["--grace", "1h"]);
        await_message(&sandbox, |message| {
            message.body == "deaf" && !before.contains(&message.msg_id.to_string())
        });
        terminal.press(CTRL_C);
        terminal.wait_for("the way on", |text| text.contains("SIGKILL after 1h"));
        terminal.press(CTRL_C);
        let (status, text) = terminal.finish();
        assert_eq!(status.code(), Some(130), "{text}");
        assert!(text.contains("killing: SIGKILL"), "{text}");
        assert!(sandbox.living().is_empty());
        assert_eq!(runs(&sandbox).last().unwrap().outcome(), Some(Outcome::Stopped));
    }
}

fn messages_of(sandbox: &Sandbox, body: &str) -> Vec<String> {
    if !sandbox.root().join("p/t").exists() {
        return Vec::new();
    }
    let messages = messages(sandbox).into_iter().filter(|message| message.body == body);
    messages.map(|message| message.msg_id.to_string()).collect()
}

#[test]
fn a_closed_terminal_ends_nothing() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO);
    let mut terminal = started(&sandbox, "task", &script, &["--restart-delay", "10ms"]);
    terminal.hang_up();
    open_gate(&gate);
    let driver = terminal.id();
    let (status, _) = terminal.finish();
    assert_eq!(status.code(), Some(0), "{status}");
    let result = info(&sandbox).result.unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
    let starter = format!("-{driver}-");
    assert!(runs(&sandbox).iter().all(|run| run.id.as_str().contains(&starter)));
}

#[test]
fn sigterm_leaves_the_work_to_whoever_comes_next() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO);
    let terminal = started(&sandbox, "task", &script, &[]);
    terminal.signal(Signal::TERM);
    let (status, text) = terminal.finish();
    assert_eq!(status.code(), Some(143), "{text}");
    assert!(text.contains("run-agent attach --project p --task t"), "{text}");
    assert_eq!(runs(&sandbox)[0].alive, Some(true));
    assert!(info(&sandbox).is_unfinished());
    let attach = cli(&sandbox, "attach").start();
    open_gate(&gate);
    assert!(attach.finish().expect_code(0).stdout.contains("p/t: done after 2 attempts"));
}

#[test]
fn ctrl_c_only_detaches_who_is_attached() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO);
    task(&sandbox, &script).args(["--wait", "1ms"]).exits(124);
    for command in [vec!["attach"], vec!["task", "resume", "--all"]] {
        let mut terminal = Terminal::start(&sandbox, &command);
        terminal.wait_for("the attempt", |text| text.contains("RUN_START"));
        terminal.press(CTRL_C);
        let (status, text) = terminal.finish();
        assert_eq!(status.code(), Some(130), "{text}");
        assert!(text.contains("left: "), "{text}");
        assert!(info(&sandbox).is_unfinished());
        assert_eq!(runs(&sandbox)[0].alive, Some(true));
    }
}

#[test]
fn ctrl_c_stops_a_job() {
    let sandbox = Sandbox::new();
    let mut terminal = started(&sandbox, "job", "sleep 1000", &[]);
    terminal.press(CTRL_C);
    let (status, text) = terminal.finish();
    assert_eq!(status.code(), Some(130), "{text}");
    assert!(text.contains("run stopped after "), "{text}");
    assert_eq!(runs(&sandbox)[0].outcome(), Some(Outcome::Stopped));
}

#[test]
fn a_person_at_a_terminal_sees_colours_and_a_line_while_nothing_is_said() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = format!("echo out\n{}", first_waits_at(&gate, TWO));
    let mut terminal = started(&sandbox, "task", &script, &["--restart-delay", "10ms"]);
    terminal.wait_for("a sign of life", |text| text.contains("attempt 1 runs for "));
    open_gate(&gate);
    let (status, text) = terminal.finish();
    assert_eq!(status.code(), Some(0));
    assert!(text.contains("\x1b[32mdone after 2 attempts"), "{text:?}");
}
