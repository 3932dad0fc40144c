//! `wrap`: a program in this terminal, recorded as a run.

use crate::args::{assignment, duration};
use crate::context::Context;
use crate::exit::Failure;
use crate::render::error::note;
use crate::work::drive::wait_for_any;
use crate::work::job_signals::{Came, JobSignals, die_of};
use crate::work::place;
use clap::Args;
use conductor_core::{
    Change, Conductor, Error, JobSpec, Passed, ProgramEnd, Result, Step, Wait, Wrapped,
};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How soon to try again where the end of a run could not be written down.
const AGAIN: Duration = Duration::from_secs(1);
/// How often that is tried when the program has ended: its user waits for the prompt.
const TRIES: u32 = 3;

/// Runs a program in this terminal and records it as a run
///
/// The program gets the terminal as a shell would give it: keys, job control, window size and exit
/// status are as without run-agent. What it prints is not recorded. `run-agent stop` ends it from
/// elsewhere. Nothing is printed but errors; the exit code is the program's.
#[derive(Args, Debug)]
pub(crate) struct Wrap {
    /// Program: a name on PATH, or a path
    #[arg(long, value_name = "PROGRAM")]
    agent: OsString,
    /// Its arguments
    #[arg(last = true, value_name = "ARGUMENT")]
    args: Vec<OsString>,
    /// Project [default: the one that the current folder, or the agent that asks, belongs to; else
    /// "terminal"]
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Task that the run belongs to [default: a new one]
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// What the task is about, for its TASK.md [default: the command]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    task_prompt: Option<String>,
    /// Folder that the program starts in [default: the current folder]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Variable for the program's environment; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    env: Vec<(String, String)>,
    /// Run whose agent starts this one [default: inside an agent, its own run]
    #[arg(long, value_name = "RUN")]
    parent_run_id: Option<String>,
    /// Run that this one goes on from
    #[arg(long, value_name = "RUN")]
    previous_run_id: Option<String>,
    /// End the program after this long
    #[arg(long, visible_alias = "timeout", value_name = "DURATION", value_parser = duration)]
    total_timeout: Option<Duration>,
    /// Time between SIGTERM and SIGKILL when the program is ended [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    grace: Option<Duration>,
}

impl Wrap {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let spec = self.spec(context, &conductor)?;
        let signals = JobSignals::listen()?;
        let wrapped = conductor.jobs().wrap(spec, Wait::FOREVER)?;
        Ok(match stay(wrapped, &signals)? {
            ProgramEnd::Signal(signal) => {
                die_of(signal);
                u8::try_from(128 + signal).unwrap_or(u8::MAX)
            }
            ProgramEnd::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
            _ => u8::MAX,
        })
    }

    fn spec(self, context: &mut Context, conductor: &Conductor) -> Result<JobSpec> {
        let here = place::locate(context, conductor, self.project.as_deref(), None)?;
        if let (None, Some(error)) = (&here.project, &here.unreadable) {
            note(error);
        }
        // The library has a project for what belongs to none.
        let project = here.project.map(|project| project.to_string()).unwrap_or_default();
        let parent = match self.parent_run_id {
            Some(parent) => Some(parent),
            None => place::asking_run(context, conductor)?.map(|run| run.to_string()),
        };
        let command = std::iter::once(self.agent).chain(self.args);
        let mut spec = JobSpec::new(project).command(command);
        if let Some(task) = self.task {
            spec = spec.task(task);
        }
        if let Some(prompt) = self.task_prompt {
            spec = spec.prompt(prompt);
        }
        if let Some(cwd) = self.cwd {
            spec = spec.cwd(cwd);
        }
        if let Some(parent) = parent {
            spec = spec.parent_run_id(parent);
        }
        if let Some(previous) = self.previous_run_id {
            spec = spec.previous_run_id(previous);
        }
        if let Some(limit) = self.total_timeout {
            spec = spec.total_timeout(limit);
        }
        if let Some(grace) = self.grace {
            spec = spec.grace(grace);
        }
        Ok(self.env.into_iter().fold(spec, |spec, (name, value)| spec.env(name, value)))
    }
}

/// What there is to do after a turn.
enum Turn {
    /// The program ended.
    Over(ProgramEnd),
    /// Another turn, at once.
    Again,
    /// Nothing, before something happens.
    Rest,
}

/// Looks after the program until it has ended.
fn stay(mut wrapped: Wrapped, signals: &JobSignals) -> Result<ProgramEnd> {
    let mut told: Option<Error> = None;
    let mut failures = 0;
    loop {
        match turn(&mut wrapped, signals) {
            Ok(Turn::Over(end)) => return Ok(end),
            Ok(Turn::Again) => {}
            Ok(Turn::Rest) => wait_for_any(&[signals.fd(), wrapped.fd()], None)?,
            // Trouble with the record must not come between a person and the program.
            Err(error) => {
                if told.as_ref().is_none_or(|told| told.code() != error.code()) {
                    note(&error);
                }
                told = Some(error);
                if let Some(end) = wrapped.end() {
                    failures += 1;
                    if failures == TRIES {
                        return Ok(end);
                    }
                }
                wait_for_any(&[signals.fd()], Instant::now().checked_add(AGAIN))?;
            }
        }
    }
}

fn turn(wrapped: &mut Wrapped, signals: &JobSignals) -> Result<Turn> {
    for came in signals.take() {
        match came {
            Came::Child => {}
            Came::Continue => wrapped.go_on()?,
            Came::HangUp => wrapped.pass_on(Passed::HangUp)?,
            Came::Interrupt => wrapped.pass_on(Passed::Interrupt)?,
            Came::Quit => wrapped.pass_on(Passed::Quit)?,
            Came::Terminate => wrapped.stop(false)?,
            Came::Kill => wrapped.stop(true)?,
        }
    }
    Ok(match (wrapped.step()?, wrapped.end()) {
        (Step::Ready(Change::Paused(pause)), _) => {
            wrapped.suspend(pause)?;
            // What let us go on was heeded there.
            signals.forget(Came::Continue);
            Turn::Again
        }
        (Step::Ready(_), Some(end)) => Turn::Over(end),
        _ => Turn::Rest,
    })
}
