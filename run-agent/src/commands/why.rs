//! `why`: what ended a run, the evidence, and the next step.

use crate::args::Place;
use crate::context::Context;
use crate::exit::Failure;
use crate::render::json;
use clap::Args;
use conductor_core::{Record, Run};
use std::path::PathBuf;

/// Says what ended a run, what proves it, and what to do next
///
/// Without a run, of the newest run of the task.
#[derive(Args, Debug)]
pub(crate) struct Why {
    /// Run; without it the newest
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Folder of a run, in the place of project, task and run
    #[arg(long, value_name = "DIR", conflicts_with_all = ["project", "task", "run"])]
    run_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let run: Run = match &self.run_dir {
            Some(folder) => conductor.run_at(folder)?,
            None => {
                let named = Context::named(&self.place).run(self.run.as_deref());
                conductor.find_run(&named, &context.around())?
            }
        };
        let why = run.why()?;
        if self.json {
            json::answer(&mut context.out, &Record::from(&why))?;
            return Ok(context.answered(true));
        }
        let outcome = why.info.outcome().map_or("running", |outcome| outcome.as_str());
        let out = &mut context.out;
        out.line(&format!("{}: {outcome}: {}", why.info.id, why.because))?;
        out.line(&format!("folder: {}", why.info.folder.display()))?;
        if !why.evidence.is_empty() {
            out.line("evidence:")?;
        }
        for (place, text) in &why.evidence {
            match text.contains('\n') {
                false => out.line(&format!("  {place}: {text}"))?,
                true => {
                    out.line(&format!("  {place}:"))?;
                    for line in text.lines() {
                        out.line(&format!("    {line}"))?;
                    }
                }
            }
        }
        out.line(&format!("next: {}", why.next))?;
        Ok(context.answered(true))
    }
}
