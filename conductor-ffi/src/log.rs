//! The log
//!
//! What the library says of its own work in this process. It is silent until somebody reads, and no
//! callback is ever called: lines are read like everything else, and their reader has a descriptor to wait
//! on.
//!
//!     conductor_reader *log;
//!     if (conductor_log_open(CONDUCTOR_STR("info,messagebus=debug"), &log, &err)) return fail(err);
//!     while (!conductor_reader_next(log, -1, interrupt, &line, &err))
//!         puts_line(conductor_record_text(line, CONDUCTOR_STR("text")));

use crate::boundary::guard;
use crate::error::{Error, Status};
use crate::out::Out;
use crate::reader::Reader;
use crate::text::Str;
use conductor_core::Records;

/// Begins to read log lines: "at", "level" ("error", "warn", "info", "debug"), "subsystem", "event",
/// "message", the group "fields", and "text", all of it on one line. Secrets are masked.
///
/// levels: one for all, and others for parts: "warn,runner=debug"; "off" is none. Lines that come faster
/// than they are read are left out, and counted in a line of their own. Several readers may be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_log_open(
    levels: Str,
    out: *mut *mut Reader,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and a text that lives.
        let (out, levels) = unsafe { (Out::new(out, "out")?, levels.as_str("levels")?) };
        out.give(Records::log(levels)?.into())
    })
}
