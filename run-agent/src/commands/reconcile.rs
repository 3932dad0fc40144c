//! `reconcile`: writes down the ends of runs that nobody saw ending.

use crate::context::Context;
use crate::exit::Failure;
use crate::interrupt;
use crate::render::json;
use crate::render::table::{Cell, Table};
use clap::Args;
use conductor_core::Record;

/// Writes down the ends of runs that nobody saw ending
///
/// Once in all, however many do it at the same time. Whatever waits for a run or goes on with a task
/// does it for those, too; this does it for the whole root.
///
/// It looks at the entries in `.conductor/open`. With --all it looks at each run: for a root that came
/// back from a copy without them.
#[derive(Args, Debug)]
pub(crate) struct Reconcile {
    /// Look at each run of the root, not only at those that are known to be open
    #[arg(long)]
    all: bool,
    /// Print JSON: one object for each run that was closed, on a line
    #[arg(long)]
    json: bool,
}

impl Reconcile {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let cancel = interrupt::switch()?;
        let closed = match self.all {
            true => conductor.reconcile_all(&cancel)?,
            false => conductor.reconcile(&cancel)?,
        };
        if self.json {
            for run in &closed {
                json::line(&mut context.out, &Record::from(run))?;
            }
            return Ok(context.answered(true));
        }
        if closed.is_empty() {
            context.out.line("nothing was left open")?;
            return Ok(context.answered(true));
        }
        let mut table = Table::new(["PROJECT", "TASK", "RUN_ID", "OUTCOME", "EXIT_CODE"]);
        for run in &closed {
            let outcome = run.outcome().map_or("-", |outcome| outcome.as_str());
            table.row(vec![
                Cell::from(run.project.as_str()),
                Cell::from(run.task.as_str()),
                Cell::from(run.id.as_str()),
                Cell::status(outcome),
                Cell::from(run.record.exit_code.to_string()),
            ]);
        }
        table.print(&mut context.out)?;
        Ok(context.answered(true))
    }
}
