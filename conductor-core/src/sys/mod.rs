//! The kernel: files, locks, processes, signals, notification. The only home of unsafe code.
//!
//! Nothing here knows conductor's words. Files, clocks and locks are reached through the trait
//! [`Os`], so that a test can run the layers above on a machine that it makes up: one that tears
//! writes, fails at the n-th call, or loses power.

mod event;
mod file;
mod os;
mod process;
mod real;

pub use event::{EventFd, Poller, Ready, TimerFd, Watch};
pub use file::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Stat, program_metadata};
pub use os::Os;
pub use process::{ProcessId, Processes, Signal};
pub use real::RealOs;
