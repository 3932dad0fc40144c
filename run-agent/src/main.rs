//! `run-agent`: conductor's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    run_agent::main()
}
