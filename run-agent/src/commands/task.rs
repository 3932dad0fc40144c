//! `task`: runs of an agent until `DONE` stands.

mod cancel;
mod delete;
mod resume;

use crate::context::Context;
use crate::exit::Failure;
use crate::work::options::TaskOptions;
use crate::work::place;
use crate::work::signals::Signals;
use crate::work::stay::{self, OnInterrupt, StayOptions, Wish};
use crate::work::view::{Show, tell};
use clap::{Args, Subcommand};
use conductor_core::{Conductor, ErrorKind, Location, Result, TaskInfo};

/// Runs an agent again and again until its task is done
///
/// A task that exists is gone on with, or attached to where another process drives it. Ctrl-C stops
/// the task, a second one kills it; a closed terminal ends nothing. Exit code 0 when it is done, 1
/// when it gave up, 3 when somebody stopped it, 130 when Ctrl-C did, 124 when --wait passed first.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Task {
    #[command(subcommand)]
    command: Option<TaskCommand>,
    #[command(flatten)]
    start: Start,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    Resume(Box<resume::Resume>),
    Delete(delete::Delete),
    Cancel(cancel::Cancel),
}

#[derive(Args, Debug)]
struct Start {
    /// Task: a new one, or one to go on with [default: an id made from the prompt]
    #[arg(long, value_name = "ID", help_heading = "Work")]
    task: Option<String>,
    #[command(flatten)]
    options: TaskOptions,
    #[command(flatten)]
    stay: StayOptions,
    /// Start it, and leave it to a process in the background
    #[arg(short, long, conflicts_with = "wait", help_heading = "Output")]
    detach: bool,
}

impl Task {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self.command {
            None => self.start.run(context),
            Some(TaskCommand::Resume(command)) => command.run(context),
            Some(TaskCommand::Delete(command)) => command.run(context),
            Some(TaskCommand::Cancel(command)) => command.run(context),
        }
    }

    #[cfg(test)]
    pub(crate) fn into_options(self) -> (Option<String>, TaskOptions) {
        (self.start.task, self.start.options)
    }
}

impl Start {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let Start { task, mut options, stay, detach } = self;
        let signals = Signals::listen()?;
        let conductor = context.conductor()?;
        let project = options.work.project.as_deref();
        let mut here = place::locate(context, &conductor, project, task.as_deref())?;
        let project = here.need_project()?;
        place::read_prompt(&mut options.prompt)?;
        let id = which(task, &options, &here);
        let before = known(&conductor, &project, id.as_deref())?;
        if before.as_ref().is_none_or(|info| !info.has_loop) {
            place::default_cwd(&mut options.work, &here);
        }
        if !detach {
            place::default_parent(&mut options.work, context, &conductor)?;
        }
        let (grace, env) = (options.work.grace, options.work.env.clone());
        let wish = Wish { agent: options.work.agent.clone(), cwd: options.work.cwd.clone() };
        let spec = options.spec(project.as_str(), id.as_deref());
        let task = conductor.tasks().start(spec, signals.first())?;
        if detach {
            return stay::leave_behind(context, &conductor, task, &env, &stay);
        }
        let info = task.info()?;
        if stay.show() == Show::Story {
            tell(&mut context.out, |out| stay::head(out, &info, &wish));
        }
        let was_done = before.is_some_and(|before| before.done && before.result.is_some());
        match &info.result {
            Some(result) if was_done => {
                Ok(stay::already_over(context, &conductor, &task, result, &stay))
            }
            _ => {
                let stops = OnInterrupt::Stops(grace);
                stay::stay(context, &conductor, &signals, task, &stay, stops)
            }
        }
    }
}

/// The task that is meant: the one that is named; the one of the current folder where there is
/// nothing new to do; else a new one.
fn which(task: Option<String>, options: &TaskOptions, here: &Location) -> Option<String> {
    let nothing_new = options.prompt.prompt.is_none() && options.prompt.prompt_file.is_none();
    task.or_else(|| here.task.as_ref().filter(|_| nothing_new).map(ToString::to_string))
}

/// What is known of a task before it is started; `None` where it does not exist.
fn known(
    conductor: &Conductor,
    project: &conductor_core::ProjectId,
    task: Option<&str>,
) -> Result<Option<TaskInfo>> {
    let Some(task) = task else { return Ok(None) };
    match conductor.tasks().info(project, &task.parse()?) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        info => info.map(Some),
    }
}
