//! What it costs to wait: nothing.

use crate::kit::*;
use crate::support::*;
use conductor_core::{Outcome, Step, TaskSpec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the system calls of a driver are counted, in seconds; `CONDUCTOR_TEST_IDLE` asks for more.
const WINDOW: u64 = 3;

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
    let three_seconds = Timespec { tv_sec: 3, tv_nsec: 0 };
    loop {
        task.step().unwrap();
        let mut fds = [PollFd::from_borrowed_fd(task.fd(), PollFlags::IN)];
        if poll(&mut fds, Some(&three_seconds)).unwrap() == 0 {
            break;
        }
    }
    println!("drives");
    task.wait(Duration::from_secs(1000)).unwrap();
}

/// Every file below a folder with its length and its last change.
fn files(folder: &Path, into: &mut BTreeMap<PathBuf, (u64, std::time::SystemTime)>) {
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
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CONDUCTOR_TEST_STRICT").is_none(), "strace is missing");
        return;
    }
    let window = std::env::var("CONDUCTOR_TEST_IDLE").map_or(WINDOW, |text| text.parse().unwrap());
    let shop = Shop::new("");
    shop.agent("claude", "echo '{\"type\":\"assistant\"}'; exec sleep 1000");
    let mut host = shop.host(host, &[]);
    host.says("drives");
    let asleep = |pid: u32| {
        let path = format!("/proc/{pid}/task");
        std::fs::read_dir(path).unwrap().all(|thread| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
            stat.rsplit(')').next().unwrap().starts_with(" S")
        })
    };
    let mut quiet = 0;
    until("it came to rest", || {
        quiet = if asleep(host.child.id()) { quiet + 1 } else { 0 };
        quiet > 50
    });
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    files(&shop.root.path(), &mut before);
    let trace = shop.dir().join("trace");
    // To be looked at wakes it up once: the first second is not counted.
    let seconds = (window + 1).to_string();
    let mut strace = Command::new("timeout");
    strace.args(["--signal=INT", &seconds, "strace", "-f", "-qq", "-ttt", "-o"]).arg(&trace);
    strace.args(["-p", &host.child.id().to_string()]).stderr(Stdio::null());
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    strace.status().unwrap();
    files(&shop.root.path(), &mut after);
    assert_eq!(before, after, "something was written");
    let text = std::fs::read_to_string(&trace).unwrap();
    assert!(text.contains("epoll_"), "strace saw nothing: {text}");
    let counted = |line: &&str| {
        let at: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        at > begun + 1.0 && !line.contains("detached")
    };
    let calls: Vec<&str> = text.lines().filter(counted).collect();
    println!("{} system calls in {window} s", calls.len());
    assert!(calls.len() <= 1, "{text}");
    host.kill();
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
    let rests = (0..50).any(|_| {
        assert!(matches!(run.step().unwrap(), Step::Pending));
        let mut fds = [PollFd::from_borrowed_fd(run.fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 0
    });
    assert!(rests, "its descriptor stays readable");
    drop(lock);
    assert_eq!(run.wait(LONG).unwrap().outcome(), Some(Outcome::Completed));
}
