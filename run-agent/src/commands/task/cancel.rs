//! `task cancel`: a note that a task is not wanted any more, and its end.

use crate::args::Place;
use crate::commands::stop;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::render::json;
use clap::Args;
use conductor_core::{Record, Stop};

/// Marks a task as cancelled and stops it
///
/// It is not started again before `run-agent task resume`.
#[derive(Args, Debug)]
pub(crate) struct Cancel {
    #[command(flatten)]
    place: Place,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT", default_value = "cancelled")]
    reason: String,
    /// Kill at once
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Cancel {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let (project, task) = context.locate(&conductor, &self.place)?.need_task()?;
        let stop = Stop::because(self.reason.as_str()).force(self.force);
        let report = conductor.tasks().cancel(&project, &task, stop, &interrupt::switch()?)?;
        if self.json {
            json::answer(&mut context.out, &Record::from(&report))?;
            return Ok(exit::OK);
        }
        context.out.line(&format!("task {project}/{task} marked as cancelled"))?;
        context.out.line(&format!("reason: {}", self.reason))?;
        if !report.signalled.is_empty() {
            context.out.line(&stop::sentence(&report))?;
        }
        Ok(exit::OK)
    }
}
