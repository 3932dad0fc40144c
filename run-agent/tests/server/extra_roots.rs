//! Runs below the extra roots of the configuration: shown, never changed.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::snapshot::snapshot;
use serde_json::{Value, json};
use std::fs;

#[test]
fn runs_of_extra_roots_are_shown_and_never_changed() {
    let sandbox = Sandbox::new();
    let (older, config) = (sandbox.folder("older"), sandbox.home().join("config.yaml"));
    let write = |path: &str, text: &str| {
        let path = older.join("runs").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let ended =
        "RUN_ID=run_20250101-1200000000-7\nCWD=/work/Shop\nAGENT=codex\nPID=7\nEXIT_CODE=3\n";
    write("run_20250101-1200000000-7/cwd.txt", ended);
    let living = std::process::id();
    let record = |id: &str, pid: u32| {
        format!(
            "version: 1\nrun_id: {id}\nproject_id: old\ntask_id: t\nagent: claude\npid: {pid}\n\
             pgid: {pid}\nstart_time: 2025-01-02T03:04:05Z\nend_time: 0001-01-01T00:00:00Z\n\
             exit_code: -1\nstatus: running\nagent_version: \"\"\n"
        )
    };
    write("20250102-0304050000-1-1/run-info.yaml", &record("20250102-0304050000-1-1", living));
    write(
        "20250102-0304050000-1-2/run-info.yaml",
        &record("20250102-0304050000-1-2", i32::MAX as u32),
    );
    write("20250102-0304050000-1-3/run-info.yaml", "status: [");
    fs::write(
        &config,
        format!("storage: {{extra_roots: [{older:?}, {:?}]}}\n", older.join("none")),
    )
    .unwrap();
    let before = snapshot(&older);
    let own = program(&sandbox).args(["--auth", "off", "--config"]).arg(&config);
    let server = Server::of(&sandbox, own);
    let own = server.start_task("t", DONE)["run_id"].as_str().unwrap().to_owned();

    let listed = server.json("/api/v1/runs");
    let runs = listed["runs"].as_array().unwrap();
    let ids: Vec<_> = runs.iter().map(|run| run["run_id"].as_str().unwrap()).collect();
    let all = [
        "20250102-0304050000-1-1",
        "20250102-0304050000-1-2",
        own.as_str(),
        "run_20250101-1200000000-7",
    ];
    assert_eq!(ids, all);
    assert_eq!(listed["unreadable"], 2, "a record, and a root that is not there");
    let page = server.json("/api/v1/runs?limit=1&offset=3");
    assert_eq!((&page["total"], &page["runs"][0]["run_id"]), (&json!(5), &json!(own)));
    let noted = server.json("/api/v1/runs/run_20250101-1200000000-7");
    let facts = |run: &Value| {
        ["project_id", "task_id", "status", "exit_code", "process_ownership", "start_time"]
            .map(|name| run[name].clone())
    };
    let expected = json!([
        "Shop",
        "run_20250101-1200000000-7",
        "failed",
        3,
        "external",
        "2025-01-01T12:00:00Z"
    ]);
    assert_eq!(json!(facts(&noted)), expected);
    assert_eq!(server.json(&format!("/api/v1/runs/{}", all[0]))["status"], "running");
    let gone = server.json(&format!("/api/v1/runs/{}", all[1]));
    assert_eq!((&gone["status"], &gone["exit_code"]), (&json!("failed"), &json!(-1)));

    let raw = server.get(&format!("/api/v1/runs/{}/info", all[1])).expect(200);
    assert_eq!(raw.text, record(all[1], i32::MAX as u32));
    assert_eq!(raw.header("content-type"), "application/x-yaml");
    server.get("/api/v1/runs/run_20250101-1200000000-7/info").expect(404);
    for run in [all[0], all[3]] {
        let refused = server.push(&format!("/api/v1/runs/{run}/stop")).expect(409);
        assert_eq!(refused.code(), "run.not_ours");
    }
    server.get("/api/v1/runs/20250102-0304050000-1-9").expect(404);
    server.await_json("/api/projects/p/tasks/t", |task| task["outcome"] == "done");
    let status = server.json("/api/v1/status");
    assert_eq!((&status["active_runs_count"], &status["running_tasks"]), (&json!(1), &json!([])));
    before.assert_same(&snapshot(&older));
}
