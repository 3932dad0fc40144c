//! `output`: what a run wrote, and following it.

use crate::support::*;
use conductor_core::{JobSpec, Run, Wait};
use conductor_tests::agents::open_gate;
use conductor_tests::sandbox::Sandbox;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::json;
use std::path::PathBuf;

fn of(file: &str) -> String {
    format!("output --project shop --task {CART} --file {file}")
}

#[test]
fn each_file_is_printed_as_it_is() {
    let sandbox = reference();
    let folder = sandbox.root().join(format!("shop/{CART}/runs/{CART_RUN}"));
    for (file, name) in
        [("output", "output.md"), ("stdout", "agent-stdout.txt"), ("prompt", "prompt.md")]
    {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(see(&sandbox, &of(file)), text, "{file}");
    }
    assert_eq!(see(&sandbox, &of("stderr")), "");
    let dir = run_agent(&sandbox, ["output", "--run-dir"]).arg(&folder);
    assert_eq!(look(&sandbox, dir, 0).stdout, see(&sandbox, &of("output")));
    let run = see(&sandbox, &format!("{} --run 20261123-1501210000-10229-1", of("stdout")));
    assert!(run.contains("10229-1"));
}

#[test]
fn a_tail_is_the_last_lines_also_when_following() {
    let sandbox = reference();
    let expected = "\nhello from 20261123-1501210000-10229-2\"}\n";
    assert_eq!(see(&sandbox, &format!("{} --tail 2", of("stdout"))), expected);
    assert_eq!(see(&sandbox, &format!("{} --tail 2 -f", of("stdout"))), expected);
}

#[test]
fn long_lines_odd_bytes_and_a_missing_line_feed_are_no_trouble() {
    let sandbox = reference();
    let path = sandbox.root().join(format!("shop/{CART}/runs/{CART_RUN}/output.md"));
    let long = "x".repeat(3 << 20);
    std::fs::write(&path, &long).unwrap();
    assert!(see(&sandbox, &of("output")) == format!("{long}\n"), "a line feed is added");
    std::fs::write(&path, b"a\xffb\n").unwrap();
    assert_eq!(see(&sandbox, &of("output")), "a\u{fffd}b\n");
    let answer = see_json(&sandbox, &format!("{} --json", of("output")));
    assert_eq!(
        answer,
        json!({
            "project_id": "shop",
            "task_id": CART,
            "run_id": CART_RUN,
            "path": path,
            "text": "a\u{fffd}b\n",
        })
    );
}

#[test]
fn a_reader_who_has_enough_ends_it_quietly() {
    let sandbox = reference();
    let path = sandbox.root().join(format!("shop/{CART}/runs/{CART_RUN}/output.md"));
    std::fs::write(&path, "line\n".repeat(1 << 18)).unwrap();
    let exe = env!("CARGO_BIN_EXE_run-agent");
    let script = format!("{exe} {} | head -n 1; echo ${{PIPESTATUS[0]}}", of("output"));
    let finished = sandbox.program("/bin/bash").args(["-c", &script]).succeed();
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("line\n0\n", ""));
    let script = format!("{exe} {} > /dev/full", of("output"));
    let full = sandbox.program("/bin/bash").args(["-c", &script]).run().expect_code(23);
    assert!(full.stderr.starts_with("Error: cannot write to standard output\n"), "{}", full.stderr);
}

/// A run that prints one line, waits at a gate, and prints another.
fn two_lines(sandbox: &Sandbox) -> (Run, PathBuf) {
    let gate = sandbox.work().join("gate");
    mkfifoat(CWD, &gate, Mode::RUSR | Mode::WUSR).unwrap();
    let script = format!("echo one; read line < '{}'; printf two", gate.display());
    let spec = JobSpec::new("bank").task("count").agent("shell").prompt(script);
    (conductor(sandbox).jobs().start(spec, Wait::FOREVER).unwrap(), gate)
}

#[test]
fn following_prints_what_comes_and_ends_with_the_run() {
    let sandbox = Sandbox::new();
    let (run, gate) = two_lines(&sandbox);
    // From the task's folder, with no flag.
    let task = sandbox.root().join("bank/count");
    let mut follower = cli(&sandbox, "output -f").cwd(&task).start();
    let mut pieces = cli(&sandbox, "output -f --json --file stdout").cwd(&task).start();
    follower.wait_for("the first line", |text| text == "one\n");
    pieces.wait_for("the first piece", |text| text.contains("one"));
    open_gate(&gate);
    let finished = follower.finish().expect_code(0);
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("one\ntwo\n", ""));
    let pieces = pieces.finish().expect_code(0).stdout;
    let mut text = String::new();
    for line in pieces.lines() {
        let piece: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(piece["offset"], text.len());
        text.push_str(piece["text"].as_str().unwrap());
    }
    assert_eq!(text, "one\ntwo");
    run.wait(Wait::FOREVER).unwrap();
}

#[test]
fn to_stop_following_ends_neither_with_an_error_nor_the_run() {
    let sandbox = Sandbox::new();
    let (run, gate) = two_lines(&sandbox);
    let mut follower = cli(&sandbox, "output -f --project bank").start();
    follower.wait_for("the first line", |text| text == "one\n");
    follower.signal(Signal::INT);
    let finished = follower.finish().expect_code(0);
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("one\n", ""));
    assert_eq!(run.info().unwrap().alive, Some(true));
    open_gate(&gate);
    run.wait(Wait::FOREVER).unwrap();
}
