//! Several descriptors as one.

use conductor_core::{Error, ErrorKind, Result};
use rustix::event::epoll;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Readable when one of several descriptors is.
#[derive(Debug)]
pub(super) struct AnyOf(OwnedFd);

impl AnyOf {
    pub(super) fn new(fds: &[BorrowedFd<'_>]) -> Result<AnyOf> {
        let failed = |errno: rustix::io::Errno| {
            Error::new(ErrorKind::Io, "wait.failed", "cannot make a wait")
                .with_source(std::io::Error::from(errno))
        };
        let set = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        for (fd, number) in fds.iter().zip(0..) {
            let data = epoll::EventData::new_u64(number);
            epoll::add(&set, fd, data, epoll::EventFlags::IN).map_err(failed)?;
        }
        Ok(AnyOf(set))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
