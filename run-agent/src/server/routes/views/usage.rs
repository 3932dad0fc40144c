//! What runs used, by day, project and agent at once: what charts are drawn of.

use super::super::super::answer::Json;
use super::super::super::app::App;
use super::super::super::calls::Length;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::known::Reader;
use super::super::super::place;
use super::super::super::query::Query;
use super::super::tasks::projects;
use axum::extract::State;
use conductor_core::{ErrorKind, ProjectId, Result, UsageReport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(usage))
}

/// Of what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    project_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Cells {
    /// By day, project and agent.
    cells: Vec<Cell>,
    /// How much could not be read and is missing.
    unreadable: usize,
}

/// What the runs used that ended on a day, of one project and one agent.
#[derive(Default, Serialize, ToSchema)]
struct Cell {
    /// The day in universal time, as `2026-11-27`.
    day: String,
    project_id: String,
    agent: String,
    runs: u64,
    /// Runs that came to a bad end.
    failed: u64,
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_creation_tokens: u64,
    /// In US dollars; missing where no cost is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    /// Of how many runs the cost is not known.
    unknown_cost: u64,
    /// Of how many runs the tokens are not known.
    unknown_usage: u64,
}

/// What finished runs used, by day, project and agent
#[utoipa::path(get, path = "/api/v1/views/usage", tag = "views", params(Asked),
    responses((status = 200, body = Cells), (status = "default", body = ErrorBody)))]
async fn usage(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> std::result::Result<Json<Cells>, Failure> {
    let project = asked.project_id.as_deref().filter(|text| !text.trim().is_empty());
    let project = project.map(place::project).transpose()?;
    let told = app.answer(Length::Short, move |app| {
        cells(app, project.as_ref()).map_err(|error| app.failure(&error))
    });
    Ok(Json(told.await?))
}

fn cells(app: &App, project: Option<&ProjectId>) -> Result<Cells> {
    let projects = match project {
        Some(project) => vec![project.clone()],
        None => projects(app.conductor())?,
    };
    app.known().read(app.conductor(), usize::MAX, |reader| {
        let mut sums = Sums::default();
        for of in &projects {
            match reports(reader, of) {
                Ok(reports) => reports.iter().for_each(|report| sums.add(report)),
                // Deleted since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound && project.is_none() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sums.finish())
    })
}

/// What the tasks of a project used, and those that are gone.
fn reports(reader: &Reader<'_>, project: &ProjectId) -> Result<Vec<Arc<UsageReport>>> {
    let look = reader.of(project);
    let mut reports = vec![look.gone()?];
    for task in look.ids()? {
        let seen = look.see(&task);
        match look.used(&task, &seen) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            report => reports.push(report?),
        }
    }
    Ok(reports)
}

#[derive(Default)]
struct Sums {
    cells: BTreeMap<(String, String, String), Cell>,
    unreadable: usize,
}

impl Sums {
    fn add(&mut self, report: &UsageReport) {
        self.unreadable += report.damage.len();
        for run in &report.runs {
            let day = run.end.to_string().chars().take(10).collect::<String>();
            let key = (day, run.project.to_string(), run.agent.clone());
            let cell = self.cells.entry(key).or_default();
            cell.runs += 1;
            cell.failed += u64::from(run.outcome != conductor_core::Outcome::Completed);
            match &run.usage {
                Some(usage) => {
                    cell.input_tokens += usage.input_tokens;
                    cell.output_tokens += usage.output_tokens;
                    cell.cache_read_tokens += usage.cache_read_tokens;
                    cell.cache_creation_tokens += usage.cache_creation_tokens;
                }
                None => cell.unknown_usage += 1,
            }
            match run.cost_usd {
                Some(cost) => cell.cost_usd = Some(cell.cost_usd.unwrap_or(0.0) + cost),
                None => cell.unknown_cost += 1,
            }
        }
    }

    fn finish(self) -> Cells {
        let cell = |((day, project_id, agent), cell)| Cell { day, project_id, agent, ..cell };
        Cells { cells: self.cells.into_iter().map(cell).collect(), unreadable: self.unreadable }
    }
}
