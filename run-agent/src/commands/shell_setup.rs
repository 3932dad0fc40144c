//! `shell-setup`: aliases that wrap the agents a person calls by name.

use crate::context::Context;
use crate::exit::{self, Failure};
use clap::{Args, Subcommand};
use conductor_core::{Shell, ShellSetup, ShellSources};
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait for another of us that changes the same file.
const WAIT: Duration = Duration::from_secs(10);

/// Makes claude, codex and gemini aliases of `run-agent wrap` in your shell's settings
///
/// The aliases stand in a block between two marks. Nothing else in the file is touched; it is replaced
/// as a whole, keeps its rights, and a link to it stays a link.
#[derive(Debug, Subcommand)]
pub(crate) enum ShellSetupCommand {
    Install(Install),
    Uninstall(Uninstall),
}

#[derive(Args, Debug)]
struct Which {
    /// Shell: bash, zsh or fish [default: the one that $SHELL names]
    #[arg(long, value_name = "NAME", value_parser = shell)]
    shell: Option<Shell>,
    /// File of its settings [default: ~/.bashrc, ~/.zshrc, ~/.config/fish/config.fish]
    #[arg(long, value_name = "FILE")]
    rc_file: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Puts the aliases there, or brings them up to date
#[derive(Args, Debug)]
pub(crate) struct Install {
    #[command(flatten)]
    which: Which,
    /// Program that the aliases call: a name on PATH, or a path
    #[arg(long, value_name = "PROGRAM", default_value = "run-agent")]
    run_agent_bin: String,
}

/// Takes the aliases away
#[derive(Args, Debug)]
pub(crate) struct Uninstall {
    #[command(flatten)]
    which: Which,
}

fn shell(name: &str) -> Result<Shell, String> {
    Shell::parse(name).map_err(|error| error.hint().to_owned())
}

impl Which {
    fn setup(&self, run_agent: &str) -> conductor_core::Result<ShellSetup> {
        let sources = ShellSources::of_this_process(self.shell, self.rc_file.clone());
        ShellSetup::new(&sources, run_agent)
    }
}

impl ShellSetupCommand {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            ShellSetupCommand::Install(command) => command.run(context),
            ShellSetupCommand::Uninstall(command) => command.run(context),
        }
    }
}

impl Install {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let setup = self.which.setup(&self.run_agent_bin)?;
        let (file, name) = (setup.rc_file().display().to_string(), setup.shell().name());
        let out = &mut context.out;
        if self.which.dry_run {
            if setup.is_installed()? {
                out.line(&format!("shell aliases already installed in {file}"))?;
            } else {
                out.line(&format!("would install shell aliases in {file} ({name}):"))?;
                setup.block().lines().try_for_each(|line| out.line(line))?;
            }
        } else if setup.install(WAIT)? {
            out.line(&format!("installed shell aliases in {file} ({name})"))?;
            out.line(&format!("run `source {file}` or open a new shell session to apply changes"))?;
        } else {
            out.line(&format!("shell aliases already installed in {file}"))?;
        }
        Ok(exit::OK)
    }
}

impl Uninstall {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let setup = self.which.setup("run-agent")?;
        let (file, name) = (setup.rc_file().display().to_string(), setup.shell().name());
        let (word, changed) = match self.which.dry_run {
            true => ("would remove", setup.has_block()?),
            false => ("removed", setup.uninstall(WAIT)?),
        };
        context.out.line(&match changed {
            true => format!("{word} shell aliases from {file} ({name})"),
            false => format!("shell aliases are already absent in {file}"),
        })?;
        Ok(exit::OK)
    }
}
