//! `bus post`, `bus read` and `bus discover`.

use crate::support::*;
use conductor_tests::process::LIMIT;
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A root with one project and one task.
fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.root().join("p/t")).unwrap();
    sandbox
}

fn messages(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_posted_is_read() {
    let sandbox = small();
    let posted = run_agent(
        &sandbox,
        [
            "bus",
            "post",
            "--project",
            "p",
            "--task",
            "t",
            "--type",
            "fact",
            "--body",
            "-1 is odd\n---",
            "--meta",
            "by=me",
            "--meta",
            "n=1",
            "--run",
            "r1",
        ],
    )
    .succeed();
    let id = posted.stdout.strip_prefix("msg_id: ").unwrap().trim_end();
    let json = see(&sandbox, "bus read --project p --task t --json");
    let mut read = messages(&json).pop().unwrap();
    assert!(read["ts"].take().is_string());
    let cursor = read["cursor"].as_str().unwrap().to_owned();
    let first = read["seq"].clone();
    assert_eq!(
        read,
        json!({
            "kind": "message", "msg_id": id, "seq": first, "ts": null, "type": "FACT",
            "project_id": "p", "task_id": "t", "run_id": "r1",
            "meta": {"by": "me", "n": "1"}, "body": "-1 is odd\n---", "cursor": cursor,
        })
    );
    let second = run_agent(
        &sandbox,
        [
            "bus",
            "post",
            "--project",
            "p",
            "--task",
            "t",
            "--json",
            "--body",
            "b",
            "--parent",
            &cursor,
        ],
    )
    .succeed();
    let second: Value = serde_json::from_str(&second.stdout).unwrap();
    assert_eq!(second["seq"].as_u64(), first.as_u64().map(|seq| seq + 1));

    for after in [cursor.as_str(), id] {
        let line = format!("bus read --project p --task t --json --after {after}");
        let rest = messages(&see(&sandbox, &line));
        assert_eq!(rest.len(), 1, "{after}");
        assert_eq!(rest[0]["parents"], json!([{"msg_id": id}]));
        assert_eq!(rest[0]["cursor"], second["cursor"]);
    }
    let text = see(&sandbox, "bus read --project p --task t --type fact");
    assert!(text.starts_with("[20") && text.ends_with("] (FACT) -1 is odd\n---\n"), "{text}");
    assert_eq!(see(&sandbox, "bus read --project p --task t --after end"), "");
    assert_eq!(see(&sandbox, "bus read --project p"), "", "the project's bus has none");
}

#[test]
fn the_text_comes_from_standard_input_where_that_is_no_terminal() {
    let sandbox = small();
    let post = || cli(&sandbox, "bus post --project p --type NOTE");
    post().stdin("piped\ntext\n").succeed();
    // Nothing to read, as from /dev/null, is an empty text.
    post().stdin("").succeed();
    let read = messages(&see(&sandbox, "bus read --project p --json"));
    let bodies: Vec<_> = read.iter().map(|message| message["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["piped\ntext\n", ""]);
}

#[test]
fn inside_an_agent_its_bus_is_meant_and_flags_win() {
    let sandbox = small();
    let task = sandbox.root().join("p/t");
    let agent = |args: &[&str]| {
        run_agent(&sandbox, ["bus", "post", "--body", "x"])
            .args(args)
            .env("JRUN_MESSAGE_BUS", task.join("TASK-MESSAGE-BUS.md"))
            .env("JRUN_RUN_FOLDER", task.join("runs/r1"))
            .succeed()
    };
    let _posted = agent(&[]);
    let _posted = agent(&["--project", "p"]);
    fs::create_dir(sandbox.root().join("other")).unwrap();
    let _posted = agent(&["--project", "other"]);
    let one = |line: &str| messages(&see(&sandbox, line)).pop().unwrap();
    let task = one("bus read --project p --task t --json");
    assert_eq!((&task["task_id"], &task["run_id"]), (&json!("t"), &json!("r1")));
    let project = one("bus read --project p --json");
    assert_eq!((&project["task_id"], &project["run_id"]), (&json!("t"), &json!("r1")));
    let other = one("bus read --project other --json");
    assert_eq!((&other["task_id"], &other["run_id"]), (&json!(null), &json!(null)));
}

#[test]
fn twenty_messages_are_read_unless_it_is_said() {
    let sandbox = small();
    for n in 0..25 {
        run_agent(&sandbox, ["bus", "post", "--project", "p", "--body", &n.to_string()]).succeed();
    }
    let count = |flags: &str| {
        messages(&see(&sandbox, &format!("bus read --project p --json {flags}"))).len()
    };
    assert_eq!(
        (count(""), count("--tail 0"), count("--tail 3"), count("--after start")),
        (20, 25, 3, 25)
    );
}

#[test]
fn a_follower_prints_what_is_there_and_what_comes() {
    let sandbox = small();
    let task = sandbox.root().join("p/t");
    let post = |body: &str| {
        let _posted = run_agent(&sandbox, ["bus", "post", "--body", body]).cwd(&task).succeed();
    };
    let mut fresh = cli(&sandbox, "bus read -f").cwd(&task).start();
    post("one");
    fresh.wait_for("the first message", |text| text.ends_with("] (INFO) one\n"));
    let mut later = cli(&sandbox, "bus read -f --json --tail 1").cwd(&task).start();
    later.wait_for("what is there", |text| text.contains("\"one\""));
    let mut news = cli(&sandbox, "bus read -f --json --after end --type FACT").cwd(&task).start();
    post("two");
    let args = ["bus", "post", "--body", "three", "--type", "FACT"];
    run_agent(&sandbox, args).cwd(&task).succeed();
    for (follower, count) in [(&mut fresh, 3), (&mut later, 3)] {
        let text = follower.wait_for("what comes", |text| text.contains("three"));
        assert_eq!(text.lines().count(), count, "{text}");
    }
    // It may have begun before or after the fact, and is told of the first one since.
    let (told, deadline) = (AtomicBool::new(false), Instant::now() + LIMIT);
    let text = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !told.load(Ordering::Relaxed) && Instant::now() < deadline {
                run_agent(&sandbox, args).cwd(&task).succeed();
            }
        });
        let text = news.wait_for("a fact", |text| text.contains("three"));
        told.store(true, Ordering::Relaxed);
        text
    });
    assert!(!text.contains("two"));
    for follower in [fresh, later, news] {
        follower.signal(Signal::TERM);
        let _end = follower.finish().expect_code(0);
    }
}

#[test]
fn a_follower_with_nothing_to_print_notices_that_its_reader_left() {
    let sandbox = small();
    run_agent(&sandbox, ["bus", "post", "--project", "p", "--body", "one"]).succeed();
    let exe = env!("CARGO_BIN_EXE_run-agent");
    let script = format!("{exe} bus read --project p -f | head -n 1; echo ${{PIPESTATUS[0]}}");
    let finished = sandbox.program("/bin/bash").args(["-c", &script]).succeed();
    assert!(finished.stdout.ends_with("] (INFO) one\n0\n"), "{}", finished.stdout);
    assert_eq!(finished.stderr, "");
}

#[test]
fn damage_is_a_line_of_its_kind_and_the_exit_code_says_it() {
    let sandbox = small();
    for body in ["one", "two", "three"] {
        run_agent(&sandbox, ["bus", "post", "--project", "p", "--body", body]).succeed();
    }
    let path = sandbox.root().join("p/PROJECT-MESSAGE-BUS.md");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\ntwo\n", "\ntwX\n")).unwrap();
    let read = look(&sandbox, cli(&sandbox, "bus read --project p"), 20);
    assert!(
        read.stdout.contains(") one\n") && read.stdout.contains(") three\n"),
        "{}",
        read.stdout
    );
    assert!(read.stdout.contains("(CORRUPT)"), "{}", read.stdout);
    let json = look(&sandbox, cli(&sandbox, "bus read --project p --json"), 20);
    let kinds: Vec<_> =
        messages(&json.stdout).iter().map(|m| m["kind"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.contains(&"corrupt".to_owned()), "{kinds:?}");
}

#[test]
fn the_reference_buses_are_read() {
    let sandbox = reference();
    let read = see(&sandbox, &format!("bus read --project shop --task {CART} --tail 0"));
    assert!(read.starts_with("[2026-11-23 15:01:21] (INFO) starting root agent (restart #0)\n"));
    assert!(read.contains("unicode: na\u{ef}ve \u{2013} \u{65e5}\u{672c}\u{8a9e} \u{2713}\n"));
}

#[test]
fn the_nearest_bus_is_discovered() {
    let sandbox = small();
    let bus = write(&sandbox, "p/PROJECT-MESSAGE-BUS.md", "");
    let deep = sandbox.root().join("p/t");
    let from = run_agent(&sandbox, ["bus", "discover", "--from"]).arg(&deep);
    assert_eq!(look(&sandbox, from, 0).stdout, format!("{}\n", bus.display()));
    let here = cli(&sandbox, "bus discover --json").cwd(&deep);
    let found: Value = serde_json::from_str(&look(&sandbox, here, 0).stdout).unwrap();
    assert_eq!(found, json!({"path": bus}));
    let none = look(&sandbox, cli(&sandbox, "bus discover"), 10);
    assert!(
        none.stderr.starts_with("Error: there is no message bus at or above"),
        "{}",
        none.stderr
    );
}
