//! Waits as machines of steps: look, and if there is nothing yet, wait for a descriptor.

use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::sys::Poller;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What one look at a wait found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// What was waited for.
    Ready(T),
    /// Nothing yet: the wait's descriptor becomes readable when another look may find more.
    Pending,
}

/// Steps until there is an answer or the wait is over.
pub(crate) fn block_on<T>(
    fd: BorrowedFd<'_>,
    wait: &Wait,
    mut step: impl FnMut() -> Result<Step<T>>,
) -> Result<T> {
    let mut poller: Option<Poller> = None;
    loop {
        if let Step::Ready(value) = step()? {
            return Ok(value);
        }
        wait.check()?;
        let poller = match &poller {
            Some(poller) => poller,
            None => poller.insert(both(fd, wait).map_err(failed)?),
        };
        poller.wait(wait.remaining()).map_err(failed)?;
    }
}

/// Lets the calling thread rest for `length`, or until the wait is over.
pub(crate) fn rest(wait: &Wait, length: Duration) -> Result<()> {
    let poller = Poller::new().map_err(failed)?;
    if let Some(cancel) = wait.cancel().and_then(crate::Cancel::fd) {
        poller.add(cancel, 1).map_err(failed)?;
    }
    let longest = wait.remaining().map_or(length, |left| left.min(length));
    poller.wait(Some(longest)).map(drop).map_err(failed)
}

/// A poller of the descriptor and of the switch that ends the wait.
pub(crate) fn both(fd: BorrowedFd<'_>, wait: &Wait) -> std::io::Result<Poller> {
    let poller = Poller::new()?;
    poller.add(fd, 0)?;
    if let Some(cancel) = wait.cancel().and_then(crate::Cancel::fd) {
        poller.add(cancel, 1)?;
    }
    Ok(poller)
}

/// The error of a wait that the system does not let us make.
pub(crate) fn failed(source: std::io::Error) -> Error {
    Error::new(crate::ErrorKind::Io, "wait.failed", "cannot wait").with_source(source)
}
