//! The programs `run-agent` and `conductor`: conductor's command line and its server. They have no
//! power that the library does not offer.

mod args;
mod cli;
mod commands;
mod context;
mod exit;
mod interrupt;
mod out;
mod render;
#[cfg(feature = "server")]
mod server;
mod work;

use std::process::ExitCode;

/// The program `run-agent`.
pub fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match commands::run(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
