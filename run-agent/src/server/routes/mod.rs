//! The routes, one noun a module.

mod document;
mod files;
mod flat;
mod gc;
mod health;
mod import;
mod messages;
mod projects;
mod runs;
mod self_update;
mod start;
mod streams;
mod task_runs;
mod tasks;
mod upkeep;
pub(super) mod views;

use super::app::App;
use super::around;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "conductor",
        description = "What the tasks and runs of a root do, and what they shall do.\n\nA change wants \
            the server's token as `Authorization: Bearer TOKEN` or `X-API-Key: TOKEN` unless that was \
            switched off, and has its body as `application/json`. Errors come in the form of the schema \
            `ErrorBody`, or, to a client that accepts `application/problem+json`, of RFC 9457. Reads have \
            an `ETag`."
    ),
    components(schemas(super::failure::ErrorBody, super::failure::Problem))
)]
struct Document;

/// The routes and the document that describes them.
fn routes() -> (Router<App>, OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(health::routes())
        .merge(tasks::routes())
        .merge(start::routes())
        .merge(runs::routes())
        .merge(messages::routes())
        .merge(projects::routes())
        .merge(task_runs::routes())
        .merge(flat::routes())
        .merge(files::routes())
        .merge(gc::routes())
        .merge(upkeep::routes())
        .merge(self_update::routes())
        .merge(streams::routes())
        .merge(views::routes())
        .split_for_parts()
}

/// The server's answers, apart from how they are sent.
pub(crate) fn app(app: App) -> Router {
    let (router, document) = routes();
    let document = document::complete(serde_json::to_value(&document).unwrap_or_default());
    let document = get(move || std::future::ready(super::answer::Json(document.clone())));
    router
        .route("/api/openapi.json", document)
        .merge(super::ui::routes())
        .fallback(around::nothing_here)
        .method_not_allowed_fallback(around::no_such_method)
        .layer(from_fn_with_state(app.clone(), around::around))
        .with_state(app)
}
