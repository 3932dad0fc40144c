//! The bus
//!
//! The message log of a project or a task: an append-only file that any number of processes, in any
//! language, post to and follow at the same time. A bus handle is shared by threads and may outlive the
//! root's.
//!
//!     conductor_bus *bus; conductor_record *posted;
//!     conductor_bus_open(c, CONDUCTOR_STR("shop"), CONDUCTOR_STR(""), &bus, &err);
//!     conductor_bus_post(bus, CONDUCTOR_STR("DECISION"), CONDUCTOR_STR("Ship on Friday."), NULL, NULL,
//!                        &posted, &err);
//!     save(conductor_record_text(posted, CONDUCTOR_STR("cursor")));

use crate::boundary::{give, guard, guard_value, tell, tell_if_asked};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::out::Out;
use crate::reader::Reader;
use crate::record::Record;
use crate::root::Conductor;
use crate::text::Str;
use conductor_core::Records;

/// The message log of a project or a task.
pub struct Bus {
    _opaque: [u8; 0],
}

handle!(Bus, conductor_core::Bus);

/// The bus of a project; with task, of that task. Changes nothing on disk: the file is made by the first
/// post. CONDUCTOR_NOT_FOUND where the project's or the task's folder does not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_bus_open(
    conductor: *const Conductor,
    project: Str,
    task: Str,
    out: *mut *mut Bus,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and texts that live.
        let (out, project, task) =
            unsafe { (Out::new(out, "out")?, project.as_str("project")?, task.as_str("task")?) };
        let conductor = handle::hold(conductor, "conductor")?;
        out.give(match task {
            "" => conductor.bus(project)?,
            task => conductor.bus((project, task))?,
        })
    })
}

/// Posts a message. CONDUCTOR_OK: it is on the bus and survives what the root was opened for.
///
/// type: 1 to 64 of A-Z 0-9 _ / -; lower case is raised. body: at most 1 MiB. Options: "run" (the run it
/// belongs to), "parent" (a msg_id or cursor that it answers), "link", "meta" ("by=me"), "once" (a key:
/// post only where no message has it), "wait" (for other writers; "10s"). out (may be NULL): "msg_id",
/// "seq", "cursor". The error's "code" tells "bus.not_written" from "bus.unknown"; CONDUCTOR_TIMEOUT,
/// CONDUCTOR_CANCELLED and CONDUCTOR_BUSY mean that nothing was written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_bus_post(
    bus: *const Bus,
    r#type: Str,
    body: Str,
    options: *const Options,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and texts that live.
        let (out, kind, body) =
            unsafe { (Out::optional(out), r#type.as_str("type")?, body.as_str("body")?) };
        let (plan, wait) = (settings(options)?.post(kind, body)?, wait_of(-1, cancel)?);
        let posted = plan.send(&*handle::hold(bus, "bus")?, wait)?;
        out.map_or(Ok(()), |out| out.record(&posted))
    })
}

/// Reads what is on the bus, oldest first, and with "follow" what comes.
///
/// Options: "after" a cursor or msg_id, "start" (as without it) or "end"; "tail" the last so many;
/// "cursor" the name of a place that the root keeps, in the stead of both: the reader goes on from it, is
/// its only one (else CONDUCTOR_BUSY), and moves it by conductor_reader_commit(); "type", "run",
/// "since", "until" pick messages; "follow" "true". A record's "cursor" goes on from there later, in any
/// language. Damage is a record too: its "kind" is not "message" but "gap", "corrupt", "foreign" or
/// "replaced". Nothing is skipped in silence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_bus_read(
    bus: *const Bus,
    options: *const Options,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || {
            let plan = settings(options)?.read()?;
            Ok(Records::read(&*handle::hold(bus, "bus")?, plan)?.into())
        })
    }
}

/// Moves all that is on the bus into an archive beside it, which is read as before. out (may be NULL):
/// "result" ("done", "empty": there was nothing, "older_writer": a program may still write that would not
/// notice) and "archive", its path. The wait is one for other writers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_bus_rotate(
    bus: *const Bus,
    timeout_ms: i64,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        tell_if_asked(out, err, || {
            let wait = wait_of(timeout_ms, cancel)?;
            handle::hold(bus, "bus")?.rotate(wait)
        })
    }
}

/// Looks at every byte of the bus and its archives. Changes nothing. out: "messages", "files", "bytes",
/// "last_seq", "damaged" (1 where messages are lost or hidden), and the list "findings", each with
/// "kind", "path", "offset", "len", "text", "damage": "findings.0.kind".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_bus_check(
    bus: *const Bus,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe { tell(out, err, || handle::hold(bus, "bus")?.check()) }
}

/// Frees a bus. Its readers stay open. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_bus_free(bus: *mut Bus) {
    guard_value((), || handle::free(bus));
}
