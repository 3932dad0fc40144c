//! `resume`: the older program's way to set a task back, and to run it again.

use crate::args::Place;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::work::options::PromptOptions;
use crate::work::place;
use crate::work::signals::Signals;
use crate::work::stay::{self, OnInterrupt, StayOptions, Wish};
use crate::work::view::{Show, tell};
use clap::Args;
use conductor_core::TaskSpec;

/// The attempts that the older program allowed here.
const ATTEMPTS: u32 = 3;

/// Sets a task back so that it can be started again; with --agent, runs it
///
/// `run-agent task resume` does both at once, with the agent and the limits of before.
#[derive(Args, Debug)]
pub(crate) struct Resume {
    #[command(flatten)]
    place: Place,
    /// Run the task with this agent, for at most 3 attempts
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[command(flatten)]
    prompt: PromptOptions,
    #[command(flatten)]
    stay: StayOptions,
}

impl Resume {
    pub(crate) fn run(mut self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let mut here = context.locate(&conductor, &self.place)?;
        let (project, task) = here.need_task()?;
        let Some(agent) = self.agent else {
            conductor.tasks().set_back(&project, &task, &interrupt::switch()?)?;
            context.out.line(&format!("Resumed task {task} (restart counter reset)"))?;
            return Ok(exit::OK);
        };
        let signals = Signals::listen()?;
        place::read_prompt(&mut self.prompt)?;
        let mut spec = TaskSpec::new(project.as_str())
            .task(task.as_str())
            .agent(agent.as_str())
            .max_attempts(ATTEMPTS);
        if let Some(prompt) = self.prompt.prompt {
            spec = spec.prompt(prompt);
        }
        if let Some(file) = self.prompt.prompt_file {
            spec = spec.prompt_file(file);
        }
        let wish = Wish { agent: Some(agent), cwd: None };
        let task = conductor.tasks().resume(spec, signals.first())?;
        if self.stay.show() == Show::Story {
            let info = task.info()?;
            tell(&mut context.out, |out| stay::head(out, &info, &wish));
        }
        stay::stay(context, &conductor, &signals, task, &self.stay, OnInterrupt::Stops(None))
    }
}
