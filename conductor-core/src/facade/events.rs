//! The messages of a task while it is driven.

use super::tasks::Task;
use crate::bus::{Cursor, Event, Follower, ReadOptions};
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::sys::Poller;
use crate::task::LoopState;
use crate::wait::Step;
use std::os::fd::{AsFd as _, BorrowedFd};

/// Drives a task and gives the messages of its bus; from [`Task::follow`].
///
/// Ends with the task, after the last message; or when the wait is over, after which
/// [`Task::wait`] says which of the two it was.
#[derive(Debug)]
pub struct TaskEvents {
    task: Task,
    follower: Follower,
    poller: Poller,
    wait: Wait,
    over: bool,
}

impl TaskEvents {
    pub(super) fn new(task: Task, options: ReadOptions, wait: Wait) -> Result<TaskEvents> {
        let bus = task.engine.task_bus(task.project(), task.id())?;
        let folder = task.engine.layout().task(task.project(), task.id())?;
        let start = LoopState::read(&folder)?
            .and_then(|state| state.start_cursor().cloned())
            .unwrap_or(Cursor::START);
        let options = options.without_tail().0;
        let start = options.after_or(&start);
        let follower = bus.follow_with(options.after(&start), Wait::FOREVER)?;
        let failed = |e| folder.error("watch", "", e);
        let poller = Poller::new().map_err(failed)?;
        poller.add(task.fd(), 1).map_err(failed)?;
        poller.add(follower.fd(), 2).map_err(failed)?;
        if let Some(cancel) = wait.cancel().and_then(crate::Cancel::fd) {
            poller.add(cancel, 3).map_err(failed)?;
        }
        Ok(TaskEvents { task, follower, poller, wait, over: false })
    }

    /// A descriptor that becomes readable when there may be news.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Does what the task needs and gives the next message: `Ready(None)` at the end.
    pub fn step(&mut self) -> Result<Step<Option<Event>>> {
        loop {
            if let Step::Ready(event) = self.follower.step()? {
                return Ok(Step::Ready(Some(event)));
            }
            if self.over {
                return Ok(Step::Ready(None));
            }
            match self.task.step_until(&self.wait)? {
                // What it wrote last is read before the end is told.
                Step::Ready(_) => self.over = true,
                Step::Pending => return Ok(Step::Pending),
            }
        }
    }

    fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            match self.step() {
                Ok(Step::Ready(event)) => return Ok(event),
                Ok(Step::Pending) => {}
                // The switch was set while a lock was waited for.
                Err(over) if over.kind() == ErrorKind::Cancelled => return Ok(None),
                Err(error) => return Err(error),
            }
            match self.wait.check() {
                Err(over) if over.kind() == ErrorKind::Timeout => return Ok(None),
                Err(over) if over.kind() == ErrorKind::Cancelled => return Ok(None),
                answer => answer?,
            }
            self.poller.wait(self.wait.remaining()).map_err(crate::wait::failed)?;
        }
    }
}

impl Iterator for TaskEvents {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        match self.next_event() {
            Ok(event) => event.map(Ok),
            Err(error) => {
                // An error of the task ends the iteration instead of repeating for ever.
                self.over = true;
                Some(Err(error))
            }
        }
    }
}
