//! Waiting for many at once: runs, tasks and buses, in one thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use conductor_core::{Cancel, Cursor, ErrorKind, Event, Post, Step, Wait, wait_any};
use std::fs;
use support::*;

/// Is done with its second attempt.
const TWO: &str = "echo x >>count; [ $(wc -l <count) -lt 2 ] || touch DONE";

#[test]
fn many_are_waited_for_in_one_thread() {
    let root = root();
    let gate = |name: &str| root.dir.path().join(name);
    let script =
        |name: &str| format!("while [ ! -e {} ]; do sleep 0.01; done", gate(name).display());
    let slow = root.conductor.jobs().start(job(&script("slow")), LONG).unwrap();
    let fast = root.conductor.jobs().start(job(&script("fast")), LONG).unwrap();
    let two = root.conductor.tasks().start(task(TWO), LONG).unwrap();
    let error = wait_any(&[&slow, &fast], Wait::NONE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // The task is driven through its attempts by this very wait.
    assert_eq!(wait_any(&[&slow, &two, &fast], LONG).unwrap(), 1);
    assert_eq!(two.wait(Wait::NONE).unwrap().attempts, 2);
    fs::write(gate("fast"), "").unwrap();
    assert_eq!(wait_any(&[&slow, &fast], LONG).unwrap(), 1);
    fs::write(gate("slow"), "").unwrap();
    assert_eq!(wait_any(&[&slow], LONG).unwrap(), 0);
    assert_eq!(wait_any(&[], LONG).unwrap_err().code(), "wait.nothing");
}

#[test]
fn several_buses_are_waited_for_at_once_and_beside_work() {
    let root = root();
    let gate = root.dir.path().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.01; done", gate.display());
    let run = root.conductor.jobs().start(job(&script), LONG).unwrap();
    let tell = |task: &str, text: &str| {
        let bus = root.conductor.bus(("shop", task)).unwrap();
        bus.post(Post::new("FACT", text), LONG).unwrap();
    };
    for task in ["a", "b"] {
        root.conductor.jobs().start(job("true").task(task), LONG).unwrap().wait(LONG).unwrap();
    }
    let follow = |task: &str| {
        let bus = root.conductor.bus(("shop", task)).unwrap();
        bus.follow(&Cursor::END, LONG).unwrap()
    };
    let (mut a, mut b) = (follow("a"), follow("b"));
    let error = wait_any(&[&a, &run, &b], Wait::NONE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    std::thread::scope(|scope| {
        scope.spawn(|| tell("b", "news"));
        assert_eq!(wait_any(&[&a, &run, &b], LONG).unwrap(), 2);
    });
    // Looking takes nothing: it is there for the next wait, and for the step.
    assert_eq!(wait_any(&[&a, &run, &b], LONG).unwrap(), 2);
    let body = |step: Step<Event>| match step {
        Step::Ready(Event::Message(message)) => Some(message.body),
        _ => None,
    };
    assert_eq!(body(b.step().unwrap()).as_deref(), Some("news"));
    assert_eq!(b.step().unwrap(), Step::Pending);
    fs::write(gate, "").unwrap();
    assert_eq!(wait_any(&[&a, &run, &b], LONG).unwrap(), 1);
    tell("a", "more");
    assert_eq!(wait_any(&[&a, &b], LONG).unwrap(), 0);
    assert_eq!(body(a.step().unwrap()).as_deref(), Some("more"));
    // A follower whose own switch is set has no more to tell, and says so.
    let cancel = Cancel::new();
    let bus = root.conductor.bus(("shop", "b")).unwrap();
    let cancelled = bus.follow(&Cursor::END, &cancel).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| cancel.set());
        let error = wait_any(&[&a, &cancelled], LONG).unwrap_err();
        assert_eq!(error.code(), "wait.cancelled");
    });
}
