//! The library's descriptors on this runtime: readable when there may be news.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A copy of a descriptor of the library.
#[derive(Debug)]
pub(crate) struct Pollable(AsyncFd<Copy>);

#[derive(Debug)]
struct Copy(OwnedFd);

impl AsRawFd for Copy {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Pollable {
    /// Watches `fd`; the original may be stepped meanwhile.
    pub(crate) fn new(fd: BorrowedFd<'_>) -> io::Result<Pollable> {
        let copy = Copy(fd.try_clone_to_owned()?);
        #[expect(
            deprecated,
            reason = "what it cannot rule out, a descriptor that is another one later, `Copy` rules out; \
                      the one in its place is unsafe"
        )]
        AsyncFd::with_interest(copy, Interest::READABLE).map(Pollable)
    }

    /// Waits until a look may find something new.
    pub(crate) async fn news(&self) -> io::Result<()> {
        // The runtime is told of changes alone. What a look left readable is no change.
        let mut fds = [PollFd::new(&self.0.get_ref().0, PollFlags::IN)];
        if poll(&mut fds, Some(&Timespec::default()))? > 0 {
            tokio::task::yield_now().await;
            return Ok(());
        }
        // Forgotten before the look that comes now: what is told during it wakes again.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}
