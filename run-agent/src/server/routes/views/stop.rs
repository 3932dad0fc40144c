//! Stopping a task or one of its runs, with the reason that is recorded.

use super::super::super::answer::Status;
use super::super::super::app::App;
use super::super::super::body::Read;
use super::super::super::calls::Length;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::limits;
use super::super::super::place::{self, InTask};
use super::super::runs::end;
use axum::extract::State;
use axum::http::StatusCode;
use conductor_core::{RunId, Stop};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The longest reason that is recorded, in characters.
const LONGEST: usize = 500;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stop))
}

/// What to stop, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ViewWish)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// Only this run: its task may start another one. Without it the task is stopped for good, and
    /// everything that it started.
    #[serde(default)]
    run_id: Option<String>,
    /// Why; it is recorded.
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ViewStopping)]
struct Stopping {
    /// Runs that were asked to end.
    stopped_runs: usize,
}

/// Stops a task, or one of its runs, and records why
#[utoipa::path(post, path = "/api/projects/{project}/tasks/{task}/stop", tag = "tasks",
    params(("project" = String, Path), ("task" = String, Path)), request_body = Wish,
    responses((status = 202, body = Stopping), (status = "default", body = ErrorBody)))]
async fn stop(
    State(app): State<App>,
    InTask(project, task): InTask,
    Read(wish): Read<Wish>,
) -> Result<Status<Stopping>, Failure> {
    let reason: String = wish.reason.trim().chars().take(LONGEST).collect();
    if reason.is_empty() {
        return Err(Failure::bad_request("stop.reason", "a reason is wanted"));
    }
    let run = wish.run_id.as_deref().map(|run| place::checked(RunId::new(run))).transpose()?;
    let stopped_runs = app.answer(Length::Long, move |app| {
        let conductor = app.conductor();
        let stopped = match run {
            Some(run) => {
                let run = conductor.runs().get(&project, &task, &run);
                run.and_then(|run| end(&run, Stop::because(reason))).map(|()| 1)
            }
            None => conductor
                .tasks()
                .get(&project, &task)
                .and_then(|task| task.stop(Stop::because(reason), limits::CHANGE))
                .map(|report| report.signalled.len()),
        };
        stopped.map_err(|error| app.failure(&error))
    });
    Ok(Status(StatusCode::ACCEPTED, Stopping { stopped_runs: stopped_runs.await? }))
}
