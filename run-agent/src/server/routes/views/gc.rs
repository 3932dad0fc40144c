//! What garbage collection would take, and taking just that.

use super::super::super::answer::Json;
use super::super::super::app::App;
use super::super::super::body::Read;
use super::super::super::calls::Length;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::place;
use super::super::super::query::Query;
use super::super::gc::{Wanted, told};
use axum::extract::State;
use axum::http::StatusCode;
use conductor_core::{GcAction, GcItem, Record, Wait};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most things that go that are told one by one.
const MOST: usize = 500;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(plan, apply))
}

/// Where.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only of this project.
    project_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Plan {
    /// What carries this very plan out, until the server is started again.
    plan: String,
    /// What goes; the first 500.
    items: Vec<Item>,
    /// How many things go.
    count: usize,
    /// Their bytes.
    bytes: u64,
    /// How many things stay, by why.
    kept: BTreeMap<String, usize>,
    /// How far `max_bytes` and `min_free` would be reached, and what stays where one is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    goals: Vec<Record>,
    /// What could not be looked at, and stays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct Item {
    kind: &'static str,
    reason: &'static str,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    end: Option<String>,
}

impl Item {
    fn of(item: &GcItem) -> Item {
        Item {
            kind: item.kind.as_str(),
            reason: item.reason.as_str(),
            bytes: item.bytes,
            project_id: item.project.as_ref().map(ToString::to_string),
            task_id: item.task.as_ref().map(ToString::to_string),
            run_id: item.run.as_ref().map(ToString::to_string),
            end: item.end_time.map(|time| time.to_string()),
        }
    }
}

/// What garbage collection would take
#[utoipa::path(get, path = "/api/v1/gc", tag = "gc", params(Asked, Wanted),
    responses((status = 200, body = Plan), (status = "default", body = ErrorBody)))]
async fn plan(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Plan>, Failure> {
    let project = asked.project_id.as_deref().filter(|text| !text.trim().is_empty());
    let policy = wanted.policy(&app, project.map(place::project).transpose()?)?;
    let plan = app.answer(Length::Long, move |app| {
        let failed = |error| app.failure(&error);
        let plan = app.conductor().gc().plan(policy).map_err(failed)?;
        let mut shown = Plan {
            plan: app.seal().put_on(&plan.token()),
            items: Vec::new(),
            count: 0,
            bytes: 0,
            kept: BTreeMap::new(),
            goals: told(plan.goals()),
            errors: Vec::new(),
        };
        for item in plan.items(Wait::FOREVER) {
            match item {
                Ok(item) if item.action == GcAction::Delete => {
                    shown.count += 1;
                    shown.bytes += item.bytes;
                    if shown.items.len() < MOST {
                        shown.items.push(Item::of(&item));
                    }
                }
                Ok(item) => *shown.kept.entry(item.reason.as_str().to_owned()).or_default() += 1,
                Err(error) => shown.errors.push(app.failure(&error).message().to_owned()),
            }
        }
        Ok(shown)
    });
    Ok(Json(plan.await?))
}

/// A plan that was shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Shown {
    /// As the plan was told.
    plan: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ViewCollected)]
struct Collected {
    deleted_runs: usize,
    freed_bytes: u64,
    /// How far `max_bytes` and `min_free` are reached, and what stays where one is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    goals: Vec<Record>,
    /// What could not be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

/// Carries out a plan that this server told
///
/// What is in use, lives or changed since stays.
#[utoipa::path(post, path = "/api/v1/gc", tag = "gc", request_body = Shown,
    responses((status = 200, body = Collected), (status = "default", body = ErrorBody)))]
async fn apply(
    State(app): State<App>,
    Read(shown): Read<Shown>,
) -> Result<Json<Collected>, Failure> {
    let Some(token) = app.seal().open(&shown.plan).map(str::to_owned) else {
        let message = "this server did not make the plan, or was started again since";
        return Err(Failure::new(StatusCode::CONFLICT, "gc.plan_unknown", message)
            .detail("hint", "look at the plan again"));
    };
    let collected = app.answer(Length::Long, move |app| {
        let failed = |error| app.failure(&error);
        let gc = app.conductor().gc();
        let plan = gc.plan_again(&token, Wait::FOREVER).map_err(failed)?;
        let report = gc.apply(&plan, Wait::FOREVER).map_err(failed)?;
        let errors = report.errors.iter().map(|error| app.failure(error).message().to_owned());
        Ok(Collected {
            deleted_runs: report.runs,
            freed_bytes: report.freed,
            goals: told(&report.goals),
            errors: errors.collect(),
        })
    });
    Ok(Json(collected.await?))
}
