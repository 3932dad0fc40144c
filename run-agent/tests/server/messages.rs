//! Messages over HTTP.

use crate::support::*;
use conductor_core::{Conductor, Options, Post, Wait};
use conductor_tests::sandbox::Sandbox;
use serde_json::{Value, json};

/// A little less, which is the longest that a message may be by default.
const MIB: usize = (1 << 20) - 16;

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
fn an_answer_is_bounded_however_long_the_messages_are() {
    let sandbox = root();
    let conductor = Conductor::open(sandbox.root(), Options::default()).unwrap();
    let bus = conductor.bus(("p", "t")).unwrap();
    // 1 MiB each as it is sent: what JSON escapes counts as long as it gets.
    let (plain, escaped) = ("x".repeat(MIB), "<".repeat(MIB / 6));
    let body = |number: usize| {
        format!("{number:02} {}", if number.is_multiple_of(2) { &plain } else { &escaped })
    };
    let ids: Vec<String> = (0..20)
        .map(|number| bus.post(Post::new("FACT", body(number)), Wait::from(LONG)).unwrap())
        .map(|posted| posted.msg_id.to_string())
        .collect();
    drop((bus, conductor));
    let server = Server::open(&sandbox);
    let path = "/api/projects/p/tasks/t/messages";
    let most = 9 << 20;
    let read = |query: &str| {
        let answer = server.get(&format!("{path}{query}")).expect(200);
        assert!(answer.text.len() < most, "{query}: {} bytes", answer.text.len());
        answer.json()
    };
    let numbers = |answer: &Value| -> Vec<usize> {
        let messages = answer["messages"].as_array().unwrap().iter();
        messages.map(|message| message["body"].as_str().unwrap()[..2].parse().unwrap()).collect()
    };
    // The newest ones, as clients that ask for no place show them; the older ones are missed, and told.
    let newest = read("");
    let told = numbers(&newest);
    assert_eq!(told.last(), Some(&19));
    assert_eq!(newest["left_out"], 20 - told.len());
    assert_eq!((&newest["has_more"], &newest["next"]), (&Value::Null, &Value::Null));
    assert_eq!(numbers(&read("?limit=2")), [18, 19]);
    // From a place on, all of them, one answer after the other.
    let (mut after, mut seen, mut answers) = (ids[0].clone(), vec![0], 0);
    loop {
        let answer = read(&format!("?since={after}"));
        seen.extend(numbers(&answer));
        answers += 1;
        let last = answer["messages"].as_array().unwrap().last().unwrap()["msg_id"].clone();
        match answer["next"].as_str() {
            None => break,
            Some(next) => {
                assert_eq!((&answer["has_more"], &last), (&json!(true), &json!(next)));
                next.clone_into(&mut after);
            }
        }
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    assert!(answers >= 3, "{answers}");
    // Of two of which only one fits, each comes.
    let conductor = Conductor::open(sandbox.root(), Options::default()).unwrap();
    let bus = conductor.bus(("p", "t")).unwrap();
    for number in ["20", "21"] {
        let body = format!("{number} {}", "<".repeat(MIB));
        bus.post(Post::new("FACT", body), Wait::from(LONG)).unwrap();
    }
    let first = read(&format!("?after={}", ids[19]));
    assert_eq!((numbers(&first), &first["has_more"]), (vec![20], &json!(true)));
    let second = read(&format!("?after={}", first["next"].as_str().unwrap()));
    assert_eq!((numbers(&second), &second["has_more"]), (vec![21], &Value::Null));
    assert_eq!(numbers(&read("?limit=2")), [21]);
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
