//! What people leave alone for a night: limits, crowds, full disks, agents that do not want to go.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod containers;
mod damage;
mod disk;
mod hold;
mod idle;
mod kit;
mod lost;
mod newer;
mod older;
mod order;
mod power;
mod sharing;
mod slots;
mod told;
mod tree;
mod trouble;
mod waited;
