//! `server project`: projects of a server.

use super::{items, text};
use crate::args::duration;
use crate::client::{Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::table::Table;
use clap::{Args, Subcommand};
use conductor_core::{format_duration, format_size};
use std::time::Duration;

/// Lists, counts, cleans and deletes projects of the server
#[derive(Debug, Subcommand)]
pub(crate) enum Project {
    /// List the projects
    List(List),
    /// Count what a project holds
    Stats(Stats),
    /// Delete runs of a project that are over and old
    Gc(Gc),
    /// Delete a project with all its tasks and runs
    Delete(Delete),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    reach: Reach,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Stats {
    #[command(flatten)]
    reach: Reach,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Gc {
    #[command(flatten)]
    reach: Reach,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Delete runs that ended longer ago than this
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "168h")]
    older_than: Duration,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Keep runs that failed
    #[arg(long)]
    keep_failed: bool,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    reach: Reach,
    /// Project
    #[arg(value_name = "PROJECT")]
    project: String,
    /// Stop what runs first
    #[arg(long)]
    force: bool,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Project {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Project::List(command) => command.run(context),
            Project::Stats(command) => command.run(context),
            Project::Gc(command) => command.run(context),
            Project::Delete(command) => command.run(context),
        }
    }
}

impl List {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let answer = self.reach.client(context)?.get(Url::new(&["api", "projects"]))?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let answer = answer.json()?;
        let mut table = Table::new(["PROJECT", "TASKS", "LAST ACTIVITY", "SOURCES"]);
        for project in items(&answer, "projects") {
            table.row(vec![
                text(project, "id").into(),
                text(project, "task_count").into(),
                text(project, "last_activity").into(),
                text(project, "project_root").into(),
            ]);
        }
        table.print(out)?;
        Ok(exit::OK)
    }
}

impl Stats {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "projects", &self.project, "stats"]);
        let answer = self.reach.client(context)?.get(url)?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let stats = answer.json()?;
        let bytes = stats["message_bus_total_bytes"].as_u64().unwrap_or(0);
        for (name, value) in [
            ("Project:", text(&stats, "project_id")),
            ("Tasks:", text(&stats, "total_tasks")),
            ("Runs:", text(&stats, "total_runs")),
            ("  running:", text(&stats, "running_runs")),
            ("  completed:", text(&stats, "completed_runs")),
            ("  failed:", text(&stats, "failed_runs")),
            ("  crashed:", text(&stats, "crashed_runs")),
            ("Buses:", format!("{} ({})", text(&stats, "message_bus_files"), format_size(bytes))),
        ] {
            out.line(&format!("{name:<13}{value}"))?;
        }
        Ok(exit::OK)
    }
}

impl Gc {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let word = |on: bool| if on { "true" } else { "false" };
        let url = Url::new(&["api", "projects", &self.project, "gc"])
            .with("older_than", &format_duration(self.older_than))
            .with("dry_run", word(self.dry_run))
            .with("keep_failed", word(self.keep_failed));
        let answer = self.reach.client(context)?.push(url)?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let done = answer.json()?;
        let (runs, bytes) = (text(&done, "deleted_runs"), done["freed_bytes"].as_u64());
        let freed = format_size(bytes.unwrap_or(0));
        out.line(&match self.dry_run {
            true => format!("DRY RUN: would delete {runs} runs, free {freed}"),
            false => format!("Deleted {runs} runs, freed {freed}"),
        })?;
        for error in items(&done, "errors") {
            crate::render::error::notice(error.as_str().unwrap_or_default());
        }
        let all_done = items(&done, "errors").is_empty();
        Ok(if all_done { exit::OK } else { exit::NO })
    }
}

impl Delete {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let url = Url::new(&["api", "projects", &self.project]);
        let url = url.with_some("force", self.force.then_some("true"));
        let answer = self.reach.client(context)?.delete(url)?;
        let out = &mut context.out;
        if self.json {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let done = answer.json()?;
        let freed = format_size(done["freed_bytes"].as_u64().unwrap_or(0));
        let tasks = text(&done, "deleted_tasks");
        out.line(&format!("Project {} deleted ({tasks} tasks, {freed} freed).", self.project))?;
        Ok(exit::OK)
    }
}
