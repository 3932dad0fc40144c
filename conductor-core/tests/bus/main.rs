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
mod crashes;
mod dice;
mod keeping;
mod kit;
mod machine;
mod processes;
mod rotation;
mod schedules;
