//! `config path`: every place that is looked at.

use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::json;
use crate::render::table::{Cell, Table};
use clap::Args;
use conductor_core::{Conductor, ConfigOrigin, ConfigUse};
use serde_json::{Value, json};

/// Lists the places of the configuration: which one is used, and which ones it hides
///
/// The exit code is 0 where there is a configuration, and 1 where there is none.
#[derive(Args, Debug)]
pub(crate) struct Path {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Path {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let places = Conductor::config_places(&context.config_sources());
        let used = places.iter().any(|place| place.usage == ConfigUse::Used);
        if self.json {
            let places: Vec<Value> = places
                .iter()
                .map(|place| {
                    json!({
                        "path": place.path,
                        "use": place.usage.name(),
                        "named_by": named_by(place.origin),
                        "exists": place.path.exists(),
                    })
                })
                .collect();
            json::answer(&mut context.out, &places)?;
        } else {
            let mut table = Table::new(["USE", "NAMED BY", "PATH"]);
            for place in places {
                let missing = place.usage == ConfigUse::Used && !place.path.exists();
                let word = if missing { "used, missing" } else { place.usage.name() };
                let cell = match place.usage {
                    ConfigUse::Used if missing => Cell::status("failed").with_text(word),
                    ConfigUse::Used => Cell::done(word),
                    _ => Cell::from(word),
                };
                let path = place.path.display().to_string();
                table.row(vec![cell, named_by(place.origin).into(), path.into()]);
            }
            table.print(&mut context.out)?;
        }
        Ok(if used { exit::OK } else { exit::NO })
    }
}

/// What names a place, as it would be typed.
pub(super) fn named_by(origin: ConfigOrigin) -> &'static str {
    match origin {
        ConfigOrigin::Explicit => "--config",
        ConfigOrigin::Environment => "CONDUCTOR_CONFIG",
        ConfigOrigin::Usual => "usual place",
        ConfigOrigin::OlderProgram => "older program",
        ConfigOrigin::CurrentFolder => "current folder",
    }
}
