//! The dashboard: its files, and the answers that are made for its views.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long changes are looked out for when nobody follows them any more.
const LINGER: Duration = Duration::from_secs(15);

/// The part of a text between two others.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let from = text.find(begin).unwrap_or_else(|| panic!("no {begin:?} in {text}")) + begin.len();
    let to = text[from..].find(end).unwrap_or_else(|| panic!("no {end:?} in {text}"));
    &text[from..from + to]
}

#[test]
fn the_page_names_files_that_never_change() {
    let sandbox = Sandbox::new();
    let server = Server::with_token(&sandbox);
    let root = server.get("/").expect(200);
    let page = server.get("/ui/").expect(200);
    for (answer, begin) in [(&root, "src=\"./ui/"), (&page, "src=\"./")] {
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-cache");
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        let script = between(&answer.text, begin, "\"");
        let file = server.get(&format!("/ui/{script}")).expect(200);
        assert_eq!(file.header("content-type"), "text/javascript; charset=utf-8");
        assert!(file.header("cache-control").contains("immutable"), "{script}");
    }
    let tag = page.header("etag").to_owned();
    assert_eq!(server.get_with("/ui/", &[("if-none-match", &tag)]).status, 304);
    // Also under their plain names, as a web server of its own would have them.
    let plain = server.get("/ui/app/main.js").expect(200);
    assert_eq!(plain.header("cache-control"), "no-cache");
    for nothing in ["/ui/none.js", "/ui/../Cargo.toml", "/ui/v-0000000000000000/app/main.js"] {
        assert_eq!(server.get(nothing).status, 404, "{nothing}");
    }
}

#[test]
fn the_page_is_there_for_who_has_no_token_yet() {
    let sandbox = Sandbox::new();
    let server = Server::of(&sandbox, program(&sandbox).args(["--auth", "all"]));
    server.get("/").expect(200);
    server.get("/ui/").expect(200);
    server.get("/ui/app/main.js").expect(200);
    server.get("/api/v1/views/projects").expect(401);
}

#[test]
fn the_views_tell_what_a_task_came_to() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    server.start_task("good", DONE);
    server.start_task("bad", "echo broken >&2; exit 3");
    let stop = json!({"reason": "it will not get better"});
    server
        .await_json("/api/v1/views/projects/p/tasks/good", |view| view["task"]["state"] == "done");
    server.await_json("/api/v1/views/projects/p/tasks/bad", |view| {
        view["runs"].as_array().is_some_and(|runs| runs.iter().any(|run| run["status"] == "failed"))
    });
    server.post("/api/projects/p/tasks/bad/stop", &json!({"reason": " "})).expect(400);
    server.post("/api/projects/p/tasks/bad/stop", &stop).expect(202);
    let bad = server.await_json("/api/v1/views/projects/p/tasks/bad", |view| {
        view["task"]["state"] == "stopped"
    });
    assert!(bad["limits"]["attempts"]["used"].as_f64().unwrap() >= 1.0, "{bad}");

    let rows = server.json("/api/v1/views/projects/p/tasks");
    assert_eq!((&rows["total"], rows["tasks"].as_array().unwrap().len()), (&json!(2), 2));
    let one = server.json("/api/v1/views/projects/p/tasks?ids=good,none");
    assert_eq!(one["tasks"].as_array().unwrap().len(), 1);
    let rest = server.json("/api/v1/views/projects/p/tasks?after=bad");
    assert_eq!(rest["tasks"][0]["id"], "good");

    let all = server.json("/api/v1/views/projects?since=2020-01-01T00:00:00Z");
    assert_eq!(all["projects"][0]["states"], json!({"done": 1, "stopped": 1}));
    assert!(all["projects"][0]["runs"].as_u64().unwrap() >= 2);
    server.get("/api/v1/views/projects?since=yesterday").expect(400);
    let cells = server.json("/api/v1/views/usage");
    assert_eq!(cells["cells"][0]["agent"], "shell");
    assert!(server.json("/api/v1/views/health")["disk"]["free"].as_u64().unwrap() > 0);
}

#[test]
fn a_run_is_shown_with_its_processes_and_stopped_with_a_reason() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let started = server.start_task("t", "echo one; echo two >&2; sleep 600");
    let run = started["run_id"].as_str().unwrap();
    let view = format!("/api/v1/views/projects/p/tasks/t/runs/{run}");
    let told = server.await_json(&view, |view| {
        let processes = view["processes"].as_array().unwrap();
        processes.iter().any(|process| process["name"] == "sleep")
    });
    assert_eq!(told["processes"][0]["depth"], 0);
    let root = sandbox.root().display().to_string();
    assert!(!told.to_string().contains(&root), "a path of this machine is told: {told}");
    let stop = json!({"run_id": run, "reason": "seen enough"});
    server.post("/api/projects/p/tasks/t/stop", &stop).expect(202);
    let over = server.await_json(&view, |view| view["run"]["outcome"] == "stopped");
    assert_eq!(over["record"]["stop_reason"], "seen enough");
    assert_eq!(over["processes"], json!([]));
    server.post("/api/projects/p/tasks/t/stop", &json!({"reason": "the end"})).expect(202);
}

#[test]
fn what_a_task_started_in_another_is_shown_below_it() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let parent = server.start_task("parent", DONE);
    server.await_json("/api/v1/views/projects/p/tasks/parent", |view| {
        view["task"]["state"] == "done"
    });
    let run = parent["run_id"].as_str().unwrap();
    let child =
        ["job", "--project", "p", "--task", "child", "--agent", "shell", "--prompt", "echo x"];
    let program = sandbox.program(env!("CARGO_BIN_EXE_run-agent"));
    program.args(child).args(["--parent-run-id", run]).succeed();
    let children = |view: &serde_json::Value| view["children"].as_array().unwrap().len();
    // Told from what is kept, too.
    for _ in 0..2 {
        let view =
            server.await_json("/api/v1/views/projects/p/tasks/parent", |view| children(view) == 1);
        assert_eq!(
            (&view["children"][0]["task_id"], &view["children"][0]["parent"]),
            (&json!("child"), &json!(run))
        );
    }
}

#[test]
fn a_part_of_a_file_is_read_and_searched() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let script = format!("seq 1 2000; echo 'a Needle'; seq 1 10; {DONE}");
    let started = server.start_task("t", &script);
    let run = started["run_id"].as_str().unwrap();
    let base = format!("/api/projects/p/tasks/t/runs/{run}");
    let status = |view: &serde_json::Value| view["task"]["state"] == "done";
    server.await_json("/api/v1/views/projects/p/tasks/t", status);
    let whole = server.get(&format!("{base}/raw")).expect(200);
    let size = whole.text.len();
    assert_eq!(whole.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    let raw = format!("{base}/raw?name=stdout");
    let part = server.get_with(&raw, &[("range", "bytes=2-5")]).expect(206);
    assert_eq!(
        (part.text.as_str(), part.header("content-range")),
        ("2\n3\n", &*format!("bytes 2-5/{size}"))
    );
    let end = server.get_with(&raw, &[("range", "bytes=-8")]).expect(206);
    assert!(end.text.ends_with("working\n"), "{}", end.text);
    let beyond = server.get_with(&raw, &[("range", "bytes=9999999-")]).expect(416);
    assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
    server.get(&format!("{base}/raw?name=other")).expect(404);

    let found = server.json(&format!("{base}/search?text=needle"));
    let at = whole.text.find("Needle").unwrap();
    assert_eq!((&found["places"], &found["next"]), (&json!([at]), &json!(null)));
    let later = server.json(&format!("{base}/search?text=needle&from={}", at + 1));
    assert_eq!(later["places"], json!([]));
    server.get(&format!("{base}/search?text=")).expect(400);
    server.get(&format!("{base}/search?text=needle&from=there")).expect(400);
}

#[test]
fn only_a_plan_that_was_shown_is_carried_out() {
    let sandbox = Sandbox::new();
    let server = Server::with_token(&sandbox);
    server.start_task("t", DONE);
    server.await_json("/api/v1/views/projects/p/tasks/t", |view| view["task"]["state"] == "done");
    let shown = server.json("/api/v1/gc?older_than=0s");
    assert_eq!(
        shown["kept"].as_object().unwrap().len() + shown["items"].as_array().unwrap().len(),
        1
    );
    let plan = shown["plan"].as_str().unwrap();
    let (_, token) = plan.split_once('.').unwrap();
    for forged in [token.to_owned(), format!("{plan} force"), format!("0{plan}")] {
        let refused = server.post("/api/v1/gc", &json!({"plan": forged})).expect(409);
        assert_eq!(refused.code(), "gc.plan_unknown");
    }
    let done = server.post("/api/v1/gc", &json!({"plan": plan})).expect(200).json();
    assert_eq!(done["deleted_runs"], shown["count"]);
    // A page of a stranger gets no further, whatever it knows.
    let request = format!(
        "POST /api/v1/gc HTTP/1.1\r\nhost: {}\r\norigin: http://evil.example\r\ncontent-type: \
         application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}",
        server.address
    );
    assert!(server.raw(request.as_bytes()).starts_with("HTTP/1.1 403"));
}

#[test]
fn an_answer_names_its_question() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    server.start_task("t", DONE);
    let posted = |body: serde_json::Value| {
        let answer = server.post("/api/projects/p/tasks/t/messages", &body).expect(201).json();
        answer["msg_id"].as_str().unwrap().to_owned()
    };
    let question = posted(json!({"type": "QUESTION", "body": "Red or blue?"}));
    let answer = posted(json!({"type": "ANSWER", "body": "Blue.", "parents": [question]}));
    let told = server.json("/api/projects/p/tasks/t/messages");
    let told = told["messages"].as_array().unwrap().iter().find(|m| m["msg_id"] == *answer);
    assert_eq!(told.unwrap()["parents"][0]["msg_id"], *question);
    let wrong = json!({"type": "ANSWER", "body": "x", "parents": ["not an id"]});
    server.post("/api/projects/p/tasks/t/messages", &wrong).expect(400);
}

#[test]
fn the_size_of_what_a_run_prints_is_told_as_it_grows() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let go = sandbox.root().join("go");
    let script =
        format!("echo one; until [ -e {} ]; do sleep 0.05; done; echo two; {DONE}", go.display());
    let started = server.start_task("t", &script);
    let topic = format!("size:p/t/{}", started["run_id"].as_str().unwrap());
    let mut events = server.follow(&format!("/api/v1/events?topics={topic}"), None);
    let mut sizes = Vec::new();
    for event in &mut events {
        if event.name == "size" {
            sizes.push(event.json()["stdout"].as_u64().unwrap());
            std::fs::write(&go, "").unwrap();
        }
        if event.name == "status" && event.json()["outcome"] == "completed" {
            break;
        }
    }
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert_eq!(sizes.last(), Some(&("one\ntwo\nworking\n".len() as u64)));
}

/// Reads on until this change is told.
fn told(events: &mut impl Iterator<Item = Event>, wanted: serde_json::Value) {
    let tells = |event: Event| event.name == "changed" && event.json() == wanted;
    assert!(events.any(tells), "the stream ended without {wanted}");
}

#[test]
fn what_no_run_tells_of_is_told_also_to_who_was_away() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let mut events = server.follow("/api/v1/events?topics=changes", None);
    assert_eq!(events.named("follows").json()["topic"], "changes");
    let task = json!({"topic": "changes", "what": "task", "project_id": "p", "task_id": "by-hand"});
    std::fs::create_dir_all(sandbox.root().join("p/by-hand")).unwrap();
    // The folder may have come before that of its project was watched.
    std::fs::write(sandbox.root().join("p/by-hand/TASK.md"), "x").unwrap();
    told(&mut events, json!({"topic": "changes", "what": "project", "project_id": "p"}));
    let id = events.last_id.clone().unwrap();
    std::fs::write(sandbox.root().join("p/by-hand/DONE"), "").unwrap();
    told(&mut events, task.clone());
    std::fs::remove_dir_all(sandbox.root().join("p/by-hand")).unwrap();
    told(&mut events, task.clone());
    std::fs::create_dir_all(sandbox.root().join(".conductor/holds")).unwrap();
    told(&mut events, json!({"topic": "changes", "what": "holds"}));
    // The look-out stays a while for who comes back, who misses nothing.
    let left = Instant::now();
    drop(events);
    let mut again = server.follow("/api/v1/events?topics=changes", Some(&id)).peekable();
    match again.peek().unwrap().name.as_str() {
        // Only on a machine that stood still for that long.
        "resync" => assert!(left.elapsed() > LINGER),
        _ => {
            told(&mut again, task);
            told(&mut again, json!({"topic": "changes", "what": "holds"}));
        }
    }
    server.follow("/api/v1/events?topics=changes", Some("c1.1")).named("resync");
}

#[test]
fn what_a_check_printed_that_passed_is_shown() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let task = ["task", "--project", "p", "--task", "t", "--agent", "shell", "--prompt", DONE];
    let program = sandbox.program(env!("CARGO_BIN_EXE_run-agent"));
    let verify =
        "echo first; echo all 7 passed with token=ghp_0123456789abcdefghij0123456789abcdef";
    program.args(task).args(["--verify", verify]).succeed();
    let view = server.json("/api/v1/views/projects/p/tasks/t");
    let passed = view["limits"]["passed"].as_str().unwrap();
    assert!(passed.starts_with("first\nall 7 passed with"), "{view}");
    assert!(!passed.contains("0123456789"), "{passed}");
}
