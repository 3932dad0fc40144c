//! `config schema`: the JSON Schema of the configuration.

use crate::context::Context;
use crate::exit::{self, Failure};
use clap::Args;
use conductor_core::config_schema;

/// Prints the JSON Schema of the configuration, for editors
#[derive(Args, Debug)]
pub(crate) struct Schema {}

impl Schema {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        context.out.line(&config_schema())?;
        Ok(exit::OK)
    }
}
