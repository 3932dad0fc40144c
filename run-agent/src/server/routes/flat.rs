//! The runs of a project in one list.

use super::super::answer::Json;
use super::super::app::App;
use super::super::failure::{ErrorBody, Failure};
use super::super::family::{Choice, Member, choose};
use super::super::page::{Part, Wanted};
use super::super::place::{self, InProject};
use super::super::query::Query;
use super::super::wire::FlatRun;
use axum::extract::State;
use conductor_core::{Conductor, ErrorKind, ProjectId, Result, RunInfo, Status};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most runs of a selected task.
const LIMIT: usize = 200;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(flat))
}

/// Which runs are wanted; all unless said.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// `1`: only those that are active, where they came from and what came of them.
    active_only: Option<String>,
    /// Those of this task, where they came from and what came of them.
    selected_task_id: Option<String>,
    /// Only so many of them, the latest; at most 200.
    #[param(value_type = Option<u32>)]
    selected_task_limit: Option<String>,
}

impl Asked {
    fn choice(&self) -> std::result::Result<Choice, Failure> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let active = self.active_only.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
        let limit = match given(&self.selected_task_limit) {
            None => 0,
            Some(text) => text.trim().parse::<usize>().map_err(|_| {
                Failure::bad_request("limit.invalid", "invalid selected_task_limit")
                    .detail("selected_task_limit", text)
            })?,
        };
        let task = given(&self.selected_task_id).map(|task| place::task(&task)).transpose()?;
        Ok(Choice {
            active_only: matches!(active.as_str(), "1" | "true" | "yes" | "on"),
            task: task.map(|task| task.to_string()),
            limit: limit.min(LIMIT),
        })
    }
}

#[derive(Serialize, ToSchema)]
struct FlatRuns {
    /// By the time of their start.
    runs: Vec<FlatRun>,
    #[serde(flatten)]
    part: Part,
}

/// The runs of a project in one list
#[utoipa::path(get, path = "/api/projects/{project}/runs/flat", tag = "runs",
    params(("project" = String, Path), Asked, Wanted),
    responses((status = 200, body = FlatRuns), (status = "default", body = ErrorBody)))]
async fn flat(
    State(app): State<App>,
    InProject(project): InProject,
    Query(asked): Query<Asked>,
    Query(wanted): Query<Wanted>,
) -> std::result::Result<Json<FlatRuns>, Failure> {
    let choice = asked.choice()?;
    let runs = app.call(move |conductor| {
        let mut runs = runs_of(conductor, &project)?;
        runs.sort_by(|a, b| {
            (a.record.start_time, a.id.as_str()).cmp(&(b.record.start_time, b.id.as_str()))
        });
        let members: Vec<Member> = runs.iter().map(member).collect();
        let (chosen, part) = wanted.of(choose(&members, &choice).into_iter().collect());
        let runs = chosen.into_iter().map(|at| FlatRun::from(&runs[at])).collect();
        Ok(FlatRuns { runs, part })
    });
    Ok(Json(runs.await?))
}

fn runs_of(conductor: &Conductor, project: &ProjectId) -> Result<Vec<RunInfo>> {
    let mut all = Vec::new();
    for task in conductor.tasks().ids(project)? {
        match conductor.runs().list(project, &task) {
            // Deleted since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            runs => all.extend(runs?.into_iter().flatten()),
        }
    }
    Ok(all)
}

fn member(info: &RunInfo) -> Member {
    let given = |id: &Option<String>| {
        id.as_deref().map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned)
    };
    Member {
        id: info.id.to_string(),
        task: info.task.to_string(),
        parent: given(&info.record.parent_run_id),
        previous: given(&info.record.previous_run_id),
        is_active: info.status() == Status::Running,
        start: info.record.start_time.unix_nanos(),
        end: info.record.end_time.unix_nanos(),
    }
}
