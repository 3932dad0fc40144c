//! The server as clients use it: the running program on a port of its own.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod candidate;
mod commands;
mod control;
mod dashboard;
mod guard;
mod messages;
mod reads;
mod shapes;
mod streams;
mod support;
mod update;
mod update_kill;
mod update_load;
mod walk;
