//! The keeper's signals and descriptors: what it inherits must not matter.

use crate::{proc, syscall as sys};

/// What the other side asks for, by signals.
#[derive(Clone, Copy, Default)]
pub struct Asked {
    /// SIGTERM: stop the tree, with grace.
    pub stop: bool,
    /// SIGUSR1: kill the tree.
    pub kill: bool,
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Every disposition back to the default: a parent's ignored signals survive exec.
pub fn all_default() {
    for number in 1..=64 {
        sys::signal(number, sys::SIG_DFL);
    }
}

/// Sets the keeper's signals and returns the descriptor they are read from.
///
/// All are blocked, not only those waited for: no stray SIGALRM may end the record of a run.
/// The terminal's are ignored as well, which drops those already pending from before the
/// keeper had a session of its own.
pub fn settle() -> sys::Result<i32> {
    sys::block(u64::MAX);
    all_default();
    for number in [
        sys::SIGHUP,
        sys::SIGINT,
        sys::SIGQUIT,
        sys::SIGTSTP,
        sys::SIGTTIN,
        sys::SIGTTOU,
        sys::SIGPIPE,
    ] {
        sys::signal(number, sys::SIG_IGN);
    }
    sys::signalfd(bit(sys::SIGCHLD) | bit(sys::SIGTERM) | bit(sys::SIGUSR1))
}

/// Takes all pending signals. SIGCHLD is not told apart: whoever calls this reaps anyway.
pub fn take(fd: i32) -> Asked {
    // struct signalfd_siginfo: 128 bytes, the number first.
    let mut info = [0u8; 128];
    let mut asked = Asked::default();
    while sys::read(fd, &mut info) == Ok(info.len()) {
        let [a, b, c, d, ..] = info;
        match u32::from_ne_bytes([a, b, c, d]) as i32 {
            sys::SIGTERM => asked.stop = true,
            sys::SIGUSR1 => asked.kill = true,
            _ => {}
        }
    }
    asked
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: i32) {
    if sys::close_range(first as usize).is_ok() {
        return;
    }
    // A kernel before 5.9. The listing's own descriptor is closed twice, which is harmless.
    proc::each_number(b"/proc/self/fd\0", &mut |fd| {
        if fd >= first {
            sys::close(fd);
        }
    });
}
