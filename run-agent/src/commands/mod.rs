//! The commands, one file each.

pub(crate) mod completion;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::exit::{self, Failure};
use std::io::Write as _;
use std::process::ExitCode;

/// Runs the command that was asked for, and gives its exit code.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let mut context = Context::new(cli.root);
    let context = &mut context;
    let code = match cli.command {
        None => exit::OK,
        Some(Command::Completion(command)) => command.run(context)?,
    };
    context.out.flush()?;
    Ok(ExitCode::from(code))
}
