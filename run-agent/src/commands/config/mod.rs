//! `config`: where the configuration lies, what holds, and what could stand in it.

mod init;
mod path;
mod schema;
mod show;

use crate::context::Context;
use crate::exit::Failure;
use clap::Subcommand;

/// Shows the configuration and helps to write one
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    Path(path::Path),
    Show(show::Show),
    Schema(schema::Schema),
    Init(init::Init),
}

impl Config {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Config::Path(command) => command.run(context),
            Config::Show(command) => command.run(context),
            Config::Schema(command) => command.run(context),
            Config::Init(command) => command.run(context),
        }
    }
}
