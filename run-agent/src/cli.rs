//! The command line as a whole: the global flags and the commands.

#[cfg(feature = "server")]
use crate::commands::serve;
use crate::commands::{
    attach, bus, completion, config, doctor, drive, gc, import, job, list, mask, monitor, output,
    reconcile, rest, resume, self_test, server, shell_setup, status, stop, task, update, usage,
    validate, watch, webhook, why, wrap,
};
use crate::exit;
use crate::log::LogForm;
use crate::render::color;
use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};
use conductor_core::LogLevels;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) const STYLES: Styles = Styles::plain()
    .header(color::HEADING)
    .usage(color::HEADING)
    .literal(color::LITERAL)
    .error(color::ERROR)
    .valid(color::HINT)
    .invalid(color::WARNING);

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 the answer is no: the run failed, the task gave up; 3 the task was stopped; 2 wrong command line or input; 10 not found; 12 conflict; \
13 busy; 20 damaged file; 22 no permission; 23 disk full; 24 other I/O error; 25 the agent did not \
start; 124 a wait's time was over; 130 Ctrl-C; \
143 SIGTERM.";

/// Runs AI coding agents as restartable tasks whose whole state is plain files.
#[derive(Debug, Parser)]
#[command(
    name = "run-agent",
    version,
    disable_version_flag = true,
    styles = STYLES,
    after_help = AFTER_HELP
)]
pub(crate) struct Cli {
    /// Root folder [default: $CONDUCTOR_ROOT, inside an agent the root of its task, ~/run-agent]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,

    /// Configuration file [default: $CONDUCTOR_CONFIG, the first one that `config path` lists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// What to say of its own work, on stderr: off, error, warn, info, debug; warn,runner=debug for parts
    /// [default: $CONDUCTOR_LOG, the configuration, warn]
    #[arg(
        long,
        global = true,
        value_name = "LEVELS",
        env = "CONDUCTOR_LOG",
        hide_env = true,
        value_parser = levels
    )]
    pub(crate) log: Option<LogLevels>,

    /// The form of that: auto, human, pairs, json [default: the configuration, auto]
    #[arg(long, global = true, value_name = "FORM", hide_possible_values = true)]
    pub(crate) log_format: Option<LogForm>,

    /// Print version
    #[arg(short = 'v', short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Task(task::Task),
    Attach(attach::Attach),
    Job(job::Job),
    Wrap(wrap::Wrap),
    Stop(stop::Stop),
    Resume(resume::Resume),
    Drive(drive::Drive),
    Monitor(monitor::Monitor),
    #[command(name = "__mask")]
    Mask(mask::Mask),
    #[command(name = "__import")]
    Import(import::Import),
    #[command(name = "__rest")]
    Rest(rest::Rest),
    List(list::List),
    Status(status::Status),
    Watch(watch::Watch),
    Output(output::Output),
    Why(why::Why),
    Reconcile(reconcile::Reconcile),
    Doctor(doctor::Doctor),
    Usage(usage::Usage),
    #[command(subcommand)]
    Bus(bus::Bus),
    Gc(gc::Gc),
    #[cfg(feature = "server")]
    Serve(serve::Serve),
    #[command(subcommand)]
    Update(update::Update),
    SelfTest(self_test::SelfTest),
    #[command(subcommand)]
    Server(server::Server),
    #[command(subcommand)]
    Config(config::Config),
    Validate(validate::Validate),
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    #[command(subcommand)]
    ShellSetup(shell_setup::ShellSetupCommand),
    Completion(completion::Completion),
}

/// Reads the levels of a log.
pub(crate) fn levels(text: &str) -> Result<LogLevels, String> {
    text.parse().map_err(|error: conductor_core::Error| match error.specific_hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}

/// Reads this process's command line; an error, and a wish for help, end the program with the code.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    match Cli::try_parse() {
        Ok(Cli { command: None, .. }) => {
            let _nobody_listens = Cli::command().print_help();
            Err(ExitCode::from(exit::OK))
        }
        Ok(cli) => Ok(cli),
        Err(error) => Err(refuse(&error)),
    }
}

/// Tells what is wrong with a command line, or what was asked of it; the exit code.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _nobody_listens = error.print();
            ExitCode::from(exit::OK)
        }
        _ => {
            let text = usage_error(&error.render().ansi().to_string());
            let _nobody_listens = anstream::stderr().lock().write_all(text.as_bytes());
            ExitCode::from(exit::USAGE)
        }
    }
}

/// The parser's words in the form that all our errors have.
fn usage_error(text: &str) -> String {
    text.replacen("error:", "Error:", 1).replace("tip:", "hint:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_takes_the_root_behind_its_name() {
        let cli = Cli::try_parse_from(["run-agent", "list", "--root", "/r"]).unwrap();
        assert_eq!(cli.root, Some("/r".into()));
    }

    #[test]
    fn usage_errors_look_like_all_errors() {
        let error = Cli::try_parse_from(["run-agent", "statu"]).unwrap_err();
        let text = usage_error(&error.render().to_string());
        assert!(text.starts_with("Error: unrecognized subcommand 'statu'"), "{text}");
        assert!(text.contains("hint: a similar subcommand exists: 'status'"), "{text}");
    }
}
