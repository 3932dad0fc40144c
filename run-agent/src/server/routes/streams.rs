//! Streams: what comes, as it comes.

use super::super::app::App;
use super::super::failure::{ErrorBody, Failure};
use super::super::place::{InProject, InRun, InTask, SomeRun};
use super::super::query::Query;
use super::super::stream::{BusKey, Client, Ends, FileKey, RunKey, Topic};
use super::files::file_of;
use super::messages::Whose;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use conductor_core::Scope;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most things that one connection follows.
const TOPICS: usize = 64;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(many))
        .routes(routes!(any_messages))
        .routes(routes!(project_messages))
        .routes(routes!(task_messages))
        .routes(routes!(run_log))
        .routes(routes!(all_runs))
        .routes(routes!(task_runs))
        .routes(routes!(run_file))
}

/// The id of the last event that the client got.
fn last_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("last-event-id")?.to_str().ok()?;
    Some(id.to_owned()).filter(|id| !id.is_empty())
}

fn stream(client: Client) -> Response {
    let mut response = Response::new(Body::from_stream(client.into_stream()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // A proxy that gathers what it passes on would hold everything back.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    response
}

/// What is followed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Topics {
    /// `runs`, `changes`, `messages:PROJECT`, `messages:PROJECT/TASK`, `log:PROJECT/TASK/RUN`,
    /// `size:PROJECT/TASK/RUN`, with commas between.
    topics: String,
}

/// Several things in one stream
///
/// Each event has its `topic` among its data. The ids hold a place for each topic, in the order of the
/// query: who comes back with the same query and the last id misses nothing and gets nothing twice. Where
/// that cannot be, an event `resync` says so.
#[utoipa::path(get, path = "/api/v1/events", tag = "streams",
    params(Topics, ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = ErrorBody)))]
async fn many(
    State(app): State<App>,
    headers: HeaderMap,
    Query(asked): Query<Topics>,
) -> Result<Response, Failure> {
    let words: Vec<&str> =
        asked.topics.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.is_empty() || words.len() > TOPICS {
        let message = format!("1 to {TOPICS} topics are wanted");
        return Err(Failure::bad_request("topic.count", message));
    }
    let topics = words.into_iter().map(Topic::parse).collect::<Result<Vec<_>, _>>()?;
    Client::of_many(&app, topics, last_id(&headers)).await.map(stream)
}

async fn messages(app: App, headers: HeaderMap, scope: Scope) -> Result<Response, Failure> {
    let topic = Topic::Messages(BusKey(scope));
    Client::of_one(&app, topic, last_id(&headers), Ends::Never).await.map(stream)
}

/// The messages of a bus that the query names
#[utoipa::path(get, path = "/api/v1/messages/stream", tag = "streams",
    params(Whose, ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = ErrorBody)))]
async fn any_messages(
    State(app): State<App>,
    headers: HeaderMap,
    Query(whose): Query<Whose>,
) -> Result<Response, Failure> {
    let scope = whose.scope()?;
    messages(app, headers, scope).await
}

/// The messages of a project's own bus
#[utoipa::path(get, path = "/api/projects/{project}/messages/stream", tag = "streams",
    params(("project" = String, Path), ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = ErrorBody)))]
async fn project_messages(
    State(app): State<App>,
    headers: HeaderMap,
    InProject(project): InProject,
) -> Result<Response, Failure> {
    messages(app, headers, project.into()).await
}

/// The messages of a task's bus
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/messages/stream", tag = "streams",
    params(("project" = String, Path), ("task" = String, Path),
        ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = ErrorBody)))]
async fn task_messages(
    State(app): State<App>,
    headers: HeaderMap,
    InTask(project, task): InTask,
) -> Result<Response, Failure> {
    messages(app, headers, (project, task).into()).await
}

/// What a run prints, line by line, and where it stands
///
/// Without `Last-Event-ID` it begins with what is printed from now on; with `-1` at the beginning.
#[utoipa::path(get, path = "/api/v1/runs/{run}/stream", tag = "streams",
    params(("run" = String, Path), ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = ErrorBody)))]
async fn run_log(
    State(app): State<App>,
    headers: HeaderMap,
    SomeRun(run): SomeRun,
) -> Result<Response, Failure> {
    let key = app.call(move |conductor| {
        let run = conductor.runs().find(&run)?;
        let (project, task) = (run.project().clone(), run.task().clone());
        Ok(RunKey { project, task, run: run.id().clone() })
    });
    let topic = Topic::Log(key.await?);
    Client::of_one(&app, topic, last_id(&headers), Ends::Never).await.map(stream)
}

/// Where all runs stand, and what those print that live
#[utoipa::path(get, path = "/api/v1/runs/stream/all", tag = "streams",
    params(("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = ErrorBody)))]
async fn all_runs(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    Client::of_runs(&app, last_id(&headers), |_| true).await.map(stream)
}

/// Where the runs of a task stand, and what those print that live
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/runs/stream", tag = "streams",
    params(("project" = String, Path), ("task" = String, Path),
        ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = ErrorBody)))]
async fn task_runs(
    State(app): State<App>,
    headers: HeaderMap,
    InTask(project, task): InTask,
) -> Result<Response, Failure> {
    let (of_project, of_task) = (project.clone(), task.clone());
    app.call(move |conductor| conductor.tasks().info(&project, &task)).await?;
    let wanted = move |run: &RunKey| run.project == of_project && run.task == of_task;
    Client::of_runs(&app, last_id(&headers), wanted).await.map(stream)
}

/// Which file.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Named {
    /// `stdout` (unless said), `stderr`, `prompt` or `output.md`.
    name: Option<String>,
}

/// A file of a run while it grows; `done` at its end
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/runs/{run}/stream",
    tag = "streams",
    params(("project" = String, Path), ("task" = String, Path), ("run" = String, Path), Named,
        ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = ErrorBody)))]
async fn run_file(
    State(app): State<App>,
    headers: HeaderMap,
    InRun(project, task, run): InRun,
    Query(named): Query<Named>,
) -> Result<Response, Failure> {
    let file = file_of(named.name.as_deref())?;
    let topic = Topic::File(FileKey { run: RunKey { project, task, run }, file });
    Client::of_one(&app, topic, last_id(&headers), Ends::WithIt).await.map(stream)
}
