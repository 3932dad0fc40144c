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

use crate::boundary::{guard, guard_value};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::reader::Reader;
use crate::record::Record;
use crate::root::{Conductor, task_ids};
use crate::text::{Str, place};
use conductor_core::{ProjectId, Records, Result, TaskId, TaskSpec, Tasks, Wait};
use std::os::fd::AsRawFd as _;

/// Runs of an agent until DONE stands.
pub struct Task {
    _opaque: [u8; 0],
}

handle!(Task, b"ctsk", "conductor_task", conductor_core::Task);

/// Starts a task, goes on with one that is unfinished, or attaches to one that another process drives.
/// Returns when the first attempt runs, or when it is known what the task waits for. The handle drives.
///
/// Options: as conductor_job_start(), and "depends_on" (a task of the project), "max_attempts" ("100"),
/// "restart_delay" ("1s"), "child_wait_timeout" ("5m"), "verify" (a line for /bin/sh), "verify_timeout",
/// "on_question" ("go_on", "wait"), "question_timeout". CONDUCTOR_CONFLICT where another process drives it
/// with other parameters.
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
/// Handles are NULL or live, and places are NULL or writable.
unsafe fn begin(
    conductor: *const Conductor,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Task,
    err: *mut *mut Error,
    start: impl FnOnce(Tasks<'_>, TaskSpec, Wait) -> Result<conductor_core::Task>,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules the handles are NULL or live.
        let (spec, wait) = unsafe { (settings(options)?.task()?, wait_of(-1, cancel)?) };
        // SAFETY: by the header's rules NULL, or a root that lives.
        let task = unsafe {
            handle::with(conductor, "conductor", |opened| start(opened.tasks(), spec, wait))?
        };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(handle::make(task)) };
        Ok(())
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
/// Texts live, the handle is NULL or lives, and places are NULL or writable.
unsafe fn find(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    out: *mut *mut Task,
    err: *mut *mut Error,
    open: impl FnOnce(Tasks<'_>, &ProjectId, &TaskId) -> Result<conductor_core::Task>,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules the texts live.
        let (project, task) = unsafe { task_ids(project, task)? };
        // SAFETY: by the header's rules NULL, or a root that lives.
        let task = unsafe {
            handle::with(conductor, "conductor", |opened| open(opened.tasks(), &project, &task))?
        };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(handle::make(task)) };
        Ok(())
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
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or a task that lives.
        let info = unsafe { handle::with(task, "task", conductor_core::Task::info)? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Record::into_handle(&info)) };
        Ok(())
    })
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
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or a switch that lives.
        let wait = unsafe { wait_of(timeout_ms, cancel)? };
        // SAFETY: by the header's rules NULL, or a task that lives.
        let result = unsafe { handle::with(task, "task", |task| task.wait(wait))? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Record::into_handle(&result)) };
        Ok(())
    })
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
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or options that live.
        let plan = unsafe { settings(options)? }.read()?;
        let follow = |task: &conductor_core::Task| -> Result<Records> {
            Ok(task.follow_with(plan.options, Wait::FOREVER)?.into())
        };
        // SAFETY: by the header's rules NULL, or a task that lives.
        let records = unsafe { handle::with(task, "task", follow)? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Reader::into_handle(records)) };
        Ok(())
    })
}

/// A descriptor that becomes readable when conductor_task_wait() with a timeout of 0 may have something
/// to do; -1 for NULL. Yours to poll, not to read from and not to close; it lives as long as the task's
/// handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_fd(task: *const Task) -> i32 {
    // SAFETY: by the header's rules NULL, or a task that lives.
    guard_value(-1, || unsafe { handle::peek(task) }.map_or(-1, |task| task.fd().as_raw_fd()))
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
    guard(err, || {
        // SAFETY: by the header's rules the handles are NULL or live.
        let (stop, wait) = unsafe { (settings(options)?.stop()?, wait_of(-1, cancel)?) };
        // SAFETY: by the header's rules NULL, or a task that lives.
        let report = unsafe { handle::with(task, "task", |task| task.stop(stop, wait))? };
        // SAFETY: by the header's rules NULL, or a writable pointer.
        unsafe { Record::give(out, &report) };
        Ok(())
    })
}

/// Frees a task's handle; what runs goes on, undriven unless somebody else waits. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_task_free(task: *mut Task) {
    // SAFETY: by the header's rules NULL, or a handle that nobody uses any more.
    guard_value((), || unsafe { handle::free(task) });
}
