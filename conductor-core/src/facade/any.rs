//! Waiting for several things at once, in one thread.

use super::runs::Run;
use super::tasks::Task;
use crate::bus::Follower;
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::sys::Poller;
use crate::wait::{Step, failed};
use std::os::fd::BorrowedFd;

/// What can be waited for together with others of its kind: the end of a [`Run`] or a [`Task`], or the next
/// event for a [`Follower`] of a bus.
pub trait Work {
    /// A descriptor that becomes readable when [`look`](Work::look) may find something new.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Does what the work needs now, without waiting; whether it has ended, or has an event.
    fn look(&self) -> Result<Step<()>>;
}

impl Work for Run {
    fn fd(&self) -> BorrowedFd<'_> {
        Run::fd(self)
    }

    fn look(&self) -> Result<Step<()>> {
        self.step().map(over)
    }
}

impl Work for Task {
    fn fd(&self) -> BorrowedFd<'_> {
        Task::fd(self)
    }

    fn look(&self) -> Result<Step<()>> {
        self.step().map(over)
    }
}

impl Work for Follower {
    fn fd(&self) -> BorrowedFd<'_> {
        Follower::fd(self)
    }

    fn look(&self) -> Result<Step<()>> {
        Follower::look(self)
    }
}

fn over<T>(step: Step<T>) -> Step<()> {
    match step {
        Step::Ready(_) => Step::Ready(()),
        Step::Pending => Step::Pending,
    }
}

/// Waits until the first of `work` has ended, or has an event; its place in the list. Tasks among it are
/// driven meanwhile.
///
/// What has ended stays ended: who waits again leaves it out of the list. The event of a follower stays
/// until its [`step`](Follower::step) or its iterator takes it, at once. Where several have something, it
/// is the first in the list. Of a follower's own wait only the switch counts.
///
/// # Errors
/// `wait.nothing` for an empty list; `wait.timeout` and `wait.cancelled` when the wait is over first; the
/// error of one of them.
///
/// ```no_run
/// # use conductor_core::{wait_any, Conductor, JobSpec, Work};
/// # let conductor = Conductor::open_default()?;
/// let mut runs = Vec::new();
/// for part in ["one", "two", "three"] {
///     let spec = JobSpec::new("shop").agent("shell").prompt(format!("echo {part}"));
///     runs.push(conductor.jobs().start(spec, std::time::Duration::from_secs(10))?);
/// }
/// while !runs.is_empty() {
///     let work: Vec<&dyn Work> = runs.iter().map(|run| run as &dyn Work).collect();
///     let ended = wait_any(&work, std::time::Duration::from_secs(3600))?;
///     println!("{:?}", runs.swap_remove(ended).info()?.outcome());
/// }
/// # Ok::<(), conductor_core::Error>(())
/// ```
pub fn wait_any(work: &[&dyn Work], wait: impl Into<Wait>) -> Result<usize> {
    let wait = wait.into();
    if work.is_empty() {
        return Err(Error::invalid("wait.nothing", "work", "there is nothing to wait for"));
    }
    let poller = Poller::new().map_err(failed)?;
    for (index, one) in work.iter().enumerate() {
        if let Step::Ready(()) = one.look()? {
            return Ok(index);
        }
        poller.add(one.fd(), index as u64).map_err(failed)?;
    }
    if let Some(cancel) = wait.cancel().and_then(crate::Cancel::fd) {
        poller.add(cancel, u64::MAX).map_err(failed)?;
    }
    loop {
        wait.check()?;
        let ready = poller.wait(wait.remaining()).map_err(failed)?;
        for (index, one) in work.iter().enumerate() {
            if ready.has(index as u64)
                && let Step::Ready(()) = one.look()?
            {
                return Ok(index);
            }
        }
    }
}
