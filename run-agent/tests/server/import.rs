//! Processes of other programs, followed as runs.

use crate::support::*;
use conductor_tests::process::Running;
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;

/// A process that nobody here started for the server: it writes to `log`, and ends by itself once there
/// is a file `gate`, which it tells by its exit code.
fn foreign(sandbox: &Sandbox) -> Running {
    let work = sandbox.work();
    let script = format!(
        "cd '{}'; echo one >>log; until [ -e gate ]; do sleep 0.02; done; echo two >>log; exit 7",
        work.display()
    );
    let running = sandbox.program("/bin/sh").args(["-c", &script]).start();
    until("it writes", || work.join("log").exists());
    running
}

fn body(pid: u32, log: &Path) -> Value {
    json!({
        "project_id": "p", "task_id": "t", "agent_type": "Claude", "prompt": "Watch it.",
        "attach_mode": "create", "depends_on": [], "config": {},
        "process_import": {
            "pid": pid, "pgid": 0, "commandline": "claude -p", "stdout_path": log, "stderr_path": "",
            "ownership": "external",
        },
    })
}

#[test]
fn a_process_of_another_program_is_followed_to_its_end_and_never_signalled() {
    let sandbox = Sandbox::new();
    let process = foreign(&sandbox);
    let mut server = Server::open(&sandbox);
    let log = sandbox.work().join("log");
    let started = server.post("/api/v1/tasks", &body(process.id(), &log)).expect(201).json();
    assert_eq!((&started["status"], &started["task_id"]), (&json!("started"), &json!("t")));
    let run = started["run_id"].as_str().unwrap().to_owned();
    let (by_id, by_path) =
        (format!("/api/v1/runs/{run}"), format!("/api/projects/p/tasks/t/runs/{run}"));
    let known = server.json(&by_id);
    assert_eq!(
        (&known["status"], &known["process_ownership"]),
        (&json!("running"), &json!("external"))
    );
    assert_eq!(server.json(&by_path)["agent"], "claude");
    let stdout = format!("{by_path}/file?name=stdout");
    server.await_json(&stdout, |file| file["content"] == "one\n");
    let stderr = server.json(&format!("{by_path}/file?name=stderr"));
    let missing = "no stderr source path provided for imported process; live transcript capture is \
                   unavailable\n";
    assert_eq!(stderr["content"], missing);
    let prompt = server.json(&format!("{by_path}/file?name=prompt"))["content"].to_string();
    assert!(prompt.contains(&format!("pid: {}", process.id())), "{prompt}");
    assert!(prompt.contains("Watch it."), "{prompt}");

    // It is another program's: nothing ends it, and nothing that is done to its task.
    assert_eq!(server.push(&format!("{by_id}/stop")).expect(409).code(), "run.not_ours");
    assert_eq!(server.push(&format!("{by_path}/stop")).expect(409).code(), "run.not_ours");
    assert_eq!(server.delete("/api/v1/tasks/t").expect(409).code(), "run.not_ours");
    server.delete(&by_path).expect(409);
    server.delete("/api/projects/p/tasks/t").expect(409);
    server.delete("/api/projects/p?force=true").expect(409);
    assert_eq!(server.json("/api/v1/status")["active_runs_count"], 1);

    // It is followed without the server, too.
    server.running.signal(Signal::KILL);
    let _killed = server.running.finish();
    std::fs::write(sandbox.work().join("gate"), "").unwrap();
    let _by_itself = process.finish().expect_code(7);
    server = Server::open(&sandbox);
    let ended = server.await_json(&by_id, |run| run["status"] != "running");
    assert_eq!((&ended["status"], &ended["exit_code"]), (&json!("completed"), &json!(-1)));
    assert_eq!(ended["error_summary"], "adopted process exited; exit code unavailable");
    assert_eq!(server.json(&stdout)["content"], "one\ntwo\n");
    let told = server.await_json("/api/projects/p/tasks/t/messages", |told| {
        told["messages"].as_array().unwrap().iter().any(|message| message["type"] == "RUN_STOP")
    });
    let kinds: Vec<_> = told["messages"].as_array().unwrap().iter().map(|m| &m["type"]).collect();
    assert_eq!(kinds, ["RUN_START", "RUN_STOP"]);
}

#[test]
fn what_cannot_be_followed_is_refused_and_makes_nothing() {
    let sandbox = Sandbox::new();
    let process = foreign(&sandbox);
    let server = Server::open(&sandbox);
    let log = sandbox.work().join("log");
    let import = |field: &str, value: Value| {
        let mut body = body(process.id(), &log);
        body["process_import"][field] = value;
        body
    };
    let whole = |field: &str, value: Value| {
        let mut body = body(process.id(), &log);
        body[field] = value;
        body
    };
    let nothing = format!("{}", i32::MAX);
    for (body, status, says) in [
        (import("pid", json!(0)), 400, "process_import.pid must be > 0"),
        (import("pid", json!(-1)), 400, "process_import.pid must be > 0"),
        (import("pid", json!(i32::MAX)), 409, nothing.as_str()),
        (import("stdout_path", json!("")), 400, "requires stdout_path and/or stderr_path"),
        (import("stdout_path", json!("log")), 400, "not an absolute path"),
        (import("stdout_path", json!("/dev/null")), 400, "cannot be read as a file"),
        (import("ownership", json!("managed")), 400, "never signalled"),
        (import("ownership", json!("mine")), 400, "must be managed or external"),
        (import("pgid", json!(1)), 400, "not 1"),
        (import("tty", json!("x")), 400, "unknown field"),
        (whole("depends_on", json!(["a"])), 400, "depends_on means nothing"),
        (whole("config", json!({"A": "b"})), 400, "config means nothing"),
        (whole("agent_type", json!(" ")), 400, "no agent is named"),
        (whole("prompt", json!("")), 400, "no prompt"),
        (whole("attach_mode", json!("x")), 400, "attach_mode"),
        (whole("project_id", json!("../x")), 400, "invalid project id"),
    ] {
        let answer = server.post("/api/v1/tasks", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{body}: {message}");
        assert!(!sandbox.root().join("p").exists(), "{body}");
    }
    std::fs::write(sandbox.work().join("gate"), "").unwrap();
    let _by_itself = process.finish().expect_code(7);
}
