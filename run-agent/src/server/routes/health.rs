//! Whether the server lives, and what goes on.

use super::super::answer::Json;
use super::super::app::App;
use super::super::failure::{ErrorBody, Failure};
use super::super::metrics::{Now, Seen};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use conductor_core::{Conductor, ErrorKind, RunInfo, Status, format_duration};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(health))
        .routes(routes!(version))
        .routes(routes!(status))
}

#[derive(Serialize, ToSchema)]
struct Alive {
    status: &'static str,
    uptime: String,
}

#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Version {
    version: &'static str,
}

#[derive(Serialize, ToSchema)]
struct StatusReport {
    /// With those of the extra roots, which do not stand among `running_tasks`.
    active_runs_count: usize,
    /// How many runs and root tasks wait for their turn.
    queued_runs_count: usize,
    uptime_seconds: f64,
    configured_agents: Vec<String>,
    version: &'static str,
    /// By the time of their start.
    running_tasks: Vec<RunningTask>,
    /// Open runs whose records cannot be read: more may be active than are counted.
    unreadable_runs: usize,
    /// Where the update of the server's program stands: `idle`, `deferred`, `applying` or `failed`.
    self_update: &'static str,
}

#[derive(Serialize, ToSchema)]
struct RunningTask {
    project_id: String,
    task_id: String,
    run_id: String,
    agent: String,
    #[schema(format = DateTime)]
    started: String,
}

/// The server lives
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, body = Alive)))]
async fn healthz(State(app): State<App>) -> Json<Alive> {
    let uptime = Duration::from_secs(app.started().elapsed().as_secs());
    Json(Alive { status: "ok", uptime: format_duration(uptime) })
}

/// The root can be read
#[utoipa::path(get, path = "/readyz", tag = "server",
    responses((status = 200, body = Health), (status = "default", body = ErrorBody)))]
async fn readyz(State(app): State<App>) -> Result<Json<Health>, Failure> {
    app.call(|conductor| conductor.runs().living()).await?;
    Ok(Json(Health { status: "ok" }))
}

/// What the server counts, in the text form of Prometheus
#[utoipa::path(get, path = "/metrics", tag = "server",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4")))]
async fn metrics(State(app): State<App>) -> Response {
    let driven = app.driver().tasks();
    let (driven_count, followers) = (driven.len(), app.streams().members());
    let seen = app.call(move |conductor| {
        let living = conductor.runs().living()?;
        let infos = conductor.tasks().infos(driven).filter_map(|(.., info)| info.ok());
        let waits = infos.filter_map(|info| Some(info.waiting?.what)).collect();
        let holds = match conductor.holds() {
            Err(error) if error.code() == "root.not_found" => 0,
            holds => holds?.len(),
        };
        Ok(Seen { active: living.runs.len(), queued: living.queued, waits, holds })
    });
    let now = Now {
        uptime: app.started().elapsed(),
        driven: driven_count,
        followers,
        // What the root does not tell now stays as it was.
        seen: seen.await.ok(),
        update: app.call(|conductor| conductor.update().state()).await.ok(),
    };
    app.metrics().observe(&now);
    let form = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (form, app.metrics().text()).into_response()
}

/// The server lives, as older clients ask
#[utoipa::path(get, path = "/api/v1/health", tag = "server",
    responses((status = 200, body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The server's version
#[utoipa::path(get, path = "/api/v1/version", tag = "server",
    responses((status = 200, body = Version)))]
async fn version() -> Json<Version> {
    Json(Version { version: env!("CARGO_PKG_VERSION") })
}

/// What goes on
#[utoipa::path(get, path = "/api/v1/status", tag = "server",
    responses((status = 200, body = StatusReport), (status = "default", body = ErrorBody)))]
async fn status(State(app): State<App>) -> Result<Json<StatusReport>, Failure> {
    let looked = app.call(|conductor| {
        let state = conductor.update().state()?.as_str();
        Ok((conductor.runs().living()?, state, living_elsewhere(conductor)))
    });
    let (mut living, self_update, elsewhere) = looked.await?;
    living.runs.sort_by_key(|run| run.record.start_time);
    let configured = app.conductor().config().agents.keys().cloned().collect();
    Ok(Json(StatusReport {
        active_runs_count: living.runs.len() + elsewhere.active,
        queued_runs_count: living.queued,
        uptime_seconds: app.started().elapsed().as_secs_f64(),
        configured_agents: configured,
        version: env!("CARGO_PKG_VERSION"),
        running_tasks: living.runs.iter().map(running_task).collect(),
        unreadable_runs: living.unreadable.len() + elsewhere.unreadable,
        self_update,
    }))
}

/// The runs below extra roots.
struct Elsewhere {
    active: usize,
    unreadable: usize,
}

fn living_elsewhere(conductor: &Conductor) -> Elsewhere {
    let found = conductor.extra_runs();
    let mut seen = Elsewhere { active: 0, unreadable: found.unreadable.len() };
    for run in found.runs {
        match run.info() {
            Ok(info) => seen.active += usize::from(info.status == Status::Running),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => seen.unreadable += 1,
        }
    }
    seen
}

fn running_task(run: &RunInfo) -> RunningTask {
    RunningTask {
        project_id: run.project.to_string(),
        task_id: run.task.to_string(),
        run_id: run.id.to_string(),
        agent: run.record.agent.clone(),
        started: run.record.start_time.to_string(),
    }
}
