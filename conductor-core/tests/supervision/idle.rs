//! What it costs to wait: nothing.

use crate::kit::*;
use crate::support::*;
use conductor_core::{Outcome, Step, TaskSpec};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a driver has to do nothing at all, in seconds; `CONDUCTOR_TEST_IDLE` asks for more.
const WINDOW: u64 = 3;
/// How many such times there are for it: it takes a while to come to rest.
const TRIES: usize = 20;

#[test]
fn host_drives_a_silent_agent() {
    let Some((_, conductor)) = hosted() else { return };
    let spec = TaskSpec::new("shop").task("fix").agent("shell").prompt("exec sleep 1000");
    let task = conductor.tasks().start(spec, LONG).unwrap();
    println!("drives");
    task.wait(Duration::from_secs(1000)).unwrap();
}

#[test]
fn host_drives_a_silent_agent_with_limits() {
    let Some((_, conductor)) = hosted() else { return };
    let spec = TaskSpec::new("shop").task("fix").agent("claude").prompt("x").max_tokens(1000);
    let task = conductor.tasks().start(spec, LONG).unwrap();
    // What it printed is read, in looks a second apart, until one finds nothing.
    let output = conductor.runs().list(&of("fix").0, &of("fix").1).unwrap().remove(0).unwrap();
    let output = output.folder.join("agent-stdout.txt");
    drive_until(&task, "it printed", || std::fs::metadata(&output).unwrap().len() > 0);
    until("nothing is new", || {
        task.step().unwrap();
        sleeps(task.fd(), Duration::from_secs(3))
    });
    println!("drives");
    task.wait(Duration::from_secs(1000)).unwrap();
}

/// Every file below a folder with its length and its last change.
pub(crate) fn files(folder: &Path, into: &mut BTreeMap<PathBuf, (u64, std::time::SystemTime)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        into.insert(entry.path(), (meta.len(), meta.modified().unwrap()));
        if meta.is_dir() {
            files(&entry.path(), into);
        }
    }
}

#[test]
fn a_driver_with_a_silent_agent_writes_nothing_and_calls_nobody() {
    writes_nothing_and_calls_nobody("idle::host_drives_a_silent_agent");
}

#[test]
fn nor_does_one_that_watches_what_the_agent_uses() {
    writes_nothing_and_calls_nobody("idle::host_drives_a_silent_agent_with_limits");
}

fn writes_nothing_and_calls_nobody(host: &str) {
    let window = std::env::var("CONDUCTOR_TEST_IDLE").map_or(WINDOW, |text| text.parse().unwrap());
    let shop = Shop::new("");
    shop.agent("claude", "echo '{\"type\":\"assistant\"}'; exec sleep 1000");
    let mut host = shop.host(host, &[]);
    host.says("drives");
    let look = || {
        let mut written = BTreeMap::new();
        files(&shop.root.path(), &mut written);
        (turns(host.child.id()), written)
    };
    // One that looks every second has no such time.
    let rests = (0..TRIES).any(|_| {
        let before = look();
        std::thread::sleep(Duration::from_secs(window));
        before == look()
    });
    assert!(rests, "in no {window} s of {TRIES} it wrote nothing and had no turn on a processor");
    host.kill();
}

/// How often each thread of a process has left a processor. One that makes a system call had a turn before.
fn turns(pid: u32) -> BTreeMap<PathBuf, Vec<String>> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let turns = threads.map(|thread| {
        let thread = thread.unwrap().path();
        // One that ended meanwhile is one less the next time.
        let status = std::fs::read_to_string(thread.join("status")).unwrap_or_default();
        let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
        (thread, switches.map(str::to_owned).collect())
    });
    let turns: BTreeMap<PathBuf, Vec<String>> = turns.collect();
    assert!(turns.values().any(|switches| switches.len() == 2), "the kernel tells no turns");
    turns
}

#[test]
fn who_waits_while_another_writes_the_end_down_rests_between_two_looks() {
    let root = root();
    let run = root.conductor.jobs().start(job("while [ ! -e go ]; do sleep 0.01; done"), LONG);
    let run = run.unwrap();
    // From here on it is woken by the end of the keeper.
    assert!(matches!(run.step().unwrap(), Step::Pending));
    let lock = File::open(run.folder().join(".run.lock")).unwrap();
    std::fs::write(root.task_folder().join("go"), "").unwrap();
    // Had once the keeper has given it back.
    lock.lock().unwrap();
    until("its descriptor is not readable", || {
        assert!(matches!(run.step().unwrap(), Step::Pending));
        sleeps(run.fd(), Duration::ZERO)
    });
    lock.unlock().unwrap();
    assert_eq!(run.wait(LONG).unwrap().outcome(), Some(Outcome::Completed));
}
