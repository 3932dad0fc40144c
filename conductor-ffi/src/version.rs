//! Versions

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
