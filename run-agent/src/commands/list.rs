//! `list`: the projects of the root, the tasks of a project, the runs of a task.

use super::task_view::{ACTIVITY_ELASTIC, ACTIVITY_HEADINGS, ActivityFlags, Filter, TaskView};
use crate::args::Place;
use crate::context::Context;
use crate::exit::Failure;
use crate::render::error::notice;
use crate::render::table::{Cell, Table};
use crate::render::time::{local_minute, seconds, whole};
use crate::render::{color, json};
use clap::Args;
use conductor_core::{Conductor, ErrorKind, ProjectId, Result, RunId, RunInfo, TaskId};
use serde_json::{Map, Value, json};

/// A folder of the root that belongs to the server and is no project.
const AUDIT: &str = "_audit";

/// Lists the projects of the root, the tasks of a project, or the runs of a task
///
/// Inside a project's or a task's folder, or in the source folder of a project, it lists that one.
#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
    /// List the projects of the root, wherever you are
    #[arg(short, long, conflicts_with_all = ["project", "task"])]
    all: bool,
    /// Only tasks that stand so
    #[arg(long, value_name = "STATUS", value_enum, ignore_case = true)]
    status: Option<Filter>,
    #[command(flatten)]
    activity: ActivityFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        if self.all {
            return self.projects(context, &conductor);
        }
        let mut place = context.locate(&conductor, &self.place)?;
        match (place.project.clone(), place.task.clone()) {
            (Some(project), Some(task)) => self.runs(context, &conductor, &project, &task),
            (Some(project), None) => self.tasks(context, &conductor, &project),
            (None, Some(_)) => Err(place.need_project().err().map_or_else(no_project, Into::into)),
            (None, None) => self.projects(context, &conductor),
        }
    }

    fn projects(&self, context: &mut Context, conductor: &Conductor) -> Result<u8, Failure> {
        let listing = conductor.projects()?;
        for name in listing.foreign.iter().filter(|name| *name != AUDIT) {
            notice(&format!("skipped {name:?} in {}: no project", conductor.root().display()));
        }
        if self.json {
            let projects: Vec<&str> = listing.ids.iter().map(ProjectId::as_str).collect();
            json::answer(&mut context.out, &json!({ "projects": projects }))?;
        } else {
            for project in &listing.ids {
                context.out.line(project.as_str())?;
            }
        }
        Ok(context.answered(true))
    }

    fn tasks(
        &self,
        context: &mut Context,
        conductor: &Conductor,
        project: &ProjectId,
    ) -> Result<u8, Failure> {
        let mut views = Vec::new();
        for (task, found) in conductor.tasks().entries(project)? {
            let view = TaskView::new(context, conductor, project, task, found, &self.activity);
            let status = view.status_of_readable();
            if self.status.is_none_or(|filter| filter.takes(&view, &status)) {
                views.push((view, status));
            }
        }
        if self.json {
            let tasks: Vec<Value> =
                views.iter().map(|(view, status)| task_json(view, status)).collect();
            json::answer(&mut context.out, &json!({ "tasks": tasks }))?;
        } else {
            self.task_table(&views).print(&mut context.out)?;
        }
        Ok(context.answered(self.status.is_none() || !views.is_empty()))
    }

    fn task_table(&self, views: &[(TaskView, String)]) -> Table {
        let mut headings =
            vec!["TASK_ID", "RUNS", "LATEST_STATUS", "DONE", "BLOCKED_BY", "LAST_ACTIVITY"];
        if self.activity.is_wanted() {
            headings.extend(ACTIVITY_HEADINGS);
        }
        let mut table = Table::new(headings).elastic(&ACTIVITY_ELASTIC);
        for (view, status) in views {
            let info = view.info.as_ref();
            let mut row: Vec<Cell> = vec![
                view.id.as_str().into(),
                info.map_or_else(|| "-".to_owned(), |info| info.runs.to_string()).into(),
                Cell::status(status),
                if info.is_some_and(|info| info.done) { Cell::done("DONE") } else { "-".into() },
                view.blocked_by().into(),
                info.map_or_else(|| "-".to_owned(), |info| local_minute(info.last_activity)).into(),
            ];
            if self.activity.is_wanted() {
                row.extend(view.activity_cells());
            }
            table.row(row);
        }
        table
    }

    fn runs(
        &self,
        context: &mut Context,
        conductor: &Conductor,
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<u8, Failure> {
        let mut rows = Vec::new();
        for (run, info) in conductor.runs().entries(project, task)? {
            if let Err(error) = &info {
                context.trouble(error);
            }
            rows.push(RunRow::new(&run, &info));
        }
        if self.json {
            let runs: Vec<Value> = rows.iter().map(RunRow::json).collect();
            json::answer(&mut context.out, &json!({ "runs": runs }))?;
        } else {
            let mut table = Table::new(["RUN_ID", "STATUS", "EXIT_CODE", "STARTED", "DURATION"]);
            for row in rows {
                table.row(row.cells());
            }
            table.print(&mut context.out)?;
        }
        Ok(context.answered(true))
    }
}

fn no_project() -> Failure {
    conductor_core::Error::invalid("project.missing", "project", "--task requires --project").into()
}

fn task_json(view: &TaskView, status: &str) -> Value {
    let info = view.info.as_ref();
    let mut fields = Map::new();
    fields.insert("task_id".to_owned(), json!(view.id.as_str()));
    fields.insert("runs".to_owned(), json!(info.map(|info| info.runs)));
    fields.insert("latest_status".to_owned(), json!(status));
    fields.insert("done".to_owned(), json!(info.map(|info| info.done)));
    let last = info.map(|info| seconds(info.last_activity));
    fields.insert("last_activity".to_owned(), json!(last));
    view.add_state(&mut fields);
    Value::Object(fields)
}

/// A run as it is shown.
struct RunRow {
    id: RunId,
    status: String,
    exit_code: Option<i32>,
    started: String,
    duration: String,
    outcome: Option<&'static str>,
    agent: Option<String>,
    error: Option<String>,
}

impl RunRow {
    fn new(id: &RunId, info: &Result<RunInfo>) -> RunRow {
        let blank = RunRow {
            id: id.clone(),
            status: String::new(),
            exit_code: None,
            started: String::new(),
            duration: "-".to_owned(),
            outcome: None,
            agent: None,
            error: None,
        };
        match info {
            Err(error) => {
                let missing = error.kind() == ErrorKind::NotFound;
                let status = if missing { "unknown" } else { "damaged" }.to_owned();
                RunRow { status, error: Some(error.to_string()), ..blank }
            }
            Ok(info) => {
                let record = &info.record;
                let started = !record.start_time.is_zero();
                let duration = match info.ended {
                    _ if !started => String::new(),
                    None => "running".to_owned(),
                    // Nobody wrote the end down yet.
                    Some(_) if record.end_time.is_zero() => "-".to_owned(),
                    Some(_) => whole(record.end_time.since(record.start_time)),
                };
                RunRow {
                    status: info.status().as_str().to_owned(),
                    exit_code: Some(record.exit_code),
                    started: if started { record.start_time.human() } else { String::new() },
                    duration,
                    outcome: info.outcome().map(|outcome| outcome.as_str()),
                    agent: Some(record.agent.clone()).filter(|agent| !agent.is_empty()),
                    ..blank
                }
            }
        }
    }

    fn cells(self) -> Vec<Cell> {
        vec![
            self.id.as_str().into(),
            Cell::status(&self.status),
            self.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string()).into(),
            Cell::styled(self.started, color::PLAIN),
            self.duration.into(),
        ]
    }

    fn json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("run_id".to_owned(), json!(self.id.as_str()));
        fields.insert("status".to_owned(), json!(self.status));
        fields.insert("exit_code".to_owned(), json!(self.exit_code));
        fields.insert("started".to_owned(), json!(self.started));
        fields.insert("duration".to_owned(), json!(self.duration));
        for (name, value) in [
            ("outcome", self.outcome),
            ("agent", self.agent.as_deref()),
            ("error", self.error.as_deref()),
        ] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        Value::Object(fields)
    }
}
