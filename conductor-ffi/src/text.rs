//! Text in and out.

use conductor_core::{Error, Result};
use std::ffi::c_char;
use std::ptr;

/// Text: UTF-8 bytes and their number, not terminated.
///
/// Text in is read during the call and never kept. Text out is borrowed from the object that it came
/// from and valid until that is freed; {NULL, 0} means that there is none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    /// The first byte.
    pub ptr: *const c_char,
    /// The number of bytes.
    pub len: usize,
}

impl Str {
    /// No text.
    pub(crate) const NONE: Str = Str { ptr: ptr::null(), len: 0 };

    /// Text that lives as long as the process.
    pub(crate) const fn from_static(text: &'static str) -> Str {
        Str { ptr: text.as_ptr().cast(), len: text.len() }
    }

    /// Bytes borrowed from an object that the caller holds.
    pub(crate) fn borrowed(bytes: &[u8]) -> Str {
        Str { ptr: bytes.as_ptr().cast(), len: bytes.len() }
    }

    /// The text of the argument called `field`.
    ///
    /// # Safety
    /// `ptr` is NULL or points to `len` bytes that stay unchanged for `'a`.
    pub(crate) unsafe fn as_str<'a>(self, field: &str) -> Result<&'a str> {
        if self.len == 0 {
            return Ok("");
        }
        if self.ptr.is_null() {
            let message = format!("the argument {field} is NULL but has a length of {}", self.len);
            return Err(Error::invalid("argument.null", field, message));
        }
        if isize::try_from(self.len).is_err() {
            let message = format!("the argument {field} has a length of {} bytes", self.len);
            return Err(Error::invalid("argument.length", field, message)
                .with_hint("a negative number was probably converted to size_t"));
        }
        // SAFETY: not NULL, `len` bytes long by this function's contract, and no longer than any
        // object can be.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr.cast::<u8>(), self.len) };
        std::str::from_utf8(bytes).map_err(|source| {
            let offset = source.valid_up_to();
            let message = format!("the argument {field} is not UTF-8 from byte {offset} on");
            Error::invalid("argument.not_utf8", field, message).with_source(source)
        })
    }
}
