//! The commands as people use them: what they print, how they end, and what they leave alone.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod bus;
mod bus_care;
mod config;
mod doctor;
mod gc;
mod gc_crowd;
mod inference;
mod list;
mod log;
mod output;
mod reference;
mod shell_setup;
mod status;
mod sums;
mod support;
mod update;
mod usage;
mod watch;
