//! Setting a task back, so that it can be started again as if it had not ended.

use super::begin::set_aside;
use super::delete::running;
use super::lease::Lease;
use super::state::{LoopState, TaskOutcome};
use super::stop::end_check;
use crate::cancel::Wait;
use crate::error::Result;
use crate::id::{ProjectId, TaskId};
use crate::supervise::Engine;
use crate::sys::LockKind;

/// What is done to the task; also recorded as the reason of its loop's end.
const WHAT: &str = "set back";

impl Engine {
    /// Takes `DONE` and `CANCELLED` away and ends the present series of attempts, so that the next
    /// start counts from one. Starts nothing.
    ///
    /// # Errors
    /// `task.running` where somebody drives it or a run of it lives; `task.not_found`.
    pub(crate) fn set_back_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        wait: &Wait,
    ) -> Result<()> {
        let (folder, _not_deleted) =
            self.lock_task(project, task, false, LockKind::Shared, wait)?;
        let Some(lease) = Lease::take_unless_driven(&folder)? else {
            return Err(running(&folder, WHAT, "a process drives it"));
        };
        if let Some(run) = self.living_in_task(project, task)?.any()? {
            return Err(running(&folder, WHAT, &format!("its run {run} lives")));
        }
        // What cannot be written down leaves the marks of the end where they are.
        if let Some(mut state) = LoopState::read(&folder)? {
            if state.result().is_none() {
                end_check(&folder, &state)?;
            }
            state.end(TaskOutcome::Stopped, Some(WHAT.to_owned()), self.now());
            state.write(&folder)?;
        }
        set_aside(&folder)?;
        lease.forget_stop_wish(&folder)
    }
}
