//! The one place where Rust ends and C begins: no panic gets past it, and nothing is printed.

use crate::error::{Error, Status};
use conductor_core::{Error as CoreError, ErrorKind};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::ptr;
use std::sync::Once;

/// Success.
pub(crate) const OK: Status = 0;

/// Runs `body` and reports its end as a status, and as an error object where `err` is not NULL.
///
/// `*err` is always written: NULL on success and for the two answers that are no faults. A panic
/// becomes `CONDUCTOR_INTERNAL`.
pub(crate) fn guard(err: *mut *mut Error, body: impl FnOnce() -> Result<(), CoreError>) -> Status {
    let failure = match contain(body) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(panic) => Some(panic.into_error()),
    };
    let status = failure.as_ref().map_or(OK, |error| error.kind().row().c_status);
    let object = match failure {
        Some(error) if !matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Cancelled) => {
            Error::into_handle(error)
        }
        _ => ptr::null_mut(),
    };
    if err.is_null() {
        // SAFETY: made by `into_handle` just now, or NULL; nobody else has seen it.
        unsafe { Error::free_handle(object) };
    } else {
        // SAFETY: not NULL, so by the header's rules it points to a writable `conductor_error *`.
        unsafe { err.write(object) };
    }
    status
}

/// Runs `body`, which has no way to report an error, and gives `otherwise` should it panic.
pub(crate) fn guard_value<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    contain(body).unwrap_or(otherwise)
}

/// What is known of a panic.
struct Panic(String);

impl Panic {
    fn into_error(self) -> CoreError {
        CoreError::new(ErrorKind::Internal, "internal.panic", self.0)
            .with_hint("this is a defect of conductor; please report it with this message")
    }
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static SEEN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `body`; a panic ends here, silently, with its message and place kept.
fn contain<T>(body: impl FnOnce() -> T) -> Result<T, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(install_hook);
    let _inside = Inside::enter();
    panic::catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        // A payload may panic when dropped, and that would get past us; a leak on the way of a
        // defect is the lesser evil.
        std::mem::forget(payload);
        Panic(SEEN.try_with(RefCell::take).unwrap_or_else(|_| "a panic".to_owned()))
    })
}

/// Marks the thread as running inside the boundary, until dropped.
struct Inside;

impl Inside {
    fn enter() -> Inside {
        // A thread at its very end has no such marks any more; its panic is then printed, no more.
        let _ended = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ended = DEPTH.try_with(|depth| depth.set(depth.get().saturating_sub(1)));
    }
}

/// Keeps the message of a panic inside the boundary instead of printing it. This is the hook of the
/// Rust runtime inside this library; a host's own Rust code has its own.
fn install_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
            previous(info);
        } else {
            let _ended = SEEN.try_with(|seen| seen.replace(describe(info)));
        }
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    match info.location() {
        Some(place) => format!("internal error: {message} ({}:{})", place.file(), place.line()),
        None => format!("internal error: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::conductor_error_text;
    use crate::text::Str;

    fn text(err: *mut Error, key: &'static str) -> String {
        // SAFETY: both come from this test and live.
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
        // SAFETY: made by `guard`, freed once.
        unsafe { Error::free_handle(err) };
        assert_eq!(panics(ptr::null_mut()), ErrorKind::Internal.row().c_status);
        assert_eq!(guard_value(7, || panic!("again")), 7);
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let mut err = ptr::null_mut();
        let status = guard(&mut err, || panic::panic_any(Bomb));
        assert_eq!(status, ErrorKind::Internal.row().c_status);
        assert!(text(err, "message").contains("without a message"));
        // SAFETY: made by `guard`, freed once.
        unsafe { Error::free_handle(err) };
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
