//! Ending waits from outside, and how long a wait may take.

use crate::error::{Error, ErrorKind, Result};
use crate::sys::{Born, EventFd, was_interrupted};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A switch that ends every wait that was given it. It ends the waits, never the work.
///
/// Clones share the switch. [`set`](Cancel::set) is one atomic store and one `write(2)`, so it may be
/// called from any thread and from a signal handler.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    set: AtomicBool,
    event: Option<EventFd>,
    born: Born,
}

impl Default for Cancel {
    fn default() -> Cancel {
        Cancel::new()
    }
}

impl Cancel {
    /// A switch that is not set.
    ///
    /// Where the process is out of file descriptors the switch still works; waits then notice it
    /// at their next look instead of at once.
    pub fn new() -> Cancel {
        Cancel(Arc::new(Inner {
            set: AtomicBool::new(false),
            event: EventFd::new().ok(),
            born: Born::here(),
        }))
    }

    /// Ends every wait that has this switch, now and later.
    pub fn set(&self) {
        self.0.set.store(true, Ordering::Release);
        // A forked child shares the descriptor, and must not wake its parent's waits.
        if let Some(event) = self.0.event.as_ref().filter(|_| self.0.born.is_here()) {
            event.raise();
        }
    }

    /// Whether it was set.
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::Acquire)
    }

    /// A descriptor that becomes readable, and stays so, once the switch is set.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.event.as_ref().map(AsFd::as_fd)
    }
}

/// How long to wait, and what ends the wait early.
///
/// Made from a [`Duration`], a `&Cancel`, both as a pair, or [`Wait::FOREVER`] and [`Wait::NONE`].
#[derive(Clone, Debug)]
pub struct Wait {
    deadline: Option<Instant>,
    cancel: Option<Cancel>,
    interruptible: bool,
}

impl Wait {
    /// Waits until the thing has happened.
    pub const FOREVER: Wait = Wait { deadline: None, cancel: None, interruptible: false };

    /// Does not wait: one look.
    pub const NONE: NoWait = NoWait;

    /// Waits until the moment `deadline`.
    pub fn until(deadline: Instant) -> Wait {
        Wait { deadline: Some(deadline), ..Wait::FOREVER }
    }

    /// The same wait, ended by `cancel` too.
    #[must_use]
    pub fn or_cancelled(mut self, cancel: &Cancel) -> Wait {
        self.cancel = Some(cancel.clone());
        self
    }

    /// The same wait, ended by a signal too that a handler of the program takes in the thread that
    /// waits: with `wait.interrupted`, at once. For programs that do their part of the work of a signal
    /// outside of its handler, as language runtimes do; then they wait again.
    ///
    /// A signal that comes between two looks and the wait for the next is noticed when that ends: who
    /// cannot miss one waits in parts.
    #[must_use]
    pub fn or_interrupted(mut self) -> Wait {
        // What came before this wait is none of it.
        let _before = was_interrupted();
        self.interruptible = true;
        self
    }

    /// The same wait, but at most `limit` from now.
    #[must_use]
    pub fn at_most(mut self, limit: Duration) -> Wait {
        if let Some(limit) = Instant::now().checked_add(limit) {
            self.deadline = Some(self.deadline.map_or(limit, |deadline| deadline.min(limit)));
        }
        self
    }

    /// The time that is left; `None` where there is no deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The moment at which the wait ends by itself.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The switch that ends the wait early.
    pub fn cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    /// Fails once the wait is over.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] or [`ErrorKind::Timeout`].
    pub fn check(&self) -> Result<()> {
        if self.cancel.as_ref().is_some_and(Cancel::is_set) {
            return Err(Error::new(
                ErrorKind::Cancelled,
                "wait.cancelled",
                "the wait was cancelled",
            ));
        }
        if self.interruptible && was_interrupted() {
            return Err(Error::new(
                ErrorKind::Cancelled,
                "wait.interrupted",
                "a signal interrupted the wait",
            )
            .with_hint("do what the signal asks for, then wait again"));
        }
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Error::new(
                ErrorKind::Timeout,
                "wait.timeout",
                "the deadline of the wait passed",
            ));
        }
        Ok(())
    }
}

/// The wait that does not wait; see [`Wait::NONE`].
#[derive(Clone, Copy, Debug)]
pub struct NoWait;

impl From<NoWait> for Wait {
    fn from(_: NoWait) -> Wait {
        Wait::until(Instant::now())
    }
}

impl From<Duration> for Wait {
    fn from(limit: Duration) -> Wait {
        // A time too long to be represented is no deadline.
        Wait { deadline: Instant::now().checked_add(limit), ..Wait::FOREVER }
    }
}

impl From<&Cancel> for Wait {
    fn from(cancel: &Cancel) -> Wait {
        Wait { cancel: Some(cancel.clone()), ..Wait::FOREVER }
    }
}

impl From<(Duration, &Cancel)> for Wait {
    fn from((limit, cancel): (Duration, &Cancel)) -> Wait {
        Wait::from(limit).or_cancelled(cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_switch_ends_waits_and_stays_set() {
        let cancel = Cancel::new();
        let wait = Wait::from(&cancel);
        assert!(wait.check().is_ok());
        cancel.clone().set();
        assert_eq!(wait.check().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(cancel.is_set());
    }

    #[test]
    fn no_wait_has_passed_at_once_and_forever_never() {
        assert_eq!(Wait::from(Wait::NONE).check().unwrap_err().kind(), ErrorKind::Timeout);
        assert!(Wait::FOREVER.check().is_ok());
        assert!(Wait::from(Duration::MAX).deadline().is_none());
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let wait = Wait::from(Duration::from_secs(1000)).at_most(Duration::from_secs(10));
        assert!(wait.remaining().unwrap() <= Duration::from_secs(10));
        let wait = Wait::from(Duration::from_secs(10)).at_most(Duration::from_secs(1000));
        assert!(wait.remaining().unwrap() <= Duration::from_secs(10));
    }
}
