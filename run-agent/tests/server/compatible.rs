//! Every route of the older program, as its clients ask for it: the status, and the fields that they read.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::json;

const TASK: &str = "task-20260301-111500-fix-bug";

#[test]
fn every_read_is_answered_with_the_fields_that_clients_read() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let run = server.json(&format!("/api/projects/shop/tasks/{TASK}"))["runs"][0]["id"].clone();
    let run = run.as_str().unwrap();
    let task = format!("/api/projects/shop/tasks/{TASK}");
    let page = &["items", "total", "limit", "offset", "has_more"][..];
    let file = &["content", "modified", "name", "size_bytes"][..];
    for (path, fields) in [
        ("/healthz".to_owned(), &["status", "uptime"][..]),
        ("/api/v1/health".into(), &["status"]),
        ("/api/v1/version".into(), &["version"]),
        (
            "/api/v1/status".into(),
            &[
                "active_runs_count",
                "uptime_seconds",
                "configured_agents",
                "version",
                "running_tasks",
            ],
        ),
        ("/api/v1/tasks".into(), &["tasks"]),
        ("/api/v1/tasks?project_id=shop".into(), &["tasks"]),
        (
            format!("/api/v1/tasks/{TASK}"),
            &["project_id", "task_id", "status", "last_activity", "runs"],
        ),
        (format!("/api/v1/tasks/{TASK}?project_id=shop"), &["runs"]),
        ("/api/v1/runs".into(), &["runs"]),
        (
            format!("/api/v1/runs/{run}"),
            &[
                "run_id",
                "project_id",
                "task_id",
                "status",
                "process_ownership",
                "start_time",
                "end_time",
                "exit_code",
            ],
        ),
        ("/api/v1/messages?project_id=shop".into(), &["messages"]),
        (format!("/api/v1/messages?project_id=shop&task_id={TASK}"), &["messages"]),
        ("/api/projects".into(), &["projects"]),
        ("/api/projects/home-dirs".into(), &["dirs"]),
        ("/api/projects/shop".into(), &["id", "last_activity", "task_count"]),
        ("/api/projects/shop/stats".into(), &["total_tasks", "message_bus_total_bytes"]),
        ("/api/projects/shop/runs/flat".into(), &["runs"]),
        ("/api/projects/shop/messages?limit=5".into(), &["messages"]),
        ("/api/projects/shop/tasks".into(), page),
        ("/api/projects/shop/tasks?status=failed&limit=5&offset=0".into(), page),
        (task.clone(), &["id", "project_id", "status", "created_at", "done", "state", "runs"]),
        (format!("{task}?include_files=0"), &["runs"]),
        (format!("{task}/file?name=TASK.md"), file),
        (format!("{task}/messages"), &["messages"]),
        (format!("{task}/runs?limit=1&include_files=0"), page),
        (format!("{task}/runs/{run}"), &["id", "agent", "status", "exit_code", "files"]),
        (format!("{task}/runs/{run}/file?name=stdout"), file),
        (format!("{task}/runs/{run}/file"), file),
        (format!("{task}/runs/{run}/file?name=output.md&tail=3"), file),
    ] {
        let answer = server.get(&path).expect(200);
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        assert!(answer.text.ends_with("}\n"), "{path}");
        let told = answer.json();
        for field in fields {
            assert!(told.get(field).is_some(), "{path}: {field} is missing in {told}");
        }
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
    let metrics = server.get("/metrics").expect(200);
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4");
    let record = server.get(&format!("/api/v1/runs/{run}/info")).expect(200);
    assert_eq!(record.header("content-type"), "application/x-yaml");
    for stream in [
        format!("/api/v1/runs/{run}/stream"),
        "/api/v1/runs/stream/all".into(),
        "/api/v1/messages/stream?project_id=shop".into(),
        "/api/projects/shop/messages/stream".into(),
        format!("{task}/messages/stream"),
        format!("{task}/runs/stream"),
        format!("{task}/runs/{run}/stream?name=stdout"),
    ] {
        // Opened: what it says has its own tests.
        let _events = server.follow(&stream, None);
    }
}

#[test]
fn every_change_is_answered_as_clients_expect() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let sources = sandbox.folder("sources");
    let created = json!({"project_id": "new", "project_root": sources});
    let project = server.post("/api/projects", &created).expect(201).json();
    assert_eq!((&project["id"], &project["task_count"]), (&json!("new"), &json!(0)));
    assert_eq!(project["project_root"], sources.to_str().unwrap());
    server.post("/api/projects", &created).expect(409);
    let text = json!({"type": "FACT", "body": "x"});
    for path in [
        "/api/projects/shop/messages".to_owned(),
        format!("/api/projects/shop/tasks/{TASK}/messages"),
    ] {
        let posted = server.post(&path, &text).expect(201).json();
        assert!(posted["msg_id"].is_string() && posted["timestamp"].is_string(), "{posted}");
    }
    let any = json!({"project_id": "shop", "task_id": TASK, "body": "x"});
    assert!(server.post("/api/v1/messages", &any).expect(201).json()["msg_id"].is_string());
    let done = "/api/projects/shop/tasks/task-20261123-150121-lis7rv";
    let resumed = server.push(&format!("{done}/resume")).expect(200).json();
    let id = "task-20261123-150121-lis7rv";
    assert_eq!(resumed, json!({"project_id": "shop", "resumed": true, "task_id": id}));
    let runs = server.json(&format!("{done}/runs"));
    let run = runs["items"][0]["id"].as_str().unwrap();
    assert_eq!(server.push(&format!("{done}/runs/{run}/stop")).status, 409);
    assert_eq!(server.push(&format!("/api/v1/runs/{run}/stop")).status, 409);
    assert_eq!(server.delete(&format!("{done}/runs/{run}")).expect(204).text, "");
    let stopped = server.delete(&format!("/api/v1/tasks/{TASK}")).expect(202).json();
    assert_eq!(stopped, json!({"stopped_runs": 0}));
    assert_eq!(server.delete(done).expect(204).text, "");
    let gc = server.push("/api/projects/shop/gc?older_than=0s&dry_run=true").expect(200).json();
    assert_eq!(gc["dry_run"], true);
    assert!(gc["deleted_runs"].is_u64() && gc["freed_bytes"].is_u64(), "{gc}");
    let deleted = server.delete("/api/projects/shop?force=true").expect(200).json();
    assert_eq!((&deleted["deleted_tasks"], &deleted["project_id"]), (&json!(1), &json!("shop")));
    // Each was noted.
    let log = sandbox.root().join("_audit/form-submissions.jsonl");
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().count(), 10, "{log}");
}

#[test]
fn pages_may_destroy_nothing() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let task = format!("/api/projects/shop/tasks/{TASK}");
    let run = server.json(&task)["runs"][0]["id"].as_str().unwrap().to_owned();
    let own = format!("http://{}", server.address);
    for heads in [
        [("x-conductor-client", "WEB-UI")],
        [("sec-fetch-mode", "cors")],
        [("origin", own.as_str())],
        [("referer", "http://x")],
    ] {
        for (path, action) in [
            ("/api/projects/shop".to_owned(), "project deletion"),
            (task.clone(), "task deletion"),
            (format!("{task}/runs/{run}"), "run deletion"),
        ] {
            let refused = server.delete_with(&path, &heads).expect(403).json();
            let message = format!("{action} is disabled in the web UI");
            assert_eq!(refused["error"]["message"], message, "{heads:?}");
        }
    }
    server.get(&format!("{task}/runs/{run}")).expect(200);
}
