//! The update of a server's program
//!
//! A server exchanges its own program once no root run is active; nothing is interrupted. From the wish on
//! and until that is over, new root runs are refused with CONDUCTOR_UPDATE_IN_PROGRESS; the runs that the
//! agents of living ones start are not. Everybody can ask for it, look at it and cancel it, also while no
//! server lives; then nothing is held back.
//!
//! All records: "state" ("idle", "deferred", "applying", "failed"), "served" (whether a server lives that
//! can carry it out), "binary_path", "requested_at", "started_at", "finished_at",
//! "active_runs_at_request", "active_runs_now", "active_runs_error", "step", "installed_version",
//! "last_error", "last_note".

use crate::boundary::guard;
use crate::error::{Error, Status};
use crate::handle;
use crate::out::Out;
use crate::record::Record;
use crate::root::Conductor;
use crate::text::Str;
use conductor_core::UpdateRequest;

/// Where the update stands, and what it waits for. Reads only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_update_status(
    conductor: *const Conductor,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL.
        let out = unsafe { Out::new(out, "out")? };
        out.record(&handle::hold(conductor, "conductor")?.update().status()?)
    })
}

/// Asks the server to exchange its program for the file at binary, an absolute path on this machine, as
/// soon as no root run is active. A wish that waits is replaced. sha256 (may be empty): the 64 hexadecimal
/// digits that the file must have. allow_downgrade: take it even if it is older.
///
/// CONDUCTOR_CONFLICT: no server lives ("update.no_server"), or its program is being exchanged
/// ("update.applying"). What is wrong with the file is found later, and told by "last_error".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_update_start(
    conductor: *const Conductor,
    binary: Str,
    sha256: Str,
    allow_downgrade: bool,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and texts that live.
        let (out, binary, sha256) =
            unsafe { (Out::optional(out), binary.as_str("binary")?, sha256.as_str("sha256")?) };
        let mut request = UpdateRequest::new(binary).allow_downgrade(allow_downgrade);
        if !sha256.is_empty() {
            request = request.sha256(sha256);
        }
        let status = handle::hold(conductor, "conductor")?.update().start(request)?;
        out.map_or(Ok(()), |out| out.record(&status))
    })
}

/// Takes the wish back, so that new root runs start again; reason (may be empty) is recorded. An update
/// that failed is forgotten. No error where nothing is under way; CONDUCTOR_CONFLICT ("update.applying")
/// while the program is being exchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_update_cancel(
    conductor: *const Conductor,
    reason: Str,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and a text that lives.
        let (out, reason) = unsafe { (Out::optional(out), reason.as_str("reason")?) };
        let status = handle::hold(conductor, "conductor")?.update().cancel(reason)?;
        out.map_or(Ok(()), |out| out.record(&status))
    })
}
