//! Handles: objects that a C caller holds by an opaque pointer.
//!
//! Each begins with a word that says what it is. A pointer to another kind of handle is told by it,
//! and so is one that was freed, as long as its memory was not used again.

use conductor_core::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The word of a handle that was freed.
const FREED: u32 = 0xdead_c0de;

/// What is behind a handle.
#[repr(C)]
pub(crate) struct Object<T> {
    kind: AtomicU32,
    poisoned: AtomicBool,
    inner: T,
}

/// A type that stands in the header, and what is behind it.
pub(crate) trait Handle {
    /// What is behind it.
    type Inner;
    /// The word that it begins with.
    const KIND: u32;
    /// What it is called in the header.
    const NAME: &'static str;
}

/// A handle that belongs to the caller until it is freed.
pub(crate) fn make<H: Handle>(inner: H::Inner) -> *mut H {
    let kind = AtomicU32::new(H::KIND);
    Box::into_raw(Box::new(Object { kind, poisoned: AtomicBool::new(false), inner })).cast()
}

/// Frees a handle from [`make`]; NULL, and what is not such a handle any more, is left alone.
///
/// # Safety
/// `handle` is NULL, or from `make` and used by nobody any more.
pub(crate) unsafe fn free<H: Handle>(handle: *mut H) {
    let object = handle.cast::<Object<H::Inner>>();
    // SAFETY: by this function's contract NULL, or an object of ours.
    let Some(found) = (unsafe { object.as_ref() }) else { return };
    let was = found.kind.compare_exchange(H::KIND, FREED, Ordering::AcqRel, Ordering::Relaxed);
    if was.is_ok() {
        // SAFETY: it is a box of `make` of this very type, and the word says that nobody freed it.
        drop(unsafe { Box::from_raw(object) });
    }
}

/// What is behind a handle, for a call that a panic cannot leave it half done in. `None` for NULL and
/// for what is no such handle.
///
/// # Safety
/// `handle` is NULL, or from [`make`] and not freed during `'a`.
pub(crate) unsafe fn peek<'a, H: Handle>(handle: *const H) -> Option<&'a H::Inner> {
    // SAFETY: by this function's contract NULL, or an object of ours; whatever its type is, it
    // begins with the word.
    let kind = unsafe { handle.cast::<AtomicU32>().as_ref() }?;
    if kind.load(Ordering::Acquire) != H::KIND {
        return None;
    }
    // SAFETY: the word says that the object is of this type.
    unsafe { handle.cast::<Object<H::Inner>>().as_ref() }.map(|object| &object.inner)
}

/// Runs `body` with what is behind the handle that is the argument `field`. A panic in it poisons the
/// handle: nobody knows in what state it is.
///
/// # Errors
/// `argument.null`, `argument.handle`, `handle.poisoned`; those of `body`.
///
/// # Safety
/// As [`peek`].
pub(crate) unsafe fn with<'a, H: Handle + 'a, T>(
    handle: *const H,
    field: &str,
    body: impl FnOnce(&'a H::Inner) -> Result<T>,
) -> Result<T> {
    if handle.is_null() {
        let message = format!("the argument {field} is NULL");
        return Err(Error::invalid("argument.null", field, message));
    }
    // SAFETY: by this function's contract.
    let Some(inner) = (unsafe { peek(handle) }) else {
        let message = format!("the argument {field} is no {}, or was freed", H::NAME);
        return Err(Error::invalid("argument.handle", field, message));
    };
    // SAFETY: `peek` found an object of this type.
    let poisoned = unsafe { &(*handle.cast::<Object<H::Inner>>()).poisoned };
    if poisoned.load(Ordering::Acquire) {
        let message = format!("an earlier call failed inside with this {}", H::NAME);
        return Err(Error::new(ErrorKind::Internal, "handle.poisoned", message)
            .with_field(field)
            .with_hint("free it and open it again; please report the first error"));
    }
    let fuse = Fuse(poisoned);
    let answer = body(inner);
    std::mem::forget(fuse);
    answer
}

/// As [`with`], for a handle that may be NULL.
///
/// # Safety
/// As [`peek`].
pub(crate) unsafe fn optional<'a, H: Handle + 'a>(
    handle: *const H,
    field: &str,
) -> Result<Option<&'a H::Inner>> {
    if handle.is_null() {
        return Ok(None);
    }
    // SAFETY: by this function's contract.
    unsafe { with(handle, field, |inner| Ok(Some(inner))) }
}

/// Dropped by a panic alone.
struct Fuse<'a>(&'a AtomicBool);

impl Drop for Fuse<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Says of a type of the header what is behind it.
macro_rules! handle {
    ($type:ident, $word:literal, $name:literal, $inner:ty) => {
        impl crate::handle::Handle for $type {
            type Inner = $inner;
            const KIND: u32 = u32::from_be_bytes(*$word);
            const NAME: &'static str = $name;
        }
    };
}
pub(crate) use handle;

#[cfg(test)]
mod tests {
    use super::*;

    struct One;
    struct Other;
    handle!(One, b"one1", "one", u32);
    handle!(Other, b"othr", "other", u32);

    fn code<T>(answer: Result<T>) -> &'static str {
        answer.err().map_or("", |error| error.code())
    }

    #[test]
    fn null_and_another_kind_are_told() {
        let one = make::<One>(7);
        // SAFETY: `one` lives; the casts are the mistake that is to be found.
        unsafe {
            assert_eq!(with(one, "x", |inner| Ok(*inner)).unwrap(), 7);
            assert_eq!(code(with(one.cast::<Other>(), "x", |_| Ok(()))), "argument.handle");
            assert_eq!(code(with(std::ptr::null::<One>(), "x", |_| Ok(()))), "argument.null");
            assert_eq!(optional(std::ptr::null::<One>(), "x").unwrap(), None);
            assert_eq!(code(optional(one.cast::<Other>(), "x")), "argument.handle");
            free(one.cast::<Other>());
            assert_eq!(
                peek(one.cast_const()),
                Some(&7),
                "freeing it as another kind frees nothing"
            );
            free(one);
            free(std::ptr::null_mut::<One>());
        }
    }

    #[test]
    fn a_panic_poisons_the_handle() {
        let one = make::<One>(7);
        let panics = || {
            // SAFETY: `one` lives.
            unsafe { with(one, "x", |_| -> Result<()> { panic!("defect") }) }
        };
        assert!(conductor_core::boundary::contain(panics).is_err());
        // SAFETY: as above; freed once.
        unsafe {
            assert_eq!(code(with(one, "x", |_| Ok(()))), "handle.poisoned");
            free(one);
        }
    }
}
