//! Questions that need no root

use crate::boundary::guard;
use crate::error::{Error, Status};
use crate::out::Out;
use crate::text::Str;
use conductor_core::{check_id, parse_duration};

/// Whether a text can be the id of a "project", "task", "run" or "message". The error says what is
/// wrong with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_id_check(noun: Str, id: Str, err: *mut *mut Error) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules the texts live during this call.
        let (noun, id) = unsafe { (noun.as_str("noun")?, id.as_str("id")?) };
        check_id(noun, id)
    })
}

/// A length of time as on the command line ("500ms", "1h30m", "168h") in nanoseconds, never negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_duration_parse(
    text: Str,
    out_ns: *mut i64,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and a text that lives.
        let (out, text) = unsafe { (Out::new(out_ns, "out_ns")?, text.as_str("text")?) };
        let length = parse_duration(text)?;
        out.write(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX));
        Ok(())
    })
}
