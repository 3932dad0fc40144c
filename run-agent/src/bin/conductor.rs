//! `conductor`: the server, and the commands that ask one.

use std::process::ExitCode;

fn main() -> ExitCode {
    run_agent::conductor()
}
