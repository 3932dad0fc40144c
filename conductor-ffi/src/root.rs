//! The root
//!
//! One folder that holds projects, their tasks, and the runs of each. Any number of processes may have
//! it open. A conductor handle is shared by threads; what was opened from it may outlive it.
//!
//!     conductor *c;
//!     if (conductor_open(CONDUCTOR_STR(""), NULL, &c, &err)) return fail(err);

use crate::boundary::{guard, guard_value};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::reader::Reader;
use crate::record::Record;
use crate::text::{Str, place};
use conductor_core::{ProjectId, Records, Result, RunId, TaskId};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// An opened root.
pub struct Conductor {
    _opaque: [u8; 0],
}

handle!(Conductor, b"cond", "conductor", conductor_core::Conductor);

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

/// Opens a root, which need not exist yet: the first work makes it. Empty root: CONDUCTOR_ROOT of the
/// environment, inside an agent the root of its task, else ~/run-agent. Opening changes nothing on disk.
///
/// Options: "run_agent" (a working run-agent, which agents find first on their PATH; without one they
/// are not told of the bus), "durability" ("disk": an acknowledged message survives a power cut;
/// "process": the death of any process).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_open(
    root: Str,
    options: *const Options,
    out: *mut *mut Conductor,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules the text lives, and the options are NULL or live.
        let (root, settings) = unsafe { (root.as_str("root")?, settings(options)?) };
        let root = Some(root).filter(|root| !root.is_empty()).map(PathBuf::from);
        let sources = conductor_core::Conductor::sources(root);
        let opened = conductor_core::Conductor::open_from(&sources, settings.open()?)?;
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(handle::make(opened)) };
        Ok(())
    })
}

/// The path of the root, bytes as the system has them. Borrowed from the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_root(conductor: *const Conductor) -> Str {
    guard_value(Str::NONE, || {
        // SAFETY: by the header's rules NULL, or a root that lives.
        let opened = unsafe { handle::peek(conductor) };
        opened.map_or(Str::NONE, |opened| Str::borrowed(opened.root().as_os_str().as_bytes()))
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
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or options that live.
        let plan = unsafe { settings(options)? }.list()?;
        // SAFETY: by the header's rules NULL, or a root that lives.
        let records =
            unsafe { handle::with(conductor, "conductor", |opened| Records::list(opened, plan))? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Reader::into_handle(records)) };
        Ok(())
    })
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
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or a switch that lives.
        let wait = unsafe { wait_of(-1, cancel)? };
        // SAFETY: by the header's rules NULL, or a root that lives.
        let closed =
            unsafe { handle::with(conductor, "conductor", |opened| opened.reconcile(wait))? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Reader::into_handle(closed.into())) };
        Ok(())
    })
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
        // SAFETY: by the header's rules the texts live.
        let ((project, task), run) = unsafe { (task_ids(project, task)?, run_id(run)?) };
        // SAFETY: by the header's rules the handles are NULL or live.
        let (stop, wait) = unsafe { (settings(options)?.stop()?, wait_of(-1, cancel)?) };
        let end = |opened: &conductor_core::Conductor| match &run {
            Some(run) => opened.runs().get(&project, &task, run)?.stop(stop, wait),
            None => opened.tasks().get(&project, &task)?.stop(stop, wait),
        };
        // SAFETY: by the header's rules NULL, or a root that lives.
        let report = unsafe { handle::with(conductor, "conductor", end)? };
        // SAFETY: by the header's rules NULL, or a writable pointer.
        unsafe { Record::give(out, &report) };
        Ok(())
    })
}

/// Frees a root. What runs goes on, and what was opened from it stays open. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_free(conductor: *mut Conductor) {
    // SAFETY: by the header's rules NULL, or a root that nobody uses any more.
    guard_value((), || unsafe { handle::free(conductor) });
}
