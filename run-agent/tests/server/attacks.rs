//! Attacks: too much of anything, ids that lead elsewhere, connections that say nothing. All is refused, the
//! server goes on, and nothing on disk has changed.

use crate::support::*;
use crate::update_kill::worker_of;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::snapshot::snapshot;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

/// Connections that are opened and say nothing, or half of what they want.
const CONNECTIONS: usize = 10_000;
/// Where the process that opens them finds the server.
const ADDRESS: &str = "CONDUCTOR_TEST_ADDRESS";

/// Ids that are none.
const BAD_IDS: [&str; 10] = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc",
    ".conductor",
    "_audit",
    "a%00b",
    "*",
    "[a-z]",
    "%ff",
    "..%5c..%5cetc",
];

const TASK: &str = "task-20260301-111500-fix-bug";

#[test]
fn no_id_in_any_path_leads_outside() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let run = server.json(&format!("/api/projects/shop/tasks/{TASK}"))["runs"][0]["id"].clone();
    let good = [("{project}", "shop"), ("{task}", TASK), ("{run}", run.as_str().unwrap())];
    let document = server.json("/api/openapi.json");
    let before = snapshot(&sandbox.root());
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (position, _) in good.iter().filter(|(name, _)| path.contains(name)) {
            for bad in BAD_IDS {
                let mut target = path.replace(position, bad);
                for (name, id) in good {
                    target = target.replace(name, id);
                }
                for method in methods.as_object().unwrap().keys() {
                    let answer = ask(&server, &method.to_uppercase(), &target, "");
                    let status = status_of(&answer);
                    assert!(["400", "404"].contains(&status), "{method} {target}: {answer}");
                    assert!(!answer.contains("root:x:"), "{answer}");
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 400, "{asked} requests");
    before.assert_same(&snapshot(&sandbox.root()));
}

#[test]
fn no_id_in_a_query_or_a_body_leads_outside() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let before = snapshot(&sandbox.root());
    for bad in BAD_IDS {
        for target in [
            format!("/api/v1/messages?project_id={bad}"),
            format!("/api/v1/messages?project_id=shop&task_id={bad}"),
            format!("/api/v1/messages?project_id=shop&after={bad}"),
            format!("/api/v1/messages/stream?project_id={bad}"),
            format!("/api/v1/tasks?project_id={bad}"),
            format!("/api/v1/tasks/{TASK}?project_id={bad}"),
            format!("/api/v1/usage?project_id={bad}"),
            format!("/api/v1/usage?project_id=shop&task_id={bad}"),
            format!("/api/v1/events?topics=messages:{bad}"),
            format!("/api/v1/events?topics=messages:shop/{bad}"),
            format!("/api/v1/events?topics=log:shop/{TASK}/{bad}"),
            format!("/api/projects/shop/runs/flat?selected_task_id={bad}"),
        ] {
            let answer = ask(&server, "GET", &target, "");
            assert!(["400", "404"].contains(&status_of(&answer)), "{target}: {answer}");
        }
    }
    for name in ["../TASK.md", "..%2f..%2f..%2fetc%2fpasswd", "run-info.yaml", "/etc/passwd"] {
        server.get(&format!("/api/projects/shop/tasks/{TASK}/file?name={name}")).expect(404);
    }
    for bad in ["..", "../../etc", ".conductor", "_audit", "a\u{0}b", "a/b", "/etc", "*"] {
        let task = |name: &str, value: Value| {
            let mut body = json!({
                "project_id": "shop", "task_id": "t", "agent_type": "shell", "prompt": "true",
            });
            body[name] = value;
            ("/api/v1/tasks", body)
        };
        for (path, body) in [
            task("project_id", json!(bad)),
            task("task_id", json!(bad)),
            task("depends_on", json!([bad])),
            ("/api/v1/messages", json!({"project_id": bad, "body": "x"})),
            ("/api/v1/messages", json!({"project_id": "shop", "task_id": bad, "body": "x"})),
            ("/api/v1/messages", json!({"project_id": "shop", "run_id": bad, "body": "x"})),
            ("/api/projects", json!({"project_id": bad, "project_root": "/tmp"})),
        ] {
            let answer = server.post(path, &body);
            assert!([400, 404].contains(&answer.status), "{path} {body}: {}", answer.text);
        }
    }
    before.assert_same(&snapshot(&sandbox.root()));
    assert!(!Path::new("/etc/TASK-MESSAGE-BUS.md").exists());
}

fn ask(server: &Server, method: &str, target: &str, body: &str) -> String {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    server.raw(request.as_bytes())
}

#[test]
fn too_much_of_anything_is_refused() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let before = snapshot(&sandbox.root());
    let long = "x".repeat(1 << 20);
    let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n");
    let refused = server.raw(head.as_bytes());
    assert!(refused.is_empty() || status_of(&refused) == "431", "{refused}");
    let head = format!("GET /healthz?{long} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let refused = server.raw(head.as_bytes());
    assert!(refused.is_empty() || ["414", "431"].contains(&status_of(&refused)), "{refused}");
    let many = "X-Many: 1\r\n".repeat(200);
    let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
    assert_eq!(status_of(&server.raw(head.as_bytes())), "431");
    let huge = "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/json\r\nContent-Length: 2147483648\r\n\r\n";
    let refused = server.raw(huge.as_bytes()).to_ascii_lowercase();
    assert_eq!(status_of(&refused), "413", "before anything of it is read");
    assert!(refused.contains("\r\nconnection: close\r\n"), "{refused}");
    two_gigabytes_in_chunks(&server);
    before.assert_same(&snapshot(&sandbox.root()));
    server.get("/healthz").expect(200);
}

/// A body that does not say how long it is, and would be 2 GiB.
fn two_gigabytes_in_chunks(server: &Server) {
    let mut stream = server.connect();
    let head = "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(1 << 16));
    let sent = (0..(2_u64 << 30 >> 16)).find(|_| stream.write_all(chunk.as_bytes()).is_err());
    let sent = sent.expect("the server closes the connection long before the end");
    // What it takes and what lies on the way.
    assert!(sent << 16 < 64 << 20, "{sent} chunks were taken");
    let mut answer = Vec::new();
    let _closed_hard = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.is_empty() || status_of(&answer) == "413", "{answer}");
    let worker = worker_of(server.running.id());
    let memory = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(peak < 256 << 10, "it held {peak} KiB");
}

#[test]
fn ten_thousand_connections_that_say_nothing_keep_nobody_out() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let before = snapshot(&sandbox.root());
    let child = Program::new(&std::env::current_exe().unwrap())
        .args(["--exact", "attacks::opens_connections_for_another_test", "--nocapture"])
        .env(ADDRESS, &server.address);
    let mut child = child.start();
    let told = child.wait_for("its connections", |text| text.contains("connections are open"));
    // Who asks is answered, while they are open and as often as he asks.
    for _ in 0..20 {
        server.get("/healthz").expect(200);
        assert_eq!(server.json("/api/v1/tasks")["tasks"].as_array().unwrap().len(), 2);
    }
    println!("{told}");
    before.assert_same(&snapshot(&sandbox.root()));
    child.signal(rustix::process::Signal::KILL);
    drop(child);
    server.get("/healthz").expect(200);
}

/// The process that opens connections: it may open more files than the tests may. Run by itself it has
/// nothing to do.
#[test]
fn opens_connections_for_another_test() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let may = usize::try_from(limit.current.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let count = CONNECTIONS.min(may.saturating_sub(64));
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect(&address).unwrap();
        if number % 2 == 0 {
            // The server may have closed it already, to make room.
            let _closed = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: local");
        }
        open.push(stream);
    }
    println!("{} connections are open, of {CONNECTIONS}", open.len());
    // Until the other test ends this process.
    std::thread::sleep(LONG);
}
