//! The webhook
//!
//! Events wait in the root until the configured webhook took them. The library calls nobody by itself: a
//! program that wants them told calls conductor_outbox_deliver(), at its end or in a thread beside its
//! work.

use crate::boundary::{give, tell_if_asked};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle;
use crate::reader::Reader;
use crate::record::Record;
use crate::root::Conductor;
use conductor_core::Records;

/// The events that wait for the webhook, the oldest first: "event_id", "event", "at", "attempts",
/// "next_attempt", "error", "body". Reads only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_outbox(
    conductor: *const Conductor,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        give(out, err, || Ok(Records::outbox(&*handle::hold(conductor, "conductor")?)?.into()))
    }
}

/// Tells the webhook what waits and is due, and what becomes due before the wait is over; the end of the
/// wait is no error. out (may be NULL): "delivered", "failed", "left", "given_up", "error", "next_attempt".
/// Several processes may do so at once: each event is told by one of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_outbox_deliver(
    conductor: *const Conductor,
    timeout_ms: i64,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        tell_if_asked(out, err, || {
            let wait = wait_of(timeout_ms, cancel)?;
            handle::hold(conductor, "conductor")?.outbox().deliver(wait)
        })
    }
}
