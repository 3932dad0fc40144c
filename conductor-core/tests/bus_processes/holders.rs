//! What is told of a process that holds the lock of a bus for too long.

use super::child::{Child, alone, fork};
use super::kit::*;
use conductor_core::sys::LockKind;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The error of a post to a bus whose lock is held.
fn refused(bus: &Bus) -> conductor_core::Error {
    let error = bus.post(Post::new("INFO", "late"), Duration::from_millis(5)).unwrap_err();
    assert_eq!((error.code(), error.kind()), ("lock.timeout", ErrorKind::Busy));
    assert!(error.to_string().contains("; waited "), "{error}");
    error
}

/// A process that has the lock of the bus, and was stopped.
fn stopped_holder(dir: &Path) -> Child {
    let child = fork(|| {
        let _held = folder(dir).lock(NAME, LockKind::Exclusive, &Wait::FOREVER).unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
            .unwrap();
    });
    child.wait_until_it_rests();
    child
}

#[test]
fn a_stopped_holder_is_named_with_what_lets_it_go_on() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    say(&bus, "before");
    let mut child = stopped_holder(dir.path());
    let error = refused(&bus);
    let told = format!("by process {}, which is stopped", child.pid());
    assert!(error.to_string().contains(&told), "{error}");
    assert!(error.hint().contains(&format!("kill -CONT {}", child.pid())), "{error:?}");
    child.signal(libc::SIGCONT);
    assert_eq!(child.wait(), 0);
    say(&bus, "after");
    assert_eq!(all(&bus), ["before", "after"]);
}

/// As with a program that does not keep its locks from what it starts.
#[test]
#[expect(clippy::zombie_processes, reason = "it outlives the process that started it")]
fn a_holder_that_has_ended_is_told_as_such_and_its_heir_looked_for() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    say(&bus, "before");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut reader = Some(reader);
    let mut child = fork(|| {
        let file = File::options().append(true).open(dir.path().join(NAME)).unwrap();
        file.lock().unwrap();
        // It ends with the pipe.
        let mut heir = Command::new("cat");
        heir.stdin(reader.take().unwrap()).stdout(Stdio::from(file)).spawn().unwrap();
    });
    drop(reader);
    child.wait_until_it_rests();
    let error = refused(&bus);
    let told = format!("by process {}, which has ended", child.pid());
    assert!(error.to_string().contains(&told), "{error}");
    assert!(error.hint().contains("a process that it started"), "{error:?}");
    assert_eq!(child.wait(), 0);
    drop(writer);
    bus.post(Post::new("INFO", "after"), SOON).unwrap();
    assert_eq!(all(&bus), ["before", "after"]);
}

/// The thread that leads waits for the lock; the next is told who has that, not who leads.
#[test]
fn a_thread_behind_one_that_waits_is_told_of_the_process_that_both_wait_for() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    say(&bus, "before");
    let mut child = stopped_holder(dir.path());
    let told = format!("by process {}, which is stopped", child.pid());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| bus.post(Post::new("INFO", "x"), Duration::from_millis(20))))
            .collect();
        for thread in threads {
            let error = thread.join().unwrap().unwrap_err();
            assert_eq!(error.code(), "lock.timeout");
            assert!(error.to_string().contains(&told), "{error}");
        }
    });
    child.signal(libc::SIGCONT);
    assert_eq!(child.wait(), 0);
    assert_eq!(all(&bus), ["before"]);
}
