//! The agent's process: made early, held before its program until the starter says go.
//!
//! So the starter can write down who the agent is before it does anything, and an agent whose
//! starter died in between has done nothing that would need cleaning up.

use crate::record::{Text, number};
use crate::signals;
use crate::{proc, syscall as sys};

/// What to execute: NUL-terminated strings in NULL-terminated arrays, as this program got them.
pub struct Program {
    pub path: *const u8,
    pub argv: *const *const u8,
    pub envp: *const *const u8,
}

/// The child, and the pipes that hold it and tell of its exec.
pub struct Agent {
    pub pid: i32,
    go: i32,
    outcome: i32,
}

/// The folder the agent begins in.
const CWD: i32 = 7;
/// Where the child puts its pipe ends; everything above is closed.
const CHILD_GO: i32 = 3;
const CHILD_OUTCOME: i32 = 4;

impl Agent {
    pub fn fork(program: &Program) -> sys::Result<Agent> {
        let (wait, go) = sys::pipe()?;
        let (outcome, report) = sys::pipe()?;
        match sys::fork()? {
            None => child(program, wait, report),
            Some(pid) => {
                sys::close(wait);
                sys::close(report);
                Ok(Agent { pid, go, outcome })
            }
        }
    }

    /// Lets the child go on to its program; its errno if that failed.
    pub fn release(&self) -> sys::Result<()> {
        let mut errno = [0u8; 4];
        let result = match sys::write(self.go, b"R") {
            Err(e) => Err(e),
            // The pipe ends without a byte when the exec closes it.
            Ok(_) => match sys::read(self.outcome, &mut errno) {
                Ok(4) => Err(i32::from_ne_bytes(errno)),
                _ => Ok(()),
            },
        };
        sys::close(self.go);
        sys::close(self.outcome);
        result
    }
}

/// The life of the child up to its program.
fn child(program: &Program, wait: i32, report: i32) -> ! {
    let _ = sys::setsid();
    let moved = sys::fchdir(CWD);
    prefer_for_oom();
    // Neither the control socket nor the locks may live on in the agent.
    let piped = sys::dup_to(wait, CHILD_GO).and_then(|_| sys::dup_to(report, CHILD_OUTCOME));
    if piped.is_err() {
        sys::exit(127);
    }
    signals::close_from(5);
    let mut go = [0u8; 1];
    // End of file: the keeper is dead or does not want us.
    if sys::read(CHILD_GO, &mut go) != Ok(1) {
        sys::exit(127);
    }
    signals::all_default();
    sys::block(0);
    let errno = match moved {
        Err(errno) => errno,
        // SAFETY: the strings and arrays are those the kernel gave this program at its start.
        Ok(_) => unsafe { sys::execve(program.path, program.argv, program.envp) },
    };
    let _ = sys::write(CHILD_OUTCOME, &errno.to_ne_bytes());
    sys::exit(127)
}

/// When memory runs out the agent goes before the keeper and the host. Best effort.
fn prefer_for_oom() {
    const PATH: &[u8] = b"/proc/self/oom_score_adj\0";
    let mut buf = [0u8; 16];
    let Ok(text) = proc::read_file(PATH, &mut buf) else {
        return;
    };
    let text = text.trim_ascii();
    let value = match text.strip_prefix(b"-") {
        Some(digits) => number(digits).map(|n| -(n as i64)),
        None => number(text).map(|n| n as i64),
    };
    let Some(value) = value.map(|v| (v + 200).min(1000)) else {
        return;
    };
    let mut text = Text::<16>::filled(0);
    if value < 0 {
        text.str("-");
    }
    text.num(value.unsigned_abs());
    if let Ok(fd) = sys::open(PATH, true) {
        let _ = sys::write(fd, text.done());
        sys::close(fd);
    }
}
