//! `attach`: coming back to a task, wherever it was started.

use crate::args::{Place, duration};
use crate::context::Context;
use crate::exit::Failure;
use crate::render::error::note;
use crate::work::signals::Signals;
use crate::work::stay::{self, OnInterrupt, StayOptions, Wish};
use crate::work::view::{Show, tell};
use clap::Args;
use conductor_core::{Conductor, Error, ErrorKind, ProjectId, Result, TaskId};
use std::time::Duration;

/// Follows a task, and drives it where nobody else does
///
/// Where another process drives it, this one stands by and takes over when that one dies. Ctrl-C only
/// detaches. Without flags: the task of the current folder, else the only unfinished one of the root.
/// Exit codes are those of `run-agent task`.
#[derive(Args, Debug)]
pub(crate) struct Attach {
    #[command(flatten)]
    place: Place,
    /// Print the end only
    #[arg(short, long)]
    quiet: bool,
    /// Print one JSON object a line: the messages, then the result
    #[arg(long)]
    json: bool,
    /// Wait no longer than this; the work goes on
    #[arg(long, alias = "wait", value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

impl Attach {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let Attach { place, quiet, json, timeout } = self;
        let signals = Signals::listen()?;
        let conductor = context.conductor()?;
        let (project, task) = find(context, &conductor, &place)?;
        let stay = StayOptions { quiet, json, wait: timeout };
        let info = conductor.tasks().info(&project, &task)?;
        let task = conductor.tasks().attach(&project, &task)?;
        if stay.show() == Show::Story {
            tell(&mut context.out, |out| stay::head(out, &info, &Wish::default()));
        }
        match &info.result {
            Some(result) => Ok(stay::already_over(context, &conductor, &task, result, &stay)),
            None => {
                if let Some(error) = stay::cannot_drive(&task)? {
                    note(&error);
                }
                let leaves = OnInterrupt::Leaves;
                stay::stay(context, &conductor, &signals, task, &stay, leaves)
            }
        }
    }
}

/// The task that is named, or that of the current folder, or the only one that is unfinished.
fn find(context: &Context, conductor: &Conductor, place: &Place) -> Result<(ProjectId, TaskId)> {
    let mut here = context.locate(conductor, place)?;
    if place.task.is_some() || here.task.is_some() {
        return here.need_task();
    }
    let unfinished: Vec<_> = conductor
        .tasks()
        .living()?
        .tasks
        .into_iter()
        .filter(|(project, _, info)| {
            let mine = here.project.as_ref().is_none_or(|mine| mine == project);
            mine && info.as_ref().is_ok_and(conductor_core::TaskInfo::is_unfinished)
        })
        .map(|(project, task, _)| (project, task))
        .collect();
    match unfinished.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::new(
            ErrorKind::NotFound,
            "task.none_unfinished",
            format!("no task in {} is unfinished", conductor.root().display()),
        )
        .with_path(conductor.root())
        .with_field("task")
        .with_hint("`run-agent list` shows what there is; `run-agent task` starts one")),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|(project, task)| format!("--project {project} --task {task}"))
                .collect();
            Err(Error::invalid(
                "task.several_unfinished",
                "task",
                format!("{} tasks are unfinished", several.len()),
            )
            .with_hint(format!("name one: {}", names.join(", or "))))
        }
    }
}
