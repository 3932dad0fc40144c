//! `server task`: tasks of a server.

mod logs;
mod runs;

pub(super) use logs::follow;

use super::{items, joined, text};
use crate::client::{Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::table::{Cell, Table};
use clap::{Args, Subcommand};

/// Looks at tasks of the server, stops and deletes them
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Show a task and its runs
    Status(Status),
    /// Stop a task for good, and everything that it started
    Stop(Stop),
    /// List the tasks of a project
    List(List),
    /// Delete a task with all its runs
    Delete(Named),
    /// Take DONE away from a task, so that it can be started again
    Resume(Named),
    Logs(logs::Logs),
    Runs(runs::Runs),
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    reach: Reach,
    /// Task
    #[arg(value_name = "TASK")]
    task: String,
    /// Project; needed where several have a task of this name
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Stop {
    #[command(flatten)]
    reach: Reach,
    /// Task
    #[arg(value_name = "TASK")]
    task: String,
    /// Project; needed where several have a task of this name
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    reach: Reach,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Only those that stand so: running, done, failed, blocked, queued
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// The most that are listed
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

/// A task that is named with its project.
#[derive(Args, Debug)]
pub(crate) struct Named {
    #[command(flatten)]
    reach: Reach,
    /// Task
    #[arg(value_name = "TASK")]
    task: String,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Task {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Task::Status(command) => command.run(context),
            Task::Stop(command) => command.run(context),
            Task::List(command) => command.run(context),
            Task::Delete(command) => command.delete(context),
            Task::Resume(command) => command.resume(context),
            Task::Logs(command) => command.run(context),
            Task::Runs(command) => command.run(context),
        }
    }
}

impl Status {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "v1", "tasks", &self.task]);
        let url = url.with_some("project_id", self.project.as_deref());
        let answer = self.reach.client(context)?.get(url)?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let task = answer.json()?;
        let name = format!("{}/{}", text(&task, "project_id"), text(&task, "task_id"));
        for (label, value) in [
            ("Task:", name),
            ("Status:", text(&task, "status")),
            ("Queue position:", text(&task, "queue_position")),
            ("Depends on:", joined(&task, "depends_on")),
            ("Blocked by:", joined(&task, "blocked_by")),
            ("Last activity:", text(&task, "last_activity")),
        ] {
            if value != "-" {
                out.line(&format!("{label:<16}{value}"))?;
            }
        }
        out.line("")?;
        let mut table = Table::new(["RUN ID", "STATUS", "START TIME", "END TIME", "EXIT CODE"]);
        for run in items(&task, "runs") {
            let running = run["status"] == "running";
            let known = |name: &str| if running { "-".to_owned() } else { text(run, name) };
            table.row(vec![
                text(run, "run_id").into(),
                Cell::status(&text(run, "status")),
                text(run, "start_time").into(),
                known("end_time").into(),
                known("exit_code").into(),
            ]);
        }
        table.print(out)?;
        Ok(exit::OK)
    }
}

impl Stop {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "v1", "tasks", &self.task]);
        let url = url.with_some("project_id", self.project.as_deref());
        let answer = self.reach.client(context)?.delete(url)?;
        if self.json {
            context.out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let stopped = text(&answer.json()?, "stopped_runs");
        context.out.line(&format!("Task {}: stopped {stopped} run(s)", self.task))?;
        Ok(exit::OK)
    }
}

impl List {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "projects", &self.project, "tasks"])
            .with_some("status", self.status.as_deref())
            .with("limit", &self.limit.to_string());
        let answer = self.reach.client(context)?.get(url)?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let page = answer.json()?;
        let mut table = Table::new(["TASK ID", "STATUS", "RUNS", "BLOCKED_BY", "LAST ACTIVITY"]);
        for task in items(&page, "items") {
            table.row(vec![
                text(task, "id").into(),
                Cell::status(&text(task, "status")),
                text(task, "run_count").into(),
                joined(task, "blocked_by").into(),
                text(task, "last_activity").into(),
            ]);
        }
        table.print(out)?;
        if page["has_more"] == true {
            let (shown, total) = (items(&page, "items").len(), text(&page, "total"));
            out.line(&format!("(showing {shown} of {total} tasks; use --limit to see more)"))?;
        }
        Ok(exit::OK)
    }
}

impl Named {
    fn delete(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "projects", &self.project, "tasks", &self.task]);
        self.reach.client(context)?.delete(url)?;
        let done = serde_json::json!({"task_id": self.task, "deleted": true});
        context.out.line(&match self.json {
            true => done.to_string(),
            false => format!("Task {} deleted.", self.task),
        })?;
        Ok(exit::OK)
    }

    fn resume(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "projects", &self.project, "tasks", &self.task, "resume"]);
        let answer = self.reach.client(context)?.push(url)?;
        let (project, task) = (&self.project, &self.task);
        context.out.line(&match self.json {
            true => answer.text().to_owned(),
            false => format!("Task {project}/{task} resumed (DONE file removed)"),
        })?;
        Ok(exit::OK)
    }
}
