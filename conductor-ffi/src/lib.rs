//! The C library: what `conductor.h` declares, over [`conductor_core`]. No logic lives here.
//!
//! Each function converts its arguments, calls the core inside the one panic boundary
//! (`boundary`), and converts the answer. The header is generated from these files by a test, which
//! prints how to update it; its front page, with the rules for pointers, threads and lifetimes, is
//! in `cbindgen.toml`.
#![deny(clippy::undocumented_unsafe_blocks)]
#![allow(unsafe_code, reason = "pointers of a C caller; each block says why it is sound")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the front page of the header states the rules for pointers once, for all functions"
)]
#![allow(clippy::too_many_arguments, reason = "C has no methods and no named arguments")]

#[cfg(not(panic = "unwind"))]
compile_error!("build with panic = \"unwind\": an abort would end the host's process");

pub mod batch;
mod boundary;
pub mod bus;
pub mod cancel;
pub mod check;
pub mod config;
#[cfg(test)]
mod defects;
pub mod error;
pub mod gc;
mod handle;
pub mod log;
pub mod options;
mod out;
pub mod outbox;
pub mod reader;
pub mod record;
pub mod root;
pub mod run;
pub mod task;
pub mod text;
pub mod update;
pub mod version;
pub mod wait;
