//! The server as clients use it: the running program on a port of its own.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod attacks;
mod candidate;
mod commands;
mod compatible;
mod compose;
mod control;
mod dashboard;
mod extra_roots;
mod guard;
mod idle;
mod import;
mod messages;
mod metrics;
mod proxy;
mod queue;
mod reads;
mod reference;
mod schema;
mod shapes;
mod streams;
mod support;
mod threads;
mod topics;
mod units;
mod update;
mod update_kill;
mod update_load;
mod walk;
