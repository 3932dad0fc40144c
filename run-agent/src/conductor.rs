//! The command line of `conductor`, the program for those who think of the server first. Without a
//! subcommand it serves; its subcommands are those of `run-agent server`.

use crate::cli::{self, STYLES, levels};
use crate::commands;
use crate::commands::self_test::SelfTest;
use crate::commands::serve::Serve;
use crate::commands::server::Server;
use crate::context::Context;
use crate::log::{self, LogForm, Said};
use clap::{ArgAction, Parser, Subcommand};
use conductor_core::LogLevels;
use std::path::PathBuf;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Without a command it serves the root. The commands ask a running server; each takes --server, --api-key and --patience. \
Exit codes are those of run-agent.";

/// Serves what AI coding agents do, and asks servers.
#[derive(Debug, Parser)]
#[command(
    name = "conductor",
    version,
    disable_version_flag = true,
    styles = STYLES,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    /// Root folder [default: $CONDUCTOR_ROOT, ~/run-agent]
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Configuration file [default: $CONDUCTOR_CONFIG, the first one that `run-agent config path` lists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// What to say of its own work, on stderr: off, error, warn, info, debug [default: $CONDUCTOR_LOG, the
    /// configuration, info]
    #[arg(
        long,
        global = true,
        value_name = "LEVELS",
        env = "CONDUCTOR_LOG",
        hide_env = true,
        value_parser = levels
    )]
    log: Option<LogLevels>,

    /// The form of that: auto, human, pairs, json [default: the configuration, auto]
    #[arg(long, global = true, value_name = "FORM", hide_possible_values = true)]
    log_format: Option<LogForm>,

    /// Print version
    #[arg(short = 'v', short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,

    #[command(flatten)]
    serve: Serve,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Server(Box<Server>),
    SelfTest(SelfTest),
}

/// Runs what was asked for.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::refuse(&error),
    };
    log::begin(Said { levels: cli.log, form: cli.log_format });
    let mut context = Context::new(cli.root, cli.config);
    let end = match cli.command {
        None => {
            context.tell_webhook();
            cli.serve.run(&mut context)
        }
        Some(Command::Server(command)) => command.run(&mut context),
        Some(Command::SelfTest(command)) => command.run(&mut context),
    };
    commands::finish(end, &mut context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        let cli = Cli::try_parse_from(["conductor", "--port", "0", "--root", "/r"]).unwrap();
        assert!(cli.command.is_none());
        let cli = Cli::try_parse_from(["conductor", "status", "--root", "/r"]).unwrap();
        assert_eq!((cli.command.is_some(), cli.root), (true, Some("/r".into())));
    }
}
