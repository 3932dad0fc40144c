//! Ending waits from outside
//!
//! A conductor_cancel is a switch that ends every wait that was given it: the wait, never the work. Any
//! thread and any signal handler may set it at any time; it stays set. It must outlive the calls that
//! it was given to, and nothing else.
//!
//!     static conductor_cancel *interrupt;
//!     static void on_sigint(int number) { conductor_cancel_set(interrupt); }

use crate::boundary::guard_value;
use crate::handle::{self, handle};
use conductor_core::{Result, Wait};
use std::ptr;
use std::time::Duration;

/// Ends waits from outside.
pub struct Cancel {
    _opaque: [u8; 0],
}

handle!(Cancel, conductor_core::Cancel);

/// A wait of so many milliseconds, for ever where negative, ended by a switch where one is given.
pub(crate) fn wait_of(timeout_ms: i64, cancel: *const Cancel) -> Result<Wait> {
    let wait = match u64::try_from(timeout_ms) {
        Ok(millis) => Wait::from(Duration::from_millis(millis)),
        Err(_) => Wait::FOREVER,
    };
    Ok(match handle::optional(cancel, "cancel")? {
        Some(cancel) => wait.or_cancelled(&cancel),
        None => wait,
    })
}

/// A switch that is not set. NULL only where the process is out of memory or the like.
#[unsafe(no_mangle)]
pub extern "C" fn conductor_cancel_new() -> *mut Cancel {
    guard_value(ptr::null_mut(), || {
        handle::make(conductor_core::Cancel::new()).unwrap_or(ptr::null_mut())
    })
}

/// Ends every wait that has this switch, now and later. Any thread and any signal handler may call
/// it at any time. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_cancel_set(cancel: *const Cancel) {
    // No boundary here: it is not safe in a signal handler, and there is nothing that could panic.
    if let Some(cancel) = handle::look(cancel) {
        cancel.set();
        cancel.leave();
    }
}

/// Whether the switch was set. Safe in any thread and signal handler. NULL was never set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_cancel_is_set(cancel: *const Cancel) -> bool {
    handle::look(cancel).is_some_and(|cancel| {
        let is_set = cancel.is_set();
        cancel.leave();
        is_set
    })
}

/// Frees a switch that no call has any more. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_cancel_free(cancel: *mut Cancel) {
    guard_value((), || handle::free(cancel));
}
