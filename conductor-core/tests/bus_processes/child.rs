//! Processes that are copies of this one, which start in a fraction of the time of a program.
#![allow(unsafe_code, reason = "a copy is made by fork, and judged by its end")]

use super::dice::Dice;
use super::kit::*;
use parking_lot::{Mutex, MutexGuard};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

static ALONE: Mutex<()> = Mutex::new(());

/// Keeps the other tests of this program from running, whose threads a copy would lack.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock();
    // What is made once is made before the first copy.
    let dir = tempfile::tempdir().unwrap();
    say(&open(dir.path()), "warm");
    assert_eq!(all(&open(dir.path())), ["warm"]);
    alone
}

/// A process that does its work and ends; killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    pid: i32,
    /// The status that it was reaped with.
    status: Option<i32>,
}

/// Starts a process that does `work`, and dies with the thread that started it.
pub(crate) fn fork(work: impl FnOnce()) -> Child {
    // SAFETY: the caller is alone (see above), so that no lock is held by a thread that is not here.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: asks for a signal to this process.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let code = match catch_unwind(AssertUnwindSafe(work)) {
                Ok(()) => 0,
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().map(String::as_str);
                    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                    // The harness keeps what a test prints, and this one's copy goes with it.
                    let line = format!("a child failed: {}\n", text.unwrap_or("?"));
                    let _closed = std::io::stderr().write_all(line.as_bytes());
                    101
                }
            };
            // SAFETY: ends this process; nothing of the harness is run.
            unsafe { libc::_exit(code) }
        }
        pid => {
            assert!(pid > 0, "cannot fork");
            Child { pid, status: None }
        }
    }
}

/// Lets the kernel kill this process within `most` from now, at a moment that chance decides. It is at
/// work now, so it is killed at work.
pub(crate) fn doom(dice: &mut Dice, most: Duration) {
    let nanos = dice.roll(u64::try_from(most.as_nanos()).unwrap()) + 1;
    // SAFETY: makes a timer of this process and sets it; both structures are locals, valid as zeros.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGKILL;
        let mut timer = std::mem::zeroed();
        assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer), 0);
        let mut when: libc::itimerspec = std::mem::zeroed();
        when.it_value.tv_sec = i64::try_from(nanos / 1_000_000_000).unwrap();
        when.it_value.tv_nsec = i64::try_from(nanos % 1_000_000_000).unwrap();
        assert_eq!(libc::timer_settime(timer, 0, &raw const when, std::ptr::null_mut()), 0);
    }
}

/// Waits until one of the children of this process ends; gives its number and how it ended.
pub(crate) fn wait_for_any(children: &mut [Child]) -> (usize, i32) {
    loop {
        let mut status = 0;
        // SAFETY: waits for children of ours into a local.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        let known = children.iter().position(|child| child.pid == pid);
        if let Some(at) = known {
            children[at].status = Some(status);
            return (at, children[at].wait());
        }
    }
}

impl Child {
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn signal(&self, signal: i32) {
        assert_eq!(self.status, None, "it was reaped");
        // SAFETY: our own child, not reaped yet.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Waits for a change; with `flags` 0 for the end. Gives the status of the end.
    fn wait_with(&mut self, flags: i32) -> Option<i32> {
        if self.status.is_none() {
            let mut status = 0;
            // SAFETY: waits for our own child into a local.
            let reaped = unsafe { libc::waitpid(self.pid, &raw mut status, flags | libc::__WALL) };
            if reaped == self.pid && !libc::WIFSTOPPED(status) {
                self.status = Some(status);
            }
        }
        self.status
    }

    /// Waits until it is stopped or has ended, which is left to be reaped.
    pub(crate) fn wait_until_it_rests(&self) {
        // SAFETY: waits for our own child into a local.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | libc::__WALL;
            libc::waitid(libc::P_PID, self.pid.cast_unsigned(), &raw mut info, flags);
        }
    }

    /// Its exit code; 128 and the number of the signal that it died of.
    pub(crate) fn wait(&mut self) -> i32 {
        loop {
            if let Some(status) = self.wait_with(0) {
                let died = libc::WIFSIGNALED(status);
                return if died { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
            }
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.wait_with(libc::WNOHANG).is_none()
    }

    pub(crate) fn kill(&mut self) {
        if self.status.is_none() {
            self.signal(libc::SIGKILL);
            self.wait();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
