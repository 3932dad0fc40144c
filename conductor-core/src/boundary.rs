//! Where Rust ends and another language begins: no panic gets past it, and nothing is printed.

use crate::error::{Error, ErrorKind};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

/// What is known of a panic.
#[derive(Debug)]
pub struct Panic(String);

impl From<Panic> for Error {
    fn from(panic: Panic) -> Error {
        Error::new(ErrorKind::Internal, "internal.panic", panic.0)
            .with_hint("this is a defect of conductor; please report it with this message")
    }
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static SEEN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `body`; a panic ends here, silently, with its message and place kept.
///
/// # Errors
/// The panic.
pub fn contain<T>(body: impl FnOnce() -> T) -> Result<T, Panic> {
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
/// Rust runtime inside the library; a host's own Rust code has its own.
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

    #[test]
    fn a_panic_becomes_an_error_with_message_and_place() {
        let error = Error::from(contain(|| panic!("no {}", "luck")).unwrap_err());
        assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "internal.panic"));
        let message = error.to_string();
        assert!(message.starts_with("internal error: no luck ("), "{message}");
        assert!(message.contains("boundary.rs:"), "{message}");
        assert_eq!(contain(|| 7).unwrap(), 7);
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let error = Error::from(contain(|| panic::panic_any(Bomb)).unwrap_err());
        assert!(error.to_string().contains("without a message"));
    }
}
