//! An update while there is much to do: nothing is interrupted, nobody is refused a connection.

use crate::candidate;
use crate::support::*;
use crate::update::{Flag, PATH, Served, cli};
use conductor_tests::process::Running;
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};

const HALF: usize = 10;

/// A client that calls in a loop until it is told to end: what went wrong, and the versions that answered.
fn call(server: &Server, ends: &AtomicBool, keeps: bool) -> (Vec<String>, Vec<String>) {
    let kept = ureq::Agent::new_with_defaults();
    let (mut wrong, mut versions) = (Vec::new(), Vec::new());
    loop {
        // The last call begins when all is over: what answered before may have been the old one.
        let is_last = ends.load(Ordering::Relaxed);
        let agent = if keeps { kept.clone() } else { ureq::Agent::new_with_defaults() };
        let answer = agent.get(server.url("/api/v1/version")).call();
        match answer.and_then(|mut answer| answer.body_mut().read_to_string()) {
            Ok(text) => {
                let said: serde_json::Value = serde_json::from_str(&text).unwrap();
                let version = said["version"].as_str().unwrap().to_owned();
                if versions.last() != Some(&version) {
                    versions.push(version);
                }
            }
            Err(error) => wrong.push(format!("{error}: {error:?}")),
        }
        if is_last {
            return (wrong, versions);
        }
        // The system remembers each connection for a minute, and has only so many ports.
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// A client that only connects: how often it was refused.
fn connect(server: &Server, ends: &AtomicBool) -> u32 {
    let mut refused = 0;
    while !ends.load(Ordering::Relaxed) {
        refused += u32::from(TcpStream::connect(&server.address).is_err());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    refused
}

/// Follows the messages of the task, coming back as a browser does, up to the one that says "the last". Says
/// when it has "the first".
fn follow(server: &Server, follows: &Sender<()>) -> Vec<String> {
    let (mut bodies, mut last_id): (Vec<String>, Option<String>) =
        (Vec::new(), Some("start".into()));
    while bodies.last().is_none_or(|body| body != "the last") {
        let mut events = server.follow("/api/projects/p/messages/stream", last_id.as_deref());
        for event in events.by_ref().filter(|event| event.name == "message") {
            bodies.push(event.json()["body"].as_str().unwrap().to_owned());
            if bodies.last().is_some_and(|body| body == "the first") {
                follows.send(()).unwrap();
            }
            if bodies.last().is_some_and(|body| body == "the last") {
                break;
            }
        }
        last_id = events.last_id.or(last_id);
    }
    bodies
}

/// Posts until told to end, then "the last"; how many before that.
fn post(server: &Server, ends: &AtomicBool, posted: &AtomicU32) {
    while !ends.load(Ordering::Relaxed) {
        say(server, &posted.fetch_add(1, Ordering::Relaxed).to_string());
    }
    say(server, "the last");
}

fn say(server: &Server, body: &str) {
    server.post("/api/projects/p/messages", &json!({"body": body})).expect(201);
}

/// Jobs of the command line that run until the gate opens.
fn jobs(served: &Served, gate: &Path, child: &Path) -> Vec<Running> {
    let script = waits_for(gate);
    let program = env!("CARGO_BIN_EXE_run-agent");
    // The first starts a run of its own when it is let.
    let (go, done) = (child.display(), child.with_extension("done"));
    let starts = format!(
        "until [ -e {go} ]; do sleep 0.05; done; {program} job --project p --task child --agent shell \
         --prompt true && touch {}; {script}",
        done.display()
    );
    let script_of = |number| if number == 0 { &starts } else { &script };
    let start = |number| {
        let task = format!("job{number}");
        let words = ["job", "--project", "p", "--agent", "shell", "--task", &task, "--prompt"];
        cli(&served.sandbox).args(words).arg(script_of(number)).start()
    };
    (0..HALF).map(start).collect()
}

#[test]
fn nobody_is_interrupted_and_nobody_is_refused_a_connection() {
    let served = Served::new();
    let server = &served.server;
    let (gate, child) = (served.sandbox.work().join("gate"), served.sandbox.work().join("child"));
    for number in 0..HALF {
        server.start_task(&format!("task{number}"), &waits_for(&gate));
    }
    let jobs = jobs(&served, &gate, &child);
    server.await_json(PATH, |status| status["active_runs_now"] == 2 * HALF);

    let newer = candidate::newer();
    candidate::real(&served.candidate(), &newer);
    let status = served.start(&served.candidate());
    assert_eq!((&status["state"], &status["active_runs_now"]), (&"deferred".into(), &20.into()));

    // New root runs are refused, whoever asks.
    let new = json!({"project_id": "p", "task_id": "new", "agent_type": "shell", "prompt": DONE});
    let refused = server.post("/api/v1/tasks", &new).expect(409);
    let error = &refused.json()["error"];
    assert_eq!(
        error["message"],
        "self-update drain is in progress; task creation is temporarily unavailable"
    );
    assert_eq!(
        (&error["details"]["self_update_state"], refused.code().as_str()),
        (&"deferred".into(), "update.in_progress")
    );
    let what = "--project p --task new --agent shell --prompt true";
    for told in [served.cli(&format!("job {what}")), served.cli(&format!("task {what}"))] {
        assert!(told.expect_code(27).stderr.contains("no new root run starts until then"));
    }
    let _told = served.ask(&format!("job submit {what}")).expect_code(27);
    assert!(!served.sandbox.root().join("p/new").exists());
    // The work of a run that lives is not.
    fs::write(&child, "").unwrap();
    let done = child.with_extension("done");
    server.await_json(PATH, |_| done.exists());
    assert_eq!(served.status()["state"], "deferred");

    let (ends, posted) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let over = Flag(&ends);
        let callers = [true, true, false, false].map(|keeps| {
            scope.spawn({
                let ends = &ends;
                move || call(server, ends, keeps)
            })
        });
        let connects = scope.spawn(|| connect(server, &ends));
        // What comes later than the last twenty is told only to those who follow.
        say(server, "the first");
        let (tell, told) = channel();
        let follows = scope.spawn(move || follow(server, &tell));
        told.recv_timeout(LONG).unwrap();
        let posts = scope.spawn(|| post(server, &ends, &posted));
        fs::write(&gate, "").unwrap();
        server.await_json(PATH, |status| status["installed_version"] == newer.as_str());
        server.await_json("/api/v1/version", |said| said["version"] == newer.as_str());
        // Until the old worker is gone.
        server.await_json(PATH, |_| served.sandbox.living().len() == 2);
        drop(over);
        for caller in callers {
            let (wrong, versions) = caller.join().unwrap();
            assert_eq!(wrong, Vec::<String>::new());
            assert_eq!(versions.last(), Some(&newer), "{versions:?}");
        }
        assert_eq!(connects.join().unwrap(), 0);
        posts.join().unwrap();
        let mut expected: Vec<String> =
            (0..posted.load(Ordering::Relaxed)).map(|number| number.to_string()).collect();
        expected.push("the last".to_owned());
        let told = follows.join().unwrap();
        let told: Vec<String> = told.into_iter().filter(|body| expected.contains(body)).collect();
        assert_eq!(told, expected, "each message once, and in order");
    });

    for job in jobs {
        let _ended = job.finish().expect_code(0);
    }
    let runs = server.json("/api/v1/runs");
    let runs = runs["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2 * HALF + 1);
    for run in runs {
        assert_eq!((&run["status"], &run["exit_code"]), (&"completed".into(), &0.into()), "{run}");
    }
    server.post("/api/v1/tasks", &new).expect(201);
    served.until_serves(&newer);
    // The process that was started is still the server.
    served.server.running.signal(Signal::TERM);
    let _ended = served.server.running.finish().expect_code(0);
}
