//! The commands that work: starting, following, stopping, with real processes and real signals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod background;
mod bystander;
mod crowd;
mod example;
mod guide;
mod job;
mod monitor;
mod refusals;
mod signals;
mod stop;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "the tests of the commands that look use the rest")]
mod support;
mod task;
mod terminal;
mod watches;
mod workshop;
mod wrap;
