//! The one place where Rust ends and C begins: no panic gets past it, and nothing is printed.

use crate::error::{Error, Status};
use crate::handle::{self, Handle};
use crate::out::Out;
use crate::record::Record;
use conductor_core::boundary::contain;
use conductor_core::{Error as CoreError, ErrorKind, Record as CoreRecord};
use std::ptr;

/// Success.
pub(crate) const OK: Status = 0;

/// Runs `body` and reports its end as a status, and as an error object where `err` is not NULL.
///
/// `*err` is always written: NULL on success and for the two answers that are no faults. A panic
/// becomes `CONDUCTOR_INTERNAL`.
pub(crate) fn guard(err: *mut *mut Error, body: impl FnOnce() -> Result<(), CoreError>) -> Status {
    let failure = match contain(|| inside(body)) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(panic) => Some(panic.into()),
    };
    let status = failure.as_ref().map_or(OK, |error| error.kind().row().c_status);
    let object = match failure {
        Some(error) if !matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Cancelled) => {
            Error::into_handle(error)
        }
        _ => ptr::null_mut(),
    };
    // SAFETY: by the header's rules NULL, or a writable `conductor_error *`.
    match unsafe { Out::optional(err) } {
        Some(place) => place.write(object),
        None => handle::free(object),
    }
    status
}

/// As [`guard`]: gives a handle of what `body` makes, which belongs to the caller from now on.
///
/// # Safety
/// `out` is NULL, or may be written to.
pub(crate) unsafe fn give<H: Handle>(
    out: *mut *mut H,
    err: *mut *mut Error,
    body: impl FnOnce() -> Result<H::Inner, CoreError>,
) -> Status {
    guard(err, || {
        // SAFETY: by this function's contract.
        let out = unsafe { Out::new(out, "out")? };
        out.give(body()?)
    })
}

/// As [`give`], for what is told as a record.
///
/// # Safety
/// As [`give`].
pub(crate) unsafe fn tell<T>(
    out: *mut *mut Record,
    err: *mut *mut Error,
    body: impl FnOnce() -> Result<T, CoreError>,
) -> Status
where
    for<'a> &'a T: Into<CoreRecord>,
{
    guard(err, || {
        // SAFETY: by this function's contract.
        let out = unsafe { Out::new(out, "out")? };
        out.record(&body()?)
    })
}

/// As [`tell`], for a caller who may have no use for the record.
///
/// # Safety
/// As [`give`].
pub(crate) unsafe fn tell_if_asked<T>(
    out: *mut *mut Record,
    err: *mut *mut Error,
    body: impl FnOnce() -> Result<T, CoreError>,
) -> Status
where
    for<'a> &'a T: Into<CoreRecord>,
{
    guard(err, || {
        // SAFETY: by this function's contract.
        let out = unsafe { Out::optional(out) };
        let told = body()?;
        out.map_or(Ok(()), |out| out.record(&told))
    })
}

/// Runs `body`, which has no way to report an error, and gives `otherwise` should it panic.
pub(crate) fn guard_value<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    contain(|| inside(body)).unwrap_or(otherwise)
}

#[cfg(not(test))]
fn inside<T>(body: impl FnOnce() -> T) -> T {
    body()
}

/// In tests a panic can be put in the place of every body.
#[cfg(test)]
fn inside<T>(body: impl FnOnce() -> T) -> T {
    if tests::DEFECT.get() {
        tests::HITS.set(tests::HITS.get() + 1);
        panic!("a defect was injected");
    }
    body()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::error::conductor_error_text;
    use crate::text::Str;
    use std::cell::Cell;

    thread_local! {
        /// Whether every body panics in this thread.
        pub(crate) static DEFECT: Cell<bool> = const { Cell::new(false) };
        /// How many did.
        pub(crate) static HITS: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn text(err: *mut Error, key: &'static str) -> String {
        // SAFETY: both come from a test and live.
        unsafe { conductor_error_text(err, Str::from_static(key)).as_str("key").unwrap() }
            .to_owned()
    }

    extern "C" fn panics(err: *mut *mut Error) -> Status {
        guard(err, || panic!("no {}", "luck"))
    }

    #[test]
    fn a_panic_becomes_a_status_with_message_and_place() {
        let mut err = ptr::null_mut();
        // An unwinding that reached the edge of an `extern "C"` function would abort this test.
        assert_eq!(panics(&mut err), ErrorKind::Internal.row().c_status);
        let message = text(err, "message");
        assert!(message.starts_with("internal error: no luck ("), "{message}");
        assert!(message.contains("boundary.rs:"), "{message}");
        assert_eq!(text(err, "code"), "internal.panic");
        handle::free(err);
        assert_eq!(panics(ptr::null_mut()), ErrorKind::Internal.row().c_status);
        assert_eq!(guard_value(7, || panic!("again")), 7);
    }

    #[test]
    fn answers_that_are_no_faults_make_no_object_and_clear_the_place_for_it() {
        for kind in [ErrorKind::Timeout, ErrorKind::Cancelled] {
            let mut err = ptr::without_provenance_mut(0x10);
            let status = guard(&mut err, || Err(CoreError::new(kind, "wait.ended", "ended")));
            assert_eq!(status, kind.row().c_status);
            assert!(err.is_null());
        }
        let mut err = ptr::without_provenance_mut(0x10);
        assert_eq!(guard(&mut err, || Ok(())), OK);
        assert!(err.is_null());
    }
}
