//! Ending waits from outside.

use crate::boundary::guard_value;
use std::ptr;

/// A switch that ends every wait that was given it: the waits, never the work. It must outlive the
/// calls that it was given to, nothing else.
pub struct Cancel(conductor_core::Cancel);

/// A switch that is not set. NULL only where the process is out of memory or the like.
#[unsafe(no_mangle)]
pub extern "C" fn conductor_cancel_new() -> *mut Cancel {
    guard_value(ptr::null_mut(), || Box::into_raw(Box::new(Cancel(conductor_core::Cancel::new()))))
}

/// Ends every wait that has this switch, now and later. Any thread and any signal handler may call
/// it at any time. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_cancel_set(cancel: *const Cancel) {
    // No boundary here: it is not safe in a signal handler, and there is nothing that could panic.
    // SAFETY: by the header's rules NULL, or a switch that is not freed during this call.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.0.set();
    }
}

/// Whether the switch was set. Safe in any thread and signal handler. NULL was never set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_cancel_is_set(cancel: *const Cancel) -> bool {
    // SAFETY: by the header's rules NULL, or a switch that is not freed during this call.
    unsafe { cancel.as_ref() }.is_some_and(|cancel| cancel.0.is_set())
}

/// Frees a switch that no call has any more. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_cancel_free(cancel: *mut Cancel) {
    guard_value((), || {
        if !cancel.is_null() {
            // SAFETY: by the header's rules from `conductor_cancel_new` and used by nobody any more.
            drop(unsafe { Box::from_raw(cancel) });
        }
    });
}
