//! Starting tasks.

use super::super::answer::Status;
use super::super::app::App;
use super::super::body::Read;
use super::super::calls::Length;
use super::super::failure::{ErrorBody, Failure};
use super::super::limits;
use super::super::place;
use super::super::wire::queue_position;
use super::import::ProcessImport;
use super::projects::at_home;
use axum::extract::State;
use axum::http::StatusCode;
use conductor_core::{Error, ErrorKind, ImportSpec, JobSpec, RunId, Task, TaskSpec, ThreadLink};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(start))
}

/// A task to be started, or to be gone on with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTask {
    project_id: String,
    /// Made from the prompt unless said.
    #[serde(default)]
    task_id: Option<String>,
    /// The agent: its kind, or the name of one that is configured.
    #[serde(default)]
    agent_type: Option<String>,
    #[serde(default)]
    prompt: Option<String>,
    /// Variables for the agent's environment.
    #[serde(default)]
    config: Option<BTreeMap<String, String>>,
    /// The folder that the agent starts in: absolute, or below the home folder as `~/...`.
    #[serde(default)]
    project_root: Option<String>,
    /// `create` (unless said), `attach` or `resume`.
    #[serde(default)]
    attach_mode: Option<String>,
    /// Tasks of the same project that must be ready first.
    #[serde(default)]
    depends_on: Option<Vec<String>>,
    /// The most attempts.
    #[serde(default)]
    max_attempts: Option<u32>,
    /// The message that the task answers: a `QUESTION` or a `FACT` on the bus of a task.
    #[serde(default)]
    thread_parent: Option<ThreadParent>,
    /// `USER_REQUEST`, where a message is answered.
    #[serde(default)]
    thread_message_type: Option<String>,
    /// A process that runs already, to be followed as a run of the task. Nothing is started then, and
    /// `depends_on`, `config` and `max_attempts` mean nothing.
    #[serde(default)]
    process_import: Option<ProcessImport>,
}

/// A message and the run that posted it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ThreadParent {
    project_id: String,
    task_id: String,
    run_id: String,
    message_id: String,
}

impl ThreadParent {
    fn checked(self, app: &App) -> Result<ThreadLink, Failure> {
        let project = place::project(&self.project_id)?;
        let task = place::task(&self.task_id)?;
        let run = place::checked(RunId::new(self.run_id.trim()))?;
        let message = self.message_id.trim();
        app.conductor().tasks().thread(&project, &task, &run, message).map_err(|error| {
            let failure = app.failure(&error);
            match error.code() {
                "thread.unsupported" => failure.detail("allowed_parent_types", "QUESTION,FACT"),
                _ => failure,
            }
        })
    }
}

/// What a message is answered with, where one is.
fn thread(new: &mut NewTask) -> Result<Option<ThreadParent>, Failure> {
    let kind = new.thread_message_type.as_deref().map(str::trim).filter(|kind| !kind.is_empty());
    match (kind, new.thread_parent.take()) {
        (Some(_), None) => Err(Failure::bad_request(
            "thread.no_parent",
            "thread_message_type requires thread_parent",
        )),
        (Some(kind), _) if kind != "USER_REQUEST" => Err(Failure::bad_request(
            "thread.message_type",
            "thread_message_type must be USER_REQUEST",
        )),
        (_, parent) => Ok(parent),
    }
}

#[derive(Serialize, ToSchema)]
struct StartedTask {
    project_id: String,
    task_id: String,
    /// The run of its first attempt; missing while the task waits for something.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    /// `started`, `blocked` while others must be ready first, `queued` while it waits for something else,
    /// as its turn, or `done`.
    status: &'static str,
    /// Its place in the line, from 1, where it waits for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
}

/// Starts a task, which the server drives to its end. While an update of the server waits or is applied, 409
#[utoipa::path(post, path = "/api/v1/tasks", tag = "tasks", request_body = NewTask,
    responses((status = 201, body = StartedTask), (status = "default", body = ErrorBody)))]
async fn start(
    State(app): State<App>,
    Read(new): Read<NewTask>,
) -> Result<Status<StartedTask>, Failure> {
    if !app.settings().starts_tasks {
        return Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "server.no_starts",
            "this server starts no tasks",
        ));
    }
    let mut new = new;
    let parent = thread(&mut new)?;
    let request = new.prompt.clone().unwrap_or_default();
    let named = new.task_id.clone().unwrap_or_default();
    let import = new.process_import.take();
    let (spec, resumes) = match import {
        None => spec(new)?,
        Some(process) => {
            let (spec, process) = (import_spec(new)?, process.checked()?);
            let imported = app.answer(Length::Long, move |app| {
                let link = parent.map(|parent| parent.checked(app)).transpose()?;
                imported(app, spec, process, link.as_ref(), &request)
            });
            return Ok(Status(StatusCode::CREATED, imported.await?));
        }
    };
    let started = app.answer(Length::Long, move |app| {
        let tasks = app.conductor().tasks();
        let link = parent.map(|parent| parent.checked(app)).transpose()?;
        let spec = match &link {
            Some(link) => spec.parent_run_id(link.run.as_str()),
            None => spec,
        };
        let task = match resumes {
            true => tasks.resume(spec, limits::CHANGE),
            false => tasks.start(spec, limits::CHANGE),
        };
        let task = task.map_err(|error| match error.code() {
            // A conflict with what stands already, to clients of the older program.
            "task.dependency_cycle" => app
                .failure(&error)
                .with_status(StatusCode::CONFLICT)
                .detail("task_id", named.trim()),
            _ => not_started(app, &error),
        })?;
        let answer = linked(app, &task, link.as_ref(), &request);
        // Whatever became of the answer: it was started, and somebody must drive it.
        app.driver().adopt(task);
        answer
    });
    Ok(Status(StatusCode::CREATED, started.await?))
}

fn not_started(app: &App, error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::UpdateInProgress => held_back(app, error),
        _ => app.failure(error),
    }
}

/// The older program's answer while an update holds new tasks back.
fn held_back(app: &App, error: &Error) -> Failure {
    let state = match app.conductor().update().state() {
        Ok(state) => state,
        Err(error) => return app.failure(&error),
    };
    let message = "self-update drain is in progress; task creation is temporarily unavailable";
    Failure::new(StatusCode::CONFLICT, error.code(), message)
        .detail("self_update_state", state.as_str())
        .detail("hint", error.hint())
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// Whether the task is gone on with.
fn resumes(attach_mode: Option<&str>) -> Result<bool, Failure> {
    match attach_mode.unwrap_or_default() {
        "" | "create" | "attach" => Ok(false),
        "resume" => Ok(true),
        other => {
            let message =
                format!("invalid attach_mode {other:?}: must be create, attach, or resume");
            Err(Failure::bad_request("attach_mode.invalid", message))
        }
    }
}

/// The folder that is named.
fn cwd(project_root: Option<String>) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = given(project_root) else { return Ok(None) };
    let path = at_home(folder.trim());
    if !path.is_absolute() {
        let message = format!("project_root is not an absolute path: {}", path.display());
        return Err(Failure::bad_request("cwd.not_absolute", message));
    }
    if !path.exists() {
        let message = format!("project_root does not exist: {}", path.display());
        return Err(Failure::bad_request("cwd.not_a_folder", message));
    }
    Ok(Some(path))
}

/// Checks what only HTTP can get wrong; the rest is the library's.
fn spec(new: NewTask) -> Result<(TaskSpec, bool), Failure> {
    let project = place::project(&new.project_id)?;
    let mut spec = TaskSpec::new(project.as_str());
    if let Some(task) = given(new.task_id) {
        spec = spec.task(place::task(&task)?.as_str());
    }
    let resumes = resumes(new.attach_mode.as_deref())?;
    if let Some(agent) = given(new.agent_type) {
        spec = spec.agent(agent.trim());
    }
    if let Some(prompt) = given(new.prompt) {
        spec = spec.prompt(prompt);
    }
    if let Some(folder) = cwd(new.project_root)? {
        spec = spec.cwd(folder);
    }
    if let Some(tasks) = new.depends_on {
        spec = spec.depends_on(tasks);
    }
    if let Some(attempts) = new.max_attempts {
        spec = spec.max_attempts(attempts);
    }
    for (name, value) in new.config.unwrap_or_default() {
        spec = spec.env(name, value);
    }
    Ok((spec, resumes))
}

/// What of a task there is where a process is imported into it.
fn import_spec(new: NewTask) -> Result<JobSpec, Failure> {
    let project = place::project(&new.project_id)?;
    resumes(new.attach_mode.as_deref())?;
    for (name, is_given) in [
        ("depends_on", new.depends_on.is_some_and(|tasks| !tasks.is_empty())),
        ("config", new.config.is_some_and(|config| !config.is_empty())),
        ("max_attempts", new.max_attempts.is_some()),
    ] {
        if is_given {
            let message = format!("{name} means nothing to a process that runs already");
            return Err(Failure::bad_request("import.unused", message).detail("field", name));
        }
    }
    let mut spec = JobSpec::new(project.as_str());
    if let Some(task) = given(new.task_id) {
        spec = spec.task(place::task(&task)?.as_str());
    }
    if let Some(agent) = given(new.agent_type) {
        spec = spec.agent(agent.trim());
    }
    if let Some(prompt) = given(new.prompt) {
        spec = spec.prompt(prompt);
    }
    if let Some(folder) = cwd(new.project_root)? {
        spec = spec.cwd(folder);
    }
    Ok(spec)
}

/// Imports a process, and links the task to the message that it answers.
fn imported(
    app: &App,
    spec: JobSpec,
    process: ImportSpec,
    link: Option<&ThreadLink>,
    request: &str,
) -> Result<StartedTask, Failure> {
    let spec = match link {
        Some(link) => spec.parent_run_id(link.run.as_str()),
        None => spec,
    };
    let run = app.conductor().jobs().import(spec, process, limits::CHANGE);
    let run = run.map_err(|error| not_started(app, &error))?;
    if let Some(link) = link {
        let child = (run.project(), run.task(), Some(run.id()));
        let opened = app.conductor().tasks().open_thread(child, link, request, limits::CHANGE);
        opened.map_err(|error| app.failure(&error))?;
    }
    Ok(StartedTask {
        project_id: run.project().to_string(),
        task_id: run.task().to_string(),
        run_id: Some(run.id().to_string()),
        status: "started",
        queue_position: None,
        depends_on: Vec::new(),
    })
}

/// The answer, once the task is linked to the message that it answers.
fn linked(
    app: &App,
    task: &Task,
    link: Option<&ThreadLink>,
    request: &str,
) -> Result<StartedTask, Failure> {
    let failed = |error| app.failure(&error);
    if let Some(link) = link {
        let info = task.info().map_err(failed)?;
        let child = (task.project(), task.id(), info.newest_run());
        let tasks = app.conductor().tasks();
        tasks.open_thread(child, link, request, limits::CHANGE).map_err(failed)?;
    }
    answer(task).map_err(failed)
}

fn answer(task: &Task) -> conductor_core::Result<StartedTask> {
    let info = task.info()?;
    let blocked = info.latest.is_none() && !info.blocked_by.is_empty();
    let waits = info.latest.is_none() && info.waiting.is_some();
    let status = match &info.result {
        Some(_) if info.done => "done",
        _ if blocked => "blocked",
        _ if waits => "queued",
        _ => "started",
    };
    Ok(StartedTask {
        project_id: info.project.to_string(),
        task_id: info.id.to_string(),
        run_id: info.newest_run().map(ToString::to_string),
        status,
        queue_position: queue_position(&info),
        depends_on: info.depends_on.iter().map(ToString::to_string).collect(),
    })
}
