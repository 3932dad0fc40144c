//! `status`: where tasks stand; without a project, what lives or waits in the whole root.

use super::task_view::{ACTIVITY_ELASTIC, ACTIVITY_HEADINGS, ActivityFlags, Filter, TaskView};
use crate::args::Place;
use crate::context::Context;
use crate::exit::Failure;
use crate::render::error::notice;
use crate::render::json;
use crate::render::table::{Cell, Table};
use clap::Args;
use conductor_core::{Conductor, ProjectId, Result, TaskId, TaskInfo};
use serde_json::{Map, Value, json};

/// Shows where tasks stand
///
/// Of a project, or of one task; where neither is named, and the current folder belongs to none, of
/// everything in the root that lives or waits.
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    place: Place,
    /// Show what lives or waits in the whole root, wherever you are
    #[arg(short, long, conflicts_with_all = ["project", "task"])]
    all: bool,
    /// Only tasks that stand so
    #[arg(long, value_name = "STATUS", value_enum, ignore_case = true)]
    status: Option<Filter>,
    #[command(flatten)]
    activity: ActivityFlags,
    /// Print a line of fields separated by tabs for each task
    #[arg(long, conflicts_with = "json")]
    concise: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The tasks that are shown, and what to call them.
struct Shown {
    views: Vec<TaskView>,
    /// `None` for the whole root.
    project: Option<ProjectId>,
    task: Option<TaskId>,
}

impl Status {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let mut shown = self.find(context, &conductor)?;
        if let Some(filter) = self.status {
            shown.views.retain(|view| filter.takes(view, &view.status_of_newest()));
        }
        if self.json {
            let whole_root = shown.project.is_none();
            let tasks: Vec<Value> =
                shown.views.iter().map(|view| task_json(view, whole_root)).collect();
            json::answer(&mut context.out, &json!({ "tasks": tasks }))?;
        } else if self.concise {
            self.print_concise(context, &shown)?;
        } else {
            self.print_table(context, &shown)?;
        }
        for view in &shown.views {
            tell_of_missing_driver(view);
        }
        Ok(context.answered(self.status.is_none() || !shown.views.is_empty()))
    }

    fn find(&self, context: &mut Context, conductor: &Conductor) -> Result<Shown, Failure> {
        let mut place = match self.all {
            true => conductor_core::Location::default(),
            false => context.locate(conductor, &self.place)?,
        };
        if place.task.is_some() {
            place.need_project()?;
        }
        let found = match (&place.project, &place.task) {
            (Some(project), Some(task)) => {
                // A task that is named and does not exist is an error, not a row.
                let info = conductor.tasks().info(project, task);
                match info {
                    Err(error) if error.kind() == conductor_core::ErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    info => vec![(project.clone(), task.clone(), info)],
                }
            }
            (Some(project), None) => {
                let tasks = conductor.tasks().entries(project)?.into_iter();
                tasks.map(|(task, info)| (project.clone(), task, info)).collect()
            }
            (None, _) => {
                let living = conductor.tasks().living()?;
                for error in &living.unreadable {
                    context.trouble(error);
                }
                living.tasks
            }
        };
        let views = found
            .into_iter()
            .map(|(project, task, found)| {
                TaskView::new(context, conductor, &project, task, found, &self.activity)
            })
            .collect();
        Ok(Shown { views, project: place.project, task: place.task })
    }

    fn print_table(&self, context: &mut Context, shown: &Shown) -> Result<(), Failure> {
        let nothing = self.nothing(shown);
        if shown.project.is_none() && shown.views.is_empty() {
            context.out.line(&nothing)?;
            return Ok(());
        }
        let whole_root = shown.project.is_none();
        let waits = shown.views.iter().any(|view| view.waits_for() != "-");
        let mut headings = Vec::new();
        headings.extend(whole_root.then_some("PROJECT"));
        headings.extend([
            "TASK_ID",
            "STATUS",
            "EXIT_CODE",
            "LATEST_RUN",
            "DONE",
            "PID_ALIVE",
            "BLOCKED_BY",
        ]);
        if self.activity.is_wanted() {
            headings.extend(ACTIVITY_HEADINGS);
        }
        headings.extend(waits.then_some("WAITS_FOR"));
        let mut table = Table::new(headings).elastic(&ACTIVITY_ELASTIC);
        for view in &shown.views {
            let row = Row::new(view);
            let mut cells: Vec<Cell> = Vec::new();
            cells.extend(whole_root.then(|| view.project.as_str().into()));
            cells.extend([
                view.id.as_str().into(),
                Cell::status(&row.status),
                row.exit_code().into(),
                row.latest_run().into(),
                row.done().into(),
                row.pid_alive().into(),
                view.blocked_by().into(),
            ]);
            if self.activity.is_wanted() {
                cells.extend(view.activity_cells());
            }
            cells.extend(waits.then(|| view.waits_for().into()));
            table.row(cells);
        }
        table.print(&mut context.out)?;
        if shown.views.is_empty() && self.status.is_some() {
            context.out.line(&nothing)?;
        }
        Ok(())
    }

    fn print_concise(&self, context: &mut Context, shown: &Shown) -> Result<(), Failure> {
        if shown.views.is_empty() {
            context.out.line(&self.nothing(shown))?;
        }
        for view in &shown.views {
            let row = Row::new(view);
            let mut fields = Vec::new();
            fields.extend(shown.project.is_none().then(|| view.project.to_string()));
            fields.extend([
                view.id.to_string(),
                row.status.clone(),
                row.exit_code(),
                row.latest_run(),
                row.done(),
                row.pid_alive(),
            ]);
            if self.activity.is_wanted() {
                fields.extend(view.activity_fields());
            }
            context.out.line(&fields.join("\t"))?;
        }
        Ok(())
    }

    /// What to say where there is nothing to show.
    fn nothing(&self, shown: &Shown) -> String {
        let place = match (&shown.project, &shown.task) {
            (Some(project), Some(task)) => format!("for task {task} in project {project}"),
            (Some(project), None) => format!("in project {project}"),
            (None, _) => return "Nothing lives or waits in the root.".to_owned(),
        };
        match self.status {
            Some(filter) => format!("No status rows matched --status {:?} {place}.", filter.word()),
            None => format!("No status rows found {place}."),
        }
    }
}

/// What a row says of the newest run.
struct Row<'a> {
    status: String,
    info: Option<&'a TaskInfo>,
    /// Whether the newest run is the one whose record was read.
    readable: bool,
}

impl<'a> Row<'a> {
    fn new(view: &'a TaskView) -> Row<'a> {
        let info = view.info.as_ref();
        let readable = info.is_some_and(|info| info.unreadable.is_empty());
        Row { status: view.status_of_newest(), info, readable }
    }

    fn newest(&self) -> Option<&conductor_core::RunInfo> {
        self.info.filter(|_| self.readable)?.latest.as_ref()
    }

    fn exit_code(&self) -> String {
        self.newest().map_or_else(|| "-".to_owned(), |run| run.record.exit_code.to_string())
    }

    fn latest_run(&self) -> String {
        let run = self.info.and_then(TaskInfo::newest_run);
        run.map_or_else(|| "-".to_owned(), ToString::to_string)
    }

    fn done(&self) -> String {
        self.info.map_or_else(|| "-".to_owned(), |info| info.done.to_string())
    }

    fn pid_alive(&self) -> String {
        let alive = self.newest().and_then(|run| run.alive);
        alive.map_or_else(|| "-".to_owned(), |alive| alive.to_string())
    }
}

fn task_json(view: &TaskView, with_project: bool) -> Value {
    let row = Row::new(view);
    let mut fields = Map::new();
    if with_project {
        fields.insert("project_id".to_owned(), json!(view.project.as_str()));
    }
    let newest = row.newest();
    let run = row.info.and_then(TaskInfo::newest_run).map_or("", |run| run.as_str());
    fields.insert("task_id".to_owned(), json!(view.id.as_str()));
    fields.insert("status".to_owned(), json!(row.status));
    fields.insert("exit_code".to_owned(), json!(newest.map(|run| run.record.exit_code)));
    fields.insert("latest_run".to_owned(), json!(run));
    fields.insert("done".to_owned(), json!(row.info.map(|info| info.done)));
    fields.insert("pid_alive".to_owned(), json!(newest.and_then(|run| run.alive)));
    view.add_state(&mut fields);
    Value::Object(fields)
}

/// A loop that nobody drives starts no further attempt: that is said, with the way on.
fn tell_of_missing_driver(view: &TaskView) {
    let undriven =
        view.info.as_ref().is_some_and(|info| info.is_unfinished() && info.driver.is_none());
    if undriven {
        let TaskView { project, id, .. } = view;
        notice(&format!(
            "nobody drives {project}/{id}; go on with: run-agent attach --project {project} --task {id}"
        ));
    }
}
