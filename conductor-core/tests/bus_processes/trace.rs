//! Processes that are killed before a chosen system call.
#![allow(unsafe_code, reason = "a process is traced to be killed at a chosen system call")]

use super::child::{Child, fork};

/// How a traced process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was killed as it began its call of that number.
    Killed,
    /// It did its work, with this many calls.
    Done(usize),
}

/// Lets a process do `work` and kills it as it begins its `number`-th system call, from 1.
pub(crate) fn killed_at(number: usize, work: impl FnOnce()) -> Ended {
    let mut child = fork(|| {
        // SAFETY: requests about this process alone.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
        }
        work();
    });
    assert_eq!(stopped(&mut child), Some(libc::SIGSTOP));
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    request(&child, libc::PTRACE_SETOPTIONS, i64::from(options));
    let (mut calls, mut entering) = (0, true);
    let mut signal = 0;
    loop {
        request(&child, libc::PTRACE_SYSCALL, signal);
        signal = 0;
        match stopped(&mut child) {
            None => {
                assert_eq!(child.wait(), 0, "the work failed");
                return Ended::Done(calls);
            }
            Some(at) if at == libc::SIGTRAP | 0x80 => {
                calls += usize::from(entering);
                if entering && calls == number {
                    child.kill();
                    return Ended::Killed;
                }
                entering = !entering;
            }
            Some(other) => signal = i64::from(other),
        }
    }
}

fn request(child: &Child, request: libc::c_uint, data: i64) {
    // SAFETY: a request about our own stopped child, without memory of ours.
    unsafe { libc::ptrace(request, child.pid(), 0, data) };
}

/// Waits until the child stops, and gives the signal; `None` once it has ended.
fn stopped(child: &mut Child) -> Option<i32> {
    let mut status = 0;
    // SAFETY: waits for our own child into a local, and leaves its end to be reaped by its owner.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | libc::__WALL;
        libc::waitid(libc::P_PID, child.pid().cast_unsigned(), &raw mut info, flags);
        if info.si_code == libc::CLD_TRAPPED || info.si_code == libc::CLD_STOPPED {
            libc::waitpid(child.pid(), &raw mut status, libc::__WALL);
            return Some(libc::WSTOPSIG(status));
        }
    }
    None
}
