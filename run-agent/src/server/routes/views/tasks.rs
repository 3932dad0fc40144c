//! The tasks of a project as rows, many at once, or one that changed.

use super::super::super::answer::Json;
use super::super::super::app::App;
use super::super::super::calls::Length;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::known::{Look, Reader};
use super::super::super::place::{self, InProject};
use super::super::super::query::Query;
use super::rows::Rows as Kept;
use super::state::{Shared, TaskRow};
use axum::extract::State;
use conductor_core::{Conductor, ErrorKind, Result, TaskId, TaskInfo};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most tasks of one answer.
const MOST: usize = 5000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(of_project))
}

/// Which tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only these, with commas between; those that do not exist are missing in the answer.
    ids: Option<String>,
    /// Goes on behind the task with this id, in the order that is wanted.
    after: Option<String>,
    /// `newest`: the ids in their order backwards, which begin with the times that the tasks were made at.
    order: Option<String>,
    /// The most tasks of this answer; 5000 unless said, and at most.
    most: Option<usize>,
}

#[derive(Serialize, ToSchema)]
struct Rows {
    /// By id, in the order that was wanted.
    #[schema(value_type = Vec<TaskRow>)]
    tasks: Vec<Shared>,
    /// Tasks that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<Unreadable>,
    /// How many tasks the project has.
    total: usize,
    /// The id to go on behind, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Unreadable {
    id: String,
    /// Why, as a stable code.
    code: &'static str,
    message: String,
}

/// The tasks of a project, up to 5000 at once
#[utoipa::path(get, path = "/api/v1/views/projects/{project}/tasks", tag = "views",
    params(("project" = String, Path), Which),
    responses((status = 200, body = Rows), (status = "default", body = ErrorBody)))]
async fn of_project(
    State(app): State<App>,
    InProject(project): InProject,
    Query(which): Query<Which>,
) -> std::result::Result<Json<Rows>, Failure> {
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let ids = given(which.ids).map(|ids| ids.split(',').map(place::task).collect());
    let ids: Option<Vec<TaskId>> = ids.transpose()?;
    let after = given(which.after).map(|after| place::task(&after)).transpose()?;
    let part = match which.order.as_deref().map(str::trim) {
        None | Some("" | "id") => Part { after, newest: false, most: which.most },
        Some("newest") => Part { after, newest: true, most: which.most },
        Some(order) => {
            let message = format!("there is no order {order:?}: id and newest are known");
            return Err(Failure::bad_request("order.unknown", message));
        }
    };
    let rows = app.answer(Length::Short, move |app| {
        let read = |reader: &Reader<'_>| read(app.rows(), &reader.of(&project), ids, &part);
        let rows = app.known().read(app.conductor(), usize::MAX, read);
        rows.map_err(|error| app.failure(&error))
    });
    let mut rows = rows.await?;
    let root = format!("{}/", app.conductor().root().display());
    for row in &mut rows.unreadable {
        row.message = row.message.replace(&root, "");
    }
    Ok(Json(rows))
}

/// Which part of the tasks is wanted.
struct Part {
    after: Option<TaskId>,
    newest: bool,
    most: Option<usize>,
}

impl Part {
    /// The ids of the part, and the one to go on behind.
    fn of(&self, mut all: Vec<TaskId>) -> (Vec<TaskId>, Option<String>) {
        if self.newest {
            all.reverse();
        }
        if let Some(after) = &self.after {
            all.retain(|id| if self.newest { id < after } else { id > after });
        }
        let most = self.most.unwrap_or(MOST).clamp(1, MOST);
        let next = (all.len() > most).then(|| all[most - 1].to_string());
        all.truncate(most);
        (all, next)
    }
}

fn read(rows: &Kept, look: &Look<'_>, ids: Option<Vec<TaskId>>, part: &Part) -> Result<Rows> {
    let all = match &ids {
        // A row that changed is asked for often, and forgets nothing.
        Some(_) => look.conductor.tasks().ids(look.project)?,
        None => rows.ids(look)?,
    };
    let total = all.len();
    let (ids, next) = match ids {
        Some(mut ids) => {
            ids.truncate(MOST);
            (ids, None)
        }
        None => part.of(all),
    };
    let mut answer = Rows { tasks: Vec::new(), unreadable: Vec::new(), total, next };
    for id in ids {
        match rows.row(look, &id, &look.see(&id)) {
            Ok(row) => answer.tasks.extend(row),
            // Deleted since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let (code, message) = (error.code(), error.to_string());
                answer.unreadable.push(Unreadable { id: id.to_string(), code, message });
            }
        }
    }
    Ok(answer)
}

/// A row, and when its run last printed something where one lives.
pub(super) fn row(conductor: &Conductor, info: &TaskInfo) -> Result<TaskRow> {
    let mut row = TaskRow::of(info);
    let living = info.latest.as_ref().filter(|run| run.outcome().is_none());
    if let (Some(run), Some(shown)) = (living, &mut row.latest) {
        match conductor.runs().written(run) {
            Ok(written) => shown.printed = written.at.map(|at| at.to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(row)
}
