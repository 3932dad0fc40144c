//! What `/metrics` counts is what happened.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::json;
use std::time::{Duration, Instant};

/// Looks at the metrics until this line is among them.
#[track_caller]
pub(crate) fn await_line(server: &Server, line: &str) {
    let deadline = Instant::now() + LONG;
    loop {
        let metrics = server.get("/metrics").text;
        if metrics.lines().any(|told| told == line) {
            return;
        }
        assert!(Instant::now() < deadline, "{line}\n{metrics}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn runs_are_counted_by_agent_and_outcome_with_their_durations() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    // Each lives until it is seen.
    let gate = sandbox.work().join("gate");
    server.start_task("good", &waits_for(&gate));
    server.start_task("bad", &format!("{}; exit 3", waits_for(&gate)));
    await_line(&server, "conductor_agent_runs_total{agent_type=\"shell\"} 2");
    std::fs::write(gate, "").unwrap();
    for line in [
        "conductor_completed_runs_total 1",
        "conductor_failed_runs_total 1",
        "conductor_agent_runs_total{agent_type=\"shell\"} 2",
        "conductor_run_duration_seconds_count{agent_type=\"shell\",outcome=\"completed\"} 1",
        "conductor_run_duration_seconds_count{agent_type=\"shell\",outcome=\"failed\"} 1",
        "conductor_active_runs_total 0",
        "conductor_queued_runs_total 0",
        "conductor_holds 0",
    ] {
        await_line(&server, line);
    }
    let metrics = server.get("/metrics").text;
    assert!(
        metrics.contains("_bucket{agent_type=\"shell\",outcome=\"completed\",le=\"3600\"} 1"),
        "{metrics}"
    );
    let posted = server.post("/api/projects/p/messages", &json!({"body": "x"}));
    posted.expect(201);
    await_line(&server, "conductor_messagebus_appends_total 1");
}

#[test]
fn what_runs_used_is_counted() {
    let sandbox = Sandbox::new();
    let config = sandbox.work().join("config.yaml");
    let told = r#"{"type":"result","subtype":"success","is_error":false,"result":"ok","session_id":"s","total_cost_usd":0.25,"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":2,"cache_creation_input_tokens":1}}"#;
    let stream = sandbox.work().join("stream.json");
    std::fs::write(&stream, format!("{told}\n")).unwrap();
    let script = sandbox.work().join("agent.sh");
    let gate = sandbox.work().join("gate");
    let text = format!(
        "until [ -e '{}' ]; do sleep 0.02; done\ncat '{}'\ntouch \"$JRUN_TASK_FOLDER/DONE\"\n",
        gate.display(),
        stream.display()
    );
    std::fs::write(&script, text).unwrap();
    let text = format!(
        "agents: {{talker: {{type: command, parser: claude, command: [/bin/sh, {:?}]}}}}\n",
        script.display().to_string()
    );
    std::fs::write(&config, text).unwrap();
    let program = program(&sandbox).args(["--auth", "off", "--config"]).arg(config);
    let server = Server::of(&sandbox, program);
    let body = json!({"project_id": "p", "task_id": "t", "agent_type": "talker", "prompt": "x"});
    server.post("/api/v1/tasks", &body).expect(201);
    await_line(&server, "conductor_agent_runs_total{agent_type=\"talker\"} 1");
    std::fs::write(gate, "").unwrap();
    for (kind, count) in [("input_tokens", 10), ("output_tokens", 5), ("cache_read_tokens", 2)] {
        let line =
            format!("conductor_tokens_total{{agent_type=\"talker\",kind=\"{kind}\"}} {count}");
        await_line(&server, &line);
    }
    await_line(&server, "conductor_cost_usd_total{agent_type=\"talker\"} 0.25");
}
