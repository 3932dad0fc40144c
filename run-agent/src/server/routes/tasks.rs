//! Tasks: looking at them, stopping, setting back, deleting.

use super::super::answer::{Json, Status};
use super::super::app::App;
use super::super::around::{nothing, refuse_pages};
use super::super::calls::Length;
use super::super::failure::{ErrorBody, Failure};
use super::super::known::{Look, Reader, Told};
use super::super::limits;
use super::super::page::{Asked, Page, Part, Wanted};
use super::super::place::{self, InProject, InTask, SomeTask};
use super::super::query::Query;
use super::super::wire::{Detail, ListedTask, PageTask, Run, RunCounts, TaskRun, Thread};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use conductor_core::{
    Conductor, Error, ErrorKind, ProjectId, Result, RunInfo, Status as RunStatus, Stop, TaskId,
    TaskInfo, TaskStatus, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(all))
        .routes(routes!(one, stop))
        .routes(routes!(page))
        .routes(routes!(detail, delete))
        .routes(routes!(resume))
}

/// The project of a task that is named alone in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfProject {
    /// The project; needed where several have a task with this id.
    project_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Tasks {
    tasks: Vec<ListedTask>,
    /// Tasks that cannot be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
    #[serde(flatten)]
    part: Part,
}

/// The tasks of all projects, or of one
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", params(OfProject, Wanted),
    responses((status = 200, body = Tasks), (status = "default", body = ErrorBody)))]
async fn all(
    State(app): State<App>,
    Query(of): Query<OfProject>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Tasks>, Failure> {
    let project = of.project_id.as_deref().map(place::project).transpose()?;
    let tasks = app
        .answer(Length::Short, move |app| {
            let conductor = app.conductor();
            let projects = match project {
                Some(project) => vec![project],
                None => projects(conductor).map_err(|error| app.failure(&error))?,
            };
            let mut all = Vec::new();
            for project in projects {
                match conductor.tasks().ids(&project) {
                    // Deleted since it was listed.
                    Err(error)
                        if error.kind() == ErrorKind::NotFound && of.project_id.is_none() => {}
                    tasks => {
                        let tasks = tasks.map_err(|error| app.failure(&error))?;
                        all.extend(tasks.into_iter().map(|task| (project.clone(), task)));
                    }
                }
            }
            // Only what is wanted is read.
            let (all, part) = wanted.of(all);
            let mut answer = Tasks { tasks: Vec::new(), unreadable: Vec::new(), part };
            app.known().read(conductor, usize::MAX, |reader| {
                for of_project in all.chunk_by(|a, b| a.0 == b.0) {
                    let look = reader.of(&of_project[0].0);
                    for (_, task) in of_project {
                        match listed(&look, task) {
                            Ok(task) => answer.tasks.extend(task),
                            Err(error) if error.kind() == ErrorKind::NotFound => {}
                            Err(error) => {
                                answer.unreadable.push(app.failure(&error).message().to_owned());
                            }
                        }
                    }
                }
            });
            Ok(answer)
        })
        .await?;
    Ok(Json(tasks))
}

/// The projects; none in a root that does not exist yet.
pub(super) fn projects(conductor: &Conductor) -> Result<Vec<ProjectId>> {
    match conductor.projects() {
        Err(error) if error.code() == "root.not_found" => Ok(Vec::new()),
        projects => Ok(projects?.ids),
    }
}

fn listed(look: &Look<'_>, task: &TaskId) -> Result<Option<ListedTask>> {
    let Some(Told { info, .. }) = look.task(task, &look.see(task))? else { return Ok(None) };
    let counts = counts_of_running(look.conductor, &info)?;
    Ok(Some(ListedTask::of(&info, counts.as_ref())))
}

/// What the runs of a task that is running came to: only then does that change the word for it.
fn counts_of_running(conductor: &Conductor, info: &TaskInfo) -> Result<Option<RunCounts>> {
    if info.status() != TaskStatus::Run(RunStatus::Running) {
        return Ok(None);
    }
    let runs = conductor.runs().list(&info.project, &info.id)?;
    Ok(Some(RunCounts::of(&runs)))
}

/// A task with its runs
#[utoipa::path(get, path = "/api/v1/tasks/{task}", tag = "tasks",
    params(("task" = String, Path), OfProject),
    responses((status = 200, body = ListedTask), (status = "default", body = ErrorBody)))]
async fn one(
    State(app): State<App>,
    SomeTask(task): SomeTask,
    Query(of): Query<OfProject>,
) -> Result<Json<ListedTask>, Failure> {
    let project = of.project_id.as_deref().map(place::project).transpose()?;
    let task = app.call(move |conductor| {
        let project = project_of(conductor, project, &task)?;
        let info = conductor.tasks().info(&project, &task)?;
        let runs = conductor.runs().list(&project, &task)?;
        let listed = ListedTask::of(&info, Some(&RunCounts::of(&runs)));
        let runs = runs.iter().flatten().map(Run::from).collect();
        Ok(ListedTask { runs: Some(runs), ..listed })
    });
    Ok(Json(task.await?))
}

fn project_of(
    conductor: &Conductor,
    project: Option<ProjectId>,
    task: &TaskId,
) -> Result<ProjectId> {
    match project {
        Some(project) => Ok(project),
        None => conductor.tasks().find(task),
    }
}

#[derive(Serialize, ToSchema)]
struct StoppedRuns {
    stopped_runs: usize,
}

/// Stops a task for good, and everything that it started
#[utoipa::path(delete, path = "/api/v1/tasks/{task}", tag = "tasks",
    params(("task" = String, Path), OfProject),
    responses((status = 202, body = StoppedRuns), (status = "default", body = ErrorBody)))]
async fn stop(
    State(app): State<App>,
    SomeTask(task): SomeTask,
    Query(of): Query<OfProject>,
) -> Result<Status<StoppedRuns>, Failure> {
    let project = of.project_id.as_deref().map(place::project).transpose()?;
    let report = app.change(move |conductor| {
        let project = project_of(conductor, project, &task)?;
        let task = conductor.tasks().get(&project, &task)?;
        task.stop(Stop::because("stopped over HTTP"), limits::CHANGE)
    });
    let stopped_runs = report.await?.signalled.len();
    Ok(Status(StatusCode::ACCEPTED, StoppedRuns { stopped_runs }))
}

/// Which tasks of a project are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Chosen {
    /// `running`, `done`, `failed`, `blocked`, `queued` or `partial_failure`; all unless said.
    status: Option<String>,
}

/// The tasks of a project, the newest first
#[utoipa::path(get, path = "/api/projects/{project}/tasks", tag = "tasks",
    params(("project" = String, Path), Chosen, Asked),
    responses((status = 200, body = Page<PageTask>), (status = "default", body = ErrorBody)))]
async fn page(
    State(app): State<App>,
    InProject(project): InProject,
    Query(chosen): Query<Chosen>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<PageTask>>, Failure> {
    let page = app.answer(Length::Short, move |app| {
        let conductor = app.conductor();
        let by_age = |reader: &Reader<'_>| by_age(&reader.of(&project));
        let tasks = app.known().read(conductor, usize::MAX, by_age);
        let mut tasks = tasks.map_err(|error| app.failure(&error))?;
        tasks.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.id.cmp(&other.id)));
        let tasks = tasks.into_iter().map(|(_, info)| info);
        match chosen.status.as_deref() {
            // Only what is on the page is looked at more closely.
            None | Some("") => {
                Ok(asked.of(tasks.collect()).map(|info| page_task(conductor, &info)))
            }
            Some(word) => {
                let rows = tasks.map(|info| page_task(conductor, &info));
                Ok(asked.of(rows.filter(|row| row.is_chosen(word)).collect()))
            }
        }
    });
    Ok(Json(page.await?))
}

/// The tasks of a project, each with when it was made.
fn by_age(look: &Look<'_>) -> Result<Vec<(Timestamp, Arc<TaskInfo>)>> {
    let mut tasks = Vec::new();
    for task in look.ids()? {
        let seen = look.see(&task);
        match look.task(&task, &seen) {
            Ok(Some(Told { info, rests })) => {
                let created = || created_at(look.conductor, &info);
                tasks.push((look.created(&task, &seen, rests, created), info));
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Told in its own detail; here it would hide all the others.
            Err(error) => tracing::warn!(%task, %error, "cannot read a task"),
        }
    }
    Ok(tasks)
}

/// When its first run began; else when its prompt was written.
fn created_at(conductor: &Conductor, info: &TaskInfo) -> Timestamp {
    let began = || -> Result<Timestamp> {
        let runs = conductor.runs();
        let Some(run) = runs.ids(&info.project, &info.id)?.into_iter().next() else {
            return Ok(Timestamp::ZERO);
        };
        Ok(runs.info(&info.project, &info.id, &run)?.record.start_time)
    };
    let written = || -> Result<Timestamp> {
        match conductor.tasks().prompt_file(&info.project, &info.id)? {
            Some(prompt) => prompt.modified(),
            None => Ok(info.last_activity),
        }
    };
    // Only the order of a list hangs on it: what cannot be read is told elsewhere.
    let began = began().ok().filter(|time| !time.is_zero());
    began.or_else(|| written().ok()).unwrap_or(info.last_activity)
}

/// A task on a page. One whose runs went meanwhile is shown without them.
fn page_task(conductor: &Conductor, info: &TaskInfo) -> PageTask {
    let counted = || -> Result<(RunCounts, Option<u64>)> {
        let runs = conductor.runs().list(&info.project, &info.id)?;
        let size = info.latest.as_ref().map(|run| output_size(conductor, run)).transpose()?;
        Ok((RunCounts::of(&runs), size))
    };
    let (counts, size) = counted().unwrap_or_else(|error| {
        tracing::warn!(subsystem = "api", task_id = %info.id, %error, "cannot look at runs");
        Default::default()
    });
    PageTask { thread_parent: thread_of(conductor, info), ..PageTask::of(info, counts, size) }
}

/// The message that a task answers. A link that cannot be read hides nothing else.
fn thread_of(conductor: &Conductor, info: &TaskInfo) -> Option<Thread> {
    let link = conductor.tasks().thread_of(&info.project, &info.id);
    link.unwrap_or_else(|error| {
        tracing::warn!(subsystem = "api", task_id = %info.id, %error, "cannot read a link");
        None
    })
    .map(Thread::from)
}

/// The length of the longer of what the run printed and its result.
fn output_size(conductor: &Conductor, run: &RunInfo) -> Result<u64> {
    use conductor_core::OutputFile::{Output, Stdout};
    let run = conductor.runs().get(&run.project, &run.task, &run.id)?;
    let files = run.files()?.into_iter();
    let longer = files.filter(|(file, _)| matches!(file, Output | Stdout)).map(|(_, size)| size);
    Ok(longer.max().unwrap_or(0))
}

/// Whether the files of runs are wanted too.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WithFiles {
    /// `0` leaves the files of runs out.
    include_files: Option<String>,
}

impl WithFiles {
    pub(super) fn wanted(&self) -> bool {
        !matches!(self.include_files.as_deref(), Some("0" | "false" | "no"))
    }
}

/// A task with its runs and their files
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}", tag = "tasks",
    params(("project" = String, Path), ("task" = String, Path), WithFiles),
    responses((status = 200, body = Detail), (status = "default", body = ErrorBody)))]
async fn detail(
    State(app): State<App>,
    InTask(project, task): InTask,
    Query(with): Query<WithFiles>,
) -> Result<Json<Detail>, Failure> {
    let detail = app.call(move |conductor| {
        let info = conductor.tasks().info(&project, &task)?;
        let runs = conductor.runs().list(&project, &task)?;
        let counts = RunCounts::of(&runs);
        let mut rows = Vec::with_capacity(runs.len());
        for run in runs.iter().flatten() {
            rows.push(row(conductor, run, with.wanted())?);
        }
        let thread_parent = thread_of(conductor, &info);
        Ok(Detail { thread_parent, ..Detail::of(&info, &counts, rows) })
    });
    Ok(Json(detail.await?))
}

/// A run among those of its task, with its files where they are wanted.
pub(super) fn row(conductor: &Conductor, run: &RunInfo, files: bool) -> Result<TaskRun> {
    let row = TaskRun::from(run);
    match files {
        true => row.with_files(&conductor.runs().get(&run.project, &run.task, &run.id)?),
        false => Ok(row),
    }
}

/// Deletes a task with all its runs
#[utoipa::path(delete, path = "/api/projects/{project}/tasks/{task}", tag = "tasks",
    params(("project" = String, Path), ("task" = String, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
async fn delete(
    State(app): State<App>,
    headers: HeaderMap,
    InTask(project, task): InTask,
) -> Result<Response, Failure> {
    refuse_pages(&headers, "task deletion")?;
    let deleted = app
        .change(move |conductor| conductor.tasks().delete(&project, &task, None, limits::CHANGE));
    match deleted.await {
        Err(failure) if failure.code() == "task.running" => {
            Err(failure.detail("status", "running"))
        }
        answer => answer.map(|()| nothing(StatusCode::NO_CONTENT)),
    }
}

#[derive(Serialize, ToSchema)]
struct Resumed {
    project_id: String,
    resumed: bool,
    task_id: String,
}

/// Takes `DONE` away, so that the task can be started again; starts nothing
#[utoipa::path(post, path = "/api/projects/{project}/tasks/{task}/resume", tag = "tasks",
    params(("project" = String, Path), ("task" = String, Path)),
    responses((status = 200, body = Resumed), (status = "default", body = ErrorBody)))]
async fn resume(
    State(app): State<App>,
    InTask(project, task): InTask,
) -> Result<Json<Resumed>, Failure> {
    let answer =
        Resumed { project_id: project.to_string(), resumed: true, task_id: task.to_string() };
    let set_back = app.change(move |conductor| {
        let info = conductor.tasks().info(&project, &task)?;
        if !info.done && !info.cancelled {
            return Err(Error::invalid(
                "task.not_done",
                "task",
                "task has no DONE file; nothing to resume",
            ));
        }
        conductor.tasks().set_back(&project, &task, limits::CHANGE)
    });
    set_back.await?;
    Ok(Json(answer))
}
