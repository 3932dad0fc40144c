//! `task delete`: a task and all its runs.

use crate::args::Place;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use clap::Args;
use conductor_core::Stop;

/// Deletes a task with all its runs
#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    place: Place,
    /// Stop first what runs of it
    #[arg(long)]
    force: bool,
}

impl Delete {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let (project, task) = context.locate(&conductor, &self.place)?.need_task()?;
        let stop = self.force.then(|| Stop::because("deleted"));
        conductor.tasks().delete(&project, &task, stop, &interrupt::switch()?)?;
        context.out.line(&format!("Deleted task: {task}"))?;
        Ok(exit::OK)
    }
}
