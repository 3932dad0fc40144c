//! Processes that write at once.

use super::kit::*;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Posts `count` messages with the bodies `<name>-<n>`; run as a process by the tests below.
#[test]
#[ignore = "a part of other tests"]
fn child_posts() {
    let Ok(folder) = std::env::var("BUS_TEST_FOLDER") else { return };
    die_with_parent();
    let name = std::env::var("BUS_TEST_NAME").unwrap();
    let count: u32 = std::env::var("BUS_TEST_COUNT").unwrap().parse().unwrap();
    let options = BusOptions::default().durability(Durability::Process);
    let bus = open_with(Path::new(&folder), options);
    for n in 0..count {
        let body = format!("{name}-{n}\n{}", "x".repeat((n as usize * 37) % 900));
        bus.post(Post::new("INFO", body), Wait::FOREVER).unwrap();
    }
}

/// Lets this process die with the test that started it.
pub(crate) fn die_with_parent() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
}

pub(crate) fn start_child(test: &str, folder: &Path, name: &str, count: u32) -> Child {
    let this: PathBuf = std::env::current_exe().unwrap();
    Command::new(this)
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env("BUS_TEST_FOLDER", folder)
        .env("BUS_TEST_NAME", name)
        .env("BUS_TEST_COUNT", count.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn processes_append_at_once_and_nothing_is_lost_doubled_or_out_of_order() {
    const PROCESSES: u32 = 4;
    const EACH: u32 = 300;
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let mut follower = bus.follow(&Cursor::START, SOON).unwrap();
    let children: Vec<_> = (0..PROCESSES)
        .map(|n| start_child("processes::child_posts", dir.path(), &format!("w{n}"), EACH))
        .collect();
    let mut followed = Vec::new();
    while followed.len() < (PROCESSES * EACH) as usize {
        let Some(event) = follower.next() else { panic!("only {} came", followed.len()) };
        let Event::Message(message) = event.unwrap() else { panic!("damage") };
        followed.push(message);
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
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
