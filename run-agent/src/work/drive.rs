//! Driving tasks in front of somebody: steps, signals, and the end of the wait in one poll.

use super::signals::{Asked, Signals};
use super::stopper::Stopper;
use crate::render::error::notice;
use conductor_core::{Error, ErrorKind, Event, Result, Step, Task, TaskEvents, TaskResult, Wait};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// The most messages of one task that are passed on before anybody else has a turn.
const TURN: usize = 256;

/// Who is told of what happens.
pub(crate) trait Watcher {
    /// A task's bus has something new.
    fn event(&mut self, task: &Task, event: &Event);
    /// A task ended, or cannot be driven any further.
    fn over(&mut self, task: &Task, end: Result<TaskResult>);
    /// Nothing happens for now. Gives the moment at which it wants to be told again.
    fn rest(&mut self) -> Option<Instant>;
}

/// Why driving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing is left to be driven.
    Over,
    /// The wait's time was over; the work goes on.
    WaitOver,
    /// A signal asked this process to go; the work goes on.
    Asked(Asked),
}

impl End {
    /// Why the work was left, in a few words.
    pub(crate) fn why(self) -> &'static str {
        match self {
            End::WaitOver => "the time of the wait is over",
            End::Asked(Asked::Terminate) => "SIGTERM",
            _ => "left",
        }
    }
}

/// What ends driving before its time.
pub(crate) struct Drive<'a> {
    /// The signals of this process.
    pub(crate) signals: &'a Signals,
    /// What Ctrl-C stops; without it Ctrl-C ends the driving and not the work.
    pub(crate) stopper: Option<Stopper>,
    /// How long a polite stop may take, for the words about it.
    pub(crate) grace: Duration,
    /// When the wait is over.
    pub(crate) deadline: Option<Instant>,
}

impl Drive<'_> {
    /// Drives the tasks until all have ended.
    pub(crate) fn run(&mut self, tasks: &[Task], watcher: &mut dyn Watcher) -> Result<End> {
        let mut open = Vec::new();
        for task in tasks {
            match task.follow(Wait::FOREVER) {
                Ok(events) => open.push((task, events)),
                Err(error) => watcher.over(task, Err(error)),
            }
        }
        loop {
            let mut busy = false;
            open.retain_mut(|(task, events)| match turn(task, events, watcher) {
                Turn::Over => false,
                Turn::More => {
                    busy = true;
                    true
                }
                Turn::Pending => true,
            });
            if open.is_empty() {
                return Ok(End::Over);
            }
            if let Some(end) = self.interrupted()? {
                return Ok(end);
            }
            let tick = watcher.rest();
            let until = if busy { Some(Instant::now()) } else { earlier(tick, self.deadline) };
            let mut fds: Vec<BorrowedFd<'_>> = open.iter().map(|(_, events)| events.fd()).collect();
            fds.push(self.signals.fd());
            fds.extend(self.stopper.as_ref().and_then(Stopper::fd));
            wait_for_any(&fds, until)?;
        }
    }

    /// What a signal, a failed stop or the clock says.
    pub(crate) fn interrupted(&mut self) -> Result<Option<End>> {
        while let Some(asked) = self.signals.take() {
            let Some(stopper) = self.stopper.as_mut().filter(|_| asked == Asked::Interrupt) else {
                return Ok(Some(End::Asked(asked)));
            };
            match stopper.ask()? {
                1 => notice(&format!(
                    "stopping: SIGTERM to everything of it, SIGKILL after {}; \
                     press Ctrl-C again to kill now",
                    conductor_core::format_duration(self.grace)
                )),
                _ => notice("killing: SIGKILL to everything of it"),
            }
        }
        if let Some(error) = self.stopper.as_ref().and_then(Stopper::error) {
            return Err(error);
        }
        let over = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        Ok(over.then_some(End::WaitOver))
    }

    /// Whether Ctrl-C asked for a stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopper.as_ref().is_some_and(Stopper::is_asked)
    }
}

enum Turn {
    Over,
    More,
    Pending,
}

fn turn(task: &Task, events: &mut TaskEvents, watcher: &mut dyn Watcher) -> Turn {
    for _ in 0..TURN {
        match events.step() {
            Ok(Step::Ready(Some(event))) => watcher.event(task, &event),
            Ok(Step::Ready(None)) => {
                watcher.over(task, task.wait(Wait::NONE));
                return Turn::Over;
            }
            Ok(Step::Pending) => return Turn::Pending,
            Err(error) => {
                watcher.over(task, Err(error));
                return Turn::Over;
            }
        }
    }
    Turn::More
}

pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Waits until one of the descriptors is readable, or until a moment.
pub(crate) fn wait_for_any(fds: &[BorrowedFd<'_>], until: Option<Instant>) -> Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut fds, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(Error::new(ErrorKind::Io, "wait.failed", "cannot wait")
            .with_source(std::io::Error::from(errno))),
    }
}
