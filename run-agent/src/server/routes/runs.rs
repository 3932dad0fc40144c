//! Runs by their ids alone: looking at them, stopping them.

use super::super::answer::{Json, Status, is_zero};
use super::super::app::App;
use super::super::failure::{ErrorBody, Failure};
use super::super::limits;
use super::super::page::{Part, Wanted};
use super::super::place::SomeRun;
use super::super::query::Query;
use super::super::wire::Run;
use super::tasks::projects;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use conductor_core::{
    Conductor, Error, ErrorKind, ExtraRun, ProjectId, Result, Run as Handle, RunId, Stop, TaskId,
};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long an answer waits for a run that was asked to end. The stop goes on by itself.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(all))
        .routes(routes!(one))
        .routes(routes!(info))
        .routes(routes!(stop))
}

#[derive(Serialize, ToSchema)]
struct Runs {
    /// By id.
    runs: Vec<Run>,
    /// How many more there are whose records cannot be read.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable: usize,
    #[serde(flatten)]
    part: Part,
}

/// Where a run lies.
#[derive(Debug)]
enum Lies {
    Here(ProjectId, TaskId),
    /// Below an extra root.
    Elsewhere(ExtraRun),
}

/// All runs of the root and of the extra roots
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(Wanted),
    responses((status = 200, body = Runs), (status = "default", body = ErrorBody)))]
async fn all(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<Json<Runs>, Failure> {
    Ok(Json(app.call(move |conductor| all_runs(conductor, wanted)).await?))
}

fn all_runs(conductor: &Conductor, wanted: Wanted) -> Result<Runs> {
    let mut all = Vec::new();
    for project in projects(conductor)? {
        let tasks = match conductor.tasks().ids(&project) {
            // Deleted since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            tasks => tasks?,
        };
        for task in tasks {
            match conductor.runs().ids(&project, &task) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                runs => {
                    let place = |run| (run, Lies::Here(project.clone(), task.clone()));
                    all.extend(runs?.into_iter().map(place));
                }
            }
        }
    }
    let extra = conductor.extra_runs();
    let unreadable = extra.unreadable.len();
    all.extend(extra.runs.into_iter().map(|run| (run.id().clone(), Lies::Elsewhere(run))));
    // Those of one id stay as they were found: by project and task, then by extra root.
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    // Only what is wanted is read.
    let (all, part) = wanted.of(all);
    let mut answer = Runs { runs: Vec::new(), unreadable, part };
    for (run, lies) in all {
        let read = match lies {
            Lies::Here(project, task) => {
                conductor.runs().info(&project, &task, &run).map(|info| Run::from(&info))
            }
            Lies::Elsewhere(extra) => extra.info().map(|info| Run::of_extra(&run, &info)),
        };
        match read {
            Ok(run) => answer.runs.push(run),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => answer.unreadable += 1,
        }
    }
    Ok(answer)
}

/// A run
#[utoipa::path(get, path = "/api/v1/runs/{run}", tag = "runs", params(("run" = String, Path)),
    responses((status = 200, body = Run), (status = "default", body = ErrorBody)))]
async fn one(State(app): State<App>, SomeRun(run): SomeRun) -> Result<Json<Run>, Failure> {
    let run = app.call(move |conductor| match find(conductor, &run)? {
        Found::Here(run) => Ok(Run::from(&run.info()?)),
        Found::Elsewhere(extra) => Ok(Run::of_extra(&run, &extra.info()?)),
    });
    Ok(Json(run.await?))
}

/// A run that was found by its id alone.
enum Found {
    Here(Handle),
    Elsewhere(ExtraRun),
}

/// Finds a run in the root, else below the extra roots.
fn find(conductor: &Conductor, run: &RunId) -> Result<Found> {
    match conductor.runs().find(run) {
        Err(error) if matches!(error.code(), "run.not_found" | "root.not_found") => {
            match conductor.extra_run(run) {
                // Said of the root, which is where runs are looked for.
                Err(other) if other.kind() == ErrorKind::NotFound => Err(error),
                found => found.map(Found::Elsewhere),
            }
        }
        found => found.map(Found::Here),
    }
}

/// The record of a run, as it stands on disk
#[utoipa::path(get, path = "/api/v1/runs/{run}/info", tag = "runs", params(("run" = String, Path)),
    responses((status = 200, body = Object, content_type = "application/x-yaml"),
        (status = "default", body = ErrorBody)))]
async fn info(State(app): State<App>, SomeRun(run): SomeRun) -> Result<Response, Failure> {
    let bytes = app.call(move |conductor| match find(conductor, &run)? {
        Found::Here(run) => run.record_bytes(),
        Found::Elsewhere(extra) => extra.record_bytes(),
    });
    let bytes = bytes.await?;
    Ok(([(header::CONTENT_TYPE, "application/x-yaml")], bytes).into_response())
}

#[derive(Serialize, ToSchema)]
struct Stopping {
    status: &'static str,
}

/// Asks a run to end
#[utoipa::path(post, path = "/api/v1/runs/{run}/stop", tag = "runs",
    params(("run" = String, Path)),
    responses((status = 202, body = Stopping), (status = "default", body = ErrorBody)))]
async fn stop(State(app): State<App>, SomeRun(run): SomeRun) -> Result<Status<Stopping>, Failure> {
    let asked = app.call(move |conductor| match find(conductor, &run)? {
        Found::Here(run) => ask_to_end(&run),
        Found::Elsewhere(_) => {
            let what = format!("the run {run} lies below an extra root, where nothing is changed");
            Err(Error::new(ErrorKind::Conflict, "run.not_ours", what)
                .with_field("run")
                .with_hint("stop it with the program that started it"))
        }
    });
    asked.await?;
    Ok(Status(StatusCode::ACCEPTED, Stopping { status: "stopping" }))
}

/// Asks a run to end. Its keeper sees to it that it does; nobody has to wait for that.
pub(super) fn ask_to_end(run: &Handle) -> Result<()> {
    end(run, Stop::because("stopped over HTTP"))
}

/// As [`ask_to_end`], for a reason that was given.
pub(super) fn end(run: &Handle, stop: Stop) -> Result<()> {
    let info = run.info()?;
    if info.outcome().is_some() {
        return Err(
            Error::new(ErrorKind::Conflict, "run.over", "run already finished").with_field("run")
        );
    }
    let patience = PATIENCE.min(limits::CHANGE);
    match run.stop(stop, patience) {
        Err(error) if error.kind() == ErrorKind::Timeout => Ok(()),
        answer => answer.map(drop),
    }
}
