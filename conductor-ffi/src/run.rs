//! Runs
//!
//! One execution of one agent, whoever started it. It lives on without this process. A run handle is
//! shared by threads and may outlive the root's; freeing it ends nothing.
//!
//!     conductor_run *run; conductor_record *end;
//!     conductor_job_start(c, o, NULL, &run, &err);
//!     conductor_run_wait(run, -1, interrupt, &end, &err);
//!     exit_code = conductor_record_int(end, CONDUCTOR_STR("exit_code"), -1);

use crate::boundary::{guard, guard_value};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::reader::Reader;
use crate::record::Record;
use crate::root::{Conductor, run_id, task_ids};
use crate::text::{Str, place};
use conductor_core::Records;
use std::os::fd::AsRawFd as _;

/// One execution of one agent.
pub struct Run {
    _opaque: [u8; 0],
}

handle!(Run, b"crun", "conductor_run", conductor_core::Run);

/// Starts one run. Returns when its agent runs and its record is on disk.
///
/// Options: "project", "agent" ("claude", "codex", "gemini", "shell", or "command" with a "command" for
/// each word), "prompt" or "prompt_file", "task" (made of the prompt without it), "cwd", "env" ("K=V"),
/// "parent_run_id", "previous_run_id"; the limits "first_byte_timeout", "idle_timeout", "total_timeout"
/// ("20m", none unless set), "grace" ("10s").
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_job_start(
    conductor: *const Conductor,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Run,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules the handles are NULL or live.
        let (spec, wait) = unsafe { (settings(options)?.job()?, wait_of(-1, cancel)?) };
        // SAFETY: by the header's rules NULL, or a root that lives.
        let run = unsafe {
            handle::with(conductor, "conductor", |opened| opened.jobs().start(spec, wait))?
        };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(handle::make(run)) };
        Ok(())
    })
}

/// A run that exists, as after your own crash. Empty run: the newest of the task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_open(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    run: Str,
    out: *mut *mut Run,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules the texts live.
        let ((project, task), run) = unsafe { (task_ids(project, task)?, run_id(run)?) };
        let open = |opened: &conductor_core::Conductor| match &run {
            Some(run) => opened.runs().get(&project, &task, run),
            None => opened.runs().get_newest(&project, &task),
        };
        // SAFETY: by the header's rules NULL, or a root that lives.
        let run = unsafe { handle::with(conductor, "conductor", open)? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(handle::make(run)) };
        Ok(())
    })
}

/// What is known of the run now: "run_id", "status", "outcome", "exit_code", "folder", ... No wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_info(
    run: *const Run,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or a run that lives.
        let info = unsafe { handle::with(run, "run", conductor_core::Run::info)? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Record::into_handle(&info)) };
        Ok(())
    })
}

/// Waits for the run's end, and writes it down where nobody did. out: the final record, as
/// conductor_run_info() gives it. CONDUCTOR_TIMEOUT: it has not ended; a timeout of 0 only looks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_wait(
    run: *const Run,
    timeout_ms: i64,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or a switch that lives.
        let wait = unsafe { wait_of(timeout_ms, cancel)? };
        // SAFETY: by the header's rules NULL, or a run that lives.
        let info = unsafe { handle::with(run, "run", |run| run.wait(wait))? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Record::into_handle(&info)) };
        Ok(())
    })
}

/// A descriptor that becomes readable when conductor_run_wait() with a timeout of 0 may find the end,
/// after it did not; -1 for NULL. Yours to poll, not to read from and not to close; it lives as long as
/// the run's handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_fd(run: *const Run) -> i32 {
    // SAFETY: by the header's rules NULL, or a run that lives.
    guard_value(-1, || unsafe { handle::peek(run) }.map_or(-1, |run| run.fd().as_raw_fd()))
}

/// Reads what the run wrote. Records: "text" (whole lines, unreadable bytes replaced), "offset" (its
/// first byte in the file).
///
/// Options: "file" ("output": the final text, and what the agent printed while there is none; "stdout",
/// "stderr", "prompt"), "tail" the last so many lines, "follow" "true" until the run is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_output(
    run: *const Run,
    options: *const Options,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or options that live.
        let plan = unsafe { settings(options)? }.output()?;
        // SAFETY: by the header's rules NULL, or a run that lives.
        let records = unsafe { handle::with(run, "run", |run| Records::output(run, &plan))? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Reader::into_handle(records)) };
        Ok(())
    })
}

/// Ends the run, as conductor_stop() does. out may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_stop(
    run: *const Run,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules the handles are NULL or live.
        let (stop, wait) = unsafe { (settings(options)?.stop()?, wait_of(-1, cancel)?) };
        // SAFETY: by the header's rules NULL, or a run that lives.
        let report = unsafe { handle::with(run, "run", |run| run.stop(stop, wait))? };
        // SAFETY: by the header's rules NULL, or a writable pointer.
        unsafe { Record::give(out, &report) };
        Ok(())
    })
}

/// Frees a run's handle; the run goes on. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_free(run: *mut Run) {
    // SAFETY: by the header's rules NULL, or a handle that nobody uses any more.
    guard_value((), || unsafe { handle::free(run) });
}
