//! Garbage collection of a project.

use super::super::answer::Json;
use super::super::app::App;
use super::super::around::refuse_pages;
use super::super::calls::Length;
use super::super::failure::{ErrorBody, Failure};
use super::super::page::{self, Page};
use super::super::place::{InProject, checked};
use super::super::query::{Query, is_on};
use axum::extract::State;
use axum::http::HeaderMap;
use conductor_core::{GcAction, GcKind, GcPolicy, ProjectId, Record, Wait, parse_duration};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(collect, plan))
}

/// What is collected.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Runs that ended longer ago than this, as `168h`; what is configured unless said.
    older_than: Option<String>,
    /// `true` only says what would go.
    dry_run: Option<String>,
    /// `true` keeps runs that failed.
    keep_failed: Option<String>,
}

/// The policy of a collection of runs alone: neither buses nor tasks go over HTTP.
pub(super) fn of_runs(
    app: &App,
    project: Option<ProjectId>,
    older_than: Option<&str>,
    keep_failed: Option<&str>,
) -> Result<GcPolicy, Failure> {
    let mut policy = app.conductor().gc().policy();
    policy.project = project;
    policy.rotate_bus = false;
    policy.prune_archives = None;
    policy.delete_done_tasks = false;
    if let Some(age) = older_than.filter(|age| !age.trim().is_empty()) {
        let age = parse_duration(age).map_err(|error| error.with_field("older_than"));
        policy.older_than = checked(age)?;
    }
    policy.keep_failed |= is_on("keep_failed", keep_failed)?;
    Ok(policy)
}

#[derive(Serialize, ToSchema)]
struct Collected {
    deleted_runs: usize,
    freed_bytes: u64,
    dry_run: bool,
    /// What could not be done, or looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

/// Deletes runs that are over and old
#[utoipa::path(post, path = "/api/projects/{project}/gc", tag = "gc",
    params(("project" = String, Path), Asked),
    responses((status = 200, body = Collected), (status = "default", body = ErrorBody)))]
async fn collect(
    State(app): State<App>,
    headers: HeaderMap,
    InProject(project): InProject,
    Query(asked): Query<Asked>,
) -> Result<Json<Collected>, Failure> {
    refuse_pages(&headers, "project garbage collection")?;
    let policy =
        of_runs(&app, Some(project), asked.older_than.as_deref(), asked.keep_failed.as_deref())?;
    let dry_run = is_on("dry_run", asked.dry_run.as_deref())?;
    let collected = app.answer(Length::Long, move |app| {
        let failed = |error| app.failure(&error);
        let gc = app.conductor().gc();
        let plan = gc.plan(policy).map_err(failed)?;
        let mut errors: Vec<_> = plan.errors().iter().map(|error| app.failure(error)).collect();
        let (mut deleted_runs, mut freed_bytes) = (0, 0);
        if dry_run {
            for item in plan.actions(Wait::FOREVER) {
                match item {
                    Ok(item) if item.action == GcAction::Delete => {
                        let is_run = matches!(item.kind, GcKind::Run | GcKind::Orphan);
                        deleted_runs += usize::from(is_run);
                        freed_bytes += item.bytes;
                    }
                    Ok(_) => {}
                    Err(error) => errors.push(app.failure(&error)),
                }
            }
        } else {
            let report = gc.apply(&plan, Wait::FOREVER).map_err(failed)?;
            errors.extend(report.errors.iter().map(|error| app.failure(error)));
            (deleted_runs, freed_bytes) = (report.runs, report.freed);
        }
        let errors = errors.iter().map(|failure| failure.message().to_owned()).collect();
        Ok(Collected { deleted_runs, freed_bytes, dry_run, errors })
    });
    Ok(Json(collected.await?))
}

#[derive(Serialize, ToSchema)]
struct GcPage {
    /// What was judged: what becomes of it, and why.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Record>,
    /// How many were judged.
    total: usize,
    limit: usize,
    offset: usize,
    has_more: bool,
    /// The bytes of all that would go, also of those on other pages.
    bytes: u64,
}

/// What would go, what would stay, and why
#[utoipa::path(get, path = "/api/projects/{project}/gc", tag = "gc",
    params(("project" = String, Path), Asked, page::Asked),
    responses((status = 200, body = GcPage), (status = "default", body = ErrorBody)))]
async fn plan(
    State(app): State<App>,
    InProject(project): InProject,
    Query(asked): Query<Asked>,
    Query(wanted): Query<page::Asked>,
) -> Result<Json<GcPage>, Failure> {
    let policy =
        of_runs(&app, Some(project), asked.older_than.as_deref(), asked.keep_failed.as_deref())?;
    let plan = app.call(move |conductor| {
        let plan = conductor.gc().plan(policy)?;
        let mut bytes = 0;
        let page = wanted.pick(plan.items(Wait::FOREVER), |item| {
            bytes += if item.action == GcAction::Delete { item.bytes } else { 0 };
        })?;
        let Page { items, total, limit, offset, has_more } = page;
        let items = items.iter().map(Record::from).collect();
        Ok(GcPage { items, total, limit, offset, has_more, bytes })
    });
    Ok(Json(plan.await?))
}
