//! Tasks that answer a message of another task.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::snapshot::snapshot;
use serde_json::{Value, json};

/// A task whose run asked a question: the run, and the question's id.
fn question(sandbox: &Sandbox, server: &Server) -> (String, String) {
    let started = server.start_task("asks", DONE);
    server.await_json("/api/v1/tasks/asks", |task| task["status"] == "all_finished");
    until_nothing_is_driven(sandbox);
    let run = started["run_id"].as_str().unwrap().to_owned();
    let body = json!({
        "project_id": "p", "task_id": "asks", "run_id": run, "type": "QUESTION", "body": "Which?",
    });
    let posted = server.post("/api/v1/messages", &body).expect(201).json();
    (run, posted["msg_id"].as_str().unwrap().to_owned())
}

fn answer_of(run: &str, message: &str) -> Value {
    let parent =
        json!({"project_id": "p", "task_id": "asks", "run_id": run, "message_id": message});
    json!({
        "project_id": "p", "task_id": "answers", "agent_type": "shell", "prompt": DONE,
        "thread_parent": parent, "thread_message_type": "USER_REQUEST",
    })
}

#[test]
fn a_question_is_answered_by_a_task_and_both_buses_tell_of_it() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let (run, message) = question(&sandbox, &server);
    let started = server.post("/api/v1/tasks", &answer_of(&run, &message)).expect(201).json();
    server.await_json("/api/v1/tasks/answers", |task| task["status"] == "all_finished");
    let parent = json!({
        "project_id": "p", "task_id": "asks", "run_id": run, "message_id": message,
        "message_type": "QUESTION",
    });
    let detail = server.json("/api/projects/p/tasks/answers");
    assert_eq!(detail["thread_parent"], parent);
    assert_eq!(detail["runs"][0]["parent_run_id"], run.as_str());
    let page = server.json("/api/projects/p/tasks");
    for task in page["items"].as_array().unwrap() {
        let wanted = if task["id"] == "answers" { parent.clone() } else { Value::Null };
        assert_eq!(task["thread_parent"], wanted);
    }
    let requests = |task: &str| -> Vec<Value> {
        let all = server.json(&format!("/api/projects/p/tasks/{task}/messages"));
        let all = all["messages"].as_array().unwrap().iter();
        all.filter(|told| told["type"] == "USER_REQUEST").cloned().collect()
    };
    let (own, theirs) = (requests("answers"), requests("asks"));
    assert_eq!((own.len(), theirs.len()), (1, 1));
    assert_eq!((&own[0]["body"], &own[0]["run_id"]), (&json!(DONE), &started["run_id"]));
    assert_eq!(own[0]["meta"]["thread_direction"], "child_task");
    assert_eq!(theirs[0]["body"], "threaded user request opened child task p/answers");
    assert_eq!(theirs[0]["run_id"], run.as_str());
    assert_eq!(theirs[0]["meta"]["thread_child_message_id"], own[0]["msg_id"]);
    for told in [&own[0], &theirs[0]] {
        assert_eq!(told["parents"][0]["msg_id"], message.as_str());
        assert_eq!(told["parents"][0]["kind"], "thread_answer");
        assert_eq!(told["meta"]["thread_parent_message_type"], "QUESTION");
        assert_eq!(told["meta"]["thread_child_task_id"], "answers");
    }
}

#[test]
fn what_cannot_be_answered_starts_nothing() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let (run, message) = question(&sandbox, &server);
    let info = json!({"project_id": "p", "task_id": "asks", "run_id": run, "body": "x"});
    let info = server.post("/api/v1/messages", &info).expect(201).json();
    let lonely = json!({"type": "QUESTION", "body": "x"});
    let lonely = server.post("/api/projects/p/tasks/asks/messages", &lonely).expect(201).json();
    let before = snapshot(&sandbox.root());
    let with = |name: &str, value: Value| {
        let mut body = answer_of(&run, &message);
        body["thread_parent"][name] = value;
        body
    };
    let mut no_parent = answer_of(&run, &message);
    no_parent.as_object_mut().unwrap().remove("thread_parent");
    let mut other_type = answer_of(&run, &message);
    other_type["thread_message_type"] = json!("FACT");
    for (body, status, says) in [
        (no_parent, 400, "thread_message_type requires thread_parent"),
        (other_type, 400, "thread_message_type must be USER_REQUEST"),
        (with("task_id", json!("none")), 404, "parent task not found"),
        (with("message_id", json!("MSG-none")), 404, "parent message not found"),
        (with("run_id", json!("other")), 400, "parent run_id mismatch"),
        (with("message_id", lonely["msg_id"].clone()), 400, "source message has empty run_id"),
        (with("message_id", info["msg_id"].clone()), 409, "\"USER\" is not supported"),
        (with("project_id", json!("../p")), 400, "invalid project id"),
    ] {
        let answer = server.post("/api/v1/tasks", &body).expect(status);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{message}");
    }
    before.assert_same(&snapshot(&sandbox.root()));
}
