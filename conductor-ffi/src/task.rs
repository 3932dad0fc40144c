//! Tasks
//!
//! Runs of an agent until DONE stands, and "verify" passes where it is given. The next attempt is started
//! by whoever is inside conductor_task_wait(), conductor_wait_any(), or conductor_reader_next() on the
//! task's messages: the library has no thread and no daemon. If the driver dies, the next one takes
//! over. A task handle is shared by threads and may outlive the root's; freeing it ends nothing.
//!
//!     conductor_task_start(c, o, NULL, &task, &err);
//!     conductor_task_wait(task, -1, interrupt, &end, &err);
//!     is_done = conductor_record_text(end, CONDUCTOR_STR("outcome")); // done, gave_up, stopped

use crate::boundary::{give, guard, guard_value, tell, tell_if_asked};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::out::Out;
use crate::reader::Reader;
use crate::record::Record;
use crate::root::{Conductor, task_ids};
use crate::text::Str;
use conductor_core::{ProjectId, Records, Result, TaskId, TaskSpec, Tasks, Wait};
use std::os::fd::AsRawFd as _;

/// Runs of an agent until DONE stands.
pub struct Task {
    _opaque: [u8; 0],
}

handle!(Task, conductor_core::Task);

/// Starts a task, goes on with one that is unfinished, or attaches to one that another process drives.
/// Returns when the first attempt runs, or when it is known what the task waits for. The handle drives.
///
/// Options: as conductor_job_start(), and "depends_on" (a task of the project), "max_attempts" ("100"),
/// "restart_delay" ("1s"), "child_wait_timeout" ("5m"), "verify" (a line for /bin/sh), "verify_timeout",
/// "on_question" ("go_on", "wait"), "question_timeout", "max_wall" ("24h"), "max_tokens" ("5000000"),
/// "max_cost_usd" ("25"), "result_grace" ("60s"). CONDUCTOR_CONFLICT where another process drives it with other parameters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_start(
    conductor: *const Conductor,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Task,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's rules are the same.
    unsafe { begin(conductor, options, cancel, out, err, |all, spec, wait| all.start(spec, wait)) }
}

/// Starts a task that is done or gave up once more, as a continuation: DONE is set aside and its attempts
/// count from one. Options as conductor_task_start(); what is not given stays as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_resume(
    conductor: *const Conductor,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Task,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's rules are the same.
    unsafe { begin(conductor, options, cancel, out, err, |all, spec, wait| all.resume(spec, wait)) }
}

/// Gives the task that `start` starts by the options.
///
/// # Safety
/// Places are NULL or writable.
unsafe fn begin(
    conductor: *const Conductor,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Task,
    err: *mut *mut Error,
    start: impl FnOnce(Tasks<'_>, TaskSpec, Wait) -> Result<conductor_core::Task>,
) -> Status {
    guard(err, || {
        // SAFETY: by this function's contract.
        let out = unsafe { Out::new(out, "out")? };
        let (spec, wait) = (settings(options)?.task()?, wait_of(-1, cancel)?);
        out.give(start(handle::hold(conductor, "conductor")?.tasks(), spec, wait)?)
    })
}

/// A task that exists, to be looked at, waited for and stopped. The handle never drives: who waits with
/// it waits for another process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_open(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    out: *mut *mut Task,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's rules are the same.
    unsafe { find(conductor, project, task, out, err, |all, project, task| all.get(project, task)) }
}

/// A task that was started before, to be driven as it was asked for then, as after your own crash.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_attach(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    out: *mut *mut Task,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's rules are the same.
    unsafe {
        find(conductor, project, task, out, err, |all, project, task| all.attach(project, task))
    }
}

/// Gives the task of these ids as `open` opens it.
///
/// # Safety
/// Texts live, and places are NULL or writable.
unsafe fn find(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    out: *mut *mut Task,
    err: *mut *mut Error,
    open: impl FnOnce(Tasks<'_>, &ProjectId, &TaskId) -> Result<conductor_core::Task>,
) -> Status {
    guard(err, || {
        // SAFETY: by this function's contract.
        let (out, (project, task)) = unsafe { (Out::new(out, "out")?, task_ids(project, task)?) };
        out.give(open(handle::hold(conductor, "conductor")?.tasks(), &project, &task)?)
    })
}

/// What is known of the task now: "attempts", "done", "waiting.for", "outcome", "latest.run_id", ...
/// No wait, and nothing is driven.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_info(
    task: *const Task,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe { tell(out, err, || handle::hold(task, "task")?.info()) }
}

/// Drives the task until it ends. out: "outcome" (done, gave_up, stopped), "reason", "attempts", "run_id"
/// of the last. CONDUCTOR_TIMEOUT: it has not ended; a timeout of 0 does what the task needs now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_wait(
    task: *const Task,
    timeout_ms: i64,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        tell(out, err, || {
            let wait = wait_of(timeout_ms, cancel)?;
            handle::hold(task, "task")?.wait(wait)
        })
    }
}

/// Drives the task and reads its bus meanwhile, from the beginning of its present loop; ends with the
/// task: all of a task in one thread. Options: "after", "type", "run", "since", "until", as
/// conductor_bus_read(). Ask conductor_task_wait() with a timeout of 0 for the result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_follow(
    task: *const Task,
    options: *const Options,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || {
            let plan = settings(options)?.read()?;
            let task = handle::hold(task, "task")?;
            Ok(Records::from(task.follow_with(plan.options, Wait::FOREVER)?).into())
        })
    }
}

/// A descriptor that becomes readable when conductor_task_wait() with a timeout of 0 may have something
/// to do; -1 for NULL. Yours to poll, not to read from and not to close; it lives as long as the task's
/// handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_fd(task: *const Task) -> i32 {
    guard_value(-1, || handle::look(task).map_or(-1, |task| task.fd().as_raw_fd()))
}

/// Stops the task for good: its loop, and everything that its attempt started. Options and out (may be
/// NULL) as conductor_stop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_stop(
    task: *const Task,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        tell_if_asked(out, err, || {
            let (stop, wait) = (settings(options)?.stop()?, wait_of(-1, cancel)?);
            handle::hold(task, "task")?.stop(stop, wait)
        })
    }
}

/// Marks a task as cancelled, with a reason, and stops it: it is not started again before
/// conductor_task_resume(). Options and out (may be NULL) as conductor_stop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_cancel(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and texts that live.
        let (out, (project, task)) = unsafe { (Out::optional(out), task_ids(project, task)?) };
        let (stop, wait) = (settings(options)?.stop()?, wait_of(-1, cancel)?);
        let conductor = handle::hold(conductor, "conductor")?;
        let report = conductor.tasks().cancel(&project, &task, stop, wait)?;
        out.map_or(Ok(()), |out| out.record(&report))
    })
}

/// Sets a task back: "done" and "cancelled" are taken away, and its next start counts attempts from one.
/// Starts nothing. CONDUCTOR_CONFLICT, "task.running", while it is driven or a run of it lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_set_back(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    cancel: *const Cancel,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules the texts live.
        let (project, task) = unsafe { task_ids(project, task)? };
        let wait = wait_of(-1, cancel)?;
        handle::hold(conductor, "conductor")?.tasks().set_back(&project, &task, wait)
    })
}

/// Deletes a task with all its runs; sums of usage keep what they used. Options: "force" "true" stops
/// first what lives of it, which else is CONDUCTOR_CONFLICT, "task.running".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_delete(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    options: *const Options,
    cancel: *const Cancel,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules the texts live.
        let (project, task) = unsafe { task_ids(project, task)? };
        let (stop, wait) = (settings(options)?.delete()?, wait_of(-1, cancel)?);
        handle::hold(conductor, "conductor")?.tasks().delete(&project, &task, stop, wait)
    })
}

/// Frees a task's handle; what runs goes on, undriven unless somebody else waits. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_free(task: *mut Task) {
    guard_value((), || handle::free(task));
}
