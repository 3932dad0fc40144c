//! What the dashboard shows, in one answer for each of its views.
//!
//! These say more than the older program's shapes: where a task stands in one word, what it waits for
//! and until when, what it used. Paths are told as they are below the root.

mod gc;
mod health;
mod processes;
mod projects;
mod raw;
mod rows;
mod run;
mod search;
mod state;
mod stop;
mod task;
mod tasks;
mod usage;

pub(crate) use rows::Rows;

use super::super::app::App;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(projects::routes())
        .merge(tasks::routes())
        .merge(task::routes())
        .merge(run::routes())
        .merge(raw::routes())
        .merge(search::routes())
        .merge(stop::routes())
        .merge(usage::routes())
        .merge(gc::routes())
        .merge(health::routes())
}
