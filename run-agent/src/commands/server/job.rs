//! `server job`: starting tasks on a server.

use super::task::follow;
use super::{items, text};
use crate::client::{Client, Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::out::Out;
use crate::render::error::notice;
use crate::render::table::{Cell, Table};
use clap::{Args, Subcommand};
use conductor_core::{Error, Result};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Starts tasks on the server, and lists them
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    Submit(Submit),
    /// List the tasks of all projects
    List(List),
}

/// Starts a task, which the server drives to its end
#[derive(Args, Debug)]
pub(crate) struct Submit {
    #[command(flatten)]
    reach: Reach,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Agent
    #[arg(long, value_name = "NAME")]
    agent: String,
    /// Task [default: an id made from the prompt]
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// What to do
    #[arg(long, value_name = "TEXT", required_unless_present = "prompt_file")]
    prompt: Option<String>,
    /// File that says what to do
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompt_file: Option<PathBuf>,
    /// Folder on the server that the agent starts in
    #[arg(long, value_name = "DIR")]
    project_root: Option<String>,
    /// What to do with a task that exists
    #[arg(long, value_name = "MODE", value_parser = ["create", "attach", "resume"], default_value = "create")]
    attach_mode: String,
    /// Task that must be ready first; several times for several
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    depends_on: Vec<String>,
    /// Wait until its first run is over: exit code 0 when that completed, 1 when not
    #[arg(long)]
    wait: bool,
    /// Print what its first run prints, until that is over
    #[arg(short, long)]
    follow: bool,
    /// Print the server's answer as JSON
    #[arg(long, conflicts_with_all = ["wait", "follow"])]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    reach: Reach,
    /// Only the tasks of this project
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Job {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Job::Submit(command) => command.run(context),
            Job::List(command) => command.run(context),
        }
    }
}

impl Submit {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let client = self.reach.client(context)?;
        let answer = client.post(Url::new(&["api", "v1", "tasks"]), &self.body()?)?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let started = answer.json()?;
        let (task, run) = (text(&started, "task_id"), text(&started, "run_id"));
        out.line(&format!("Task created: {task}, run_id: {run}"))?;
        let has_run = started["run_id"].is_string();
        if !(self.wait || self.follow) {
            return Ok(exit::OK);
        }
        if !has_run {
            notice(&format!("it is {} and has no run yet", text(&started, "status")));
            return Ok(exit::NO);
        }
        let project = self.project.as_str();
        let url = Url::new(&["api", "projects", project, "tasks", &task, "runs", &run, "stream"])
            .with("name", "stdout");
        if self.follow {
            return follow(&client, &url, out);
        }
        notice(&format!("Waiting for run {run} to complete..."));
        let code = follow(&client, &url, &mut Out::nowhere())?;
        tell_end(&client, &run, out)?;
        Ok(code)
    }

    fn body(&self) -> Result<Value> {
        let prompt = match (&self.prompt, &self.prompt_file) {
            (Some(prompt), _) => prompt.clone(),
            (None, Some(path)) => std::fs::read_to_string(path).map_err(|source| {
                Error::io("read the prompt", path, source).with_field("prompt_file")
            })?,
            (None, None) => String::new(),
        };
        let mut body = json!({
            "project_id": self.project,
            "agent_type": self.agent,
            "prompt": prompt,
            "attach_mode": self.attach_mode,
        });
        for (name, value) in [("task_id", &self.task), ("project_root", &self.project_root)] {
            if let Some(value) = value {
                body[name] = value.as_str().into();
            }
        }
        if !self.depends_on.is_empty() {
            body["depends_on"] = self.depends_on.clone().into();
        }
        Ok(body)
    }
}

fn tell_end(client: &Client, run: &str, out: &mut Out) -> Result<(), Failure> {
    let ended = client.get(Url::new(&["api", "v1", "runs", run]))?.json()?;
    let (status, code) = (text(&ended, "status"), text(&ended, "exit_code"));
    out.line(&format!("Run {run} completed: status={status} exit_code={code}"))?;
    Ok(())
}

impl List {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "v1", "tasks"]);
        let url = url.with_some("project_id", self.project.as_deref());
        let answer = self.reach.client(context)?.get(url)?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let answer = answer.json()?;
        let tasks = items(&answer, "tasks");
        if tasks.is_empty() {
            out.line("No tasks found.")?;
            return Ok(exit::OK);
        }
        let mut table = Table::new(["PROJECT", "TASK", "STATUS", "LAST ACTIVITY"]);
        for task in tasks {
            table.row(vec![
                text(task, "project_id").into(),
                text(task, "task_id").into(),
                Cell::status(&text(task, "status")),
                text(task, "last_activity").into(),
            ]);
        }
        table.print(out)?;
        Ok(exit::OK)
    }
}
