//! `bus discover`: the path of the nearest bus.

use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::json;
use clap::Args;
use conductor_core::{Conductor, Error};
use serde_json::json;
use std::path::PathBuf;

/// Prints the path of the nearest message bus at or above a folder
#[derive(Args, Debug)]
pub(crate) struct Discover {
    /// Folder to begin at; without it the current one
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Discover {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let from = self.from.unwrap_or_else(|| PathBuf::from("."));
        let folder = from
            .canonicalize()
            .map_err(|e| Error::io("find the folder", &from, e).with_field("from"))?;
        let path = Conductor::discover_bus(&folder)?;
        match self.json {
            true => json::answer(&mut context.out, &json!({ "path": path }))?,
            false => context.out.line(&path.display().to_string())?,
        }
        Ok(exit::OK)
    }
}
