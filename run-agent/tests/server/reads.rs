//! Reading: health, status, lists, pages, files, tags.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::snapshot::snapshot;
use serde_json::json;

const FIX: &str = "task-20260301-111500-fix-bug";

#[test]
fn reads_change_nothing() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let before = snapshot(&sandbox.root());
    let document = server.json("/api/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || path.contains("stream") || path.ends_with("/events") {
            continue;
        }
        let run = &server.json(&format!("/api/projects/shop/tasks/{FIX}"))["runs"][0]["id"];
        let path = path
            .replace("{project}", "shop")
            .replace("{task}", FIX)
            .replace("{run}", run.as_str().unwrap());
        let query = match path.rsplit('/').next() {
            Some("messages") => "?project_id=shop",
            Some("search") => "?text=x",
            _ => "",
        };
        server.get(&format!("{path}{query}")).expect(200);
        seen += 1;
    }
    assert!(seen > 20, "{seen} routes");
    before.assert_same(&snapshot(&sandbox.root()));
}

#[test]
fn a_root_that_does_not_exist_yet_is_empty() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    assert_eq!(server.json("/api/v1/tasks"), json!({"tasks": []}));
    assert_eq!(server.json("/api/v1/runs"), json!({"runs": []}));
    assert_eq!(server.json("/api/projects"), json!({"projects": []}));
    assert_eq!(server.json("/api/projects/home-dirs"), json!({"dirs": []}));
    assert_eq!(server.json("/api/v1/status")["active_runs_count"], 0);
    assert_eq!(server.json("/api/v1/doctor"), json!({"findings": []}));
}

#[test]
fn a_read_has_a_tag_and_is_not_sent_twice() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let first = server.get("/api/v1/tasks").expect(200);
    let tag = first.header("etag").to_owned();
    let again = server.get_with("/api/v1/tasks", &[("if-none-match", &tag)]).expect(304);
    assert_eq!((again.text.as_str(), again.header("etag")), ("", tag.as_str()));
    server.get_with("/api/v1/tasks", &[("if-none-match", "\"other\"")]).expect(200);
}

#[test]
fn lists_come_in_pages() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let page = server.json("/api/projects/shop/tasks?limit=1");
    assert_eq!(page["total"], 2);
    assert_eq!(
        (&page["limit"], &page["offset"], &page["has_more"]),
        (&json!(1), &json!(0), &json!(true))
    );
    let next = server.json("/api/projects/shop/tasks?limit=1&offset=1");
    assert_eq!(next["has_more"], false);
    assert_ne!(page["items"][0]["id"], next["items"][0]["id"]);
    let done = server.json("/api/projects/shop/tasks?status=done");
    assert_eq!(done["total"], 1);
    assert_eq!(server.json("/api/projects/shop/tasks?status=unheard-of")["total"], 2);
    let runs = server.json(&format!("/api/projects/shop/tasks/{FIX}/runs?limit=1"));
    assert_eq!(runs["items"].as_array().unwrap().len(), 1);
}

#[test]
fn every_list_can_be_read_in_parts() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    for (path, name) in [
        ("/api/v1/tasks", "tasks"),
        ("/api/v1/runs", "runs"),
        ("/api/projects/shop/runs/flat", "runs"),
        ("/api/v1/usage?by=run", "sums"),
        ("/api/projects/shop/gc", "items"),
    ] {
        let whole = server.json(path)[name].as_array().unwrap().clone();
        let with = if path.contains('?') { '&' } else { '?' };
        let mut parts = Vec::new();
        loop {
            let part = server.json(&format!("{path}{with}limit=1&offset={}", parts.len()));
            let items = part[name].as_array().unwrap();
            assert!(items.len() <= 1, "{path}: {part}");
            parts.extend(items.iter().cloned());
            // The sums have a total of their own.
            let about = if name == "sums" { &part["part"] } else { &part };
            assert_eq!(about["total"], whole.len(), "{path}");
            if about["has_more"] != true {
                break;
            }
        }
        assert_eq!(parts, whole, "{path}");
    }
    assert_eq!(server.json("/api/projects?limit=1")["total"], 1);
    assert_eq!(server.json("/api/v1/doctor?limit=1")["limit"], 1);
    // Clients that ask for no part get all, and nothing besides.
    assert_eq!(server.json("/api/v1/runs").get("total"), None);
}

#[test]
fn files_are_read_whole_or_by_their_last_lines() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let script = format!("printf 'one\\ntwo\\nthree <&>\\n'; {DONE}");
    server.start_task("t", &script);
    let task = server.await_json("/api/v1/tasks/t", |task| task["status"] == "all_finished");
    let run = task["runs"][0]["run_id"].as_str().unwrap();
    let file = format!("/api/projects/p/tasks/t/runs/{run}/file");
    let whole = server.json(&format!("{file}?name=stdout"));
    assert_eq!(whole["content"], "one\ntwo\nthree <&>\nworking\n");
    assert_eq!(whole["size_bytes"], 26);
    assert_eq!(whole["name"], "stdout");
    assert!(
        server.get(&format!("{file}?name=stdout")).text.contains("three \\u003c\\u0026\\u003e")
    );
    assert_eq!(server.json(&format!("{file}?tail=1"))["content"], "working\n");
    assert_eq!(server.json(&format!("{file}?tail=1"))["offset"], 18);
    assert!(server.json(&format!("{file}?name=prompt"))["size_bytes"].as_u64().unwrap() > 0);
    let unknown = server.get(&format!("{file}?name=secrets")).expect(404);
    assert_eq!(unknown.json()["error"]["message"], "unknown file: secrets");
    let prompt = server.json("/api/projects/p/tasks/t/file?name=TASK.md");
    assert!(prompt["content"].as_str().unwrap().contains("three"));
}

#[test]
fn errors_come_in_two_forms() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let old = server.get("/api/projects/none").expect(404);
    assert_eq!(old.json()["error"]["code"], "NOT_FOUND");
    assert_eq!(old.code(), "project.not_found");
    assert!(!old.text.contains(sandbox.root().to_str().unwrap()), "{}", old.text);
    let accept = [("accept", "application/problem+json, */*")];
    let new = server.get_with("/api/projects/none", &accept).expect(404);
    assert_eq!(new.header("content-type"), "application/problem+json");
    let problem = new.json();
    assert_eq!(problem["code"], "project.not_found");
    assert_eq!((&problem["status"], &problem["title"]), (&json!(404), &json!("Not Found")));
    let method = server.delete("/api/v1/status").expect(405);
    assert_eq!(method.json()["error"]["message"], "method not allowed");
    assert_eq!(server.get("/api/nothing").expect(404).json()["error"]["code"], "NOT_FOUND");
    let named = server.get_with("/healthz", &[("x-request-id", "mine-1")]).expect(200);
    assert_eq!(named.header("x-request-id"), "mine-1");
}

#[test]
fn damage_hides_nothing_else() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let bad = sandbox.root().join("shop").join(FIX).join("runs/20990101-0000000000-1-1");
    std::fs::create_dir_all(&bad).unwrap();
    std::fs::write(bad.join("run-info.yaml"), "{ not yaml").unwrap();
    let server = Server::open(&sandbox);
    assert_eq!(server.json("/api/v1/tasks")["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(server.json("/api/v1/runs")["unreadable"], 1);
    assert_eq!(server.json("/api/projects/shop/tasks")["total"], 2);
    assert_eq!(server.json("/api/projects/shop/stats")["crashed_runs"], 1);
    server.get("/api/v1/status").expect(200);
    server.get("/api/projects/shop/runs/flat").expect(200);
    server.get("/api/v1/runs/20990101-0000000000-1-1").expect(500);
}
