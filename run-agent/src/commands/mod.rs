//! The commands, one file each.

pub(crate) mod attach;
pub(crate) mod bus;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod drive;
pub(crate) mod gc;
pub(crate) mod import;
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
pub(crate) mod webhook;
pub(crate) mod why;
pub(crate) mod wrap;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::log;
use std::io::Write as _;
use std::process::ExitCode;

/// Runs the command that was asked for, tells what became of it, and gives its exit code.
pub(crate) fn run(cli: Cli) -> ExitCode {
    log::begin(log::Said { levels: cli.log, form: cli.log_format });
    let mut context = Context::new(cli.root, cli.config);
    if cli.command.as_ref().is_some_and(works) {
        context.tell_webhook();
    }
    let end = command(cli.command, &mut context);
    finish(end, &mut context)
}

/// Tells what became of a command, and gives its exit code.
pub(crate) fn finish(end: Result<u8, Failure>, context: &mut Context) -> ExitCode {
    // A person shall not wait for the webhook to see what became of the work.
    let flushed = context.out.flush();
    let code = match end.and_then(|code| Ok(flushed.map(|()| code)?)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(),
    };
    context.finish_webhook();
    code
}

/// Whether a command may have something happen that is told to the webhook.
fn works(command: &Command) -> bool {
    #[cfg(feature = "server")]
    if let Command::Serve(_) = command {
        return true;
    }
    matches!(
        command,
        Command::Task(_)
            | Command::Attach(_)
            | Command::Job(_)
            | Command::Wrap(_)
            | Command::Monitor(_)
            | Command::Stop(_)
            | Command::Resume(_)
            | Command::Drive(_)
            | Command::Reconcile(_)
    )
}

fn command(command: Option<Command>, context: &mut Context) -> Result<u8, Failure> {
    Ok(match command {
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
        Some(Command::Import(command)) => command.run(context)?,
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
        Some(Command::Webhook(command)) => command.run(context)?,
        Some(Command::ShellSetup(command)) => command.run(context)?,
        Some(Command::Completion(command)) => command.run(context)?,
    })
}
