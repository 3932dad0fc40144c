//! The programs `run-agent` and `conductor`: conductor's command line and its server. They have no
//! power that the library does not offer.

mod args;
mod cli;
mod client;
mod commands;
#[cfg(feature = "server")]
mod conductor;
mod context;
mod exit;
mod interrupt;
mod log;
mod out;
mod render;
#[cfg(feature = "server")]
mod server;
mod work;

use std::process::ExitCode;

/// The program `run-agent`.
pub fn main() -> ExitCode {
    match cli::parse() {
        Ok(cli) => commands::run(cli),
        Err(code) => code,
    }
}

/// The program `conductor`.
#[cfg(feature = "server")]
pub fn conductor() -> ExitCode {
    conductor::run()
}
