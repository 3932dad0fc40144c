//! What it costs the server to follow things, and that there is an end to it.

use crate::metrics::await_line;
use crate::support::*;
use crate::update_kill::worker_of;
use conductor_tests::sandbox::Sandbox;
use std::fs;

/// The most descriptors that following one thing may need.
const MOST: usize = 16;

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn a_thing_costs_the_same_however_many_follow_it() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let gate = sandbox.work().join("gate");
    let script = format!(
        "echo out; echo err >&2; until [ -e '{}' ]; do sleep 0.05; done; {DONE}",
        gate.display()
    );
    let run = server.start_task("t", &script)["run_id"].as_str().unwrap().to_owned();
    // What is followed stands: one that comes later is opened later, and counted where it should not.
    for bus in ["/api/projects/p/messages", "/api/projects/p/tasks/t/messages"] {
        server.post(bus, &serde_json::json!({"type": "USER", "body": "here"})).expect(201);
    }
    for name in ["agent-stdout.txt", "agent-stderr.txt"] {
        let file = sandbox.root().join("p/t/runs").join(&run).join(name);
        until(name, || fs::metadata(&file).is_ok_and(|file| file.len() > 0));
    }
    // The server itself looks out for the end of the run.
    await_line(&server, "conductor_agent_runs_total{agent_type=\"shell\"} 1");
    let worker = worker_of(server.running.id());
    let mut kept = Vec::new();
    for path in [
        "/api/projects/p/messages/stream".to_owned(),
        "/api/projects/p/tasks/t/messages/stream".to_owned(),
        format!("/api/v1/runs/{run}/stream"),
        format!("/api/projects/p/tasks/t/runs/{run}/stream?name=stdout"),
        format!("/api/v1/events?topics=size:p/t/{run}"),
        "/api/v1/events?topics=runs".to_owned(),
    ] {
        let before = descriptors(worker);
        kept.push(server.follow(&path, None));
        // Its connection is one.
        until(&format!("{path} costs that few"), || descriptors(worker) <= before + MOST + 1);
        let one = descriptors(worker);
        kept.extend((0..5).map(|_| server.follow(&path, None)));
        // What is just being read has one for that long.
        until(&format!("five more of {path} cost five"), || descriptors(worker) <= one + 5);
    }
    fs::write(gate, "").unwrap();
}

#[test]
fn a_server_follows_as_many_things_as_its_descriptors_allow() {
    let sandbox = Sandbox::new();
    for task in ["a", "b", "c", "d", "e"] {
        fs::create_dir_all(sandbox.root().join("p").join(task)).unwrap();
    }
    let own = sandbox.program("/bin/sh").env("TZ", "UTC");
    let own = own.args(["-c", "ulimit -n 256; exec \"$0\" \"$@\""]);
    let own =
        own.arg(env!("CARGO_BIN_EXE_run-agent")).args(["serve", "--port", "0", "--auth", "off"]);
    let server = Server::of(&sandbox, own);
    let path = |task: &str| format!("/api/projects/p/tasks/{task}/messages/stream");
    // 256 / 4 / 16.
    let mut kept: Vec<_> =
        ["a", "b", "c", "d"].map(|task| server.follow(&path(task), None)).into_iter().collect();
    let full = server.get(&path("e")).expect(503);
    assert_eq!(full.code(), "stream.too_many");
    let problem = [("accept", "application/problem+json")];
    let problem = server.get_with("/api/v1/events?topics=runs,messages:p/e", &problem).expect(503);
    assert_eq!(problem.json()["code"], "stream.too_many");
    // What is followed anyway, and all runs, cost nothing more.
    kept.extend((0..20).map(|_| server.follow("/api/v1/events?topics=runs,messages:p/a", None)));
    assert!(descriptors(worker_of(server.running.id())) < 256);
    server.get("/api/v1/tasks").expect(200);
    // Who goes makes room.
    kept.remove(1);
    until("it makes room", || server.get_head(&path("e")) == 200);
}
