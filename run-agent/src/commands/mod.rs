//! The commands, one file each.

pub(crate) mod attach;
pub(crate) mod bus;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod drive;
pub(crate) mod gc;
pub(crate) mod job;
pub(crate) mod list;
pub(crate) mod mask;
pub(crate) mod monitor;
pub(crate) mod output;
pub(crate) mod reconcile;
pub(crate) mod rest;
pub(crate) mod resume;
pub(crate) mod self_test;
#[cfg(feature = "server")]
pub(crate) mod serve;
pub(crate) mod server;
pub(crate) mod shell_setup;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod task;
mod task_view;
pub(crate) mod update;
pub(crate) mod usage;
pub(crate) mod validate;
pub(crate) mod watch;
pub(crate) mod why;
pub(crate) mod wrap;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::exit::{self, Failure};
use std::io::Write as _;
use std::process::ExitCode;

/// Runs the command that was asked for, and gives its exit code.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let mut context = Context::new(cli.root, cli.config);
    let context = &mut context;
    let code = match cli.command {
        None => exit::OK,
        Some(Command::Task(command)) => command.run(context)?,
        Some(Command::Attach(command)) => command.run(context)?,
        Some(Command::Job(command)) => command.run(context)?,
        Some(Command::Wrap(command)) => command.run(context)?,
        Some(Command::Stop(command)) => command.run(context)?,
        Some(Command::Resume(command)) => command.run(context)?,
        Some(Command::Drive(command)) => command.run(context)?,
        Some(Command::Monitor(command)) => command.run(context)?,
        Some(Command::Mask(command)) => command.run(context)?,
        Some(Command::Rest(command)) => command.run(context)?,
        Some(Command::List(command)) => command.run(context)?,
        Some(Command::Status(command)) => command.run(context)?,
        Some(Command::Watch(command)) => command.run(context)?,
        Some(Command::Output(command)) => command.run(context)?,
        Some(Command::Usage(command)) => command.run(context)?,
        Some(Command::Bus(command)) => command.run(context)?,
        Some(Command::Gc(command)) => command.run(context)?,
        Some(Command::Why(command)) => command.run(context)?,
        Some(Command::Reconcile(command)) => command.run(context)?,
        Some(Command::Doctor(command)) => command.run(context)?,
        Some(Command::Update(command)) => command.run(context)?,
        Some(Command::SelfTest(command)) => command.run(context)?,
        Some(Command::Config(command)) => command.run(context)?,
        Some(Command::Server(command)) => command.run(context)?,
        #[cfg(feature = "server")]
        Some(Command::Serve(command)) => command.run(context)?,
        Some(Command::Validate(command)) => command.run(context)?,
        Some(Command::ShellSetup(command)) => command.run(context)?,
        Some(Command::Completion(command)) => command.run(context)?,
    };
    context.out.flush()?;
    Ok(ExitCode::from(code))
}
