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

use crate::boundary::{guard, guard_value};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::options::{Options, settings};
use crate::reader::Reader;
use crate::record::Record;
use crate::root::Conductor;
use crate::text::{Str, place};
use conductor_core::Records;

/// The message log of a project or a task.
pub struct Bus {
    _opaque: [u8; 0],
}

handle!(Bus, b"cbus", "conductor_bus", conductor_core::Bus);

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
        let out = place(out, "out")?;
        // SAFETY: by the header's rules the texts live during this call.
        let (project, task) = unsafe { (project.as_str("project")?, task.as_str("task")?) };
        let open = |opened: &conductor_core::Conductor| match task {
            "" => opened.bus(project),
            task => opened.bus((project, task)),
        };
        // SAFETY: by the header's rules NULL, or a root that lives.
        let bus = unsafe { handle::with(conductor, "conductor", open)? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(handle::make(bus)) };
        Ok(())
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
        // SAFETY: by the header's rules the texts live during this call.
        let (kind, body) = unsafe { (r#type.as_str("type")?, body.as_str("body")?) };
        // SAFETY: by the header's rules the handles are NULL or live.
        let (settings, wait) = unsafe { (settings(options)?, wait_of(-1, cancel)?) };
        let plan = settings.post(kind, body)?;
        // SAFETY: by the header's rules NULL, or a bus that lives.
        let posted = unsafe { handle::with(bus, "bus", |bus| plan.send(bus, wait))? };
        // SAFETY: by the header's rules NULL, or a writable pointer.
        unsafe { Record::give(out, &posted) };
        Ok(())
    })
}

/// Reads what is on the bus, oldest first, and with "follow" what comes.
///
/// Options: "after" a cursor or msg_id, "start" (as without it) or "end"; "tail" the last so many;
/// "type", "run", "since", "until" pick messages; "follow" "true". A record's "cursor" goes on from
/// there later, in any language. Damage is a record too: its "kind" is not "message" but "gap",
/// "corrupt", "foreign" or "replaced". Nothing is skipped in silence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_bus_read(
    bus: *const Bus,
    options: *const Options,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        let out = place(out, "out")?;
        // SAFETY: by the header's rules NULL, or options that live.
        let plan = unsafe { settings(options)? }.read()?;
        // SAFETY: by the header's rules NULL, or a bus that lives.
        let records = unsafe { handle::with(bus, "bus", |bus| Records::read(bus, plan))? };
        // SAFETY: not NULL, so by the header's rules it points to a writable pointer.
        unsafe { out.write(Reader::into_handle(records)) };
        Ok(())
    })
}

/// Frees a bus. Its readers stay open. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_bus_free(bus: *mut Bus) {
    // SAFETY: by the header's rules NULL, or a bus that nobody uses any more.
    guard_value((), || unsafe { handle::free(bus) });
}
