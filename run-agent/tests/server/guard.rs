//! Who may do what: forged hosts, foreign pages, wrong forms, the token.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::snapshot::snapshot;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[test]
fn what_does_not_come_from_here_is_refused_and_changes_nothing() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let before = snapshot(&sandbox.root());
    let body = r#"{"project_id":"shop","body":"x"}"#;
    let length = body.len();
    let json = "Content-Type: application/json\r\n";
    for (heads, status) in [
        (format!("Host: evil.example\r\n{json}"), "403"),
        (format!("Host: 127.0.0.1.evil.example\r\n{json}"), "403"),
        (format!("Host: localhost\r\nHost: evil.example\r\n{json}"), "400"),
        (format!("Host: localhost\r\nOrigin: http://evil.example\r\n{json}"), "403"),
        (format!("Host: localhost\r\nOrigin: null\r\n{json}"), "403"),
        ("Host: localhost\r\nContent-Type: text/plain\r\n".to_owned(), "415"),
        ("Host: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n".into(), "415"),
        ("Host: localhost\r\n".to_owned(), "415"),
    ] {
        let request = format!(
            "POST /api/v1/messages HTTP/1.1\r\n{heads}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        let answer = server.raw(request.as_bytes());
        assert_eq!(status_of(&answer), status, "{heads}\n{answer}");
    }
    let rebound = "GET /api/v1/tasks HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(status_of(&server.raw(rebound.as_bytes())), "403", "reads too");
    before.assert_same(&snapshot(&sandbox.root()));
    server.get("/healthz").expect(200);
}

#[test]
fn every_change_wants_the_token_which_is_made_at_the_first_start() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::with_token(&sandbox);
    let path = sandbox.root().join(".conductor/server.token");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(token(&sandbox).len(), 64);
    let text = json!({"body": "hello"});
    server.post("/api/projects/shop/messages", &text).expect(201);
    server.get("/api/v1/tasks").expect(200);
    let stranger = Server::of(&sandbox, program(&sandbox));
    let before = snapshot(&sandbox.root());
    for answer in [
        stranger.post("/api/projects/shop/messages", &text),
        stranger.post("/api/v1/tasks", &json!({})),
        stranger.push("/api/v1/reconcile"),
        stranger.delete("/api/projects/shop"),
        stranger.delete("/api/v1/tasks/task-20260301-111500-fix-bug"),
    ] {
        let answer = answer.expect(401);
        let body = json!({"error": "unauthorized", "message": "valid API key required"});
        assert_eq!(answer.json(), body);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"conductor\"");
    }
    before.assert_same(&snapshot(&sandbox.root()));
    // The token is told to nobody.
    for path in ["/api/v1/status", "/metrics", "/api/openapi.json"] {
        assert!(!server.get(path).text.contains(&token(&sandbox)), "{path}");
    }
    server.running.signal(rustix::process::Signal::TERM);
    let log = server.running.finish().expect_code(0);
    assert!(!log.stdout.contains(&token(&sandbox)) && !log.stderr.contains(&token(&sandbox)));
}

#[test]
fn who_is_refused_asks_on_over_the_same_connection() {
    let sandbox = Sandbox::new();
    let server = Server::with_token(&sandbox);
    let mut client = server.connect();
    let head = "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    // Its body comes so much later that an answer that does not wait for it is there.
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let _nothing = client.peek(&mut [0]);
    client.set_read_timeout(Some(LONG)).unwrap();
    let next = "{}GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(next.as_bytes()).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(status_of(&text), "401");
    assert!(text.contains("\nHTTP/1.1 200 "), "{text}");
}

#[test]
fn with_all_even_reads_want_the_token() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let key = ["--auth", "all", "--api-key", "secret"];
    let server = Server::of(&sandbox, program(&sandbox).args(key));
    for path in ["/api/v1/tasks", "/api/projects", "/api/openapi.json"] {
        server.get(path).expect(401);
        server.get_with(path, &[("authorization", "Bearer secret")]).expect(200);
        server.get_with(path, &[("x-api-key", "secret")]).expect(200);
        server.get_with(&format!("{path}?api_key=secret"), &[]).expect(401);
    }
    for path in ["/api/v1/health", "/api/v1/version", "/healthz", "/metrics"] {
        server.get(path).expect(200);
    }
}

#[test]
fn what_would_be_open_to_all_does_not_start() {
    let sandbox = Sandbox::new();
    let program = program(&sandbox).args(["--host", "0.0.0.0", "--auth", "off"]);
    let refused = program.exits(2);
    assert!(refused.stderr.contains("everybody who reaches 0.0.0.0"), "{}", refused.stderr);
    assert!(!sandbox.root().exists());
}

#[test]
fn pages_that_were_named_may_call() {
    let sandbox = Sandbox::new();
    let config = sandbox.work().join("config.yaml");
    std::fs::write(&config, "api:\n  auth: \"off\"\n  cors_origins: [\"http://localhost:5173\"]\n")
        .unwrap();
    let server = Server::of(&sandbox, program(&sandbox).arg("--config").arg(&config));
    let origin = [("origin", "http://localhost:5173")];
    let answer = server.get_with("/api/v1/health", &origin).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:5173");
    let preflight = "OPTIONS /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\n\
                     Origin: http://localhost:5173\r\nConnection: close\r\n\r\n";
    let answer = server.raw(preflight.as_bytes());
    assert_eq!(status_of(&answer), "204", "{answer}");
    assert!(answer.to_ascii_lowercase().contains("access-control-allow-methods"), "{answer}");
    server.get_with("/api/v1/health", &[("origin", "http://localhost:1")]).expect(403);
}
