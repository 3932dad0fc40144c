//! All projects, with what goes on in each.

use super::super::super::answer::{Json, is_zero};
use super::super::super::app::App;
use super::super::super::calls::Length;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::known::{Look, Reader};
use super::super::super::query::Query;
use super::super::tasks::projects;
use super::rows::Rows;
use super::state::{Shared, State as Stands, TaskRow};
use axum::extract::State;
use conductor_core::{ErrorKind, Result, Timestamp, UsageReport};
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

/// What is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Sums up what runs used that ended at or after this moment, as `2026-11-27T00:00:00Z`; nothing
    /// unless said.
    since: Option<String>,
    /// Reads at most so many tasks that were not read before; the others are told as `unread`, and are read
    /// by the same request once more. All unless said.
    reads: Option<usize>,
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
    /// How many tasks were not read yet, and are missing in all of this: ask once more.
    #[serde(skip_serializing_if = "is_zero")]
    unread: usize,
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
#[utoipa::path(get, path = "/api/v1/views/projects", tag = "views", params(Wanted),
    responses((status = 200, body = Projects), (status = "default", body = ErrorBody)))]
async fn all(
    State(app): State<App>,
    Query(asked): Query<Wanted>,
) -> std::result::Result<Json<Projects>, Failure> {
    let since = asked.since.as_deref().filter(|text| !text.is_empty());
    let since: Option<Timestamp> = since.map(str::parse).transpose().map_err(|_| {
        Failure::bad_request("since.invalid", "since is no moment, as 2026-11-27T00:00:00Z")
    })?;
    let most = asked.reads.unwrap_or(usize::MAX).max(1);
    let told = app.answer(Length::Short, move |app| {
        let look = |reader: &Reader<'_>| look(app, reader, since);
        app.known().read(app.conductor(), most, look).map_err(|error| app.failure(&error))
    });
    Ok(Json(told.await?))
}

fn look(app: &App, reader: &Reader<'_>, since: Option<Timestamp>) -> Result<Projects> {
    let mut answer = Projects {
        projects: Vec::new(),
        running: Vec::new(),
        attention: Vec::new(),
        unreadable: Vec::new(),
        unread: 0,
    };
    let projects = projects(app.conductor())?;
    let listed = projects.iter().collect();
    app.known().only_projects(&listed);
    app.rows().only_projects(&listed);
    for project in projects {
        match row(app.rows(), &reader.of(&project), since, &mut answer) {
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
    rows: &Rows,
    look: &Look<'_>,
    since: Option<Timestamp>,
    answer: &mut Projects,
) -> Result<ProjectRow> {
    let ids = rows.ids(look)?;
    let (mut states, mut used) = (BTreeMap::<String, usize>::new(), Used::default());
    let mut newest = look.at();
    if let Some(since) = since {
        used.add(&*look.gone()?, since);
    }
    let mut tasks = 0;
    // The newest first, by the times in their ids: where not all are read yet, these matter most.
    for task in ids.iter().rev() {
        let seen = look.see(task);
        newest = newest.max(seen.at());
        match rows.row(look, task, &seen) {
            Ok(None) => answer.unread += 1,
            Ok(Some(row)) => {
                *states.entry(row.state.as_str().to_owned()).or_default() += 1;
                // Where nothing changed since, nothing ended since.
                let ended = |since| seen.at() >= since || row.ended.is_some_and(|end| end >= since);
                if let Some(since) = since.filter(|since| ended(*since)) {
                    match look.used(task, &seen) {
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        report => used.add(&*report?, since),
                    }
                }
                if row.state == Stands::Running {
                    answer.running.push(row);
                } else if needs_a_look(&row, since) {
                    answer.attention.push(row);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                *states.entry("unreadable".to_owned()).or_default() += 1;
                answer.unreadable.push(format!("{}/{task}: {}", look.project, error.code()));
            }
        }
        tasks += 1;
    }
    Ok(ProjectRow {
        id: look.project.to_string(),
        last_activity: newest.to_string(),
        source: look.source()?.map(|path| path.display().to_string()),
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

impl Used {
    /// Adds what ended since a moment.
    fn add(&mut self, report: &UsageReport, since: Timestamp) {
        for run in report.runs.iter().filter(|run| run.end >= since) {
            self.runs += 1;
            self.tokens += run.usage.map_or(0, |usage| usage.total());
            match run.cost_usd {
                Some(cost) => self.cost = Some(self.cost.unwrap_or(0.0) + cost),
                None => self.unknown_cost += 1,
            }
        }
    }
}
