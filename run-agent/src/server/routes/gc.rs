//! Garbage collection of a project.

use super::super::answer::Json;
use super::super::app::App;
use super::super::around::refuse_pages;
use super::super::calls::Length;
use super::super::failure::{ErrorBody, Failure};
use super::super::page::{self, Page};
use super::super::place::{InProject, checked};
use super::super::query::{Query, is_on, switch};
use axum::extract::State;
use axum::http::HeaderMap;
use conductor_core::{GcAction, GcGoal, GcKind, GcPolicy, ProjectId, Record, Settings, Wait};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(collect, plan))
}

/// Whether anything is collected.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// `true` only says what would go.
    dry_run: Option<String>,
}

/// Which runs go; what is not said is as configured.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Runs that ended longer ago than this, as `168h`.
    older_than: Option<String>,
    /// `true` keeps runs that failed, `false` does not.
    keep_failed: Option<String>,
    /// So many of the newest runs of each task stay.
    keep_last: Option<String>,
    /// The oldest runs go until the root, or the one project, holds at most this, as `10GB`; `none`, or 0, is no
    /// limit.
    max_bytes: Option<String>,
    /// The oldest runs go until this much of the disk is free, as `10GB`; `none`, or 0, is no goal.
    min_free: Option<String>,
}

impl Wanted {
    /// The policy of a collection of runs alone: neither buses nor tasks go over HTTP.
    pub(super) fn policy(
        &self,
        app: &App,
        project: Option<ProjectId>,
    ) -> Result<GcPolicy, Failure> {
        let mut policy = app.conductor().gc().policy();
        policy.project = project;
        policy.rotate_bus = false;
        policy.prune_archives = None;
        policy.delete_done_tasks = false;
        let keep_failed = switch("keep_failed", self.keep_failed.as_deref())?;
        policy.keep_failed = keep_failed.unwrap_or(policy.keep_failed);
        let mut said = Settings::new();
        for (name, value) in [
            ("older_than", &self.older_than),
            ("keep_last", &self.keep_last),
            ("max_bytes", &self.max_bytes),
            ("min_free", &self.min_free),
        ] {
            if let Some(value) = value.as_deref().map(str::trim).filter(|value| !value.is_empty()) {
                checked(said.set(name, value))?;
            }
        }
        checked(said.gc(policy))
    }
}

#[derive(Serialize, ToSchema)]
struct Collected {
    deleted_runs: usize,
    freed_bytes: u64,
    dry_run: bool,
    /// How far `max_bytes` and `min_free` are reached, or would be, and what stays where one is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    goals: Vec<Record>,
    /// What could not be done, or looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

/// Goals as an answer tells them.
pub(super) fn told(goals: &[GcGoal]) -> Vec<Record> {
    goals.iter().map(Record::from).collect()
}

/// Deletes runs that are over and old
#[utoipa::path(post, path = "/api/projects/{project}/gc", tag = "gc",
    params(("project" = String, Path), Asked, Wanted),
    responses((status = 200, body = Collected), (status = "default", body = ErrorBody)))]
async fn collect(
    State(app): State<App>,
    headers: HeaderMap,
    InProject(project): InProject,
    Query(asked): Query<Asked>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Collected>, Failure> {
    refuse_pages(&headers, "project garbage collection")?;
    let policy = wanted.policy(&app, Some(project))?;
    let dry_run = is_on("dry_run", asked.dry_run.as_deref())?;
    let collected = app.answer(Length::Long, move |app| {
        let failed = |error| app.failure(&error);
        let gc = app.conductor().gc();
        let plan = gc.plan(policy).map_err(failed)?;
        let mut errors: Vec<_> = plan.errors().iter().map(|error| app.failure(error)).collect();
        let (mut deleted_runs, mut freed_bytes) = (0, 0);
        let mut goals = told(plan.goals());
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
            goals = told(&report.goals);
        }
        let errors = errors.iter().map(|failure| failure.message().to_owned()).collect();
        Ok(Collected { deleted_runs, freed_bytes, dry_run, goals, errors })
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
    /// How far `max_bytes` and `min_free` would be reached, and what stays where one is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    goals: Vec<Record>,
}

/// What would go, what would stay, and why
#[utoipa::path(get, path = "/api/projects/{project}/gc", tag = "gc",
    params(("project" = String, Path), Wanted, page::Asked),
    responses((status = 200, body = GcPage), (status = "default", body = ErrorBody)))]
async fn plan(
    State(app): State<App>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    Query(part): Query<page::Asked>,
) -> Result<Json<GcPage>, Failure> {
    let policy = wanted.policy(&app, Some(project))?;
    let plan = app.call(move |conductor| {
        let plan = conductor.gc().plan(policy)?;
        let mut bytes = 0;
        let page = part.pick(plan.items(Wait::FOREVER), |item| {
            bytes += if item.action == GcAction::Delete { item.bytes } else { 0 };
        })?;
        let Page { items, total, limit, offset, has_more } = page;
        let items = items.iter().map(Record::from).collect();
        let goals = told(plan.goals());
        Ok(GcPage { items, total, limit, offset, has_more, bytes, goals })
    });
    Ok(Json(plan.await?))
}
