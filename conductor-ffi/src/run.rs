//! Runs
//!
//! One execution of one agent, whoever started it. It lives on without this process. A run handle is
//! shared by threads and may outlive the root's; freeing it ends nothing.
//!
//!     conductor_run *run; conductor_record *end;
//!     conductor_job_start(c, o, NULL, &run, &err);
//!     conductor_run_wait(run, -1, interrupt, &end, &err);
//!     exit_code = conductor_record_int(end, CONDUCTOR_STR("exit_code"), -1);

use crate::boundary::{give, guard, guard_value, tell, tell_if_asked};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::out::Out;
use crate::reader::Reader;
use crate::record::Record;
use crate::root::{Conductor, run_id, task_ids};
use crate::text::Str;
use conductor_core::Records;
use std::os::fd::AsRawFd as _;

/// One execution of one agent.
pub struct Run {
    _opaque: [u8; 0],
}

handle!(Run, conductor_core::Run);

/// Starts one run. Returns when its agent runs and its record is on disk.
///
/// Options: "project", "agent" ("claude", "codex", "gemini", "shell", or "command" with a "command" for
/// each word), "prompt" or "prompt_file", "task" (made of the prompt without it), "cwd", "env" ("K=V"),
/// "parent_run_id", "previous_run_id"; the limits "first_byte_timeout", "idle_timeout", "total_timeout"
/// ("20m", none unless set), "grace" ("10s"), "output_limit" ("1GB"), "on_output_limit"
/// ("trim", "stop"), "max_depth" (none unless set), "max_children" ("8").
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_job_start(
    conductor: *const Conductor,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Run,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || {
            let (spec, wait) = (settings(options)?.job()?, wait_of(-1, cancel)?);
            handle::hold(conductor, "conductor")?.jobs().start(spec, wait)
        })
    }
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
        // SAFETY: by the header's rules a writable place, or NULL, and texts that live.
        let (out, (project, task), run) =
            unsafe { (Out::new(out, "out")?, task_ids(project, task)?, run_id(run)?) };
        let conductor = handle::hold(conductor, "conductor")?;
        out.give(match run {
            Some(run) => conductor.runs().get(&project, &task, &run)?,
            None => conductor.runs().get_newest(&project, &task)?,
        })
    })
}

/// What is known of the run now: "run_id", "status", "outcome", "exit_code", "folder", ... No wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_info(
    run: *const Run,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe { tell(out, err, || handle::hold(run, "run")?.info()) }
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
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        tell(out, err, || {
            let wait = wait_of(timeout_ms, cancel)?;
            handle::hold(run, "run")?.wait(wait)
        })
    }
}

/// A descriptor that becomes readable when conductor_run_wait() with a timeout of 0 may find the end,
/// after it did not; -1 for NULL. Yours to poll, not to read from and not to close; it lives as long as
/// the run's handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_fd(run: *const Run) -> i32 {
    guard_value(-1, || handle::look(run).map_or(-1, |run| run.fd().as_raw_fd()))
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
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || {
            let plan = settings(options)?.output()?;
            Ok(Records::output(&*handle::hold(run, "run")?, &plan)?.into())
        })
    }
}

/// Why the run stands where it stands. out: the fields of conductor_run_info(), and "because" (a sentence),
/// the group "evidence" (where it stands, and what it says), "next" (what to do). Reads only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_why(
    run: *const Run,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe { tell(out, err, || handle::hold(run, "run")?.why()) }
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
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        tell_if_asked(out, err, || {
            let (stop, wait) = (settings(options)?.stop()?, wait_of(-1, cancel)?);
            handle::hold(run, "run")?.stop(stop, wait)
        })
    }
}

/// Frees a run's handle; the run goes on. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_run_free(run: *mut Run) {
    guard_value((), || handle::free(run));
}
