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
use crate::handle::{self, Handle, Held};
use crate::out::Out;
use crate::run::Run;
use crate::task::Task;
use conductor_core::{Error as CoreError, Result, Work, wait_any};

/// What is behind an array of handles.
///
/// # Errors
/// `argument.null`, `argument.length`, and those of [`handle::hold`].
///
/// # Safety
/// `handles` is NULL or points to `count` pointers.
unsafe fn held<H: Handle>(
    handles: *const *const H,
    count: usize,
    field: &str,
) -> Result<Vec<Held<H>>> {
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
    handles.iter().map(|handle| handle::hold(*handle, field)).collect()
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
        // SAFETY: by the header's rules a writable place, or NULL.
        let out = unsafe { Out::new(out_index, "out_index")? };
        let wait = wait_of(timeout_ms, cancel)?;
        // SAFETY: by the header's rules NULL, or so many pointers.
        let (runs, tasks) =
            unsafe { (held(runs, run_count, "runs")?, held(tasks, task_count, "tasks")?) };
        let runs = runs.iter().map(|run| &**run as &dyn Work);
        let work: Vec<&dyn Work> = runs.chain(tasks.iter().map(|task| &**task as _)).collect();
        out.write(wait_any(&work, wait)?);
        Ok(())
    })
}
