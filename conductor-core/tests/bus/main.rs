//! The bus through its public face, on real files and between real processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod basics;
mod chaos;
mod checker;
mod keeping;
mod kit;
mod processes;
mod rotation;
