//! All projects, with what goes on in each.

use super::super::super::answer::Json;
use super::super::super::app::App;
use super::super::super::calls::Length;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::query::Query;
use super::super::tasks::projects;
use super::state::{Shared, State as Stands, TaskRow};
use axum::extract::State;
use conductor_core::{ErrorKind, ProjectId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most tasks that are told one by one.
const SHOWN: usize = 200;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(all))
}

/// From when on costs are summed up.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Since {
    /// Sums up what runs used that ended at or after this moment, as `2026-11-27T00:00:00Z`; nothing
    /// unless said.
    since: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ViewProjects)]
struct Projects {
    /// The one with the newest activity first.
    projects: Vec<ProjectRow>,
    /// Tasks that run, the ones that began last first; at most 200.
    #[schema(value_type = Vec<TaskRow>)]
    running: Vec<Shared>,
    /// Tasks that wait for a person, that nobody drives, or that failed since the moment that was asked for,
    /// the newest first; at most 200.
    #[schema(value_type = Vec<TaskRow>)]
    attention: Vec<Shared>,
    /// What could not be read, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct ProjectRow {
    id: String,
    #[schema(format = DateTime)]
    last_activity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    tasks: usize,
    /// How many tasks stand where: by state.
    states: BTreeMap<String, usize>,
    /// What its runs cost since the moment that was asked for, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    /// Their tokens.
    tokens: u64,
    /// Runs that ended since.
    runs: u64,
    /// Of how many of them the cost is not known.
    unknown_cost: u64,
}

#[derive(Default)]
struct Used {
    cost: Option<f64>,
    tokens: u64,
    runs: u64,
    unknown_cost: u64,
}

/// All projects, what goes on in each, and what each used since a moment
#[utoipa::path(get, path = "/api/v1/views/projects", tag = "views", params(Since),
    responses((status = 200, body = Projects), (status = "default", body = ErrorBody)))]
async fn all(
    State(app): State<App>,
    Query(asked): Query<Since>,
) -> std::result::Result<Json<Projects>, Failure> {
    let since = asked.since.as_deref().filter(|text| !text.is_empty());
    let since: Option<Timestamp> = since.map(str::parse).transpose().map_err(|_| {
        Failure::bad_request("since.invalid", "since is no moment, as 2026-11-27T00:00:00Z")
    })?;
    let told =
        app.answer(Length::Short, move |app| look(app, since).map_err(|error| app.failure(&error)));
    Ok(Json(told.await?))
}

fn look(app: &App, since: Option<Timestamp>) -> Result<Projects> {
    let conductor = app.conductor();
    let mut answer = Projects {
        projects: Vec::new(),
        running: Vec::new(),
        attention: Vec::new(),
        unreadable: Vec::new(),
    };
    let mut used = used(app, since)?;
    for project in projects(conductor)? {
        let used = used.remove(project.as_str()).unwrap_or_default();
        match row(app, &project, used, since, &mut answer) {
            Ok(row) => answer.projects.push(row),
            // Deleted since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    for rows in [&mut answer.running, &mut answer.attention] {
        rows.sort_by(|a, b| b.last_activity.cmp(&a.last_activity));
        rows.truncate(SHOWN);
    }
    answer.projects.sort_by(|a, b| b.last_activity.cmp(&a.last_activity).then(a.id.cmp(&b.id)));
    Ok(answer)
}

fn row(
    app: &App,
    project: &ProjectId,
    used: Used,
    since: Option<Timestamp>,
    answer: &mut Projects,
) -> Result<ProjectRow> {
    let conductor = app.conductor();
    let info = conductor.project(project)?;
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    let mut tasks = 0;
    let ids = conductor.tasks().ids(project)?;
    app.rows().keep(project, &ids);
    for task in ids {
        match app.rows().get(conductor, project, &task) {
            Ok(row) => {
                *states.entry(row.state.as_str().to_owned()).or_default() += 1;
                if row.state == Stands::Running {
                    answer.running.push(row);
                } else if needs_a_look(&row, since) {
                    answer.attention.push(row);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                *states.entry("unreadable".to_owned()).or_default() += 1;
                answer.unreadable.push(format!("{project}/{task}: {}", error.code()));
            }
        }
        tasks += 1;
    }
    Ok(ProjectRow {
        id: project.to_string(),
        last_activity: info.last_activity.to_string(),
        source: info.source_folder.as_ref().map(|path| path.display().to_string()),
        tasks,
        states,
        cost_usd: used.cost,
        tokens: used.tokens,
        runs: used.runs,
        unknown_cost: used.unknown_cost,
    })
}

/// Whether a person should look at a task.
fn needs_a_look(row: &TaskRow, since: Option<Timestamp>) -> bool {
    let lately = || row.ended.is_some_and(|ended| since.is_some_and(|since| ended >= since));
    match row.state {
        Stands::Question | Stands::Stalled => true,
        Stands::Failed | Stands::Unknown => lately(),
        _ => false,
    }
}

/// What each project used since a moment.
fn used(app: &App, since: Option<Timestamp>) -> Result<BTreeMap<String, Used>> {
    let mut sums: BTreeMap<String, Used> = BTreeMap::new();
    let Some(since) = since else { return Ok(sums) };
    let report = app.ends().usage(app.conductor())?;
    for run in report.runs.iter().filter(|run| run.end >= since) {
        let sum = sums.entry(run.project.to_string()).or_default();
        sum.runs += 1;
        sum.tokens += run.usage.map_or(0, |usage| usage.total());
        match run.cost_usd {
            Some(cost) => sum.cost = Some(sum.cost.unwrap_or(0.0) + cost),
            None => sum.unknown_cost += 1,
        }
    }
    Ok(sums)
}
