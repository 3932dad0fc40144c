//! Garbage collection
//!
//! What may go is planned first, which changes nothing; then the plan is carried out. What is in use,
//! lives, or changed meanwhile stays. A plan is shared by threads and may outlive the root's handle; its
//! readers may outlive it.
//!
//!     conductor_plan *plan; conductor_reader *work; conductor_record *done, *report;
//!     conductor_options_set(o, CONDUCTOR_STR("older_than"), CONDUCTOR_STR("168h"), NULL);
//!     conductor_gc_plan(c, o, -1, interrupt, &plan, &err);
//!     conductor_plan_apply(plan, &work, &err);
//!     while (!(status = conductor_reader_next(work, -1, interrupt, &done, &err)) && done)
//!         conductor_record_free(done);
//!     conductor_reader_report(work, &report, &err);
//!     freed = conductor_record_int(report, CONDUCTOR_STR("freed"), -1);

use crate::boundary::{give, guard, guard_value, tell};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::out::Out;
use crate::reader::Reader;
use crate::record::Record;
use crate::root::Conductor;
use crate::text::Str;
use conductor_core::{GcPlan, Records};

/// What garbage collection would do.
pub struct Plan {
    _opaque: [u8; 0],
}

handle!(Plan, GcPlan);

/// Looks at the whole root, as far as it must be known to judge any of it. Changes nothing on disk.
///
/// Options, which are else as configured: "project" (only this one), "older_than" ("168h"), "keep_failed",
/// "keep_last" (so many of each task), "max_bytes", "min_free" ("10GB": the oldest go until it fits, 0: none),
/// "rotate_bus", "bus_max_size" ("10MB"), "prune_archives" ("720h"), "delete_done_tasks", "force" (believe
/// a clock that ran ahead since the last collection, which else is CONDUCTOR_CONFLICT, "gc.clock_jumped").
/// What is configured is taken back by "false", or by "none" where a size or a time is wanted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_gc_plan(
    conductor: *const Conductor,
    options: *const Options,
    timeout_ms: i64,
    cancel: *const Cancel,
    out: *mut *mut Plan,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || {
            let (settings, wait) = (settings(options)?, wait_of(timeout_ms, cancel)?);
            let conductor = handle::hold(conductor, "conductor")?;
            let gc = conductor.gc();
            gc.plan_telling(settings.gc(gc.policy())?, wait, |_, _| {})
        })
    }
}

/// Makes a plan again that was made before, in whatever process: from the "plan" of conductor_plan_info().
/// It takes no more than that one did, unless somebody took away what kept a thing. Its goals are those of
/// that plan: nothing is counted again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_gc_plan_again(
    conductor: *const Conductor,
    plan: Str,
    timeout_ms: i64,
    cancel: *const Cancel,
    out: *mut *mut Plan,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and a text that lives.
        let (out, plan) = unsafe { (Out::new(out, "out")?, plan.as_str("plan")?) };
        let wait = wait_of(timeout_ms, cancel)?;
        out.give(handle::hold(conductor, "conductor")?.gc().plan_again(plan, wait)?)
    })
}

/// The plan as a whole. out: "plan" (the policy and the moment as one text), "now", "runs" of the root,
/// the list "goals" (for max_bytes and min_free: "goal", "wanted", "now", "short": the bytes that will be
/// missing, "held": what stays), and the list "errors": what could not be looked at elsewhere in the root.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_plan_info(
    plan: *const Plan,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe { tell(out, err, || Ok((*handle::hold(plan, "plan")?).clone())) }
}

/// What is to be done; with all, what stays too: "action" ("keep", "delete", "rotate"), "kind", "reason",
/// "path", "bytes", "project_id", "task_id", "run_id", ... Each thing is looked at when it is read; one that
/// cannot be looked at is a record with "error" and "error_code". Reads only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_plan_items(
    plan: *const Plan,
    all: bool,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe { give(out, err, || Ok(Records::gc_items(&*handle::hold(plan, "plan")?, all).into())) }
}

/// Carries the plan out as the reader is read. Records: what was to go, each as soon as it is certain what
/// became of it, with "result" ("done", "gone": somebody else did it, "kept": "kept_for" says why, "failed":
/// "error"). conductor_reader_report() has the sums, and at the end the "goals".
///
/// Reading works: what is not read is not done. A timeout or a switch ends the wait between two things;
/// reading goes on where it was. Freeing the reader ends what was begun. Nothing is ever half done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_plan_apply(
    plan: *const Plan,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe { give(out, err, || Ok(Records::gc_work(&*handle::hold(plan, "plan")?)?.into())) }
}

/// Frees a plan. Its readers stay open. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_plan_free(plan: *mut Plan) {
    guard_value((), || handle::free(plan));
}
