//! The shapes that clients of the older program read.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::{Value, json};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn has(value: &Value, names: &[&str]) {
    let keys = keys(value);
    for name in names {
        assert!(keys.contains(name), "{name} is missing in {value}");
    }
}

#[test]
fn tasks_and_runs_have_the_fields_that_clients_read() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let task = &server.json("/api/v1/tasks")["tasks"][0];
    has(task, &["project_id", "task_id", "status", "last_activity"]);
    let fix = "task-20260301-111500-fix-bug";
    let one = server.json(&format!("/api/v1/tasks/{fix}"));
    has(
        &one["runs"][0],
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
    );
    let page = server.json("/api/projects/shop/tasks");
    let item = &page["items"][0];
    has(
        item,
        &[
            "blocked_by",
            "depends_on",
            "done",
            "id",
            "last_activity",
            "last_run_exit_code",
            "last_run_output_size",
            "last_run_status",
            "project_id",
            "run_count",
            "run_counts",
            "status",
        ],
    );
    assert_eq!(item["blocked_by"], Value::Null);
    let detail = server.json(&format!("/api/projects/shop/tasks/{fix}"));
    has(
        &detail,
        &["id", "project_id", "status", "last_activity", "created_at", "done", "state", "runs"],
    );
    let run = &detail["runs"][0];
    has(run, &["id", "agent", "status", "process_ownership", "exit_code", "start_time", "files"]);
    let names: Vec<&str> = run["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["output.md", "stdout", "stderr", "prompt"]);
    let bare = server.json(&format!("/api/projects/shop/tasks/{fix}?include_files=0"));
    assert_eq!(bare["runs"][0].get("files"), None);
    let flat = server.json("/api/projects/shop/runs/flat");
    has(
        &flat["runs"][0],
        &["id", "task_id", "agent", "status", "exit_code", "start_time", "end_time"],
    );
    let stats = server.json("/api/projects/shop/stats");
    assert_eq!(
        keys(&stats),
        [
            "project_id",
            "total_tasks",
            "total_runs",
            "running_runs",
            "completed_runs",
            "failed_runs",
            "crashed_runs",
            "message_bus_files",
            "message_bus_total_bytes",
        ]
    );
    assert_eq!(stats["total_tasks"], 2);
    let project = server.json("/api/projects/shop");
    has(&project, &["id", "last_activity", "task_count"]);
    let status = server.json("/api/v1/status");
    has(
        &status,
        &["active_runs_count", "uptime_seconds", "configured_agents", "version", "running_tasks"],
    );
}

#[test]
fn the_record_of_a_run_is_given_as_it_stands() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let runs = server.json("/api/v1/runs");
    let run = &runs["runs"][0];
    let (id, task) = (run["run_id"].as_str().unwrap(), run["task_id"].as_str().unwrap());
    let answer = server.get(&format!("/api/v1/runs/{id}/info")).expect(200);
    assert_eq!(answer.header("content-type"), "application/x-yaml");
    let path = sandbox.root().join("shop").join(task).join("runs").join(id).join("run-info.yaml");
    assert_eq!(answer.text, std::fs::read_to_string(path).unwrap());
}

#[test]
fn a_selection_of_runs_is_checked() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let flat = "/api/projects/shop/runs/flat";
    let bad = server.get(&format!("{flat}?selected_task_limit=x")).expect(400);
    assert_eq!(bad.json()["error"]["message"], "invalid selected_task_limit");
    let one = server.json(&format!(
        "{flat}?active_only=1&selected_task_id=task-20260301-111500-fix-bug&selected_task_limit=1"
    ));
    let of_task = one["runs"].as_array().unwrap().iter();
    let of_task = of_task.filter(|run| run["task_id"] == "task-20260301-111500-fix-bug");
    assert!(of_task.count() >= 1, "{one}");
    assert_eq!(server.json(&format!("{flat}?selected_task_id=none"))["runs"], json!([]));
}

#[test]
fn two_tasks_of_one_name_want_their_project() {
    let sandbox = Sandbox::new();
    for project in ["a", "b"] {
        std::fs::create_dir_all(sandbox.root().join(project).join("t/runs/r1")).unwrap();
    }
    let server = Server::open(&sandbox);
    let several = server.get("/api/v1/tasks/t").expect(409);
    assert_eq!(several.code(), "task.ambiguous");
    assert_eq!(server.json("/api/v1/tasks/t?project_id=b")["project_id"], "b");
    assert_eq!(server.get("/api/v1/runs/r1").expect(409).code(), "run.ambiguous");
    // A pattern is no id.
    server.get("/api/v1/runs/r*").expect(400);
}
