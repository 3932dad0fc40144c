//! `drive`: the process behind `--detach`. People use `attach`.

use crate::args::Place;
use crate::context::Context;
use crate::exit::Failure;
use crate::work::background;
use clap::Args;

/// Drives a task without anybody looking
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Drive {
    #[command(flatten)]
    place: Place,
}

impl Drive {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let (project, task) = context.locate(&conductor, &self.place)?.need_task()?;
        let task = conductor.tasks().attach(&project, &task)?;
        background::drive(&conductor, task)
    }
}
