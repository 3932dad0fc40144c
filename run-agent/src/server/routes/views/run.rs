//! One run: its record, its files, why it stands where it stands, its processes.

use super::super::super::answer::Json;
use super::super::super::app::App;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::place::InRun;
use super::super::super::wire::wire_name;
use super::processes::{Process, tree};
use super::state::RunRow;
use axum::extract::State;
use conductor_core::{Conductor, ProjectId, Record, Result, RunId, TaskId};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(one))
}

#[derive(Serialize, ToSchema)]
struct OneRun {
    run: RunRow,
    /// Its record, by the names on disk.
    #[schema(value_type = Object)]
    record: Map<String, Value>,
    /// Its files that exist.
    files: Vec<File>,
    /// Why it stands where it stands, in a sentence.
    because: String,
    /// What proves it.
    evidence: Vec<Evidence>,
    /// What to do next.
    next: String,
    /// What of it lives: its keeper first, each behind its parent.
    processes: Vec<Process>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ViewFile)]
struct File {
    /// The name to ask for it by.
    name: &'static str,
    /// Its length in bytes.
    size: u64,
}

#[derive(Serialize, ToSchema)]
struct Evidence {
    /// Where it stands.
    place: String,
    text: String,
}

/// A run, its record, and why it stands where it stands
#[utoipa::path(get, path = "/api/v1/views/projects/{project}/tasks/{task}/runs/{run}", tag = "views",
    params(("project" = String, Path), ("task" = String, Path), ("run" = String, Path)),
    responses((status = 200, body = OneRun), (status = "default", body = ErrorBody)))]
async fn one(
    State(app): State<App>,
    InRun(project, task, run): InRun,
) -> std::result::Result<Json<OneRun>, Failure> {
    Ok(Json(app.call(move |conductor| look(conductor, &project, &task, &run)).await?))
}

fn look(conductor: &Conductor, project: &ProjectId, task: &TaskId, run: &RunId) -> Result<OneRun> {
    let run = conductor.runs().get(project, task, run)?;
    let why = run.why()?;
    let info = &why.info;
    let root = format!("{}/", conductor.root().display());
    let below = |text: &str| text.replace(&root, "");
    let record = Record::from(info);
    let record = record.fields().iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.clone(), |text| below(text).into());
        (name.clone(), value)
    });
    let files = run.files()?.into_iter();
    let lives = info.outcome().is_none();
    let mut row = RunRow::of(info);
    if lives {
        row.printed = conductor.runs().written(info)?.at.map(|at| at.to_string());
    }
    Ok(OneRun {
        run: row,
        record: record.collect(),
        files: files.map(|(file, size)| File { name: wire_name(file), size }).collect(),
        because: below(&why.because),
        evidence: why
            .evidence
            .iter()
            .map(|(place, text)| Evidence { place: place.clone(), text: below(text) })
            .collect(),
        next: below(&why.next),
        processes: if lives { tree(&info.record) } else { Vec::new() },
    })
}
