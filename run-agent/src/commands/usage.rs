//! `usage`: what runs used, summed up.

use crate::args::Place;
use crate::context::Context;
use crate::exit::Failure;
use crate::render::table::{Cell, Table};
use crate::render::{color, error, json};
use clap::{Args, ValueEnum};
use conductor_core::{Conductor, Record, UsageBy, UsageSum};
use serde_json::json;

/// Sums up the tokens and the cost of finished runs
///
/// Inside a project's or a task's folder, or in the source folder of a project, it sums up that one;
/// elsewhere the whole root. Tokens and cost are those that the agents told; a run that did not tell
/// is counted as unknown, and never as zero.
#[derive(Args, Debug)]
pub(crate) struct Usage {
    #[command(flatten)]
    place: Place,
    /// Sum up the whole root, wherever you are
    #[arg(short, long, conflicts_with_all = ["project", "task"])]
    all: bool,
    /// What to sum up [default: project for a root, task for a project, run for a task]
    #[arg(long, value_name = "GROUP", value_enum, ignore_case = true)]
    by: Option<By>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What belongs together in a sum.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// Each run
    Run,
    /// The runs of a task
    Task,
    /// The runs of a project
    Project,
    /// The runs of one kind of agent
    Agent,
    /// The runs that ended on a day, in universal time
    Day,
}

impl By {
    fn of_library(self) -> UsageBy {
        match self {
            By::Run => UsageBy::Run,
            By::Task => UsageBy::Task,
            By::Project => UsageBy::Project,
            By::Agent => UsageBy::Agent,
            By::Day => UsageBy::Day,
        }
    }
}

impl Usage {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let (project, task) = match self.all {
            true => (None, None),
            false => self.locate(context, &conductor)?,
        };
        let report = conductor.usage(project.as_ref(), task.as_ref())?;
        for damage in &report.damage {
            match damage.code() {
                // Runs whose folders are there are counted all the same.
                "receipts.damaged" => error::note(damage),
                _ => context.trouble(damage),
            }
        }
        let by = self.by.map(By::of_library).unwrap_or(match (&project, &task) {
            (_, Some(_)) => UsageBy::Run,
            (Some(_), None) => UsageBy::Task,
            (None, None) => UsageBy::Project,
        });
        let (sums, total) = (report.by(by), report.total());
        if self.json {
            let sums: Vec<Record> = sums.iter().map(Record::from).collect();
            let answer = json!({ "by": by.as_str(), "sums": sums, "total": Record::from(&total) });
            json::answer(&mut context.out, &answer)?;
        } else {
            table(by, &sums, &total).print(&mut context.out)?;
        }
        Ok(context.answered(true))
    }

    fn locate(
        &self,
        context: &Context,
        conductor: &Conductor,
    ) -> Result<(Option<conductor_core::ProjectId>, Option<conductor_core::TaskId>), Failure> {
        let mut place = context.locate(conductor, &self.place)?;
        if place.task.is_some() {
            place.need_project()?;
        }
        Ok((place.project, place.task))
    }
}

fn table(by: UsageBy, sums: &[UsageSum], total: &UsageSum) -> Table {
    let heading = match by {
        UsageBy::Run => "RUN",
        UsageBy::Task => "TASK",
        UsageBy::Project => "PROJECT",
        UsageBy::Agent => "AGENT",
        UsageBy::Day => "DAY",
        _ => "GROUP",
    };
    let mut table = Table::new([
        heading,
        "RUNS",
        "INPUT",
        "OUTPUT",
        "CACHE_READ",
        "CACHE_WRITE",
        "NO_TOKENS",
        "COST_USD",
        "NO_COST",
    ]);
    for sum in sums {
        table.row(row(&sum.name, sum));
    }
    if sums.len() != 1 {
        table.row(row("total", total));
    }
    table
}

fn row(name: &str, sum: &UsageSum) -> Vec<Cell> {
    let tokens = |tokens: u64| match sum.runs > sum.unknown_usage {
        true => Cell::from(tokens.to_string()),
        false => "-".into(),
    };
    let unknown = |runs: u64| match runs {
        0 => Cell::from("-"),
        runs => Cell::styled(runs.to_string(), color::FAINT),
    };
    vec![
        name.into(),
        sum.runs.to_string().into(),
        tokens(sum.usage.input_tokens),
        tokens(sum.usage.output_tokens),
        tokens(sum.usage.cache_read_tokens),
        tokens(sum.usage.cache_creation_tokens),
        unknown(sum.unknown_usage),
        sum.cost_usd.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.4}")).into(),
        unknown(sum.unknown_cost),
    ]
}
