//! `completion`: the script that teaches a shell our commands.

use crate::cli::Cli;
use crate::context::Context;
use crate::exit::{self, Failure};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::io::Write as _;

/// Prints the completion script of a shell
///
/// For bash: source <(run-agent completion bash)
#[derive(Args, Debug)]
pub(crate) struct Completion {
    /// Shell to write the script for
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        // The generator panics where it cannot write, so it writes to memory.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "run-agent", &mut script);
        context.out.write_all(&script)?;
        Ok(exit::OK)
    }
}
