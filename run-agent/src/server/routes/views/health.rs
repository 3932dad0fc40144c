//! How the root and the machine below it are: disk, slots, accounts on hold.

use super::super::super::answer::Json;
use super::super::super::app::App;
use super::super::super::failure::{ErrorBody, Failure};
use axum::extract::State;
use conductor_core::{Conductor, Error, ErrorKind, Result};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health))
}

#[derive(Serialize, ToSchema)]
#[schema(as = ViewHealth)]
struct Health {
    version: &'static str,
    uptime_s: f64,
    /// What wants the token: `token`, `all` or `off`.
    auth: &'static str,
    /// Whether tasks may be started over HTTP.
    starts_tasks: bool,
    /// The agents that are configured.
    agents: Vec<String>,
    /// The root's folder, as its own name alone.
    root: String,
    disk: Disk,
    slots: Slots,
    holds: Vec<HoldRow>,
}

#[derive(Serialize, ToSchema)]
struct Disk {
    total: u64,
    /// What is free for whoever the server runs as.
    free: u64,
}

#[derive(Serialize, ToSchema)]
struct Slots {
    /// Runs that live.
    living_runs: usize,
    /// The most runs at a time, where that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    most_runs: Option<u64>,
    /// The most tasks at a time that no run started, where that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    most_root_tasks: Option<u64>,
}

/// An account whose usage limit is reached.
#[derive(Serialize, ToSchema)]
struct HoldRow {
    account: String,
    #[schema(format = DateTime)]
    since: String,
    #[schema(format = DateTime)]
    until: String,
    /// Whether that is when it ends; else it is probed then.
    known: bool,
    probes: u32,
    run: String,
}

/// The disk, the slots, and the accounts on hold
#[utoipa::path(get, path = "/api/v1/views/health", tag = "views",
    responses((status = 200, body = Health), (status = "default", body = ErrorBody)))]
async fn health(State(app): State<App>) -> std::result::Result<Json<Health>, Failure> {
    let settings = app.settings();
    let (auth, starts_tasks) = (settings.guard.auth.as_str(), settings.starts_tasks);
    let uptime_s = app.started().elapsed().as_secs_f64().floor();
    let health = app.call(move |conductor| {
        let config = conductor.config();
        let root = conductor.root();
        Ok(Health {
            version: env!("CARGO_PKG_VERSION"),
            uptime_s,
            auth,
            starts_tasks,
            agents: config.agents.keys().cloned().collect(),
            root: root.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            disk: disk(conductor)?,
            slots: Slots {
                living_runs: conductor.runs().living()?.runs.len(),
                most_runs: config.defaults.max_concurrent_runs.filter(|most| *most > 0),
                most_root_tasks: config.defaults.max_concurrent_root_tasks.filter(|most| *most > 0),
            },
            holds: holds(conductor)?,
        })
    });
    Ok(Json(health.await?))
}

/// Of the file system of the root, or of what it will be made in.
fn disk(conductor: &Conductor) -> Result<Disk> {
    let failed = |source| {
        Error::new(ErrorKind::Io, "root.no_space_told", "cannot ask how full the disk is")
            .with_source(source)
    };
    let there = conductor.root().ancestors().find(|path| path.exists());
    let stat = rustix::fs::statvfs(there.unwrap_or(conductor.root()));
    let stat = stat.map_err(|error| failed(std::io::Error::from(error)))?;
    Ok(Disk { total: stat.f_blocks * stat.f_frsize, free: stat.f_bavail * stat.f_frsize })
}

fn holds(conductor: &Conductor) -> Result<Vec<HoldRow>> {
    let holds = match conductor.holds() {
        Err(error) if error.code() == "root.not_found" => return Ok(Vec::new()),
        holds => holds?.into_iter(),
    };
    let row = |hold: conductor_core::Hold| HoldRow {
        account: hold.account,
        since: hold.since.to_string(),
        until: hold.until.to_string(),
        known: hold.known,
        probes: hold.probes,
        run: hold.run,
    };
    Ok(holds.map(row).collect())
}
