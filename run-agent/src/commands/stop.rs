//! `stop`: the end of a task, or of one run.

use crate::args::Place;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::render::json;
use clap::Args;
use conductor_core::{
    Conductor, Error, ErrorKind, ProjectId, Record, Result, Run, Stop as Wish, StopReport, TaskId,
};
use std::path::PathBuf;

/// Stops a task for good, or one run
///
/// SIGTERM goes to everything that the run started, SIGKILL after its grace to what is left. A task
/// is not started again by whoever drives it. What is over already is no error.
#[derive(Args, Debug)]
pub(crate) struct Stop {
    #[command(flatten)]
    place: Place,
    /// Only this run; a task's loop then starts the next attempt
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Folder of a run, in the place of project, task and run
    #[arg(long, value_name = "DIR", conflicts_with_all = ["project", "task", "run"])]
    run_dir: Option<PathBuf>,
    /// Only the attempt that runs now; the task's loop then starts the next one
    #[arg(long, conflicts_with_all = ["run", "run_dir", "no_restart"])]
    attempt: bool,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT", default_value = "stopped by run-agent stop")]
    reason: String,
    /// Kill at once, without SIGTERM and its grace
    #[arg(long)]
    force: bool,
    /// Accepted for older scripts: a stopped task is never started again by itself
    #[arg(long, hide = true)]
    no_restart: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Stop {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let wish = Wish::because(self.reason.as_str()).force(self.force);
        let cancel = interrupt::switch()?;
        let (name, report) = if self.run.is_some() || self.run_dir.is_some() || self.attempt {
            let run = self.find_run(context, &conductor)?;
            let name = format!("{}/{}/{}", run.project(), run.task(), run.id());
            (name, run.stop(wish, &cancel)?)
        } else {
            let (project, task) = context.locate(&conductor, &self.place)?.need_task()?;
            let report = conductor.tasks().get(&project, &task)?.stop(wish, &cancel)?;
            (format!("{project}/{task}"), report)
        };
        if self.json {
            json::answer(&mut context.out, &Record::from(&report))?;
        } else {
            context.out.line(&format!("{name}: {}", sentence(&report)))?;
        }
        Ok(exit::OK)
    }

    fn find_run(&self, context: &Context, conductor: &Conductor) -> Result<Run> {
        if let Some(folder) = &self.run_dir {
            return conductor.run_at(folder);
        }
        if self.attempt {
            let (project, task) = context.locate(conductor, &self.place)?.need_task()?;
            return attempt(conductor, &project, &task);
        }
        let named = Context::named(&self.place).run(self.run.as_deref());
        conductor.find_run(&named, &context.around())
    }
}

/// The attempt of a task that runs now.
fn attempt(conductor: &Conductor, project: &ProjectId, task: &TaskId) -> Result<Run> {
    let entries = conductor.runs().entries(project, task)?;
    let living = entries.into_iter().rev().find(|(_, info)| {
        info.as_ref().is_ok_and(|info| info.alive == Some(true) && info.record.series.is_some())
    });
    match living {
        Some((run, _)) => conductor.runs().get(project, task, &run),
        None => Err(Error::new(
            ErrorKind::NotFound,
            "run.none_alive",
            format!("no attempt of {project}/{task} runs"),
        )
        .with_field("attempt")
        .with_hint("without --attempt the whole task is stopped")),
    }
}

/// What stopping did, in a sentence.
pub(crate) fn sentence(report: &StopReport) -> String {
    let runs: Vec<&str> = report.signalled.iter().map(|run| run.as_str()).collect();
    let killed = match report.killed {
        0 => "nothing had to be killed".to_owned(),
        1 => "1 process had to be killed".to_owned(),
        count => format!("{count} processes had to be killed"),
    };
    match runs.as_slice() {
        [] => "nothing runs".to_owned(),
        [run] => format!("stopped {run}; {killed}"),
        runs => format!("stopped {} runs: {}; {killed}", runs.len(), runs.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_say_what_was_done() {
        let mut report = StopReport::default();
        assert_eq!(sentence(&report), "nothing runs");
        report.signalled.push("r1".parse().unwrap());
        assert_eq!(sentence(&report), "stopped r1; nothing had to be killed");
        report.killed = 1;
        report.signalled.push("r2".parse().unwrap());
        assert_eq!(sentence(&report), "stopped 2 runs: r1, r2; 1 process had to be killed");
    }
}
