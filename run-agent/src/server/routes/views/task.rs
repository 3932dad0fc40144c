//! One task: where it stands, its runs, what they started in other tasks, and its limits.

use super::super::super::answer::{Json, is_zero};
use super::super::super::app::App;
use super::super::super::calls::Length;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::place::InTask;
use super::state::{RunRow, TaskRow};
use super::tasks::row;
use axum::extract::State;
use conductor_core::{
    ErrorKind, ProjectId, Result, RunInfo, TaskId, TaskInfo, TaskOutcome, redacted,
};
use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Lines of a check's output that are told, and bytes that are looked at for them.
const CHECK_LINES: usize = 30;
const CHECK_BYTES: u64 = 16 << 10;
/// The most runs that are told of, the newest ones.
const MOST: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(one))
}

#[derive(Serialize, ToSchema)]
struct OneTask {
    task: TaskRow,
    /// Its runs, the oldest first; the newest 1000 where there are more.
    runs: Vec<RunRow>,
    /// Runs of other tasks of the project that these started, and that those started.
    children: Vec<RunRow>,
    /// Runs left out, as there are too many.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
    /// Runs whose records cannot be read.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable: usize,
    /// Names of variables that it was started with; their values are kept nowhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env_names: Vec<String>,
    /// What its loop may use up, and what it did; missing where it has no loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
}

/// What a loop may use up; what is missing is not limited.
#[derive(Serialize, ToSchema)]
struct Limits {
    attempts: Amount,
    /// Seconds that attempts run.
    wall_s: Amount,
    tokens: Amount,
    cost_usd: Amount,
    /// The command that checks whether the task is really done.
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<String>,
    /// How often that was run.
    checks: u32,
    /// Why it failed last, until the next attempt was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<String>,
    /// The end of what the check printed that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    passed: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Amount {
    used: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<f64>,
}

/// A task with its runs and what they started
#[utoipa::path(get, path = "/api/v1/views/projects/{project}/tasks/{task}", tag = "views",
    params(("project" = String, Path), ("task" = String, Path)),
    responses((status = 200, body = OneTask), (status = "default", body = ErrorBody)))]
async fn one(
    State(app): State<App>,
    InTask(project, task): InTask,
) -> std::result::Result<Json<OneTask>, Failure> {
    let told = app.answer(Length::Short, move |app| {
        look(app, &project, &task).map_err(|error| app.failure(&error))
    });
    Ok(Json(told.await?))
}

fn look(app: &App, project: &ProjectId, task: &TaskId) -> Result<OneTask> {
    let conductor = app.conductor();
    let info = conductor.tasks().info(project, task)?;
    let all = conductor.runs().list(project, task)?;
    let unreadable = all.iter().filter(|run| run.is_err()).count();
    let mut runs: Vec<RunInfo> = all.into_iter().flatten().collect();
    let left_out = runs.len().saturating_sub(MOST);
    runs.drain(..left_out);
    let children = children(app, project, task, &runs)?;
    Ok(OneTask {
        task: row(conductor, &info)?,
        runs: runs.iter().map(RunRow::of).collect(),
        children,
        left_out,
        unreadable,
        env_names: info.env_names.clone(),
        limits: limits(&info),
    })
}

/// Runs of other tasks that descend from these, the oldest first.
fn children(
    app: &App,
    project: &ProjectId,
    task: &TaskId,
    runs: &[RunInfo],
) -> Result<Vec<RunRow>> {
    let mut known: HashSet<String> = runs.iter().map(|run| run.id.to_string()).collect();
    let mut others: Vec<RunRow> = Vec::new();
    app.known().read(app.conductor(), usize::MAX, |reader| {
        let look = reader.of(project);
        for other in look.ids()?.iter().filter(|other| *other != task) {
            match app.rows().children(&look, other) {
                Ok(runs) => others.extend(runs.iter().cloned()),
                // Deleted since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Result::Ok(())
    })?;
    // By the times in their ids.
    others.sort_by(|a, b| a.id.cmp(&b.id));
    let mut found: Vec<RunRow> = Vec::new();
    // A child begins after its parent: nearly always one pass finds all.
    loop {
        let before = found.len();
        others.retain(|run| {
            let parent = run.parent.as_deref().unwrap_or_default();
            let ours = known.contains(parent) && found.len() < MOST;
            if ours {
                known.insert(run.id.clone());
                found.push(run.clone());
            }
            !ours
        });
        if found.len() == before {
            return Ok(found);
        }
    }
}

fn limits(info: &TaskInfo) -> Option<Limits> {
    let budget = info.budget.as_ref()?;
    let amount = |used: f64, most: Option<f64>| Amount { used, most };
    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 tokens nobody counts single ones")]
    let tokens = |count: u64| count as f64;
    Some(Limits {
        attempts: amount(
            f64::from(info.attempts.unwrap_or(0)),
            Some(f64::from(budget.max_attempts)),
        ),
        wall_s: amount(
            budget.spent_wall.as_secs_f64(),
            budget.max_wall.map(|most| most.as_secs_f64()),
        ),
        tokens: amount(tokens(budget.spent_tokens), budget.max_tokens.map(tokens)),
        cost_usd: amount(budget.spent_cost_usd, budget.max_cost_usd),
        verify: budget.verify.clone(),
        checks: budget.checks,
        rejection: budget.rejection.clone(),
        passed: passed(info),
    })
}

/// The end of what the check printed that passed. It lies beside the run that it judged, and goes with it.
fn passed(info: &TaskInfo) -> Option<String> {
    let budget =
        info.budget.as_ref().filter(|budget| budget.verify.is_some() && budget.checks > 0)?;
    let done = info.result.as_ref().is_some_and(|result| result.outcome == TaskOutcome::Done);
    let run = info.latest.as_ref().filter(|_| done)?;
    let file = run.folder.join(format!("verify-{}.txt", budget.checks));
    let bytes = end_of(&file).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown = lines[lines.len().saturating_sub(CHECK_LINES)..].join("\n");
    Some(redacted(&shown).into_owned()).filter(|shown| !shown.is_empty())
}

/// The last bytes of a regular file.
fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, how, Mode::empty())?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    file.seek(SeekFrom::Start(meta.len().saturating_sub(CHECK_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(CHECK_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
