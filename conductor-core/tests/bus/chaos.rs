//! Writers and followers that are killed at any moment, while the bus rotates under them.
//!
//! Each process keeps a log of what it began and what was acknowledged to it. In the end the files
//! are judged by the checker against all logs.

use super::checker::{Seals, read_bus};
use super::dice::Dice;
use super::kit::*;
use super::processes::{die_with_parent, start_child};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

const WRITERS: usize = 4;
const FOLLOWERS: usize = 2;
/// Kills in a test run; `BUS_CHAOS_KILLS` asks for another number.
const KILLS: usize = 300;

fn monotonic() -> u128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u128::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u128::try_from(now.tv_nsec).unwrap()
}

fn log(folder: &str, name: &str) -> fs::File {
    let path = Path::new(folder).join("logs").join(name);
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

fn chaos_bus(folder: &str) -> Bus {
    let options = BusOptions::default().durability(Durability::Process).max_size(16 << 10);
    open_with(Path::new(folder), options)
}

/// Posts until it is killed.
#[test]
#[ignore = "a part of other tests"]
fn child_writes() {
    let Ok(folder) = std::env::var("BUS_TEST_FOLDER") else { return };
    die_with_parent();
    let name = std::env::var("BUS_TEST_NAME").unwrap();
    let bus = chaos_bus(&folder);
    let mut log = log(&folder, &format!("w-{name}"));
    for n in 0.. {
        let key = format!("{name}.{n}");
        let filler = "---\nmsg_id: MSG-FORGED\n".repeat(n % 7) + &"x".repeat(n * 131 % 3000);
        writeln!(log, "begin {key} {}", monotonic()).unwrap();
        let posted = bus.post(Post::new("INFO", format!("{key}\n{filler}")), SOON).unwrap();
        writeln!(log, "ack {key} {} {} {}", monotonic(), posted.seq, posted.msg_id).unwrap();
    }
}

/// Follows until it is killed, from where its predecessor was.
#[test]
#[ignore = "a part of other tests"]
fn child_follows() {
    let Ok(folder) = std::env::var("BUS_TEST_FOLDER") else { return };
    die_with_parent();
    let name = format!("f-{}", std::env::var("BUS_TEST_NAME").unwrap());
    let path = Path::new(&folder).join("logs").join(&name);
    let text = fs::read_to_string(&path).unwrap_or_default();
    // A line that was cut off was not committed.
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    fs::write(&path, whole).unwrap();
    let last = whole.lines().last().and_then(|line| line.split(' ').next());
    let after = last.map_or(Cursor::START, |cursor| cursor.parse().unwrap());
    let mut log = log(&folder, &name);
    for event in chaos_bus(&folder).follow(&after, Wait::FOREVER).unwrap() {
        match event.unwrap() {
            Event::Message(message) => {
                let key = message.body.lines().next().unwrap();
                writeln!(log, "{} {key}", message.cursor).unwrap();
            }
            other => {
                writeln!(log, "{other:?}").unwrap();
                panic!("{other:?}");
            }
        }
    }
}

#[test]
fn nothing_is_lost_whoever_is_killed_while_the_bus_rotates() {
    let kills = std::env::var("BUS_CHAOS_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let seed = std::env::var("BUS_CHAOS_SEED").ok().and_then(|n| n.parse().ok());
    let seed = seed.unwrap_or_else(|| monotonic() as u64);
    println!("BUS_CHAOS_SEED={seed}");
    let mut dice = Dice::new(seed);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("logs")).unwrap();
    let mut count = 0;
    let mut start = |at: usize| {
        count += 1;
        match at < WRITERS {
            true => start_child("chaos::child_writes", dir.path(), &count.to_string(), 0),
            false => start_child("chaos::child_follows", dir.path(), &at.to_string(), 0),
        }
    };
    let mut children: Vec<Child> = (0..WRITERS + FOLLOWERS).map(&mut start).collect();
    let mut seals = Seals::default();
    for kill in 0..kills {
        std::thread::sleep(Duration::from_micros(dice.roll(15_000)));
        let victim = dice.roll(children.len() as u64) as usize;
        if dice.roll(20) == 0 {
            let pid = Pid::from_child(&children[victim]);
            kill_process(pid, Signal::STOP).unwrap();
            std::thread::sleep(Duration::from_millis(dice.roll(30)));
            kill_process(pid, Signal::CONT).unwrap();
        }
        if kill % 50 == 0 {
            seals.look(dir.path(), false);
        }
        assert_eq!(children[victim].try_wait().unwrap(), None, "a process failed by itself");
        children[victim].kill().unwrap();
        children[victim].wait().unwrap();
        children[victim] = start(victim);
    }
    for writer in &mut children[..WRITERS] {
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
    // The next writer repairs what the killed ones left; then the followers catch up.
    let last = say(&chaos_bus(dir.path().to_str().unwrap()), "last\n");
    let deadline = Instant::now() + 10 * SOON;
    for (at, follower) in children.iter_mut().enumerate().skip(WRITERS) {
        let path = dir.path().join(format!("logs/f-{at}"));
        while !fs::read_to_string(&path).unwrap_or_default().ends_with(" last\n") {
            assert!(Instant::now() < deadline, "a follower does not come to the end");
            assert_eq!(follower.try_wait().unwrap(), None, "a follower failed");
            std::thread::sleep(Duration::from_millis(5));
        }
        follower.kill().unwrap();
        follower.wait().unwrap();
    }
    seals.look(dir.path(), true);
    judge(dir.path(), last.seq);
    println!("{kills} kills, {} rotations, {} records", seals.len(), last.seq);
}

fn judge(folder: &Path, last_seq: u64) {
    let records = read_bus(folder, NAME);
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
