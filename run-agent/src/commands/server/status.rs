//! `server status`: what goes on.

use super::{items, joined, text};
use crate::client::{Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::table::Table;
use crate::render::time::{local_clock, whole};
use clap::Args;
use std::time::Duration;

/// Shows what the server does
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    reach: Reach,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let answer = self.reach.client(context)?.get(Url::new(&["api", "v1", "status"]))?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let status = answer.json()?;
        let seconds = status["uptime_seconds"].as_f64().unwrap_or(0.0).max(0.0);
        let uptime = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let agents = match joined(&status, "configured_agents") {
            none if none == "-" => "(none)".to_owned(),
            agents => agents,
        };
        out.line(&format!("Version:            {}", text(&status, "version")))?;
        out.line(&format!("Uptime:             {}", whole(uptime)))?;
        out.line(&format!("Active Runs:        {}", text(&status, "active_runs_count")))?;
        if status["queued_runs_count"].as_u64().is_some_and(|queued| queued > 0) {
            out.line(&format!("Queued Runs:        {}", text(&status, "queued_runs_count")))?;
        }
        out.line(&format!("Configured Agents:  {agents}"))?;
        let running = items(&status, "running_tasks");
        if running.is_empty() {
            return Ok(exit::OK);
        }
        out.line("\nRunning tasks:")?;
        let mut table = Table::new(["PROJECT", "TASK", "RUN", "AGENT", "STARTED"]);
        for run in running {
            let started = run["started"].as_str().and_then(|time| time.parse().ok());
            table.row(vec![
                text(run, "project_id").into(),
                text(run, "task_id").into(),
                text(run, "run_id").into(),
                text(run, "agent").into(),
                started.map_or("-".to_owned(), local_clock).into(),
            ]);
        }
        table.print(out)?;
        Ok(exit::OK)
    }
}
