//! `task resume`: going on with a task that ended, or with everything that has not.

use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::error::notice;
use crate::work::drive::{Drive, End};
use crate::work::ending;
use crate::work::options::TaskOptions;
use crate::work::place;
use crate::work::signals::Signals;
use crate::work::stay::{self, OnInterrupt, StayOptions, Wish};
use crate::work::view::{Show, View, tell};
use clap::Args;
use std::time::Duration;

/// What is said of one task; each of all goes on as it was.
const NOT_WITH_ALL: [&str; 22] = [
    "agent",
    "cwd",
    "env",
    "parent_run_id",
    "command",
    "argv",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
    "grace",
    "prompt",
    "prompt_file",
    "depends_on",
    "max_attempts",
    "result_grace",
    "restart_delay",
    "child_wait_timeout",
    "verify",
    "verify_timeout",
    "on_question",
    "question_timeout",
    "detach",
];

/// Goes on with a task: DONE is set aside, and attempts are counted from one again
///
/// The agent, its folder and all limits are those of before unless they are given. With --all:
/// everything in the root that was begun and has not ended, as after a restart of the machine; each
/// goes on as it was, and Ctrl-C leaves it running.
#[derive(Args, Debug)]
pub(crate) struct Resume {
    /// Task [default: that of the current folder]
    #[arg(long, value_name = "ID", conflicts_with = "all", help_heading = "Work")]
    task: Option<String>,
    /// Go on with every unfinished task of the root; exit code 0 when all come to be done
    #[arg(long, conflicts_with_all = NOT_WITH_ALL, help_heading = "Work")]
    all: bool,
    #[command(flatten)]
    options: TaskOptions,
    #[command(flatten)]
    stay: StayOptions,
    /// Start it, and leave it to a process in the background
    #[arg(short, long, conflicts_with = "wait", help_heading = "Output")]
    detach: bool,
}

impl Resume {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        if self.all {
            return resume_all(context, self.options.work.project.as_deref(), &self.stay);
        }
        let Resume { task, mut options, stay, detach, .. } = self;
        let signals = Signals::listen()?;
        let conductor = context.conductor()?;
        let project = options.work.project.as_deref();
        let mut here = place::locate(context, &conductor, project, task.as_deref())?;
        let (project, task) = here.need_task()?;
        place::read_prompt(&mut options.prompt)?;
        if !conductor.tasks().info(&project, &task)?.has_loop {
            // Nothing tells where it worked before.
            place::default_cwd(&mut options.work, &here);
        }
        let (grace, env) = (options.work.grace, options.work.env.clone());
        let wish = Wish { agent: options.work.agent.clone(), cwd: options.work.cwd.clone() };
        let spec = options.spec(project.as_str(), Some(task.as_str()));
        let task = conductor.tasks().resume(spec, signals.first())?;
        if detach {
            return stay::leave_behind(context, &conductor, task, &env, &stay);
        }
        if stay.show() == Show::Story {
            let info = task.info()?;
            tell(&mut context.out, |out| stay::head(out, &info, &wish));
        }
        stay::stay(context, &conductor, &signals, task, &stay, OnInterrupt::Stops(grace))
    }
}

/// Drives everything that has not ended, all at once.
fn resume_all(
    context: &mut Context,
    project: Option<&str>,
    options: &StayOptions,
) -> Result<u8, Failure> {
    let signals = Signals::listen()?;
    let conductor = context.conductor()?;
    let project = project.map(str::parse::<conductor_core::ProjectId>).transpose()?;
    let mut tasks = Vec::new();
    let living = conductor.tasks().living()?;
    for error in &living.unreadable {
        context.trouble(error);
    }
    for (of, task, info) in living.tasks {
        if project.as_ref().is_some_and(|project| *project != of) {
            continue;
        }
        // One that cannot be gone on with keeps no other from it.
        let attached = info.and_then(|info| {
            info.is_unfinished().then(|| conductor.tasks().attach(&of, &task)).transpose()
        });
        let able = attached.and_then(|task| match &task {
            Some(attached) => stay::cannot_drive(attached)?.map_or(Ok(task), Err),
            None => Ok(None),
        });
        match able {
            Ok(task) => tasks.extend(task),
            Err(error) => context.trouble(&error),
        }
    }
    if options.show() == Show::Story {
        match tasks.len() {
            0 => tell(&mut context.out, |out| out.line("nothing is unfinished")),
            1 => notice("going on with 1 task"),
            count => notice(&format!("going on with {count} tasks")),
        }
    }
    let mut drive = Drive {
        signals: &signals,
        stopper: None,
        grace: Duration::ZERO,
        deadline: options.deadline(),
    };
    let mut view = View::new(&conductor, &mut context.out, options.show(), &tasks).of_several();
    let end = drive.run(&tasks, &mut view);
    let ends = view.close();
    match end? {
        End::Over => {}
        end => {
            notice(&format!(
                "left: {} of {} tasks are unfinished; run-agent task resume --all goes on",
                tasks.len() - ends.len(),
                tasks.len()
            ));
            return Ok(ending::code_of_wait(end));
        }
    }
    let mut worst = exit::OK;
    for (_, end) in ends {
        match end {
            Ok(result) => worst = worst.max(ending::code(result.outcome)),
            Err(error) => context.remember(&error),
        }
    }
    Ok(context.or_trouble(worst))
}
