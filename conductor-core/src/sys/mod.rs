//! The kernel: files, locks, processes, signals, notification. The only home of unsafe code.
//!
//! Nothing here knows conductor's words. Files, clocks and locks are reached through the trait
//! [`Os`], so that a test can run the layers above on a machine that it makes up: one that tears
//! writes, fails at the n-th call, or loses power.
//!
//! `keeper/` is no module of this crate: it is the source of the keeper, a freestanding program
//! that the build script compiles and that `spawn` embeds.
#![expect(unsafe_code, reason = "system calls that no safe wrapper offers; each block says why")]

mod child;
mod errno;
mod event;
mod file;
mod fork;
#[allow(dead_code, reason = "the record's writing half is the keeper's and its test's")]
mod keeper_file;
mod os;
mod process;
mod real;
#[allow(dead_code, reason = "the keeper's test, which includes this file, uses all of it")]
mod spawn;
mod spawn_clone;
mod terminal;
mod tied;
mod watch;

pub(crate) use child::{Child, ChildEnd, ChildLook, ChildSpec};
pub(crate) use errno::may_pass;
pub(crate) use event::was_interrupted;
pub use event::{EventFd, Polled, Poller, Ready, TimerFd};
pub use file::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Stat};
pub(crate) use file::{
    lies_in_system_folder, may_write, memory_to_read, nothing_to_read, open_user_file,
    open_working_folder, program_metadata, random, read_regular_file, read_user_file,
};
pub(crate) use fork::{Born, Listed, generation};
pub(crate) use keeper_file::{
    Cut as KeeperCut, Ended as KeeperEnd, Identity as KeeperIdentity, Journal as KeeperJournal,
    Moment as KeeperMoment, Reason as KeeperReason, Record as KeeperRecord, State as KeeperState,
    moment as keeper_moment, prepare as prepare_keeper_file, read as read_keeper_file,
    read_note as read_keeper_note,
};
pub use os::Os;
pub use process::{Paused, ProcessId, Processes, Signal};
pub use real::RealOs;
pub(crate) use spawn::{
    Control as KeeperControl, KeeperImage, KeeperLimits, KeeperSpec, keeper_bytes,
    memfd_image as keeper_memfd, start_keeper,
};
pub(crate) use terminal::Terminal;
pub use tied::die_with_starter;
pub(crate) use watch::LOOK_OFTEN;
pub use watch::{News, Watch};
