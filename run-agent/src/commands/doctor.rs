//! `doctor`: what the root does and holds, what is wrong with it, and the way out of each.

use crate::context::Context;
use crate::exit::Failure;
use crate::render::json;
use clap::Args;
use conductor_core::{Record, Survey, format_duration, format_size};
use std::time::Duration;

/// Tells what runs, what waits, and what is wrong with the root
///
/// Wrong are runs that ended unseen or live unsupervised, agents that say nothing, processes that
/// outlived their run, tasks that nobody drives, damaged files, what crashes left behind, little
/// space; each with its way out. Changes nothing. Exit code 1 where something was found.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Print JSON: one object for each thing that is wrong, on a line
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        if !self.json {
            head(context, &conductor.survey()?)?;
        }
        let findings = conductor.doctor()?;
        for finding in &findings {
            if self.json {
                json::line(&mut context.out, &Record::from(finding))?;
                continue;
            }
            context.out.line(&format!("{}  {}", finding.kind.as_str(), finding.path.display()))?;
            context.out.line(&format!("  {}", finding.text))?;
            context.out.line(&format!("  way out: {}", finding.way_out))?;
        }
        if findings.is_empty() && !self.json {
            context.out.line(&format!("nothing is wrong with {}", conductor.root().display()))?;
        }
        Ok(context.answered(findings.is_empty()))
    }
}

/// The most runs and tasks that are named.
const NAMED: usize = 20;

/// What runs, what waits, and how much there is.
fn head(context: &mut Context, survey: &Survey) -> Result<(), Failure> {
    let (living, waiting) = (&survey.living.runs, &survey.waiting);
    let count = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    let runs = count(living.len(), "run lives", "runs live");
    let tasks = count(waiting.len(), "task waits", "tasks wait");
    context.out.line(&format!("{runs}, {tasks}"))?;
    let now = survey.at;
    for run in living.iter().take(NAMED) {
        let age = Duration::from_secs(now.since(run.record.start_time).as_secs());
        let (project, task, id) = (&run.project, &run.task, &run.id);
        let age = format_duration(age);
        context.out.line(&format!("  {project}/{task}  {id} has lived for {age}"))?;
    }
    for (project, task, waiting) in waiting.iter().take(NAMED) {
        let until = waiting.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let line = format!("  {project}/{task}  waits for {}{until}", waiting.what);
        context.out.line(&line)?;
    }
    if living.len() > NAMED || waiting.len() > NAMED {
        context.out.line("  and more: `run-agent status --all`")?;
    }
    let mut disk = format!("disk: {} in the root", format_size(survey.bytes));
    if survey.trash_bytes > 0 {
        disk.push_str(&format!(", {} of it trash", format_size(survey.trash_bytes)));
    }
    if let Some((project, bytes)) = &survey.largest {
        disk.push_str(&format!("; {} of it in the project {project}", format_size(*bytes)));
    }
    disk.push_str(&format!("; {} are free", format_size(survey.free_bytes)));
    Ok(context.out.line(&disk)?)
}
