//! Errors
//!
//! A status says what to do, and an error object says what happened, where, and the way out. An error
//! belongs to no thread; it may be read by several at a time, and may outlive every other object.
//!
//!     conductor_error *err;
//!     if (conductor_open(CONDUCTOR_STR("/srv/agents"), NULL, &c, &err)) {
//!         conductor_str text = conductor_error_text(err, CONDUCTOR_STR("message"));
//!         fprintf(stderr, "error: %.*s\n", (int)text.len, text.ptr);
//!         conductor_error_free(err);
//!     }

use crate::boundary::guard_value;
use crate::handle::{self, handle};
use crate::text::Str;
use std::os::unix::ffi::OsStrExt as _;
use std::ptr;

/// How a call ended: CONDUCTOR_OK, or what the caller should do about it. The numbers are never used
/// again for another meaning; treat one that you do not know as CONDUCTOR_INTERNAL.
pub type Status = i32;

/// What went wrong, where, and the way out. May outlive every other object.
pub struct Error {
    _opaque: [u8; 0],
}

/// What is behind a `conductor_error`.
pub(crate) struct Told {
    inner: conductor_core::Error,
    message: String,
    cause: Option<String>,
    errno: Option<String>,
}

handle!(Error, Told);

impl Error {
    /// An object that belongs to the caller until it is freed; NULL where there can be none.
    pub(crate) fn into_handle(inner: conductor_core::Error) -> *mut Error {
        let told = Told {
            message: inner.to_string(),
            cause: inner.cause(),
            errno: inner.raw_os_error().map(|errno| errno.to_string()),
            inner,
        };
        // Where there are too many handles, the status alone has to say it.
        handle::make(told).unwrap_or(ptr::null_mut())
    }
}

impl Told {
    fn text(&self, key: &str) -> Option<&[u8]> {
        let text = match key {
            "message" => self.message.as_str(),
            "hint" => self.inner.hint(),
            "code" => self.inner.code(),
            "kind" => self.inner.kind().name(),
            "field" => self.inner.field()?,
            "cause" => self.cause.as_deref()?,
            "errno" => self.errno.as_deref()?,
            "retryable" if self.inner.is_retryable() => "true",
            "retryable" => "false",
            "path" => return Some(self.inner.path()?.as_os_str().as_bytes()),
            _ => return None,
        };
        Some(text.as_bytes())
    }
}

/// One text of an error; {NULL, 0} where the error has none, and for an unknown key.
///
/// "message" (one line, without its cause), "hint" (the way out), "code" (stable, as "id.invalid"),
/// "kind" (the status as a word, as "invalid_input"), "path" (bytes as the system has them) and
/// "field" (the argument or key that it is about), "cause", "errno" (digits), "retryable" ("true"
/// where the same call may succeed later). Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_error_text(err: *const Error, key: Str) -> Str {
    guard_value(Str::NONE, || {
        let Some(error) = handle::look(err) else { return Str::NONE };
        // SAFETY: by the header's rules the text lives during this call.
        let Ok(key) = (unsafe { key.as_str("key") }) else { return Str::NONE };
        error.text(key).map_or(Str::NONE, Str::borrowed)
    })
}

/// Frees an error and every text borrowed from it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_error_free(err: *mut Error) {
    guard_value((), || handle::free(err));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn every_text_is_told_and_bytes_of_a_path_are_kept() {
        let path = std::ffi::OsStr::from_bytes(b"/tmp/\xff").to_owned();
        let error = conductor_core::Error::io("open", path, io::Error::from_raw_os_error(28))
            .with_field("root");
        let handle = Error::into_handle(error);
        let text = |key: &'static str| {
            // SAFETY: the handle lives until the end of this test.
            let text = unsafe { conductor_error_text(handle, Str::from_static(key)) };
            if text.ptr.is_null() {
                return None;
            }
            // SAFETY: borrowed from the handle.
            Some(unsafe { std::slice::from_raw_parts(text.ptr.cast::<u8>(), text.len) }.to_vec())
        };
        assert_eq!(text("path").unwrap(), b"/tmp/\xff");
        assert_eq!(text("kind").unwrap(), b"storage_full");
        assert_eq!(text("code").unwrap(), b"io.storage_full");
        assert_eq!(text("hint").unwrap(), b"free space, then try again");
        assert_eq!(text("field").unwrap(), b"root");
        assert_eq!(text("errno").unwrap(), b"28");
        assert_eq!(text("retryable").unwrap(), b"true");
        assert!(text("message").unwrap().starts_with(b"cannot open /tmp/"));
        assert!(text("cause").unwrap().starts_with(b"No space left"));
        assert_eq!(text("other"), None);
        // SAFETY: made above, freed once.
        unsafe { conductor_error_free(handle) };
        // SAFETY: NULL is allowed.
        unsafe { conductor_error_free(ptr::null_mut()) };
    }
}
