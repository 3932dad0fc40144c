//! `bus`: posting to a message bus, reading it, finding it, looking after it.

mod check;
mod discover;
mod export;
mod post;
mod read;

use crate::context::Context;
use crate::exit::Failure;
use clap::Subcommand;

/// Posts to and reads the message bus of a project or a task
#[derive(Debug, Subcommand)]
pub(crate) enum Bus {
    Post(post::Post),
    Read(read::Read),
    Discover(discover::Discover),
    Check(check::Check),
    Export(export::Export),
}

impl Bus {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Bus::Post(command) => command.run(context),
            Bus::Read(command) => command.run(context),
            Bus::Discover(command) => command.run(context),
            Bus::Check(command) => command.run(context),
            Bus::Export(command) => command.run(context),
        }
    }
}
