//! What bounds a client, so that none can keep the server from the others.

use std::time::Duration;

/// The longest body of a request that is read, in bytes.
pub(crate) const BODY: usize = 2 << 20;
/// The longest time in which a body must be there.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(30);
/// The longest head of a request, in bytes.
pub(crate) const HEAD: usize = 16 << 10;
/// The most headers of a request.
pub(crate) const HEADERS: usize = 100;
/// The longest time in which the head of a request must be there, and for which a connection may idle.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(15);
/// The most connections at a time, where the process may open as many files.
pub(crate) const CONNECTIONS: u32 = 4096;
/// How long a client may take nothing that was sent to it, and be silent before it is asked whether it lives.
pub(crate) const SILENT_TIME: Duration = Duration::from_secs(120);
/// The most descriptors that the server asks for.
pub(crate) const DESCRIPTORS: u64 = 16 << 10;
/// The most things that are followed at a time, where the process may open as many files.
pub(crate) const LOOK_OUTS: usize = 256;
/// The most descriptors that one of them needs, however many clients follow it; a test counts them.
pub(crate) const LOOK_OUT_DESCRIPTORS: usize = 16;
/// Calls of the library that may run at a time.
pub(crate) const CALLS: usize = 16;
/// Calls that start, end or delete work, which may take as long as an agent takes to end, at a time.
pub(crate) const LONG_CALLS: usize = 16;
/// Calls that may wait for their turn; beyond these clients are told to come again.
pub(crate) const WAITING_CALLS: usize = 512;
/// Threads for calls and for what streams look at.
pub(crate) const THREADS: usize = 2 * (CALLS + LONG_CALLS);
/// How long answers that are on their way have when the server ends.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);
/// How long clients have to come back on new connections when another worker serves, before those that idle
/// are closed.
pub(crate) const CHANGE_OVER: Duration = Duration::from_secs(2);
/// How long answers that are on their way have when another worker serves: longer than a change may take.
pub(crate) const PARTING: Duration = Duration::from_secs(40);
/// The longest pause between two tries to get the part of the one who carries updates out.
pub(crate) const UPDATER_AGAIN: Duration = Duration::from_secs(30);
/// How long a change may take; the work that it began goes on.
pub(crate) const CHANGE: Duration = Duration::from_secs(30);
/// The most bytes of messages in one answer, unless a single one is longer.
pub(crate) const MESSAGES: usize = 8 << 20;
/// Items of a page unless the client says.
pub(crate) const PAGE: usize = 50;
/// The most items of a page.
pub(crate) const LONGEST_PAGE: usize = 500;
