//! Writers, followers, a rotator and a retainer that are killed at any moment.
//!
//! Each process keeps a log of what it began and what was acknowledged to it. In the end the files
//! are judged by the checker against all logs.

use super::child::{Child, alone, doom, fork, wait_for_any};
use super::dice::Dice;
use super::kit::*;
use super::whole::{Seals, read_bus};
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

const WRITERS: usize = 4;
const FOLLOWERS: usize = 2;
/// Kills in a test run.
const KILLS: u64 = 400;
/// Kills before all is judged, and begun anew.
const ROUND: u64 = 1000;
/// Where archives are kept that were removed from the bus.
const KEPT: &str = "kept";

fn monotonic() -> u128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u128::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u128::try_from(now.tv_nsec).unwrap()
}

fn log(folder: &Path, name: &str) -> fs::File {
    let path = folder.join("logs").join(name);
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// What a follower logged, without a line that was cut off.
fn followed(folder: &Path, name: &str) -> String {
    let mut text = fs::read_to_string(folder.join("logs").join(name)).unwrap_or_default();
    text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
    text
}

/// The cursor behind what a follower logged.
fn committed(text: &str) -> Cursor {
    let last = text.lines().last().and_then(|line| line.split(' ').next());
    last.map_or(Cursor::START, |cursor| cursor.parse().unwrap())
}

fn chaos_bus(folder: &Path) -> Bus {
    let options = BusOptions::default().durability(Durability::Process).max_size(3 << 10);
    open_with(folder, options)
}

/// Posts until it is killed.
fn write(folder: &Path, name: &str, dice: &mut Dice) {
    let bus = chaos_bus(folder);
    let mut log = log(folder, &format!("w-{name}"));
    for n in 0.. {
        let key = format!("{name}.{n}");
        let filler = "---\nmsg_id: MSG-FORGED\n".repeat(n % 7) + &"x".repeat(n * 131 % 2000);
        writeln!(log, "begin {key} {}", monotonic()).unwrap();
        perhaps_die(dice);
        let posted = bus.post(Post::new("INFO", format!("{key}\n{filler}")), SOON).unwrap();
        writeln!(log, "ack {key} {} {} {}", monotonic(), posted.seq, posted.msg_id).unwrap();
    }
}

/// Once in a while this process is to be killed in the midst of what it does next.
fn perhaps_die(dice: &mut Dice) {
    if dice.roll(8) == 0 {
        // Most work takes some microseconds; rotations are longer, and wait for others.
        let most = [20, 100, 500, 3000][dice.roll(4) as usize];
        doom(dice, Duration::from_micros(most));
    }
}

/// Follows until it is killed, from where its predecessor was.
fn follow(folder: &Path, name: &str, dice: &mut Dice) {
    let text = followed(folder, name);
    let after = committed(&text);
    let mut log = log(folder, name);
    log.set_len(text.len() as u64).unwrap();
    for event in chaos_bus(folder).follow(&after, Wait::FOREVER).unwrap() {
        match event.unwrap() {
            Event::Message(message) => {
                let key = message.body.lines().next().unwrap();
                writeln!(log, "{} {key}", message.cursor).unwrap();
                if key != "last" && dice.roll(8) == 0 {
                    perhaps_die(dice);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Rotates until it is killed.
fn rotate(folder: &Path, dice: &mut Dice) {
    let bus = chaos_bus(folder);
    loop {
        std::thread::sleep(Duration::from_micros(500));
        perhaps_die(dice);
        bus.rotate(SOON).unwrap();
    }
}

/// Removes archives that all followers are done with, until it is killed. What is removed is kept
/// elsewhere for the judge.
fn retain(folder: &Path, dice: &mut Dice) {
    let bus = chaos_bus(folder);
    loop {
        let done = (0..FOLLOWERS).map(|at| {
            committed(&followed(folder, &format!("f-{}", WRITERS + at))).seq().unwrap_or(0)
        });
        let done = done.min().unwrap();
        let mut before = 0;
        for archive in archives(folder) {
            let name = archive.file_name().unwrap().to_str().unwrap();
            let last: u64 = name[name.len() - 29..name.len() - 9].parse().unwrap();
            if last >= done {
                break;
            }
            match fs::hard_link(&archive, folder.join(KEPT).join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    panic!("{error}")
                }
                _ => before = last + 1,
            }
        }
        perhaps_die(dice);
        bus.remove_archives(before, None).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Begins the process `at`; `count` tells the incarnations of writers apart.
fn start(folder: &Path, at: usize, count: u64, seed: u64) -> Child {
    fork(|| {
        let dice = &mut Dice::new(seed);
        match at {
            at if at < WRITERS => write(folder, &count.to_string(), dice),
            at if at < WRITERS + FOLLOWERS => follow(folder, &format!("f-{at}"), dice),
            at if at == WRITERS + FOLLOWERS => rotate(folder, dice),
            _ => retain(folder, dice),
        }
    })
}

/// A folder in memory where there is one: the death of a process is all that is tried here.
fn folder_for_chaos() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn nothing_is_lost_whoever_is_killed_while_the_bus_rotates() {
    let _alone = alone();
    let seed = std::env::var("BUS_SEED").ok().and_then(|n| n.parse().ok());
    let seed = seed.unwrap_or_else(|| monotonic() as u64);
    println!("BUS_SEED={seed}");
    let mut dice = Dice::new(seed);
    let (mut killed, mut rotations, mut records) = (0, 0, 0);
    let (total, began) = (count(KILLS), Instant::now());
    while killed < total {
        let before = killed / (10 * ROUND);
        let (more, rotated, recorded) = round(ROUND.min(total - killed), &mut dice);
        (killed, rotations, records) = (killed + more, rotations + rotated, records + recorded);
        if killed / (10 * ROUND) > before {
            let took = began.elapsed().as_secs();
            println!("{killed} kills, {rotations} rotations, {records} records in {took} s");
        }
    }
    let took = began.elapsed().as_secs();
    println!("{killed} kills, {rotations} rotations, {records} records in {took} s");
}

/// Kills processes on a bus of its own and judges it; gives the kills, the rotations and the records.
fn round(kills: u64, dice: &mut Dice) -> (u64, u64, u64) {
    let dir = folder_for_chaos();
    let folder = dir.path();
    fs::create_dir(folder.join("logs")).unwrap();
    fs::create_dir(folder.join(KEPT)).unwrap();
    let (mut killed, mut seals) = (0, Seals::default());
    let mut started = 0;
    let mut next = |at: usize, dice: &mut Dice| {
        started += 1;
        start(folder, at, started, dice.roll(u64::MAX))
    };
    let mut children: Vec<Child> =
        (0..WRITERS + FOLLOWERS + 2).map(|at| next(at, &mut *dice)).collect();
    while killed < kills {
        let (victim, how) = wait_for_any(&mut children);
        assert_eq!(how, 128 + libc::SIGKILL, "a process ended by itself");
        killed += 1;
        children[victim] = next(victim, &mut *dice);
        if dice.roll(20) == 0 {
            let stopped = &children[dice.roll(children.len() as u64) as usize];
            stopped.signal(libc::SIGSTOP);
            std::thread::sleep(Duration::from_micros(dice.roll(5000)));
            stopped.signal(libc::SIGCONT);
        }
        if killed % 100 == 0 {
            seals.look(&[&folder.join(KEPT), folder], false);
        }
    }
    for (at, child) in children.iter_mut().enumerate() {
        if !(WRITERS..WRITERS + FOLLOWERS).contains(&at) {
            child.kill();
        }
    }
    // The next writer repairs what the killed ones left; then the followers catch up.
    let last = say(&chaos_bus(folder), "last\n");
    let deadline = Instant::now() + 10 * SOON;
    for (at, child) in children.iter_mut().enumerate().skip(WRITERS).take(FOLLOWERS) {
        while !followed(folder, &format!("f-{at}")).ends_with(" last\n") {
            assert!(Instant::now() < deadline, "a follower does not come to the end");
            if !child.is_running() {
                // It was still to be killed.
                assert_eq!(child.wait(), 128 + libc::SIGKILL, "a follower failed");
                *child = next(at, &mut *dice);
                killed += 1;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill();
    }
    seals.look(&[&folder.join(KEPT), folder], true);
    judge(folder, last.seq);
    (killed, seals.len() as u64, last.seq)
}

fn judge(folder: &Path, last_seq: u64) {
    let records = read_bus(&[&folder.join(KEPT), folder], NAME);
    assert_eq!(records.last().unwrap().seq, last_seq);
    let mut by_key = HashMap::new();
    for record in records.iter().filter(|record| record.kind == "INFO") {
        let key = record.body.lines().next().unwrap();
        assert!(by_key.insert(key, record).is_none(), "{key} is there twice");
    }
    // Acknowledged: there, as it was acknowledged. Before it in time: before it in order.
    let (mut begun, mut acked) = (HashMap::new(), Vec::new());
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder.join("logs")).unwrap() {
        let path = entry.unwrap().path();
        let is_writer = path.file_name().unwrap().to_str().unwrap().starts_with("w-");
        texts.push((is_writer, fs::read_to_string(path).unwrap()));
    }
    for (_, text) in texts.iter().filter(|(is_writer, _)| *is_writer) {
        // A line that was cut off by a kill says nothing.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let time: u128 = words[2].parse().unwrap();
            if words[0] == "begin" {
                begun.insert(words[1], time);
                continue;
            }
            let record = by_key.get(words[1]);
            let record =
                record.unwrap_or_else(|| panic!("{} was acknowledged and is lost", words[1]));
            assert_eq!((record.seq.to_string().as_str(), record.id.as_str()), (words[3], words[4]));
            acked.push((time, begun[words[1]], record.seq));
        }
    }
    acked.sort_unstable();
    let mut by_begin = acked.clone();
    by_begin.sort_unstable_by_key(|(_, begin, _)| *begin);
    let (mut done, mut highest) = (acked.iter().peekable(), 0);
    for (_, begin, seq) in by_begin {
        while let Some((_, _, before)) = done.next_if(|(time, ..)| *time < begin) {
            highest = highest.max(*before);
        }
        assert!(highest < seq, "{seq} began after {highest} was acknowledged");
    }
    // Followers got every message once, in order.
    let expected: Vec<_> = records.iter().filter(|record| record.kind == "INFO").collect();
    for (_, text) in texts.iter().filter(|(is_writer, _)| !*is_writer) {
        let followed: Vec<_> = text.lines().collect();
        assert_eq!(followed.len(), expected.len());
        for (line, record) in followed.iter().zip(&expected) {
            let key = record.body.lines().next().unwrap();
            assert_eq!(**line, format!("c1:{}:{} {key}", record.seq, record.id));
        }
    }
}
