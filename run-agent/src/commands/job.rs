//! `job`: one run of one agent.

mod batch;

use crate::args::duration;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::out::Out;
use crate::render::error::notice;
use crate::render::{json, text, time};
use crate::work::drive::{Drive, End, earlier, wait_for_any};
use crate::work::ending::code_of_wait;
use crate::work::options::JobOptions;
use crate::work::place;
use crate::work::signals::Signals;
use crate::work::silence::{Silence, of_run};
use crate::work::stay::permissions;
use crate::work::stopper::{Stopper, Target};
use crate::work::story::ending;
use crate::work::view::tell;
use clap::{Args, Subcommand};
use conductor_core::{
    Conductor, ErrorKind, Outcome, OutputFile, OutputFollower, Record, Result, Run, RunInfo,
    STOP_GRACE, Step,
};
use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;
/// The most that is printed on a terminal, in bytes; a file or a pipe gets all of it.
const TERMINAL: usize = 64 << 10;
/// The last lines of a failed agent's standard error that are shown.
const STDERR_LINES: usize = 5;

/// Runs an agent once
///
/// The result (output.md) goes to the standard output, everything about the run to the standard
/// error. Ctrl-C stops the run, a second one kills it; a closed terminal ends nothing. Exit code 0
/// when the agent exited with 0, 1 when not, 130 after Ctrl-C, 124 when --wait passed first.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Job {
    #[command(subcommand)]
    command: Option<JobCommand>,
    #[command(flatten)]
    start: Start,
}

#[derive(Debug, Subcommand)]
enum JobCommand {
    Batch(batch::Batch),
}

#[derive(Args, Debug)]
struct Start {
    #[command(flatten)]
    options: JobOptions,
    /// Print what the agent prints, as it comes, instead of the result
    #[arg(short, long, help_heading = "Output")]
    follow: bool,
    /// Return as soon as the agent runs; the run's id goes to the standard output
    #[arg(short, long, conflicts_with_all = ["follow", "wait"], help_heading = "Output")]
    detach: bool,
    /// Say nothing about the run
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
    /// Print the run's record as JSON instead of the result
    #[arg(long, conflicts_with = "follow", help_heading = "Output")]
    json: bool,
    /// Wait no longer than this; the run goes on
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Output")]
    wait: Option<Duration>,
}

impl Job {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self.command {
            None => self.start.run(context),
            Some(JobCommand::Batch(command)) => command.run(context),
        }
    }

    #[cfg(test)]
    pub(crate) fn into_options(self) -> JobOptions {
        self.start.options
    }
}

impl Start {
    fn run(mut self, context: &mut Context) -> Result<u8, Failure> {
        let signals = Signals::listen()?;
        let conductor = context.conductor()?;
        let options = &mut self.options;
        let project = options.work.project.as_deref();
        let mut here = place::locate(context, &conductor, project, options.task.as_deref())?;
        let project = here.need_project()?;
        place::read_prompt(&mut options.prompt)?;
        options.task = options.task.take().or(here.task.as_ref().map(ToString::to_string));
        place::default_cwd(&mut options.work, &here);
        place::default_parent(&mut options.work, context, &conductor)?;
        let grace = options.work.grace.unwrap_or(STOP_GRACE);
        let spec = std::mem::take(options).spec(project.as_str());
        if !self.quiet
            && let Some(waiting) = conductor.jobs().would_wait(&spec)?
        {
            let until = waiting.until.map(|until| format!(", until {}", time::local_clock(until)));
            let place = text::place_in_line(waiting.position);
            notice(&format!("waits for {}{place}{}", waiting.what, until.unwrap_or_default()));
        }
        let mut run = conductor.jobs().start(spec.clone(), signals.first())?;
        let deadline = self.wait.and_then(|wait| Instant::now().checked_add(wait));
        let mut stood_in = false;
        loop {
            let info = run.info()?;
            if !self.quiet {
                head(&info);
            }
            if self.detach {
                return self.leave(context, &run, &info);
            }
            let target = Target {
                project: run.project().clone(),
                task: run.task().clone(),
                run: Some(run.id().clone()),
            };
            let stopper = Some(Stopper::new(&conductor, target));
            let mut drive = Drive { signals: &signals, stopper, grace, deadline };
            let info = match self.stay(context, &conductor, &run, &mut drive)? {
                Ended::Over(info) => info,
                Ended::Left(end) => {
                    notice(&left(&run, end));
                    return Ok(code_of_wait(end));
                }
            };
            // Once: the configuration may want another agent to try what one failed at.
            let spec = (!stood_in && !drive.is_stopping()).then(|| spec.clone());
            let other = match spec {
                Some(spec) => conductor.jobs().start_stand_in(&run, spec, signals.first())?,
                None => None,
            };
            match other {
                None => return self.finish(context, &run, &info, drive.is_stopping()),
                Some(other) => {
                    if !self.quiet {
                        tell_end(&run, &info);
                        notice("another agent stands in for it");
                    }
                    run = other;
                    stood_in = true;
                }
            }
        }
    }

    fn leave(&self, context: &mut Context, run: &Run, info: &RunInfo) -> Result<u8, Failure> {
        if self.json {
            json::answer(&mut context.out, &Record::from(info))?;
            return Ok(exit::OK);
        }
        context.out.line(run.id().as_str())?;
        if !self.quiet {
            notice(&format!("run-agent output -f {} to follow it", flags(run)));
            notice(&format!("run-agent stop {} to end it", flags(run)));
        }
        Ok(exit::OK)
    }

    /// Waits for the end, and passes on what the agent prints.
    fn stay(
        &self,
        context: &mut Context,
        conductor: &Conductor,
        run: &Run,
        drive: &mut Drive<'_>,
    ) -> Result<Ended> {
        let mut printed = match self.follow {
            true => Some(run.follow_output(OutputFile::Stdout)?),
            false => None,
        };
        let mut silence = if self.quiet || self.follow { None } else { Silence::new() };
        let mut buffer = vec![0; CHUNK];
        loop {
            if let Some(follower) = &mut printed
                && pass_on(follower, &mut buffer, &mut context.out)?
            {
                printed = None;
            }
            if printed.is_none()
                && let Step::Ready(info) = run.step()?
            {
                return Ok(Ended::Over(Box::new(info)));
            }
            if let Some(end) = drive.interrupted()? {
                return Ok(Ended::Left(end));
            }
            let line = || run.info().ok().map(|info| of_run(conductor, &info));
            let tick = silence.as_mut().map(|silence| silence.rest(line));
            let mut fds: Vec<BorrowedFd<'_>> = vec![drive.signals.fd()];
            fds.push(printed.as_ref().map_or(run.fd(), OutputFollower::fd));
            fds.extend(drive.stopper.as_ref().and_then(Stopper::fd));
            wait_for_any(&fds, earlier(tick, drive.deadline))?;
        }
    }

    /// Shows the end and gives the exit code that tells it.
    fn finish(
        &self,
        context: &mut Context,
        run: &Run,
        info: &RunInfo,
        here: bool,
    ) -> Result<u8, Failure> {
        let out = &mut context.out;
        if self.json {
            tell(out, |out| json::answer(out, &Record::from(info)));
        } else if !self.follow {
            print_result(out, run)?;
        }
        if !self.quiet {
            tell_end(run, info);
        }
        Ok(match info.outcome() {
            Some(Outcome::Completed) => exit::OK,
            Some(Outcome::Stopped) if here => exit::INTERRUPTED,
            _ => exit::NO,
        })
    }
}

enum Ended {
    Over(Box<RunInfo>),
    Left(End),
}

/// Passes on what is there; true at the end of it all.
fn pass_on(follower: &mut OutputFollower, buffer: &mut [u8], out: &mut Out) -> Result<bool> {
    loop {
        match follower.step(buffer) {
            Ok(Step::Ready(0)) => return Ok(true),
            Ok(Step::Ready(read)) => tell(out, |out| out.write_all(&buffer[..read])),
            Ok(Step::Pending) => return Ok(false),
            // An agent that never started printed nothing.
            Err(error) if error.code() == "output.not_found" => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}

/// Where the run is, which folder it works on, and what its agent may do.
fn head(info: &RunInfo) {
    let record = &info.record;
    notice(&format!("run:      {}/{}/{}", info.project, info.task, info.id));
    notice(&format!("folder:   {}", info.folder.display()));
    if let Some(cwd) = &record.cwd {
        notice(&format!("works in: {cwd}"));
    }
    notice(&format!("agent:    {}", permissions(&record.agent)));
}

/// Prints the result, all of it where a program reads it.
fn print_result(out: &mut Out, run: &Run) -> Result<()> {
    let mut output = match run.output(OutputFile::Output) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        output => output?,
    };
    let most = if out.is_terminal() { TERMINAL } else { usize::MAX };
    let mut buffer = vec![0; CHUNK];
    let mut printed = 0;
    while out.is_heard() {
        let read = output.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        if printed + read > most {
            notice(&format!("... the rest is in {}", output.path().display()));
            break;
        }
        printed += read;
        tell(out, |out| out.write_all(&buffer[..read]));
    }
    Ok(())
}

fn tell_end(run: &Run, info: &RunInfo) {
    notice(&ending("run", info));
    if let Ok(output) = run.output(OutputFile::Output) {
        notice(&format!("output:   {}", output.path().display()));
    }
    if info.outcome() == Some(Outcome::Completed) {
        return;
    }
    // What cannot be read here is told by `output --file stderr`.
    if let Ok(mut stderr) = run.output(OutputFile::Stderr)
        && stderr.tail(STDERR_LINES).is_ok()
        && let Ok(text) = stderr.read_to_string()
        && !text.trim().is_empty()
    {
        notice(&format!("stderr:   {}", stderr.path().display()));
        text.lines().for_each(|line| notice(&format!("  {line}")));
    }
}

/// The flags that name a run.
fn flags(run: &Run) -> String {
    format!("--project {} --task {} --run {}", run.project(), run.task(), run.id())
}

/// What to know when the wait ends and the run does not.
fn left(run: &Run, end: End) -> String {
    let why = end.why();
    let flags = flags(run);
    format!(
        "{why}: the run goes on. run-agent output -f {flags} follows it; run-agent stop ends it"
    )
}
