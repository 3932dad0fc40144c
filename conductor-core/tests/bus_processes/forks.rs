//! Handles in a forked child are its parent's, and it has its own.

use super::child::{alone, fork};
use super::kit::*;
use conductor_core::{Step, wait_any};

fn forked<T>(answer: conductor_core::Result<T>, what: &str) {
    let Err(error) = answer else { panic!("{what} works in a forked child") };
    assert_eq!((error.code(), error.kind()), ("handle.forked", ErrorKind::InvalidInput), "{what}");
    assert!(!error.hint().is_empty());
}

#[test]
fn a_handle_is_refused_in_a_forked_child_and_a_new_one_works() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let first = say(&bus, "parent 1");
    let mut follower = bus.follow(&first.cursor, SOON).unwrap();
    assert_eq!(follower.step().unwrap(), Step::Pending);
    let reader = bus.read(ReadOptions::default()).unwrap();
    let mut handles = Some((bus, follower, reader));
    let mut child = fork(|| {
        let (bus, mut follower, mut reader) = handles.take().unwrap();
        forked(bus.post(Post::new("INFO", "x"), Wait::NONE), "post");
        forked(bus.post_many([Post::new("INFO", "x")], Wait::NONE), "post_many");
        forked(bus.append_once("k", None, Post::new("INFO", "x"), Wait::NONE), "append_once");
        forked(bus.rotate(Wait::NONE), "rotate");
        forked(bus.check(), "check");
        forked(bus.adopt_stragglers(Wait::NONE), "adopt_stragglers");
        forked(bus.remove_archives(9, None), "remove_archives");
        forked(bus.end(), "end");
        forked(bus.read(ReadOptions::default()).and_then(|mut r| r.next().unwrap()), "read");
        forked(bus.read_raw(&Cursor::START).and_then(|mut r| r.read().map(drop)), "read_raw");
        forked(bus.tail(1).map(drop), "tail");
        forked(wait_any(&[&follower], Wait::NONE), "wait_any");
        forked(follower.step(), "step");
        forked(reader.next().unwrap(), "a reader");
        // All of the parent's are dropped here, as the end of a worker does.
        drop((reader, follower, bus));
        let own = open(dir.path());
        say(&own, "child");
        let mut following = own.follow(&Cursor::START, SOON).unwrap();
        for expected in ["parent 1", "child"] {
            let Some(Ok(Event::Message(message))) = following.next() else { panic!() };
            assert_eq!(message.body, expected);
        }
    });
    assert_eq!(child.wait(), 0);
    // The parent's are as they were.
    let (bus, mut follower, reader) = handles.unwrap();
    for expected in ["child", "parent 2"] {
        let Some(Ok(Event::Message(message))) = follower.next() else { panic!() };
        assert_eq!(message.body, expected);
        if expected == "child" {
            say(&bus, "parent 2");
        }
    }
    assert_eq!(bodies(reader), ["parent 1", "child", "parent 2"]);
}

#[test]
fn a_forked_worker_that_lives_on_takes_no_news_of_its_parent() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let first = say(&bus, "1");
    let mut follower = bus.follow(&first.cursor, SOON).unwrap();
    assert_eq!(follower.step().unwrap(), Step::Pending);
    let mut follower = Some(follower);
    let mut worker = fork(|| {
        // A worker that follows, and takes its own news.
        let own = open(dir.path());
        let mut following = own.follow(&first.cursor, SOON).unwrap();
        drop(follower.take());
        while let Some(Ok(Event::Message(message))) = following.next() {
            if message.body == "50" {
                return;
            }
        }
        panic!("the worker missed news");
    });
    let mut follower = follower.unwrap();
    for n in 2..=50 {
        say(&bus, n.to_string());
        let Some(Ok(Event::Message(message))) = follower.next() else { panic!("{n} is missed") };
        assert_eq!(message.body, n.to_string());
    }
    assert_eq!(worker.wait(), 0);
}
