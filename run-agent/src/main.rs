//! `run-agent`: conductor's command line. It has no power that the library does not offer.

mod args;
mod cli;
mod commands;
mod context;
mod exit;
mod interrupt;
mod log;
mod out;
mod render;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse() {
        Ok(cli) => commands::run(cli),
        Err(code) => code,
    }
}
