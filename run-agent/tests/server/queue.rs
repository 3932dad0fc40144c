//! Root tasks in line: their places are told on every surface, and the line moves on.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::json;

/// A server that lets one root task run at a time.
fn one_at_a_time(sandbox: &Sandbox) -> Server {
    let config = sandbox.work().join("config.yaml");
    std::fs::write(&config, "defaults: {max_concurrent_root_tasks: 1}\n").unwrap();
    let program = program(sandbox).args(["--auth", "off", "--config"]).arg(config);
    Server::of(sandbox, program)
}

/// A script that waits until a file is there, and is done then.
#[test]
fn the_place_in_the_line_is_told_and_the_line_moves_on() {
    let sandbox = Sandbox::new();
    let server = one_at_a_time(&sandbox);
    assert_eq!(
        server.start_task("first", &waits_for(&sandbox.work().join("go-1")))["status"],
        "started"
    );
    let second = server.start_task("second", &waits_for(&sandbox.work().join("go-2")));
    assert_eq!((&second["status"], second.get("run_id")), (&json!("queued"), None));
    server.await_json("/api/v1/tasks/second", |task| task["queue_position"] == 1);
    let third = server.start_task("third", DONE);
    assert_eq!(third["status"], "queued");
    let listed = server.await_json("/api/v1/tasks/third", |task| task["queue_position"] == 2);
    assert_eq!(listed["status"], "queued");
    let detail = server.json("/api/projects/p/tasks/third");
    assert_eq!((&detail["state"], &detail["queue_position"]), (&json!("queued"), &json!(2)));
    let queued = server.json("/api/projects/p/tasks?status=queued");
    assert_eq!(queued["total"], 2);
    for task in queued["items"].as_array().unwrap() {
        assert_eq!(task["queue_position"], if task["id"] == "second" { 1 } else { 2 });
    }
    assert_eq!(server.json("/api/v1/status")["queued_runs_count"], 2);
    let metrics = server.get("/metrics").text;
    for line in ["conductor_queued_runs_total 2", "conductor_waiting_tasks{for=\"slot\"} 2"] {
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
    // On the command line, with and without a server.
    let run_agent = |line: &str| {
        let program = sandbox.program(env!("CARGO_BIN_EXE_run-agent"));
        let program = program.env("CONDUCTOR_SERVER", server.url("")).env("COLUMNS", "300");
        program.args(line.split_whitespace()).succeed().stdout
    };
    assert!(run_agent("server task status third").contains("Queue position: 2"));
    assert!(run_agent("server status").contains("Queued Runs:        2"));
    let status = run_agent("status --project p --task third");
    assert!(status.contains("a slot: 1 root tasks at a time (number 2 in line)"), "{status}");
    let status: serde_json::Value =
        serde_json::from_str(&run_agent("status --project p --task third --json")).unwrap();
    assert!(status.to_string().contains("\"position\":2"), "{status}");
    // The first makes room for the second, and the third moves up.
    std::fs::write(sandbox.work().join("go-1"), "").unwrap();
    server.await_json("/api/v1/tasks/third", |task| task["queue_position"] == 1);
    server.await_json("/api/v1/tasks/second", |task| task["status"] == "running");
    std::fs::write(sandbox.work().join("go-2"), "").unwrap();
    let over = server.await_json("/api/v1/tasks/third", |task| task["status"] == "all_finished");
    assert_eq!(over.get("queue_position"), None);
}

#[test]
fn the_line_survives_a_restart() {
    let sandbox = Sandbox::new();
    let server = one_at_a_time(&sandbox);
    let (alive, seen) = (sandbox.work().join("alive"), sandbox.work().join("seen"));
    std::fs::create_dir(&alive).unwrap();
    // Each notes how many are there when it comes.
    let counts = |script: &str| {
        let (alive, seen) = (alive.display(), seen.display());
        format!("touch '{alive}'/$$; ls '{alive}' | wc -l >>'{seen}'; {script}; rm '{alive}'/$$")
    };
    server.start_task("first", &counts(&waits_for(&sandbox.work().join("go"))));
    server.start_task("second", &counts(DONE));
    server.await_json("/api/v1/tasks/second", |task| task["queue_position"] == 1);
    server.running.signal(rustix::process::Signal::KILL);
    drop(server);
    let server = one_at_a_time(&sandbox);
    assert_eq!(server.json("/api/v1/tasks/first")["status"], "running");
    server.await_json("/api/v1/tasks/second", |task| task["queue_position"] == 1);
    std::fs::write(sandbox.work().join("go"), "").unwrap();
    for task in ["first", "second"] {
        let path = format!("/api/v1/tasks/{task}");
        server.await_json(&path, |task| task["status"] == "all_finished");
    }
    let runs = server.json("/api/v1/runs");
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2, "nothing was started twice: {runs}");
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.lines().all(|count| count.trim() == "1"), "more than one at a time: {seen}");
}
