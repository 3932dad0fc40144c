//! `server task runs`: the runs of a task.

use super::super::{items, text};
use crate::client::{Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::table::{Cell, Table};
use crate::render::text::preview;
use crate::render::time::whole;
use clap::Args;
use conductor_core::Timestamp;
use serde_json::Value;

/// The most of an error that is shown, in characters.
const ERROR: usize = 40;

/// Lists the runs of a task, the newest first
#[derive(Args, Debug)]
pub(crate) struct Runs {
    #[command(flatten)]
    reach: Reach,
    /// Task
    #[arg(value_name = "TASK")]
    task: String,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// The most that are listed
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Runs {
    pub(super) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "projects", &self.project, "tasks", &self.task, "runs"])
            .with("limit", &self.limit.to_string())
            .with("include_files", "0");
        let answer = self.reach.client(context)?.get(url)?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let page = answer.json()?;
        let headings = ["RUN ID", "AGENT", "STATUS", "EXIT", "DURATION", "STARTED", "ERROR"];
        let mut table = Table::new(headings).elastic(&["ERROR"]);
        for run in items(&page, "items") {
            let error = run["error_summary"].as_str().unwrap_or_default();
            table.row(vec![
                text(run, "id").into(),
                text(run, "agent").into(),
                Cell::status(&text(run, "status")),
                text(run, "exit_code").into(),
                lasted(run).into(),
                text(run, "start_time").into(),
                preview(error, ERROR).into(),
            ]);
        }
        table.print(out)?;
        Ok(exit::OK)
    }
}

/// How long a run that is over took.
fn lasted(run: &Value) -> String {
    let time = |name: &str| run[name].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    match (time("start_time"), time("end_time")) {
        (Some(start), Some(end)) => whole(end.since(start)),
        _ => "-".to_owned(),
    }
}
