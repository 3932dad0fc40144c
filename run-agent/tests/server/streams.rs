//! Streams: nothing is missed, nothing comes twice, whoever restarts or rotates.

use crate::support::*;
use conductor_core::{Bus, Conductor, Durability, Options, Post, Wait};
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::json;
use std::path::Path;

fn root() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.root().join("p/t")).unwrap();
    sandbox
}

fn bus(sandbox: &Sandbox) -> Bus {
    let options = Options::default().durability(Durability::Process);
    let conductor = Conductor::open(sandbox.root(), options).unwrap();
    conductor.bus(("p", "t")).unwrap()
}

fn post(bus: &Bus, numbers: std::ops::Range<u32>) {
    let posts = numbers.map(|number| Post::new("FACT", number.to_string()));
    bus.post_many(posts, Wait::FOREVER).unwrap();
}

fn bodies(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.json()["body"].as_str().unwrap().to_owned()).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// A script that prints each line that is said to it, until `end`.
fn echo(gate: &Path) -> String {
    let gate = gate.display();
    format!(
        "exec 3<'{gate}'\nwhile read line <&3; do [ \"$line\" = end ] && break; echo \"$line\"; done
{DONE}"
    )
}

/// A named pipe.
fn gate(sandbox: &Sandbox) -> std::path::PathBuf {
    fifo(sandbox, "gate")
}

fn fifo(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    let path = sandbox.work().join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .unwrap();
    path
}

/// The end of the pipe that one speaks into, once the script listens.
fn open(gate: &Path) -> std::fs::File {
    std::fs::File::options().write(true).open(gate).unwrap()
}

fn say(mut gate: &std::fs::File, line: &str) {
    std::io::Write::write_all(&mut gate, format!("{line}\n").as_bytes()).unwrap();
}

const MESSAGES: &str = "/api/projects/p/tasks/t/messages/stream";

#[test]
fn a_client_gets_the_last_twenty_and_then_what_comes() {
    let sandbox = root();
    let bus = bus(&sandbox);
    post(&bus, 0..30);
    let server = Server::open(&sandbox);
    let mut events = server.follow(MESSAGES, None);
    assert_eq!(bodies(&events.several("message", 20)), numbers(10..30));
    post(&bus, 30..33);
    let new = events.several("message", 3);
    assert_eq!(bodies(&new), numbers(30..33));
    assert_eq!(new[2].id, new[2].json()["msg_id"].as_str().unwrap());
    // By the other path, and from a place.
    let mut again =
        server.follow("/api/v1/messages/stream?project_id=p&task_id=t", Some(&new[0].id));
    assert_eq!(bodies(&again.several("message", 2)), numbers(31..33));
}

#[test]
fn who_comes_back_misses_nothing_across_a_restart_and_a_rotation() {
    let sandbox = root();
    let bus = bus(&sandbox);
    post(&bus, 0..3);
    let server = Server::open(&sandbox);
    let mut events = server.follow(MESSAGES, None);
    let first = events.several("message", 3);
    server.running.signal(Signal::TERM);
    let _ended = server.running.finish().expect_code(0);
    assert_eq!(events.find(|event| event.name == "message"), None, "the stream ended");
    post(&bus, 3..5);
    bus.rotate(Wait::FOREVER).unwrap();
    post(&bus, 5..8);
    let server = Server::open(&sandbox);
    let mut events = server.follow(MESSAGES, Some(&first[2].id));
    assert_eq!(bodies(&events.several("message", 5)), numbers(3..8));
    bus.rotate(Wait::FOREVER).unwrap();
    post(&bus, 8..10);
    assert_eq!(bodies(&events.several("message", 2)), numbers(8..10));
}

#[test]
fn an_id_that_leads_nowhere_is_said_to_do_so() {
    let sandbox = root();
    post(&bus(&sandbox), 0..25);
    let server = Server::open(&sandbox);
    for id in ["MSG-20200101-000000-000000000-PID00001-0001", "not an id"] {
        let mut events = server.follow(MESSAGES, Some(id));
        let first = events.next().unwrap();
        assert_eq!(
            (first.name.as_str(), &first.json()["reason"]),
            ("resync", &json!("unknown_id"))
        );
        assert_eq!(bodies(&events.several("message", 20)), numbers(5..25));
    }
    server.get("/api/projects/p/tasks/none/messages/stream").expect(404);
    server.get("/api/projects/p/tasks/../messages/stream").expect(400);
}

#[test]
fn many_clients_get_each_message_once_and_in_order() {
    const CLIENTS: usize = 60;
    const MESSAGES_SENT: u32 = 500;
    let sandbox = root();
    let server = Server::open(&sandbox);
    let bus = bus(&sandbox);
    post(&bus, 0..1);
    let streams: Vec<Events> = (0..CLIENTS)
        .map(|_| {
            let mut events = server.follow(MESSAGES, None);
            assert_eq!(bodies(&[events.named("message")]), ["0"]);
            events
        })
        .collect();
    let readers: Vec<_> = streams
        .into_iter()
        .map(|mut events| {
            std::thread::spawn(move || bodies(&events.several("message", MESSAGES_SENT as usize)))
        })
        .collect();
    for number in 1..=MESSAGES_SENT {
        bus.post(Post::new("FACT", number.to_string()), Wait::FOREVER).unwrap();
    }
    for reader in readers {
        assert_eq!(reader.join().unwrap(), numbers(1..MESSAGES_SENT + 1));
    }
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("conductor_stream_clients "), "{metrics}");
}

#[test]
fn too_many_clients_of_one_thing_are_refused() {
    let sandbox = root();
    let config = sandbox.work().join("config.yaml");
    let text = "api: {auth: \"off\", sse: {max_clients_per_run: 2, heartbeat_interval_s: 1}}\n";
    std::fs::write(&config, text).unwrap();
    let server = Server::of(&sandbox, program(&sandbox).arg("--config").arg(&config));
    let first = server.follow(MESSAGES, None);
    let mut second = server.follow(MESSAGES, None);
    assert_eq!(server.get(MESSAGES).expect(429).code(), "stream.full");
    assert_eq!(second.named("heartbeat").data, "{}");
    drop(first);
    // The place is free once the server noticed that the client is gone.
    let deadline = std::time::Instant::now() + LONG;
    while server.get_head(MESSAGES) != 200 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_runs_lines_come_as_they_are_printed_and_again_from_any_place() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let gate = gate(&sandbox);
    let started = server.start_task("t", &echo(&gate));
    let gate = open(&gate);
    let path = format!("/api/v1/runs/{}/stream", started["run_id"].as_str().unwrap());
    let mut events = server.follow(&path, None);
    let status = events.named("status").json();
    assert_eq!((&status["status"], &status["exit_code"]), (&json!("running"), &json!(-1)));
    say(&gate, "one");
    let one = events.named("log");
    assert_eq!((&one.json()["line"], &one.json()["stream"]), (&json!("one"), &json!("stdout")));
    assert_eq!(one.id, "s=4;e=0");
    say(&gate, "two");
    say(&gate, "end");
    assert_eq!(events.named("log").json()["line"], "two");
    assert_eq!(events.named("log").json()["line"], "working");
    let end = events.find(|event| event.name == "status").unwrap().json();
    assert_eq!((&end["status"], &end["outcome"]), (&json!("completed"), &json!("completed")));
    for (id, lines) in [
        ("-1", &["one", "two", "working"][..]),
        ("0", &["one", "two", "working"]),
        (&one.id, &["two", "working"]),
    ] {
        let mut again = server.follow(&path, Some(id));
        assert_eq!(again.named("status").json()["status"], "completed");
        let told: Vec<_> = again.several("log", lines.len());
        let told: Vec<String> =
            told.iter().map(|event| event.json()["line"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told, lines, "{id}");
    }
    server.get("/api/v1/runs/none/stream").expect(404);
}

#[test]
fn a_file_is_followed_to_its_end() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let gate = gate(&sandbox);
    let started = server.start_task("t", &echo(&gate));
    let gate = open(&gate);
    let run = started["run_id"].as_str().unwrap();
    let path = format!("/api/projects/p/tasks/t/runs/{run}/stream?name=stdout");
    say(&gate, "na\u{ef}ve \u{20ac}");
    let mut events = server.follow(&path, None);
    let mut text = String::new();
    while !text.ends_with('\n') {
        text.push_str(&events.news().unwrap().data);
    }
    assert_eq!(text, "na\u{ef}ve \u{20ac}\n");
    let place = events.last_id.clone().unwrap();
    say(&gate, "end");
    let mut rest = String::new();
    let end = loop {
        let event = events.news().unwrap();
        if event.name == "done" {
            break event;
        }
        rest.push_str(&event.data);
    };
    assert_eq!((rest.as_str(), end.data.as_str()), ("working\n", "run completed"));
    assert_eq!(events.next(), None, "the stream ends with the run");
    let mut again = server.follow(&path, Some(&place));
    assert_eq!(again.next().unwrap().data, "working\n");
    assert_eq!((again.next().unwrap().name.as_str(), again.next()), ("done", None));
    server.get(&format!("/api/projects/p/tasks/t/runs/{run}/stream?name=x")).expect(404);
}

#[test]
fn all_runs_are_told_as_they_begin_and_end_with_what_they_print() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let mut all = server.follow("/api/v1/runs/stream/all", None);
    let gate = gate(&sandbox);
    server.start_task("t", &echo(&gate));
    let gate = open(&gate);
    let began = all.named("status").json();
    assert_eq!((&began["status"], &began["task_id"]), (&json!("running"), &json!("t")));
    let mut of_task = server.follow("/api/projects/p/tasks/t/runs/stream", None);
    assert_eq!(of_task.named("status").json()["status"], "running");
    say(&gate, "hello");
    assert_eq!(all.named("log").json()["line"], "hello");
    assert_eq!(of_task.named("log").json()["line"], "hello");
    say(&gate, "end");
    let is_end = |event: &Event| event.name == "status" && event.json()["status"] == "completed";
    assert!(all.any(|event| is_end(&event)));
    // Another task's runs are not this one's.
    server.start_task("u", DONE);
    server.await_json("/api/v1/tasks/u", |task| task["status"] == "all_finished");
    // Who still drives it would go on with it.
    until_nothing_is_driven(&sandbox);
    std::fs::remove_file(sandbox.root().join("p/t/DONE")).unwrap();
    let again = fifo(&sandbox, "again");
    let body = json!({
        "project_id": "p", "task_id": "t", "attach_mode": "resume", "agent_type": "shell",
        "prompt": echo(&again),
    });
    let second = server.post("/api/v1/tasks", &body).expect(201).json();
    let again = open(&again);
    let mut began = false;
    for event in of_task.filter(|event| event.name != "heartbeat") {
        let told = event.json();
        assert_eq!(told["task_id"], "t");
        if told["run_id"] == second["run_id"] && !began {
            began = true;
            say(&again, "end");
        }
        if is_end(&event) && told["run_id"] == second["run_id"] {
            return;
        }
    }
    panic!("the second run was not told");
}

#[test]
fn several_things_come_in_one_stream_and_its_id_holds_a_place_in_each() {
    let sandbox = root();
    let server = Server::open(&sandbox);
    let task = bus(&sandbox);
    let conductor = Conductor::open(sandbox.root(), Options::default()).unwrap();
    let project = conductor.bus("p").unwrap();
    post(&task, 0..2);
    post(&project, 100..101);
    let path = "/api/v1/events?topics=runs,messages:p/t,messages:p";
    let mut events = server.follow(path, None);
    let mut told = events.several("message", 3);
    told.sort_by_key(|event| event.json()["body"].as_str().unwrap().to_owned());
    assert_eq!(bodies(&told), ["0", "1", "100"]);
    assert_eq!(told[0].json()["topic"], "messages:p/t");
    assert_eq!(told[2].json()["topic"], "messages:p");
    post(&task, 2..3);
    assert_eq!(bodies(&[events.named("message")]), ["2"]);
    // The id comes behind the events that it stands for.
    post(&project, 101..102);
    assert_eq!(bodies(&[events.named("message")]), ["101"]);
    let id = events.last_id.clone().unwrap();
    assert_eq!(id.split(',').count(), 3, "{id}");
    drop(events);
    post(&task, 3..5);
    let mut again = server.follow(path, Some(&id));
    let mut missed = again.several("message", 3);
    missed.sort_by_key(|event| event.json()["body"].as_str().unwrap().to_owned());
    // What came behind the id was told, and is told again: the id before it was the last one.
    assert_eq!(bodies(&missed), ["101", "3", "4"]);
    let mut other = server.follow(path, Some("a,b"));
    assert_eq!(other.named("resync").json()["reason"], "unknown_id");
    for topics in ["", "nothing", "messages:../x", "log:p"] {
        server.get(&format!("/api/v1/events?topics={topics}")).expect(400);
    }
    server.get("/api/v1/events?topics=messages:none").expect(404);
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let sandbox = root();
    let server = Server::open(&sandbox);
    let bus = bus(&sandbox);
    post(&bus, 0..1);
    let mut slow = server.connect();
    let head = format!("GET {MESSAGES} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    std::io::Write::write_all(&mut slow, head.as_bytes()).unwrap();
    // It follows by now, and reads no further.
    let mut text = String::new();
    while !text.ends_with("event: message\n") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut slow, &mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    let mut quick = server.follow(MESSAGES, None);
    quick.named("message");
    // More than all that lies between the server and a client.
    let big = "x".repeat(256 << 10);
    let (reads, read) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for number in 0..130 {
            quick.named("message");
            reads.send(number).unwrap();
        }
    });
    for number in 0..130 {
        bus.post(Post::new("FACT", big.clone()), Wait::FOREVER).unwrap();
        // One that reads is quick, however late this machine lets it.
        if number >= 16 {
            assert_eq!(read.recv_timeout(LONG).unwrap(), number - 16);
        }
    }
    reader.join().unwrap();
    std::io::Read::read_to_string(&mut slow, &mut text).unwrap();
    assert!(
        text.contains("event: resync\ndata: {\"reason\":\"slow\"}"),
        "it was told to come again"
    );
}
