//! Waiting for several things at once, in one thread.

use super::runs::Run;
use super::tasks::Task;
use crate::bus::Follower;
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::sys::Poller;
use crate::wait::{Step, failed};
use std::os::fd::BorrowedFd;

/// Work whose end can be waited for together with that of other work: a [`Run`] or a [`Task`]; and a
/// [`Follower`], which has ended, so to say, as soon as its bus has another event for it.
pub trait Work {
    /// A descriptor that becomes readable when [`look`](Work::look) may find something new.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Does what the work needs now, without waiting; whether it has ended.
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

/// Ready while there is an event, which [`Follower::step`] gives without waiting.
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

/// Waits until the first of `work` has ended; its place in the list. Tasks among it are driven
/// meanwhile. Followers of buses among it are there to be told of a message as soon as it comes.
///
/// What has ended stays ended: who waits again leaves it out of the list.
///
/// # Errors
/// `wait.nothing` for an empty list; `wait.timeout` and `wait.cancelled` when the wait is over first; the error of one of them.
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
