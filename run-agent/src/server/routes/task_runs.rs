//! The runs of a task.

use super::super::answer::{Json, Status};
use super::super::app::App;
use super::super::around::{nothing, refuse_pages};
use super::super::calls::Length;
use super::super::failure::{ErrorBody, Failure};
use super::super::limits;
use super::super::page::{Asked, Page};
use super::super::place::{InRun, InTask};
use super::super::query::Query;
use super::super::wire::TaskRun;
use super::runs::ask_to_end;
use super::tasks::{WithFiles, row};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use conductor_core::{Error, RunInfo};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(page)).routes(routes!(one, delete)).routes(routes!(stop))
}

/// The runs of a task, the newest first
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/runs", tag = "runs",
    params(("project" = String, Path), ("task" = String, Path), Asked, WithFiles),
    responses((status = 200, body = Page<TaskRun>), (status = "default", body = ErrorBody)))]
async fn page(
    State(app): State<App>,
    InTask(project, task): InTask,
    Query(asked): Query<Asked>,
    Query(with): Query<WithFiles>,
) -> Result<Json<Page<TaskRun>>, Failure> {
    let page = app.call(move |conductor| {
        let runs = conductor.runs().list(&project, &task)?;
        let mut runs: Vec<RunInfo> = runs.into_iter().flatten().collect();
        // Those of one moment stay in the order of their creation, the newest first.
        runs.reverse();
        runs.sort_by_key(|run| std::cmp::Reverse(run.record.start_time));
        let page = asked.of(runs);
        let rows: conductor_core::Result<Vec<TaskRun>> =
            page.items.iter().map(|run| row(conductor, run, with.wanted())).collect();
        let mut rows = rows?.into_iter();
        let Page { total, limit, offset, has_more, .. } = page;
        Ok(Page { items: rows.by_ref().collect(), total, limit, offset, has_more })
    });
    Ok(Json(page.await?))
}

/// A run of a task, with its files
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/runs/{run}", tag = "runs",
    params(("project" = String, Path), ("task" = String, Path), ("run" = String, Path)),
    responses((status = 200, body = TaskRun), (status = "default", body = ErrorBody)))]
async fn one(
    State(app): State<App>,
    InRun(project, task, run): InRun,
) -> Result<Json<TaskRun>, Failure> {
    let run = app.call(move |conductor| {
        let info = conductor.runs().info(&project, &task, &run)?;
        row(conductor, &info, true)
    });
    Ok(Json(run.await?))
}

/// Deletes a run that is over
#[utoipa::path(delete, path = "/api/projects/{project}/tasks/{task}/runs/{run}", tag = "runs",
    params(("project" = String, Path), ("task" = String, Path), ("run" = String, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
async fn delete(
    State(app): State<App>,
    headers: HeaderMap,
    InRun(project, task, run): InRun,
) -> Result<Response, Failure> {
    refuse_pages(&headers, "run deletion")?;
    app.change(move |conductor| conductor.runs().delete(&project, &task, &run, limits::CHANGE))
        .await?;
    Ok(nothing(StatusCode::NO_CONTENT))
}

#[derive(Serialize, ToSchema)]
struct AskedToStop {
    message: &'static str,
    run_id: String,
}

/// Asks a run to end
#[utoipa::path(post, path = "/api/projects/{project}/tasks/{task}/runs/{run}/stop", tag = "runs",
    params(("project" = String, Path), ("task" = String, Path), ("run" = String, Path)),
    responses((status = 202, body = AskedToStop), (status = "default", body = ErrorBody)))]
async fn stop(
    State(app): State<App>,
    InRun(project, task, run): InRun,
) -> Result<Status<AskedToStop>, Failure> {
    let run_id = run.to_string();
    let asked = app.answer(Length::Short, move |app| {
        let failed = |error: Error| app.failure(&error);
        let handle = app.conductor().runs().get(&project, &task, &run).map_err(failed)?;
        ask_to_end(&handle).map_err(|error| match (error.code(), handle.info()) {
            // In the older program's words.
            ("run.over", Ok(info)) => {
                Failure::new(StatusCode::CONFLICT, error.code(), "run is not running")
                    .detail("status", info.status().as_str())
            }
            _ => app.failure(&error),
        })
    });
    asked.await?;
    Ok(Status(StatusCode::ACCEPTED, AskedToStop { message: "SIGTERM sent", run_id }))
}
