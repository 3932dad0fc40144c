//! Projects.

use super::super::answer::{Json, Status};
use super::super::app::App;
use super::super::around::refuse_pages;
use super::super::body::Read;
use super::super::failure::{ErrorBody, Failure};
use super::super::limits;
use super::super::page::{Part, Wanted};
use super::super::place::{self, InProject};
use super::super::query::Query;
use super::super::wire::{Project, RunCounts, Stats};
use super::tasks::projects;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use conductor_core::{Conductor, ErrorKind, ProjectId, Result, Stop};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most folders of sources that are told.
const FOLDERS: usize = 20;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(all, create))
        .routes(routes!(home_dirs))
        .routes(routes!(one, delete))
        .routes(routes!(stats))
}

#[derive(Serialize, ToSchema)]
struct Projects {
    /// The one with the newest activity first.
    projects: Vec<Project>,
    #[serde(flatten)]
    part: Part,
}

/// All projects
#[utoipa::path(get, path = "/api/projects", tag = "projects", params(Wanted),
    responses((status = 200, body = Projects), (status = "default", body = ErrorBody)))]
async fn all(
    State(app): State<App>,
    Query(wanted): Query<Wanted>,
) -> std::result::Result<Json<Projects>, Failure> {
    let projects = app.call(move |conductor| {
        let mut infos = Vec::new();
        for project in projects(conductor)? {
            match conductor.project(&project) {
                Ok(info) => infos.push(info),
                // Deleted since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        infos.sort_by(|a, b| b.last_activity.cmp(&a.last_activity).then(a.id.cmp(&b.id)));
        let (infos, part) = wanted.of(infos);
        Ok(Projects { projects: infos.iter().map(Project::from).collect(), part })
    });
    Ok(Json(projects.await?))
}

/// A project to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewProject {
    project_id: String,
    /// The folder of its sources: absolute, or below the home folder as `~/...`.
    project_root: String,
}

/// Makes a project and links it to a folder of sources
#[utoipa::path(post, path = "/api/projects", tag = "projects", request_body = NewProject,
    responses((status = 201, body = Project), (status = "default", body = ErrorBody)))]
async fn create(
    State(app): State<App>,
    Read(new): Read<NewProject>,
) -> std::result::Result<Status<Project>, Failure> {
    let project = place::project(&new.project_id)?;
    if new.project_root.trim().is_empty() {
        return Err(Failure::bad_request("source.missing", "project_root is required"));
    }
    let source = at_home(new.project_root.trim());
    let made = app.call(move |conductor| conductor.create_project(&project, &source));
    Ok(Status(StatusCode::CREATED, Project::from(&made.await?)))
}

/// A path of a person, whose home folder it may begin with.
pub(super) fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}

#[derive(Serialize, ToSchema)]
struct Folders {
    dirs: Vec<String>,
}

/// The folders of sources that projects are linked to
#[utoipa::path(get, path = "/api/projects/home-dirs", tag = "projects",
    responses((status = 200, body = Folders), (status = "default", body = ErrorBody)))]
async fn home_dirs(State(app): State<App>) -> std::result::Result<Json<Folders>, Failure> {
    let folders = app.call(|conductor| match conductor.source_folders() {
        Err(error) if error.code() == "root.not_found" => Ok(Vec::new()),
        folders => folders,
    });
    let dirs = folders.await?.into_iter().take(FOLDERS);
    Ok(Json(Folders { dirs: dirs.map(|path| path.display().to_string()).collect() }))
}

/// A project
#[utoipa::path(get, path = "/api/projects/{project}", tag = "projects",
    params(("project" = String, Path)),
    responses((status = 200, body = Project), (status = "default", body = ErrorBody)))]
async fn one(
    State(app): State<App>,
    InProject(project): InProject,
) -> std::result::Result<Json<Project>, Failure> {
    let info = app.call(move |conductor| conductor.project(&project)).await?;
    Ok(Json(Project::from(&info)))
}

/// Whether what lives is stopped first.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Force {
    /// `true` stops what lives first.
    force: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Deleted {
    deleted_tasks: usize,
    freed_bytes: u64,
    project_id: String,
}

/// Deletes a project with all its tasks and runs
#[utoipa::path(delete, path = "/api/projects/{project}", tag = "projects",
    params(("project" = String, Path), Force),
    responses((status = 200, body = Deleted), (status = "default", body = ErrorBody)))]
async fn delete(
    State(app): State<App>,
    headers: HeaderMap,
    InProject(project): InProject,
    Query(asked): Query<Force>,
) -> std::result::Result<Json<Deleted>, Failure> {
    refuse_pages(&headers, "project deletion")?;
    let force = matches!(asked.force.as_deref(), Some("true" | "1" | "yes"));
    let project_id = project.to_string();
    let stop = force.then(|| Stop::because("the project is deleted"));
    let deleted =
        app.change(move |conductor| conductor.delete_project(&project, stop, limits::CHANGE));
    let deleted = deleted.await?;
    Ok(Json(Deleted { deleted_tasks: deleted.tasks, freed_bytes: deleted.bytes, project_id }))
}

/// Counts of a project
#[utoipa::path(get, path = "/api/projects/{project}/stats", tag = "projects",
    params(("project" = String, Path)),
    responses((status = 200, body = Stats), (status = "default", body = ErrorBody)))]
async fn stats(
    State(app): State<App>,
    InProject(project): InProject,
) -> std::result::Result<Json<Stats>, Failure> {
    Ok(Json(app.call(move |conductor| counts(conductor, &project)).await?))
}

fn counts(conductor: &Conductor, project: &ProjectId) -> Result<Stats> {
    let buses = conductor.bus_sizes(project)?;
    let mut stats = Stats {
        project_id: project.to_string(),
        message_bus_files: buses.files,
        message_bus_total_bytes: buses.bytes,
        ..Stats::default()
    };
    for task in conductor.tasks().ids(project)? {
        let runs = match conductor.runs().list(project, &task) {
            // Deleted since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            runs => runs?,
        };
        stats.total_tasks += 1;
        stats.total_runs += runs.len();
        for (word, count) in RunCounts::of(&runs).0 {
            *match word.as_str() {
                "running" => &mut stats.running_runs,
                "completed" => &mut stats.completed_runs,
                "failed" => &mut stats.failed_runs,
                _ => &mut stats.crashed_runs,
            } += count;
        }
    }
    Ok(stats)
}
