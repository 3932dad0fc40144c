//! The library itself

use crate::boundary::guard_value;
use crate::handle;
use crate::text::Str;

/// The version of the binary interface that this header describes; also the number in the shared
/// library's name, libconductor.so.1.
pub const CONDUCTOR_ABI_VERSION: u32 = 1;

/// The CONDUCTOR_ABI_VERSION that the loaded library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn conductor_abi_version() -> u32 {
    CONDUCTOR_ABI_VERSION
}

/// The version of the loaded library, as "0.1.0". Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn conductor_version() -> Str {
    Str::from_static(env!("CARGO_PKG_VERSION"))
}

/// How many handles of this process were not freed, of all kinds. For tests: what a program forgets to
/// free shows here, and nowhere else, since the library itself holds what is behind a handle.
#[unsafe(no_mangle)]
pub extern "C" fn conductor_handle_count() -> usize {
    guard_value(0, handle::count)
}
