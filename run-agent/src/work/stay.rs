//! Staying with one task: its head, what happens, its end, and the exit code of all that.

use super::background;
use super::drive::{Drive, End};
use super::ending;
use super::signals::Signals;
use super::stopper::{Stopper, Target};
use super::view::{Show, View, tell};
use crate::args::duration;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::out::Out;
use crate::render::error::notice;
use crate::render::json;
use clap::Args;
use conductor_core::{
    Conductor, Error, ErrorKind, Record, RunId, STOP_GRACE, Task, TaskInfo, TaskResult,
};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How to stay with a task.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StayOptions {
    /// Print the end only
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Print one JSON object a line: the messages, then the result
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// Wait no longer than this; the work goes on
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Output")]
    pub(crate) wait: Option<Duration>,
}

impl StayOptions {
    pub(crate) fn show(&self) -> Show {
        match (self.quiet, self.json) {
            (true, _) => Show::End,
            (false, true) => Show::Json,
            (false, false) => Show::Story,
        }
    }

    /// When the wait is over, counted from now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.wait.and_then(|wait| Instant::now().checked_add(wait))
    }
}

/// What Ctrl-C does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// It stops the task, after this grace.
    Stops(Option<Duration>),
    /// It ends the watching.
    Leaves,
}

/// What is said about a task before anything of it is known from its own files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) agent: Option<String>,
    pub(crate) cwd: Option<std::path::PathBuf>,
}

/// Where a task is, which folder it works on, and what its agent may do.
pub(crate) fn head(out: &mut Out, info: &TaskInfo, wish: &Wish) -> io::Result<()> {
    let record = info.latest.as_ref().map(|run| &run.record);
    let cwd = record.and_then(|record| record.cwd.as_deref()).map(Path::new);
    let cwd = cwd.or(wish.cwd.as_deref()).unwrap_or(&info.folder);
    let agent = record.map(|record| record.agent.as_str()).or(wish.agent.as_deref());
    out.line(&format!("task:     {}/{}", info.project, info.id))?;
    out.line(&format!("folder:   {}", info.folder.display()))?;
    out.line(&format!("works in: {}", cwd.display()))?;
    out.line(&format!("agent:    {}", permissions(agent.unwrap_or("as before"))))?;
    out.line("")
}

/// The sentence that nobody shall miss.
pub(crate) fn permissions(agent: &str) -> String {
    format!("{agent}, without permission prompts: it may do whatever you may do")
}

/// Drives a task to its end in front of somebody.
pub(crate) fn stay(
    context: &mut Context,
    conductor: &Conductor,
    signals: &Signals,
    task: Task,
    options: &StayOptions,
    on_interrupt: OnInterrupt,
) -> Result<u8, Failure> {
    let tasks = [task];
    let [task] = &tasks;
    let (stopper, grace) = match on_interrupt {
        OnInterrupt::Leaves => (None, Duration::ZERO),
        OnInterrupt::Stops(grace) => {
            let (project, task) = (task.project().clone(), task.id().clone());
            let target = Target { project, task, run: None };
            (Some(Stopper::new(conductor, target)), grace.unwrap_or(STOP_GRACE))
        }
    };
    let mut drive = Drive { signals, stopper, grace, deadline: options.deadline() };
    let mut view = View::new(conductor, &mut context.out, options.show(), &tasks);
    let end = drive.run(&tasks, &mut view);
    let (length, ends) = (view.length(), view.close());
    match end? {
        End::Over => {
            let Some((_, result)) = ends.into_iter().next() else { return Ok(exit::OK) };
            let result = result?;
            print_end(&mut context.out, conductor, task, &result, options, length);
            let here = drive.is_stopping() && ending::code(result.outcome) == exit::STOPPED;
            Ok(if here { exit::INTERRUPTED } else { ending::code(result.outcome) })
        }
        end => {
            notice(&left(task, end));
            Ok(ending::code_of_wait(end))
        }
    }
}

/// Why a task that was attached to cannot be driven here, if so; it can be waited for all the same.
pub(crate) fn cannot_drive(task: &Task) -> Result<Option<Error>, Error> {
    let (missing, project, id) = (task.missing_env()?, task.project(), task.id());
    let other = task.other_config()?;
    if missing.is_empty() && other.is_empty() {
        return Ok(None);
    }
    if missing.is_empty() {
        let what = format!(
            "{project}/{id} is not driven from here: it was started with another {}",
            other.join(", ")
        );
        let hint = format!(
            "run-agent task --project {project} --task {id} goes on with what is configured now; \
             --config names another configuration"
        );
        return Ok(Some(
            Error::new(ErrorKind::Conflict, "task.other_config", what).with_hint(hint),
        ));
    }
    let names = missing.join(", ");
    let what = format!(
        "{project}/{id} is not driven from here: it was started with {names}, whose value is not kept"
    );
    let hint = format!(
        "set it in the environment, or go on with run-agent task --project {project} --task {id} \
         --env {}=...",
        missing[0]
    );
    Ok(Some(Error::invalid("env.missing", "env", what).with_hint(hint)))
}

/// Shows a task that was over before anybody asked.
pub(crate) fn already_over(
    context: &mut Context,
    conductor: &Conductor,
    task: &Task,
    result: &TaskResult,
    options: &StayOptions,
) -> u8 {
    print_end(&mut context.out, conductor, task, result, options, None);
    ending::code(result.outcome)
}

fn print_end(
    out: &mut Out,
    conductor: &Conductor,
    task: &Task,
    result: &TaskResult,
    options: &StayOptions,
    length: Option<Duration>,
) {
    if options.json {
        return tell(out, |out| json::item(out, &Record::from(result)));
    }
    let find = |run: &RunId| conductor.runs().get(task.project(), task.id(), run).ok();
    let last = result.run_id.as_ref().and_then(find);
    tell(out, |out| {
        if options.show() == Show::Story && length.is_some() {
            out.line("")?;
        }
        ending::print(out, task, result, length, last.as_ref())
    });
}

/// What to know when the wait ends and the work does not.
fn left(task: &Task, end: End) -> String {
    let place = format!("--project {} --task {}", task.project(), task.id());
    let why = end.why();
    format!(
        "{why}: the attempt that runs goes on. run-agent attach {place} to come back and start the \
         next one; run-agent stop {place} to end it"
    )
}

/// Leaves a task that was just started to a process in the background.
pub(crate) fn leave_behind(
    context: &mut Context,
    conductor: &Conductor,
    task: Task,
    env: &[(String, String)],
    options: &StayOptions,
) -> Result<u8, Failure> {
    let info = task.info()?;
    if let Some(result) = &info.result {
        return Ok(already_over(context, conductor, &task, result, options));
    }
    let me = std::process::id();
    let driver = match info.driver.filter(|driver| *driver != me) {
        Some(driver) => driver,
        None => background::hand_over(conductor, task, env)?,
    };
    if options.json {
        let info = conductor.tasks().info(&info.project, &info.id)?;
        json::item(&mut context.out, &Record::from(&info))?;
        return Ok(exit::OK);
    }
    let (project, id) = (&info.project, &info.id);
    // A script reads the name; the rest is for people.
    context.out.line(id.as_str())?;
    if !options.quiet {
        let agent = info.latest.as_ref().map_or("agent", |run| run.record.agent.as_str());
        let place = format!("--project {project} --task {id}");
        notice(&format!("folder: {}", info.folder.display()));
        notice(&format!("agent: {}", permissions(agent)));
        notice(&format!("driven in the background by process {driver}"));
        notice(&format!("run-agent attach {place} to follow it"));
        notice(&format!("run-agent stop {place} to end it"));
    }
    Ok(exit::OK)
}
