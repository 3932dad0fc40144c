//! What it costs to follow a bus on which nothing happens: nothing.

use super::child::{Child, alone, fork};
use super::kit::*;
use conductor_core::{Work, wait_any};
use std::fs;
use std::time::{Duration, Instant};

/// How long nothing may be done. A follower that polls would look four times a second.
const WINDOW: Duration = Duration::from_secs(2);
/// Longer than it may take a process to come to rest.
const LATER: Duration = Duration::from_secs(120);

/// How often a process gave up its processor to wait; it cannot make a system call without getting one
/// back. `None` while it is at work.
fn rests(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    let switches: [u64; 2] = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"]
        .map(|name| field(name).parse().unwrap());
    field("State:").starts_with('S').then_some(switches.iter().sum())
}

/// Waits until a process has come to rest: it is found asleep again and again, and did not run in between.
fn comes_to_rest(child: &mut Child) {
    let begun = Instant::now();
    let (mut before, mut since) = (None, Instant::now());
    while since.elapsed() < WINDOW {
        assert!(begun.elapsed() < SOON && child.is_running(), "it never came to rest");
        let now = rests(child.pid());
        if now.is_none() || now != before {
            (before, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_follower_without_news_does_nothing_and_hears_the_first_word() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let last = say(&bus, "before");
    let mut child = fork(|| {
        let follower = open(dir.path()).follow(&last.cursor, LATER).unwrap();
        let Some(Ok(Event::Message(message))) = { follower }.next() else { panic!("no message") };
        assert_eq!(message.body, "news");
    });
    comes_to_rest(&mut child);
    say(&bus, "news");
    assert_eq!(child.wait(), 0);
}

/// One of them had news before, which is read up to its end.
#[test]
fn who_waits_for_many_buses_without_news_does_nothing_and_hears_the_first_word() {
    let _alone = alone();
    let dirs: Vec<_> = (0..12).map(|_| tempfile::tempdir().unwrap()).collect();
    let buses: Vec<Bus> = dirs.iter().map(|dir| open(dir.path())).collect();
    let ends: Vec<Cursor> = buses.iter().map(|bus| say(bus, "before").cursor).collect();
    say(&buses[3], "old news");
    let mut child = fork(|| {
        let follow = |(dir, end): (&tempfile::TempDir, &Cursor)| {
            open(dir.path()).follow(end, LATER).unwrap()
        };
        let mut followers: Vec<_> = dirs.iter().zip(&ends).map(follow).collect();
        for (place, news) in [(3, "old news"), (9, "news")] {
            let work: Vec<&dyn Work> = followers.iter().map(|one| one as &dyn Work).collect();
            assert_eq!(wait_any(&work, LATER).unwrap(), place);
            let Some(Ok(Event::Message(message))) = followers[place].next() else { panic!() };
            assert_eq!(message.body, news);
        }
    });
    comes_to_rest(&mut child);
    say(&buses[9], "news");
    assert_eq!(child.wait(), 0);
}
