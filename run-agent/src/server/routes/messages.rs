//! Messages: reading a bus, posting on it.

use super::super::answer::{Json, Status, is_zero, length};
use super::super::app::App;
use super::super::body::Read;
use super::super::failure::{ErrorBody, Failure};
use super::super::limits;
use super::super::place::{self, InProject, InTask};
use super::super::query::Query;
use super::super::wire::{Message, Posted};
use axum::extract::State;
use axum::http::StatusCode;
use conductor_core::{
    Conductor, Cursor, Event, MessageId, Post, ProjectId, ReadOptions, Result, RunId, Scope,
    TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most messages of one answer.
const MOST: usize = 5000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(any_list, any_post))
        .routes(routes!(project_list, project_post))
        .routes(routes!(task_list, task_post))
}

#[derive(Serialize, ToSchema)]
struct Messages {
    /// The oldest first.
    messages: Vec<Message>,
    /// Whether more stand behind the last one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    has_more: bool,
    /// Where to read on (`after`) where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many of the newest that were asked for do not fit into one answer: the older ones. They are read
    /// after an id that stands before them.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
    /// Regions of the file that hold no message.
    #[serde(skip_serializing_if = "is_zero")]
    damaged: usize,
}

/// Whose bus, and from where.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    project_id: Option<String>,
    /// Without it the project's own bus.
    task_id: Option<String>,
}

impl Whose {
    pub(super) fn scope(&self) -> std::result::Result<Scope, Failure> {
        let project = place::project(self.project_id.as_deref().unwrap_or_default())?;
        let task = self.task_id.as_deref().filter(|task| !task.trim().is_empty());
        Ok(Scope { project, task: task.map(place::task).transpose()? })
    }
}

/// Which part of a bus is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Part {
    /// Only what stands behind the message with this id, or behind this cursor.
    after: Option<String>,
    /// The same, by its other name.
    since: Option<String>,
    /// The most messages, at most 5000: the newest ones, or, after an id, the next ones. Fewer where they are
    /// longer than 8 MiB together.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
}

/// Reads a part of a bus.
async fn read(app: App, scope: Scope, part: Part) -> std::result::Result<Json<Messages>, Failure> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let after = given(part.after).or(given(part.since));
    let after = after.map(|text| text.parse::<Cursor>());
    let after = after.transpose().map_err(|_| unknown_message())?;
    let limit = part.limit.as_deref().and_then(|limit| limit.parse().ok());
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(MOST).min(MOST);
    let read = app.call(move |conductor| messages(conductor, scope, after.as_ref(), limit));
    match read.await {
        Err(failure) if failure.code() == "bus.cursor_not_found" => Err(unknown_message()),
        answer => answer.map(Json),
    }
}

fn unknown_message() -> Failure {
    Failure::not_found("bus.cursor_not_found", "message id not found")
}

fn messages(
    conductor: &Conductor,
    scope: Scope,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Messages> {
    let options = match after {
        Some(after) => ReadOptions::default().after(after),
        None => ReadOptions::default().tail(limit),
    };
    let (mut read, mut bytes) = (VecDeque::new(), 0);
    let (mut has_more, mut left_out, mut damaged) = (false, 0, 0);
    for event in conductor.bus(scope)?.read(options)? {
        let Event::Message(message) = event? else {
            damaged += 1;
            continue;
        };
        let message = Message::from(&message);
        let length = length(&message);
        let is_full = read.len() == limit || bytes + length > limits::MESSAGES;
        if after.is_some() && is_full && !read.is_empty() {
            has_more = true;
            break;
        }
        bytes += length;
        read.push_back((length, message));
        // Of the newest, the older ones give way.
        while bytes > limits::MESSAGES && read.len() > 1 {
            bytes -= read.pop_front().map_or(0, |(length, _)| length);
            left_out += 1;
        }
    }
    let messages: Vec<Message> = read.into_iter().map(|(_, message)| message).collect();
    let next = messages.last().filter(|_| has_more).map(|last| last.msg_id.clone());
    Ok(Messages { messages, has_more, next, left_out, damaged })
}

/// A message to be posted on a bus that its body names.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    project_id: String,
    #[serde(default)]
    task_id: Option<String>,
    #[serde(default)]
    run_id: Option<String>,
    /// `USER` unless said.
    #[serde(default)]
    r#type: Option<String>,
    /// The ids of the messages that it answers or rests on; an `ANSWER` names its question here.
    #[serde(default)]
    parents: Vec<String>,
    body: String,
}

/// A message to be posted on the bus of the path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewText {
    /// `USER` unless said.
    #[serde(default)]
    r#type: Option<String>,
    /// The ids of the messages that it answers or rests on; an `ANSWER` names its question here.
    #[serde(default)]
    parents: Vec<String>,
    body: String,
}

/// What is posted, apart from where.
struct New {
    kind: Option<String>,
    parents: Vec<String>,
    body: String,
    run: Option<RunId>,
}

impl From<NewText> for New {
    fn from(new: NewText) -> New {
        New { kind: new.r#type, parents: new.parents, body: new.body, run: None }
    }
}

async fn post(app: App, scope: Scope, new: New) -> std::result::Result<Status<Posted>, Failure> {
    if new.body.trim().is_empty() {
        return Err(Failure::bad_request("bus.body", "body is required"));
    }
    let kind = new.kind.filter(|kind| !kind.trim().is_empty());
    let kind = kind.unwrap_or_else(|| "USER".to_owned());
    let parents = new.parents.iter().map(|id| place::checked(MessageId::new(id.trim())));
    let parents = parents.collect::<std::result::Result<Vec<_>, _>>()?;
    let posted = app.call(move |conductor| {
        let mut post = Post::new(kind.trim(), new.body);
        for parent in &parents {
            post = post.parent(parent);
        }
        if let Some(run) = &new.run {
            post = post.run(run);
        }
        conductor.bus(scope)?.post(post, limits::CHANGE)
    });
    let posted = posted.await?;
    app.metrics().appended();
    let timestamp = now().to_string();
    Ok(Status(StatusCode::CREATED, Posted { msg_id: posted.msg_id.to_string(), timestamp }))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::UNIX_EPOCH.plus(since)
}

/// The messages of a bus that the query names
#[utoipa::path(get, path = "/api/v1/messages", tag = "messages", params(Whose, Part),
    responses((status = 200, body = Messages), (status = "default", body = ErrorBody)))]
async fn any_list(
    State(app): State<App>,
    Query(whose): Query<Whose>,
    Query(part): Query<Part>,
) -> std::result::Result<Json<Messages>, Failure> {
    read(app, whose.scope()?, part).await
}

/// Posts on a bus that the body names
#[utoipa::path(post, path = "/api/v1/messages", tag = "messages", request_body = NewMessage,
    responses((status = 201, body = Posted), (status = "default", body = ErrorBody)))]
async fn any_post(
    State(app): State<App>,
    Read(new): Read<NewMessage>,
) -> std::result::Result<Status<Posted>, Failure> {
    let (project_id, task_id) = (Some(new.project_id), new.task_id);
    let scope = Whose { project_id, task_id }.scope()?;
    let run = new.run_id.filter(|run| !run.trim().is_empty());
    let run = run.map(|run| place::checked(RunId::new(run.trim()))).transpose()?;
    let new = New { kind: new.r#type, parents: new.parents, body: new.body, run };
    post(app, scope, new).await
}

fn of_project(project: ProjectId) -> Scope {
    Scope { project, task: None }
}

fn of_task(project: ProjectId, task: TaskId) -> Scope {
    Scope { project, task: Some(task) }
}

/// The messages of a project's own bus
#[utoipa::path(get, path = "/api/projects/{project}/messages", tag = "messages",
    params(("project" = String, Path), Part),
    responses((status = 200, body = Messages), (status = "default", body = ErrorBody)))]
async fn project_list(
    State(app): State<App>,
    InProject(project): InProject,
    Query(part): Query<Part>,
) -> std::result::Result<Json<Messages>, Failure> {
    read(app, of_project(project), part).await
}

/// Posts on a project's own bus
#[utoipa::path(post, path = "/api/projects/{project}/messages", tag = "messages",
    params(("project" = String, Path)), request_body = NewText,
    responses((status = 201, body = Posted), (status = "default", body = ErrorBody)))]
async fn project_post(
    State(app): State<App>,
    InProject(project): InProject,
    Read(new): Read<NewText>,
) -> std::result::Result<Status<Posted>, Failure> {
    post(app, of_project(project), new.into()).await
}

/// The messages of a task's bus
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/messages", tag = "messages",
    params(("project" = String, Path), ("task" = String, Path), Part),
    responses((status = 200, body = Messages), (status = "default", body = ErrorBody)))]
async fn task_list(
    State(app): State<App>,
    InTask(project, task): InTask,
    Query(part): Query<Part>,
) -> std::result::Result<Json<Messages>, Failure> {
    read(app, of_task(project, task), part).await
}

/// Posts on a task's bus
#[utoipa::path(post, path = "/api/projects/{project}/tasks/{task}/messages", tag = "messages",
    params(("project" = String, Path), ("task" = String, Path)), request_body = NewText,
    responses((status = 201, body = Posted), (status = "default", body = ErrorBody)))]
async fn task_post(
    State(app): State<App>,
    InTask(project, task): InTask,
    Read(new): Read<NewText>,
) -> std::result::Result<Status<Posted>, Failure> {
    post(app, of_task(project, task), new.into()).await
}
