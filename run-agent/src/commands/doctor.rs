//! `doctor`: what is wrong with the root, and the way out of each.

use crate::context::Context;
use crate::exit::Failure;
use crate::render::json;
use clap::Args;
use conductor_core::Record;

/// Looks for what is wrong with the root
///
/// Runs that ended unseen or live unsupervised, tasks that nobody drives, damaged files, what crashes
/// left behind, little space; and the way out of each. Changes nothing. Exit code 1 where something
/// was found.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Print JSON: one object for each finding, on a line
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
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
