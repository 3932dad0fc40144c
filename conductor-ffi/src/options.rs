//! Options
//!
//! Named settings, key and value as on run-agent's command line, with _ for -: "max_attempts" "10",
//! "idle_timeout" "20m", "follow" "true". The same key again adds to a list ("env", "depends_on",
//! "command", "type", "parent", "link", "meta") and replaces anything else. A value is checked when it
//! is set; a key that a call does not take is refused by the call. Options are read during the call
//! and can be used again; one thread at a time sets, any number may use.
//!
//!     conductor_options *o = conductor_options_new();
//!     conductor_options_set(o, CONDUCTOR_STR("project"), CONDUCTOR_STR("shop"), NULL);

use crate::boundary::{guard, guard_value};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::text::Str;
use conductor_core::{Result, Settings};
use parking_lot::RwLock;
use std::ptr;

/// Named settings.
pub struct Options {
    _opaque: [u8; 0],
}

handle!(Options, RwLock<Settings>);

/// The options that a caller gives; none for NULL.
pub(crate) fn settings(options: *const Options) -> Result<Settings> {
    let given = handle::optional(options, "options")?;
    Ok(given.map(|settings| settings.read().clone()).unwrap_or_default())
}

/// No options. NULL only where the process is out of memory or the like.
#[unsafe(no_mangle)]
pub extern "C" fn conductor_options_new() -> *mut Options {
    guard_value(ptr::null_mut(), || handle::make(RwLock::default()).unwrap_or(ptr::null_mut()))
}

/// Sets an option. An unknown key is CONDUCTOR_INVALID_INPUT, "option.unknown", and the error's hint
/// names the nearest one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_options_set(
    options: *mut Options,
    key: Str,
    value: Str,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules the texts live during this call.
        let (key, value) = unsafe { (key.as_str("key")?, value.as_str("value")?) };
        handle::hold(options, "options")?.write().set(key, value)
    })
}

/// Frees options. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_options_free(options: *mut Options) {
    guard_value((), || handle::free(options));
}
