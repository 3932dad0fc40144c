//! Messages over HTTP.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::json;

fn root() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.root().join("p/t")).unwrap();
    sandbox
}

#[test]
fn what_is_posted_is_read_in_order() {
    let sandbox = root();
    let server = Server::open(&sandbox);
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({"type": "fact", "body": format!("number {number}")});
        let posted = server.post("/api/projects/p/tasks/t/messages", &body).expect(201).json();
        ids.push(posted["msg_id"].as_str().unwrap().to_owned());
    }
    let read = |query: &str| {
        let messages = server.json(&format!("/api/projects/p/tasks/t/messages{query}"));
        let list = messages["messages"].as_array().unwrap().clone();
        list.iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(read("").len(), 5);
    assert_eq!(read("?limit=2"), ["number 3", "number 4"]);
    assert_eq!(read(&format!("?since={}", ids[2])), ["number 3", "number 4"]);
    assert_eq!(read(&format!("?after={}&limit=1", ids[0])), ["number 1"]);
    let first = &server.json("/api/v1/messages?project_id=p&task_id=t")["messages"][0];
    assert_eq!((&first["type"], &first["task_id"]), (&json!("FACT"), &json!("t")));
    let unknown = server.get("/api/v1/messages?project_id=p&task_id=t&after=MSG-unknown");
    assert_eq!(unknown.expect(404).json()["error"]["message"], "message id not found");
}

#[test]
fn a_message_goes_where_its_body_says() {
    let sandbox = root();
    let server = Server::open(&sandbox);
    let post = |body: &serde_json::Value| server.post("/api/v1/messages", body);
    post(&json!({"project_id": "p", "body": "to the project"})).expect(201);
    post(&json!({"project_id": "p", "task_id": "t", "run_id": "r1", "body": "to the task"}))
        .expect(201);
    let project = server.json("/api/projects/p/messages");
    assert_eq!(project["messages"][0]["type"], "USER");
    let task = server.json("/api/projects/p/tasks/t/messages");
    assert_eq!(task["messages"][0]["run_id"], "r1");
}

#[test]
fn what_is_wrong_with_a_message_is_said_and_makes_nothing() {
    let sandbox = root();
    let server = Server::open(&sandbox);
    let before = conductor_tests::snapshot::snapshot(&sandbox.root());
    for (text, status, says) in [
        (r#"{"project_id":"p","body":" "}"#, 400, "body is required"),
        (r#"{"project_id":"","body":"x"}"#, 400, "project_id is required"),
        (r#"{"project_id":"p","body":"x","who":1}"#, 400, "json: unknown field \"who\""),
        (r#"{"project_id":"p","body":"x"} y"#, 400, "unexpected trailing data"),
        (r#"{"project_id":"../x","body":"x"}"#, 400, "invalid project id"),
        (r#"{"project_id":"none","body":"x"}"#, 404, "there is no project none"),
        (r#"{"project_id":"p","task_id":"none","body":"x"}"#, 404, "there is no task p/none"),
        (r#"{"project_id":"p","type":"no good","body":"x"}"#, 400, "type"),
    ] {
        let answer = server.post_text("/api/v1/messages", text).expect(status);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{text}: {message}");
    }
    before.assert_same(&conductor_tests::snapshot::snapshot(&sandbox.root()));
}
