//! The bus between real processes: at once, forked, and killed at any moment and at any system call.
//!
//! A test here may fork, so only one of them runs at a time. How much a test does is a small share of
//! what `.ci/long bus` asks for by `BUS_COUNT`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking, and print their counts"
)]

mod appends;
mod calls;
#[path = "../bus/checker.rs"]
#[allow(dead_code, reason = "shared with the other tests of the bus")]
mod checker;
mod child;
#[path = "../bus/dice.rs"]
mod dice;
mod forks;
mod holders;
mod idle;
mod kills;
#[path = "../bus/kit.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the other tests of the bus")]
mod kit;
mod limits;
mod trace;
mod whole;
