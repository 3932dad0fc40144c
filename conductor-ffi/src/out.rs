//! Places for what a call gives.

use crate::handle::{self, Handle};
use conductor_core::{Error, Result};
use std::mem::MaybeUninit;

/// A place that a caller gave for an output. It is written on success alone.
#[derive(Debug)]
pub(crate) struct Out<'a, T>(&'a mut MaybeUninit<T>);

impl<T> Out<'_, T> {
    /// The place that is the argument `field`.
    ///
    /// # Errors
    /// `argument.null`.
    ///
    /// # Safety
    /// `out` is NULL, or may be written to for `'a`.
    pub(crate) unsafe fn new<'a>(out: *mut T, field: &str) -> Result<Out<'a, T>> {
        // SAFETY: by this function's contract.
        unsafe { Out::optional(out) }.ok_or_else(|| {
            let message = format!("the argument {field} is NULL");
            Error::invalid("argument.null", field, message)
                .with_hint("pass the address of a variable for the result")
        })
    }

    /// The place of a caller who may have no use for the output.
    ///
    /// # Safety
    /// As [`Out::new`].
    pub(crate) unsafe fn optional<'a>(out: *mut T) -> Option<Out<'a, T>> {
        // SAFETY: by this function's contract; what is there now is not read.
        unsafe { out.cast::<MaybeUninit<T>>().as_mut() }.map(Out)
    }

    /// Writes the output.
    pub(crate) fn write(self, value: T) {
        self.0.write(value);
    }
}

impl<H: Handle> Out<'_, *mut H> {
    /// Gives a handle, which belongs to the caller from now on.
    ///
    /// # Errors
    /// `handle.too_many`.
    pub(crate) fn give(self, inner: H::Inner) -> Result<()> {
        self.write(handle::make(inner)?);
        Ok(())
    }
}
