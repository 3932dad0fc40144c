//! The bus through its public face, on real files and on a machine that is made up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod basics;
mod between;
mod checker;
mod crashes;
mod dice;
mod images;
mod keeping;
mod kit;
mod machine;
mod predecessor;
mod rotation;
mod schedules;
mod shared;
mod turns;
