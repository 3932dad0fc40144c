//! Hosts that fork: a worker that lives on has no part in what its parent holds and waits for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
#![allow(unsafe_code, reason = "what a fork inherits is shown by forking")]

mod support;

use conductor_core::sys::{Fd, LockKind};
use conductor_core::{Outcome, Stop, TaskOutcome};
use parking_lot::Mutex;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use support::hooked::{Hook, open_hooked};
use support::*;

/// A forked copy of this process that does nothing until it is dropped.
struct Worker(i32);

fn fork_a_worker() -> Worker {
    // SAFETY: the child makes system calls alone, which any state of a forked process allows.
    match unsafe { libc::fork() } {
        0 => loop {
            // SAFETY: as above.
            unsafe { libc::pause() };
        },
        pid => {
            assert!(pid > 0);
            Worker(pid)
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: our own child, which nobody else reaps.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}

#[test]
fn a_wait_of_the_parent_sleeps_although_a_worker_has_copies_of_what_ended() {
    let root = root();
    let script = "n=$(ls | grep -c go); touch began$n; while [ ! -e go$n ]; do sleep 0.01; done";
    let handle = root.conductor.tasks().start(task(script), LONG).unwrap();
    let folder = root.task_folder();
    let began = |number: usize| folder.join(format!("began{number}"));
    until("the first attempt", || began(0).exists());
    quiet(&handle);
    let _worker = fork_a_worker();
    for number in 0..2 {
        fs::write(folder.join(format!("go{number}")), "").unwrap();
        until("the next attempt", || {
            let _pending = handle.step().unwrap();
            began(number + 1).exists()
        });
        quiet(&handle);
    }
    handle.stop(Stop::because("end of the test").force(true), LONG).unwrap();
    assert_eq!(handle.wait(Duration::ZERO).unwrap().outcome, TaskOutcome::Stopped);
}

/// A host that drives a task, and forks a worker before it is killed.
#[test]
fn host_drives_and_forks() {
    let Some(path) = std::env::var_os(HOST) else { return };
    let conductor = open(path.as_ref());
    let script = "echo x >>count; [ $(wc -l <count) -lt 2 ] || touch DONE; \
                  while [ ! -e go ]; do sleep 0.01; done";
    let handle = conductor.tasks().start(task(script), LONG).unwrap();
    let worker = fork_a_worker();
    fs::write(conductor.root().join("worker"), worker.0.to_string()).unwrap();
    handle.wait(LONG).unwrap();
}

#[test]
fn a_worker_that_outlives_the_driver_holds_no_lease() {
    let root = root();
    let mut host = host("host_drives_and_forks", &root.path());
    let worker = number_in(&root.path().join("worker"));
    host.kill();
    let (project, id) = ids();
    let handle = root.conductor.tasks().attach(&project, &id).unwrap();
    fs::write(root.task_folder().join("go"), "").unwrap();
    assert_eq!(handle.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert!(lives(worker), "it had to outlive its parent to show anything");
    // SAFETY: the worker of a host that we started.
    unsafe { libc::kill(worker as i32, libc::SIGKILL) };
}

/// Forks a worker at the moments at which a lock is passed on to a keeper, or looked at.
#[derive(Default)]
struct Forks(Mutex<Vec<Worker>>);

impl Hook for Forks {
    fn renames(&self, _: (&Fd, &OsStr), (_, new): (&Fd, &OsStr)) -> io::Result<()> {
        if new == "run-info.yaml" {
            self.0.lock().push(fork_a_worker());
        }
        Ok(())
    }

    fn locked(&self, kind: LockKind) {
        if kind == LockKind::Shared {
            self.0.lock().push(fork_a_worker());
        }
    }
}

#[test]
fn a_worker_that_was_forked_during_a_start_or_a_look_keeps_no_run_from_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let forks = Arc::new(Forks::default());
    let conductor = open_hooked(&dir.path().join("root"), &forks);
    let started = conductor.jobs().start(job("true"), LONG);
    let ended = started.and_then(|run| run.wait(LONG));
    let workers = std::mem::take(&mut *forks.0.lock());
    assert!(workers.len() > 2, "{} were forked", workers.len());
    assert_eq!(ended.unwrap().outcome(), Some(Outcome::Completed));
}
