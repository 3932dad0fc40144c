//! Keeping the books: the ends that nobody saw, what is wrong, what was used.

use super::super::answer::Json;
use super::super::app::App;
use super::super::failure::{ErrorBody, Failure};
use super::super::limits;
use super::super::page::{Part, Wanted};
use super::super::place;
use super::super::query::Query;
use super::super::wire::Run;
use axum::extract::State;
use conductor_core::{Record, UsageBy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(reconcile))
        .routes(routes!(doctor))
        .routes(routes!(holds))
        .routes(routes!(usage))
}

#[derive(Serialize, ToSchema)]
struct Closed {
    /// The runs whose ends were written down now.
    closed: Vec<Run>,
}

/// Writes down the ends of runs that nobody saw ending
#[utoipa::path(post, path = "/api/v1/reconcile", tag = "upkeep",
    responses((status = 200, body = Closed), (status = "default", body = ErrorBody)))]
async fn reconcile(State(app): State<App>) -> Result<Json<Closed>, Failure> {
    let closed = app.call(|conductor| conductor.reconcile(limits::CHANGE)).await?;
    Ok(Json(Closed { closed: closed.iter().map(Run::from).collect() }))
}

#[derive(Serialize, ToSchema)]
struct Findings {
    /// What is not as it should be: its `kind`, a `text` and the `way_out` of each.
    #[schema(value_type = Vec<std::collections::HashMap<String, String>>)]
    findings: Vec<Map<String, Value>>,
    #[serde(flatten)]
    part: Part,
}

/// What is wrong with the root
#[utoipa::path(get, path = "/api/v1/doctor", tag = "upkeep", params(Wanted),
    responses((status = 200, body = Findings), (status = "default", body = ErrorBody)))]
async fn doctor(
    State(app): State<App>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Findings>, Failure> {
    let findings = app.call(move |conductor| {
        let root = format!("{}/", conductor.root().display());
        let below = |record: Record| -> Map<String, Value> {
            let fields = record.fields().iter();
            let told = fields.map(|(name, value)| {
                let value = value.as_str().map(|text| Value::from(text.replace(&root, "")));
                (name.clone(), value.unwrap_or_default())
            });
            told.collect()
        };
        let (findings, part) = wanted.of(conductor.doctor()?);
        let findings = findings.iter().map(|finding| below(Record::from(finding))).collect();
        Ok(Findings { findings, part })
    });
    Ok(Json(findings.await?))
}

/// An account whose usage limit is reached: no run starts with it.
#[derive(Serialize, ToSchema)]
struct HoldInForce {
    account: String,
    #[schema(format = DateTime)]
    since: String,
    #[schema(format = DateTime)]
    until: String,
    /// Whether `until` was told by the service; else it is tried again then.
    known: bool,
    /// How often it was tried again.
    probes: u32,
    /// The run that met the limit.
    run_id: String,
}

#[derive(Serialize, ToSchema)]
struct Holds {
    holds: Vec<HoldInForce>,
}

/// The accounts whose usage limits are reached, until when
#[utoipa::path(get, path = "/api/v1/holds", tag = "upkeep",
    responses((status = 200, body = Holds), (status = "default", body = ErrorBody)))]
async fn holds(State(app): State<App>) -> Result<Json<Holds>, Failure> {
    let holds = app.call(|conductor| match conductor.holds() {
        Err(error) if error.code() == "root.not_found" => Ok(Vec::new()),
        holds => holds,
    });
    let in_force = holds.await?.into_iter().map(|hold| HoldInForce {
        account: hold.account,
        since: hold.since.to_string(),
        until: hold.until.to_string(),
        known: hold.known,
        probes: hold.probes,
        run_id: hold.run,
    });
    Ok(Json(Holds { holds: in_force.collect() }))
}

/// Of what, and how it is summed up.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Summed {
    project_id: Option<String>,
    task_id: Option<String>,
    /// `run`, `task` (unless said), `project`, `agent` or `day`.
    by: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Sums {
    /// By name: `runs`, tokens as `usage`, `cost_usd`, and of how many runs these are not known.
    #[schema(value_type = Vec<Object>)]
    sums: Vec<Record>,
    #[schema(value_type = Object)]
    total: Record,
    /// How much could not be read and is missing in the sums.
    unreadable: usize,
    /// Which part of the sums these are, where they are not all.
    #[serde(skip_serializing_if = "Part::is_whole")]
    part: Part,
}

/// What finished runs used
#[utoipa::path(get, path = "/api/v1/usage", tag = "upkeep", params(Summed, Wanted),
    responses((status = 200, body = Sums), (status = "default", body = ErrorBody)))]
async fn usage(
    State(app): State<App>,
    Query(summed): Query<Summed>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Sums>, Failure> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let project = given(&summed.project_id).map(|text| place::project(&text)).transpose()?;
    let task = given(&summed.task_id).map(|text| place::task(&text)).transpose()?;
    if task.is_some() && project.is_none() {
        return Err(Failure::bad_request("id.missing", "project_id is required"));
    }
    let by = place::checked(UsageBy::parse(summed.by.as_deref().unwrap_or("task")))?;
    let sums = app.call(move |conductor| {
        let report = match conductor.usage(project.as_ref(), task.as_ref()) {
            Err(error) if error.code() == "root.not_found" => Default::default(),
            report => report?,
        };
        let (sums, part) = wanted.of(report.by(by));
        Ok(Sums {
            sums: sums.iter().map(Record::from).collect(),
            total: Record::from(&report.total()),
            unreadable: report.damage.len(),
            part,
        })
    });
    Ok(Json(sums.await?))
}
