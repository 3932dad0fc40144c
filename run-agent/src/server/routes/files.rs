//! The files of runs and tasks as text.

use super::super::answer::Json;
use super::super::app::App;
use super::super::calls::Length;
use super::super::failure::{ErrorBody, Failure};
use super::super::place::{InRun, InTask};
use super::super::query::Query;
use axum::extract::State;
use conductor_core::{OutputFile, RunOutput};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most of a file that one answer holds, in bytes; a longer one is answered by its end.
const MOST: u64 = 16 << 20;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(of_run)).routes(routes!(of_task))
}

/// Which file, and how much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// `stdout` (unless said), `stderr`, `prompt` or `output.md`; of a task `TASK.md`.
    name: Option<String>,
    /// Only the last so many lines.
    #[param(value_type = Option<u32>)]
    tail: Option<String>,
}

/// A file's text.
#[derive(Serialize, ToSchema)]
struct Text {
    /// Bytes that are no UTF-8 are replaced.
    content: String,
    #[schema(format = DateTime)]
    modified: String,
    name: String,
    /// The length of the whole file.
    size_bytes: u64,
    /// Where `content` begins in the file, where that is not its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

impl Text {
    fn read(
        mut file: RunOutput,
        name: String,
        tail: Option<usize>,
    ) -> conductor_core::Result<Text> {
        let size_bytes = file.size()?;
        if let Some(lines) = tail {
            file.tail(lines)?;
        }
        if size_bytes.saturating_sub(file.offset()) > MOST {
            file.seek(size_bytes - MOST)?;
        }
        let offset = Some(file.offset()).filter(|offset| *offset > 0);
        let modified = file.modified()?.to_string();
        Ok(Text { content: file.read_to_string()?, modified, name, size_bytes, offset })
    }
}

impl Asked {
    /// A tail that is no number of lines is no tail, as it ever was.
    fn tail(&self) -> Option<usize> {
        self.tail.as_deref().and_then(|lines| lines.parse().ok()).filter(|lines| *lines > 0)
    }
}

/// The file that a client names.
pub(super) fn file_of(name: Option<&str>) -> Result<OutputFile, Failure> {
    match name.unwrap_or("stdout") {
        "stdout" | "" => Ok(OutputFile::Stdout),
        "stderr" => Ok(OutputFile::Stderr),
        "prompt" => Ok(OutputFile::Prompt),
        "output.md" | "output" => Ok(OutputFile::Output),
        other => Err(Failure::not_found("output.unknown_file", format!("unknown file: {other}"))),
    }
}

/// A file of a run
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/runs/{run}/file", tag = "files",
    params(("project" = String, Path), ("task" = String, Path), ("run" = String, Path), Asked),
    responses((status = 200, body = Text), (status = "default", body = ErrorBody)))]
async fn of_run(
    State(app): State<App>,
    InRun(project, task, run): InRun,
    Query(asked): Query<Asked>,
) -> Result<Json<Text>, Failure> {
    let file = file_of(asked.name.as_deref())?;
    let text = app.answer(Length::Short, move |app| {
        let read = || {
            let output = app.conductor().runs().get(&project, &task, &run)?.output(file)?;
            // What the agent printed is not its result.
            if file == OutputFile::Output && output.name() != "output.md" {
                return Ok(None);
            }
            let name = asked.name.clone().filter(|name| !name.is_empty());
            let name = name.unwrap_or_else(|| file.as_str().to_owned());
            Text::read(output, name, asked.tail()).map(Some)
        };
        match read().map_err(|error| app.failure(&error))? {
            Some(text) => Ok(text),
            None => Err(Failure::not_found("output.not_found", "there is no output.md yet")),
        }
    });
    Ok(Json(text.await?))
}

/// The prompt of a task
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/file", tag = "files",
    params(("project" = String, Path), ("task" = String, Path), Asked),
    responses((status = 200, body = Text), (status = "default", body = ErrorBody)))]
async fn of_task(
    State(app): State<App>,
    InTask(project, task): InTask,
    Query(asked): Query<Asked>,
) -> Result<Json<Text>, Failure> {
    let name = asked.name.clone().unwrap_or_else(|| "TASK.md".to_owned());
    if name != "TASK.md" {
        let message = format!("unknown task file: {name}");
        return Err(Failure::not_found("output.unknown_file", message));
    }
    let text = app.call(move |conductor| match conductor.tasks().prompt_file(&project, &task)? {
        Some(file) => Text::read(file, name, asked.tail()).map(Some),
        None => Ok(None),
    });
    match text.await? {
        Some(text) => Ok(Json(text)),
        None => Err(Failure::not_found("prompt.missing", "the task has no TASK.md")),
    }
}
