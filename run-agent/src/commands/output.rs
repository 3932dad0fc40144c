//! `output`: what a run wrote, at once or while it goes.

use crate::args::Place;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::render::error::notice;
use crate::render::json;
use clap::{Args, ValueEnum};
use conductor_core::{Conductor, ErrorKind, OutputFile, Result, Run};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// Prints what a run wrote
///
/// Without a run, that of the newest run of the task; without a task, of the newest run of the
/// project.
#[derive(Args, Debug)]
pub(crate) struct Output {
    #[command(flatten)]
    place: Place,
    /// Run; without it the newest
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Folder of a run, in the place of project, task and run
    #[arg(long, value_name = "DIR", conflicts_with_all = ["project", "task", "run"])]
    run_dir: Option<PathBuf>,
    /// Which file: the final text (what was printed, while there is none), or one of the others
    #[arg(long, value_name = "FILE", value_enum, default_value = "output")]
    file: File,
    /// Go on printing until the run is over
    #[arg(short, long)]
    follow: bool,
    /// Begin with the last lines, this many; 0 begins at the beginning
    #[arg(long, value_name = "LINES", default_value_t = 0, allow_hyphen_values = true)]
    tail: usize,
    /// Print JSON: one object, or with --follow one for each piece, on a line
    #[arg(long)]
    json: bool,
}

/// The files of a run, as words of the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum File {
    Output,
    Stdout,
    Stderr,
    Prompt,
}

impl File {
    fn of_run(self) -> OutputFile {
        match self {
            File::Output => OutputFile::Output,
            File::Stdout => OutputFile::Stdout,
            File::Stderr => OutputFile::Stderr,
            File::Prompt => OutputFile::Prompt,
        }
    }
}

impl Output {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let run = self.find(context, &conductor)?;
        match self.follow {
            true => self.follow(context, &run),
            false => self.print(context, &run),
        }
    }

    fn find(&self, context: &Context, conductor: &Conductor) -> Result<Run> {
        if let Some(folder) = &self.run_dir {
            return conductor.run_at(folder);
        }
        let named = Context::named(&self.place).run(self.run.as_deref());
        let run = conductor.find_run(&named, &context.around())?;
        if context.out.is_terminal() && self.run.is_none() {
            notice(&format!("run {}/{}/{}", run.project(), run.task(), run.id()));
        }
        Ok(run)
    }

    fn print(&self, context: &mut Context, run: &Run) -> Result<u8, Failure> {
        let mut output = run.output(self.file.of_run())?;
        if self.tail > 0 {
            output.tail(self.tail)?;
        }
        if self.json {
            let path = output.path();
            let answer = json!({
                "project_id": run.project().as_str(),
                "task_id": run.task().as_str(),
                "run_id": run.id().as_str(),
                "path": path,
                "text": output.read_to_string()?,
            });
            json::answer(&mut context.out, &answer)?;
            return Ok(exit::OK);
        }
        let mut buffer = vec![0; CHUNK];
        let mut last = b'\n';
        loop {
            let read = output.read(&mut buffer)?;
            let Some(end) = buffer[..read].last() else { break };
            last = *end;
            context.out.write_all(&buffer[..read])?;
        }
        end_line(context, last)?;
        Ok(exit::OK)
    }

    fn follow(&self, context: &mut Context, run: &Run) -> Result<u8, Failure> {
        let cancel = interrupt::switch_of_follower()?;
        let mut follower = run.follow_output(self.file.of_run())?;
        if self.tail > 0 {
            follower = follower.tail(self.tail);
        }
        let mut buffer = vec![0; CHUNK];
        let mut last = b'\n';
        loop {
            let read = match follower.read(&mut buffer, &cancel) {
                // To stop looking is how following ends where the run does not.
                Err(error) if error.kind() == ErrorKind::Cancelled => 0,
                read => read?,
            };
            let Some(end) = buffer[..read].last() else { break };
            last = *end;
            if self.json {
                let piece = json!({
                    "offset": follower.offset() - read as u64,
                    "text": String::from_utf8_lossy(&buffer[..read]),
                });
                json::item(&mut context.out, &piece)?;
            } else {
                context.out.write_all(&buffer[..read])?;
                context.out.flush()?;
            }
        }
        if !self.json {
            end_line(context, last)?;
        }
        Ok(exit::OK)
    }
}

/// What comes next on the terminal begins on a line of its own.
fn end_line(context: &mut Context, last: u8) -> Result<(), Failure> {
    if last != b'\n' {
        context.out.line("")?;
    }
    Ok(())
}
