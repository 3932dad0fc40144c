//! `bus export`: a whole bus as JSON, for another program.

use crate::args::Place;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::json;
use clap::Args;
use conductor_core::{Cursor, Error, ErrorKind, Event, ReadOptions, Record};
use std::io::Write as _;

/// Prints everything on a bus and in its archives as JSON, one object on a line
///
/// Damage and gaps are objects too, and the exit code is then that of damage. Memory does not grow with
/// the bus.
#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    /// Print what comes behind this place: a message's cursor or id
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

impl Export {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let mut options = ReadOptions::default();
        if let Some(after) = &self.after {
            let after: Cursor = after.parse().map_err(|e: Error| e.with_field("after"))?;
            options = options.after(&after);
        }
        let bus = conductor.find_bus(&Context::named(&self.place), &context.around())?.bus;
        let mut damaged = false;
        for event in bus.read(options)? {
            let event = event?;
            damaged |= matches!(event, Event::Corrupt(_) | Event::Gap { .. });
            json::line(&mut context.out, &Record::from(&event))?;
        }
        context.out.flush()?;
        Ok(if damaged { ErrorKind::Corrupt.row().exit_code } else { exit::OK })
    }
}
