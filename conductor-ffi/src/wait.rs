//! Many at once
//!
//! One thread waits for any number of runs and tasks, and drives the tasks among them.
//!
//!     while (n > 0) {
//!         size_t ended;
//!         if (conductor_wait_any(runs, n, NULL, 0, -1, interrupt, &ended, &err)) break;
//!         conductor_run_free(runs[ended]);
//!         runs[ended] = runs[--n];
//!     }

use crate::boundary::guard;
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, Handle};
use crate::run::Run;
use crate::task::Task;
use crate::text::place;
use conductor_core::{Error as CoreError, Result, Work, wait_any};

/// The work behind an array of handles.
///
/// # Safety
/// `handles` is NULL or points to `count` handles that live.
unsafe fn work<'a, H>(
    handles: *const *const H,
    count: usize,
    field: &str,
) -> Result<Vec<&'a dyn Work>>
where
    H: Handle + 'a,
    H::Inner: Work,
{
    if count == 0 {
        return Ok(Vec::new());
    }
    if handles.is_null() {
        let message = format!("the argument {field} is NULL but has a length of {count}");
        return Err(CoreError::invalid("argument.null", field, message));
    }
    if count > isize::MAX as usize / size_of::<*const H>() {
        let message = format!("the argument {field} has a length of {count}");
        return Err(CoreError::invalid("argument.length", field, message));
    }
    // SAFETY: not NULL, and `count` pointers long by this function's contract.
    let handles = unsafe { std::slice::from_raw_parts(handles, count) };
    let inner = |handle: &*const H| {
        // SAFETY: by this function's contract a handle that lives.
        unsafe { handle::with(*handle, field, |inner| Ok(inner as &dyn Work)) }
    };
    handles.iter().map(inner).collect()
}

/// Waits until the first of these runs and tasks has ended. out_index: its place, the runs counted first,
/// then the tasks. What has ended stays ended: leave it out of the next call. A timeout of 0 looks once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_wait_any(
    runs: *const *const Run,
    run_count: usize,
    tasks: *const *const Task,
    task_count: usize,
    timeout_ms: i64,
    cancel: *const Cancel,
    out_index: *mut usize,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        let out = place(out_index, "out_index")?;
        // SAFETY: by the header's rules NULL, or a switch that lives.
        let wait = unsafe { wait_of(timeout_ms, cancel)? };
        // SAFETY: by the header's rules NULL, or so many handles that live.
        let mut all = unsafe { work(runs, run_count, "runs")? };
        // SAFETY: as above.
        all.extend(unsafe { work(tasks, task_count, "tasks")? });
        let index = wait_any(&all, wait)?;
        // SAFETY: not NULL, so by the header's rules it points to a writable size_t.
        unsafe { out.write(index) };
        Ok(())
    })
}
