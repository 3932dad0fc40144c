//! The commands as people use them: what they print, how they end, and what they leave alone.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod bus;
mod config;
mod doctor;
mod gc;
mod inference;
mod list;
mod output;
mod reference;
mod shell_setup;
mod status;
mod sums;
mod support;
mod update;
mod usage;
mod watch;
