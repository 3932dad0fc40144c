//! Starting, stopping, deleting over HTTP.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpStream;

/// A script that waits until somebody ends it.
const SLEEP: &str = "echo sleeping; sleep 600";

#[test]
fn a_task_is_started_and_driven_to_its_end() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    // Done with the second attempt, which somebody has to start.
    let script = "echo x >>\"$JRUN_TASK_FOLDER/count\"
[ $(grep -c x \"$JRUN_TASK_FOLDER/count\") -lt 2 ] || touch \"$JRUN_TASK_FOLDER/DONE\"";
    let started = server.start_task("t", script);
    assert_eq!((&started["status"], &started["task_id"]), (&json!("started"), &json!("t")));
    let run = started["run_id"].as_str().unwrap();
    let task = server.await_json("/api/v1/tasks/t", |task| task["status"] == "all_finished");
    assert_eq!(task["runs"].as_array().unwrap().len(), 2);
    assert_eq!(server.json(&format!("/api/v1/runs/{run}"))["outcome"], "completed");
    let detail = server.await_json("/api/projects/p/tasks/t", |task| task["outcome"] == "done");
    assert_eq!(detail["state"], "done");
}

#[test]
fn a_task_without_an_id_gets_one() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let body = json!({"project_id": "p", "agent_type": "shell", "prompt": DONE});
    let started = server.post("/api/v1/tasks", &body).expect(201).json();
    assert!(started["task_id"].as_str().unwrap().starts_with("task-"), "{started}");
}

#[test]
fn what_is_wrong_with_a_task_is_said_and_makes_nothing() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    for (body, says) in [
        (json!({"task_id": "t", "prompt": "x"}), "project_id"),
        (json!({"project_id": "p", "task_id": "a/b", "prompt": "x"}), "invalid task id"),
        (json!({"project_id": "p", "task_id": "t", "agent_type": "shell"}), "no prompt"),
        (json!({"project_id": "p", "task_id": "t", "agent_type": "none", "prompt": "x"}), "none"),
        (
            json!({"project_id": "p", "prompt": "x", "agent_type": "shell", "attach_mode": "x"}),
            "attach_mode",
        ),
        (
            json!({"project_id": "p", "prompt": "x", "agent_type": "shell", "project_root": "/none"}),
            "project_root does not exist: /none",
        ),
        (
            json!({"project_id": "p", "prompt": "x", "agent_type": "shell", "config": {"JRUN_ID": "x"}}),
            "JRUN_ID",
        ),
        (
            json!({"project_id": "p", "prompt": "x", "agent_type": "shell", "depends_on": ["../x"]}),
            "invalid",
        ),
    ] {
        let answer = server.post("/api/v1/tasks", &body);
        assert!((400..500).contains(&answer.status), "{body}: {}", answer.text);
        assert!(answer.text.contains(says), "{body}: {}", answer.text);
        assert!(!sandbox.root().join("p").exists(), "{body}");
    }
}

#[test]
fn a_server_that_starts_nothing_says_so() {
    let sandbox = Sandbox::new();
    let quiet = ["--auth", "off", "--disable-task-start"];
    let server = Server::of(&sandbox, program(&sandbox).args(quiet));
    let body = json!({"project_id": "p", "agent_type": "shell", "prompt": DONE});
    assert_eq!(server.post("/api/v1/tasks", &body).expect(503).code(), "server.no_starts");
    assert!(!sandbox.root().join("p").exists());
}

#[test]
fn a_run_is_asked_to_end_once() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let started = server.start_task("t", SLEEP);
    let run = started["run_id"].as_str().unwrap();
    let busy = server.delete("/api/projects/p/tasks/t").expect(409);
    assert_eq!(busy.json()["error"]["details"]["status"], "running");
    let run_path = format!("/api/projects/p/tasks/t/runs/{run}");
    server.delete(&run_path).expect(409);
    let stopped = server.push(&format!("{run_path}/stop")).expect(202).json();
    assert_eq!(stopped, json!({"message": "SIGTERM sent", "run_id": run}));
    let path = format!("/api/v1/runs/{run}");
    server.await_json(&path, |run| run["outcome"] == "stopped");
    assert_eq!(server.push(&format!("{path}/stop")).expect(409).code(), "run.over");
    server.push("/api/v1/runs/none/stop").expect(404);
}

#[test]
fn a_task_is_stopped_for_good_and_set_back_and_deleted() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    server.start_task("t", SLEEP);
    let stopped = server.delete("/api/v1/tasks/t").expect(202).json();
    assert_eq!(stopped["stopped_runs"], 1);
    let detail = server.await_json("/api/projects/p/tasks/t", |task| task["outcome"] == "stopped");
    assert_eq!(detail["runs"].as_array().unwrap().len(), 1);
    until_nothing_is_driven(&sandbox);
    let nothing = server.push("/api/projects/p/tasks/t/resume").expect(400);
    assert!(nothing.text.contains("task has no DONE file; nothing to resume"), "{}", nothing.text);
    std::fs::write(sandbox.root().join("p/t/DONE"), "").unwrap();
    let resumed = server.push("/api/projects/p/tasks/t/resume").expect(200).json();
    assert_eq!(resumed, json!({"project_id": "p", "resumed": true, "task_id": "t"}));
    assert!(!sandbox.root().join("p/t/DONE").exists());
    let run = detail["runs"][0]["id"].as_str().unwrap();
    server.delete(&format!("/api/projects/p/tasks/t/runs/{run}")).expect(204);
    assert_eq!(server.json("/api/projects/p/tasks/t")["runs"], json!([]));
    let used = server.json("/api/v1/usage?by=run");
    assert_eq!(used["total"]["runs"], 1, "what it used stays known");
    server.delete("/api/projects/p/tasks/t").expect(204);
    server.get("/api/projects/p/tasks/t").expect(404);
}

#[test]
fn pages_may_not_destroy() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let own = format!("http://{}", server.address);
    for headers in [
        [("x-conductor-client", "Web-UI")],
        [("origin", own.as_str())],
        [("sec-fetch-mode", "cors")],
    ] {
        let refused = server.delete_with("/api/projects/shop", &headers).expect(403);
        assert_eq!(
            refused.json()["error"]["message"],
            "project deletion is disabled in the web UI"
        );
    }
    assert!(sandbox.root().join("shop").exists());
}

#[test]
fn projects_are_made_and_deleted() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let source = sandbox.folder("source");
    let body = json!({"project_id": "web", "project_root": source.to_str().unwrap()});
    let made = server.post("/api/projects", &body).expect(201).json();
    assert_eq!((&made["id"], &made["task_count"]), (&json!("web"), &json!(0)));
    assert_eq!(made["project_root"], source.to_str().unwrap());
    assert_eq!(server.post("/api/projects", &body).expect(409).code(), "project.exists");
    assert_eq!(server.json("/api/projects/home-dirs")["dirs"][0], source.to_str().unwrap());
    let deleted = server.delete("/api/projects/web").expect(200).json();
    assert_eq!((&deleted["deleted_tasks"], &deleted["project_id"]), (&json!(0), &json!("web")));
    server.get("/api/projects/web").expect(404);
    server.start_task("t", SLEEP);
    server.delete("/api/projects/p").expect(409);
    let deleted = server.delete("/api/projects/p?force=true").expect(200).json();
    assert_eq!(deleted["deleted_tasks"], 1);
    assert!(!sandbox.root().join("p").exists());
}

#[test]
fn old_runs_are_collected() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let plan = server.push("/api/projects/shop/gc?older_than=0s&dry_run=true").expect(200).json();
    assert_eq!(plan["dry_run"], true);
    let runs = plan["deleted_runs"].as_u64().unwrap();
    assert!(runs > 0);
    // Who means a dry run by another word is told, and nothing goes.
    for query in ["dry_run=1", "dry_run=True", "keep_failed=yes"] {
        let place = format!("/api/projects/shop/gc?older_than=0s&{query}");
        let refused = server.push(&place).expect(400);
        assert!(refused.text.contains("neither true nor false"), "{}", refused.text);
    }
    assert!(
        !server.json("/api/projects/shop/gc?older_than=0s")["items"].as_array().unwrap().is_empty()
    );
    let done = server.push("/api/projects/shop/gc?older_than=0s").expect(200).json();
    assert_eq!((done["deleted_runs"].as_u64(), &done["dry_run"]), (Some(runs), &json!(false)));
    server.push("/api/projects/shop/gc?older_than=soon").expect(400);
    server.push("/api/projects/none/gc").expect(404);
}

#[test]
fn a_collection_is_told_something_else_than_is_configured_and_tells_its_goals() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let config = sandbox.home().join("config.yaml");
    std::fs::write(
        &config,
        "gc: {keep_failed: true, keep_last: 9, max_bytes: 1B, min_free: 900000GB}\n",
    )
    .unwrap();
    let line = program(&sandbox).args(["--auth", "off", "--config"]).arg(&config);
    let server = Server::of(&sandbox, line);
    let place = "/api/projects/shop/gc?older_than=0s";
    let kept = |answer: &Value| -> BTreeSet<String> {
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| item["reason"].as_str().unwrap().to_owned()).collect()
    };
    let names = |answer: &Value| -> Vec<String> {
        let goals = answer["goals"].as_array().into_iter().flatten();
        goals.map(|goal| goal["goal"].as_str().unwrap().to_owned()).collect()
    };
    let configured = server.json(place);
    assert!(kept(&configured).is_superset(&["failed", "newest"].map(str::to_owned).into()));
    assert_eq!(names(&configured), ["max_bytes", "min_free"]);
    let goal = &configured["goals"][0];
    assert!(goal["short"].as_u64().unwrap() > 0, "{goal}");
    assert!(!goal["held"].as_array().unwrap().is_empty(), "{goal}");
    let free = format!("{place}&keep_failed=false&keep_last=0&max_bytes=none&min_free=0");
    let told = server.json(&free);
    assert!(kept(&told).is_disjoint(&["failed", "newest"].map(str::to_owned).into()), "{told}");
    assert_eq!(names(&told), [""; 0]);
    // What is not said is as it was; the plan of the pages tells the same.
    let view = server.json("/api/v1/gc?project_id=shop&older_than=0s&min_free=none");
    assert_eq!(names(&view), ["max_bytes"]);
    assert!(view["kept"]["failed"].is_u64(), "{view}");
    let dry = server.push(&format!("{place}&dry_run=true")).expect(200).json();
    assert_eq!(names(&dry), ["max_bytes", "min_free"]);
    for wrong in ["max_bytes=much", "min_free=-1", "keep_last=few", "keep_failed=no"] {
        server.push(&format!("{place}&{wrong}")).expect(400);
    }
    let done = server.post("/api/v1/gc", &json!({"plan": view["plan"]})).expect(200).json();
    assert_eq!((names(&done).len(), &done["deleted_runs"]), (1, &json!(0)));
    let done = server.push(&format!("{place}&keep_failed=false&keep_last=0")).expect(200).json();
    assert!(done["deleted_runs"].as_u64().unwrap() > 0, "{done}");
    assert_eq!(names(&done), ["max_bytes", "min_free"]);
}

#[test]
fn runs_live_without_the_server_and_its_tasks_are_gone_on_with() {
    let sandbox = Sandbox::new();
    let mut server = Server::open(&sandbox);
    let gate = sandbox.work().join("gate");
    // The first attempt waits at the gate; the second, which the next server starts, is done.
    let script = format!(
        "echo x >>\"$JRUN_TASK_FOLDER/count\"
[ $(grep -c x \"$JRUN_TASK_FOLDER/count\") -lt 2 ] || {{ touch \"$JRUN_TASK_FOLDER/DONE\"; exit; }}
while [ ! -e '{}' ]; do sleep 0.05; done",
        gate.display()
    );
    server.start_task("t", &script);
    server.running.signal(Signal::KILL);
    let _killed = server.running.finish();
    server = Server::open(&sandbox);
    assert_eq!(server.json("/api/v1/status")["active_runs_count"], 1);
    std::fs::write(gate, "").unwrap();
    let task = server.await_json("/api/projects/p/tasks/t", |task| task["outcome"] == "done");
    assert_eq!(task["runs"].as_array().unwrap().len(), 2);
    server.running.signal(Signal::TERM);
    let _ended = server.running.finish().expect_code(0);
}

#[test]
fn changes_are_noted_without_their_secrets() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let body = json!({
        "project_id": "p", "task_id": "t", "agent_type": "shell", "prompt": DONE,
        "config": {"MY_VALUE": "hidden"},
    });
    server.post("/api/v1/tasks", &body).expect(201);
    server.post("/api/projects/p/tasks/t/messages", &json!({"body": "hello"})).expect(201);
    server.post("/api/projects/p/tasks/t/messages", &json!({"body": ""})).expect(400);
    server.get("/api/v1/tasks").expect(200);
    let path = sandbox.root().join("_audit/form-submissions.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0]["endpoint"], "POST /api/v1/tasks");
    assert_eq!(lines[0]["payload"]["config"], json!({"MY_VALUE": "[REDACTED]"}));
    assert_eq!((&lines[1]["project_id"], &lines[1]["task_id"]), (&json!("p"), &json!("t")));
    assert!(lines[1]["message_id"].as_str().unwrap().starts_with("MSG-"));
    assert!(lines[1]["remote_addr"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(!text.contains("hidden"));
}

#[test]
fn a_change_is_noted_although_its_client_went_away() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    // Ends once the gate is open, and not before.
    let (gate, ready) = (sandbox.work().join("gate"), sandbox.work().join("ready"));
    let script = format!(
        "trap \"until [ -e '{}' ]; do sleep 0.01; done; exit\" TERM
touch '{}'
while :; do sleep 0.01; done",
        gate.display(),
        ready.display()
    );
    let started = server.start_task("t", &script);
    let run = sandbox.root().join("p/t/runs").join(started["run_id"].as_str().unwrap());
    until("the agent is ready", || ready.exists());
    let mut client = TcpStream::connect(&server.address).unwrap();
    let head = format!("Host: {}\r\nContent-Length: 0\r\n\r\n", server.address);
    client.write_all(format!("DELETE /api/v1/tasks/t HTTP/1.1\r\n{head}").as_bytes()).unwrap();
    until("the stop is under way", || run.join(".stop").exists());
    drop(client);
    // The server has seen that it went once it answers others.
    server.get("/healthz").expect(200);
    std::fs::write(gate, "").unwrap();
    let audit = sandbox.root().join("_audit/form-submissions.jsonl");
    until("it is noted", || {
        let text = std::fs::read_to_string(&audit).unwrap_or_default();
        text.contains("DELETE /api/v1/tasks/{task_id}")
    });
}
