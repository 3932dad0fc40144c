//! Processes that write at once.

use super::child::{alone, fork};
use super::kit::*;
use conductor_core::sys::LockKind;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Posts `count` messages with the bodies `<name>-<n>`.
fn post(folder: &Path, name: &str, count: u32) {
    let options = BusOptions::default().durability(Durability::Process);
    let bus = open_with(folder, options);
    for n in 0..count {
        let body = format!("{name}-{n}\n{}", "x".repeat((n as usize * 37) % 900));
        bus.post(Post::new("INFO", body), Wait::FOREVER).unwrap();
    }
}

#[test]
fn processes_append_at_once_and_nothing_is_lost_doubled_or_out_of_order() {
    const PROCESSES: u32 = 4;
    const EACH: u32 = 300;
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let mut follower = bus.follow(&Cursor::START, SOON).unwrap();
    let children: Vec<_> =
        (0..PROCESSES).map(|n| fork(|| post(dir.path(), &format!("w{n}"), EACH))).collect();
    let mut followed = Vec::new();
    while followed.len() < (PROCESSES * EACH) as usize {
        let Some(event) = follower.next() else { panic!("only {} came", followed.len()) };
        let Event::Message(message) = event.unwrap() else { panic!("damage") };
        followed.push(message);
    }
    for mut child in children {
        assert_eq!(child.wait(), 0);
    }
    assert_eq!(messages(bus.read(ReadOptions::default()).unwrap()), followed);
    for (at, pair) in followed.windows(2).enumerate() {
        assert_eq!(pair[0].seq, Some(at as u64 + 2));
        assert!(pair[0].msg_id.as_str() < pair[1].msg_id.as_str());
    }
    for n in 0..PROCESSES {
        let own: Vec<_> = followed
            .iter()
            .filter_map(|message| message.body.lines().next()?.strip_prefix(&format!("w{n}-")))
            .collect();
        let expected: Vec<_> = (0..EACH).map(|n| n.to_string()).collect();
        assert_eq!(own, expected);
    }
    assert_eq!(names(dir.path()), [NAME]);
}

/// They all stand before the lock when it is given free, and each gets it in time, every time.
#[test]
fn sixty_four_writers_that_wait_at_once_all_get_their_turns() {
    const WRITERS: u32 = 64;
    const EACH: u32 = 20;
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    say(&bus, "first");
    let gate = folder(dir.path()).lock(NAME, LockKind::Exclusive, &Wait::FOREVER).unwrap();
    let (mut ready, at_the_gate) = std::io::pipe().unwrap();
    let work = |n: u32| {
        let bus = open_with(dir.path(), BusOptions::default().durability(Durability::Process));
        let mut longest = Duration::ZERO;
        (&at_the_gate).write_all(&[1]).unwrap();
        for round in 0..EACH {
            let began = Instant::now();
            bus.post(Post::new("INFO", format!("{n} {round}")), SOON).unwrap();
            longest = longest.max(began.elapsed());
        }
        bus.post(Post::new("LONGEST", longest.as_micros().to_string()), SOON).unwrap();
    };
    let children: Vec<_> = (0..WRITERS).map(|n| fork(|| work(n))).collect();
    ready.read_exact(&mut [0; WRITERS as usize]).unwrap();
    drop(gate);
    for mut child in children {
        assert_eq!(child.wait(), 0, "one did not get the lock");
    }
    let read = messages(bus.read(ReadOptions::default()).unwrap());
    let bodies = |msg_type| {
        let of_type = read.iter().filter(move |message| message.msg_type == msg_type);
        of_type.map(|message| message.body.as_str())
    };
    let mut told: Vec<&str> = bodies("INFO").filter(|body| *body != "first").collect();
    told.sort_unstable();
    let rounds = (0..WRITERS).flat_map(|n| (0..EACH).map(move |round| format!("{n} {round}")));
    let mut expected: Vec<String> = rounds.collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
    let longest = bodies("LONGEST").map(|body| body.parse::<u64>().unwrap()).max().unwrap();
    println!("the longest of {} posts took {longest} us", WRITERS * EACH);
}
