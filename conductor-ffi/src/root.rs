//! The root
//!
//! One folder that holds projects, their tasks, and the runs of each. Any number of processes may have
//! it open. A conductor handle is shared by threads; what was opened from it may outlive it.
//!
//!     conductor *c;
//!     if (conductor_open(CONDUCTOR_STR(""), NULL, &c, &err)) return fail(err);

use crate::boundary::{give, guard, guard_value};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::out::Out;
use crate::reader::Reader;
use crate::record::Record;
use crate::text::Str;
use conductor_core::{ProjectId, Records, Result, RunId, TaskId};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// An opened root.
pub struct Conductor {
    _opaque: [u8; 0],
}

handle!(Conductor, conductor_core::Conductor);

/// The ids of a task.
///
/// # Safety
/// The texts live.
pub(crate) unsafe fn task_ids(project: Str, task: Str) -> Result<(ProjectId, TaskId)> {
    // SAFETY: by this function's contract.
    let (project, task) = unsafe { (project.as_str("project")?, task.as_str("task")?) };
    Ok((ProjectId::new(project)?, TaskId::new(task)?))
}

/// The id of a run; `None` where it is empty.
///
/// # Safety
/// The text lives.
pub(crate) unsafe fn run_id(run: Str) -> Result<Option<RunId>> {
    // SAFETY: by this function's contract.
    let run = unsafe { run.as_str("run")? };
    Some(run).filter(|run| !run.is_empty()).map(RunId::new).transpose()
}

/// A root that is named; none where the text is empty.
///
/// # Safety
/// The text lives.
pub(crate) unsafe fn root_path(root: Str) -> Result<Option<PathBuf>> {
    // SAFETY: by this function's contract.
    let root = unsafe { root.as_str("root")? };
    Ok(Some(root).filter(|root| !root.is_empty()).map(PathBuf::from))
}

/// Opens a root, which need not exist yet: the first work makes it. Empty root: CONDUCTOR_ROOT of the
/// environment, inside an agent the root of its task, "storage.runs_dir" of the configuration, else
/// ~/run-agent. Opening changes nothing on disk.
///
/// Options: "config" (the configuration; else CONDUCTOR_CONFIG of the environment, else the usual places;
/// one that cannot be used is an error), "run_agent" (a working run-agent, which agents find first on
/// their PATH; without one they are not told of the bus), "durability" ("disk": an acknowledged message
/// survives a power cut; "process": the death of any process).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_open(
    root: Str,
    options: *const Options,
    out: *mut *mut Conductor,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and a text that lives.
        let (out, root) = unsafe { (Out::new(out, "out")?, root_path(root)?) };
        out.give(settings(options)?.open()?.open(root)?)
    })
}

/// The path of the root, bytes as the system has them. Borrowed from the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_root(conductor: *const Conductor) -> Str {
    guard_value(Str::NONE, || {
        handle::look(conductor)
            .map_or(Str::NONE, |opened| Str::borrowed(opened.root().as_os_str().as_bytes()))
    })
}

/// The projects; with "project" its tasks; with "task" too its runs; "status" picks by the word of that
/// field. Each is looked at when it is read; one that cannot be read is a record with "error" and
/// "error_code". Never writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_list(
    conductor: *const Conductor,
    options: *const Options,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || {
            let plan = settings(options)?.list()?;
            Ok(Records::list(&*handle::hold(conductor, "conductor")?, plan)?.into())
        })
    }
}

/// Writes down the ends of runs that nobody saw ending, once in all, also when ten processes ask; out:
/// their records. Costs what is open in the root, not what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_reconcile(
    conductor: *const Conductor,
    cancel: *const Cancel,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || {
            let wait = wait_of(-1, cancel)?;
            let closed = handle::hold(conductor, "conductor")?.reconcile(wait)?;
            Ok(Records::from(closed).into())
        })
    }
}

/// Ends work by its ids: a task for good, or with run that run alone. Its whole tree gets SIGTERM, its
/// grace, SIGKILL; returns when nothing of it is left and its end is written down. What is over already
/// is no error. A process that conductor did not start is never signalled.
///
/// Options: "reason" (recorded), "force" (no grace). out (may be NULL): "signalled", "killed". Where this
/// process drives the task itself, use conductor_task_stop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_stop(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    run: Str,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and texts that live.
        let (out, (project, task), run) =
            unsafe { (Out::optional(out), task_ids(project, task)?, run_id(run)?) };
        let (stop, wait) = (settings(options)?.stop()?, wait_of(-1, cancel)?);
        let conductor = handle::hold(conductor, "conductor")?;
        let report = match &run {
            Some(run) => conductor.runs().get(&project, &task, run)?.stop(stop, wait)?,
            None => conductor.tasks().get(&project, &task)?.stop(stop, wait)?,
        };
        out.map_or(Ok(()), |out| out.record(&report))
    })
}

/// What runs used, summed up: tokens and cost, as their agents told. Reads only.
///
/// Options: "project", "task" (with its project), "by" ("run", "task", "project", "agent", "day"; unless
/// given, the parts of what is looked at). out: "by", the list "sums" with "name", "runs",
/// "usage.input_tokens", "cost_usd", ..., the group "total" with the same, and the list "damage" of what
/// could not be read. Runs that did not tell are counted in "unknown_usage" and "unknown_cost".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_usage(
    conductor: *const Conductor,
    options: *const Options,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL.
        let out = unsafe { Out::new(out, "out")? };
        let plan = settings(options)?.usage()?;
        let conductor = handle::hold(conductor, "conductor")?;
        let report = conductor.usage(plan.project.as_ref(), plan.task.as_ref())?;
        out.record(report.record(plan.group()))
    })
}

/// What is wrong with the root, and the way out of each: "kind", "path", "text", "way_out". Reads only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_doctor(
    conductor: *const Conductor,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || Ok(Records::doctor(&*handle::hold(conductor, "conductor")?)?.into()))
    }
}

/// Frees a root. What runs goes on, and what was opened from it stays open. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_free(conductor: *mut Conductor) {
    guard_value((), || handle::free(conductor));
}
