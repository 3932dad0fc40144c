//! The exchange of the server's own program.

use super::super::answer::{Json, Status};
use super::super::app::App;
use super::super::body::Read;
use super::super::calls::Length;
use super::super::failure::{ErrorBody, Failure};
use super::super::query::Query;
use axum::extract::State;
use axum::http::StatusCode;
use conductor_core::{Timestamp, UpdateRequest, UpdateStatus};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt as _;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How the older program tells a moment that has not come.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(status, start, cancel))
}

/// Where the update of the server's program stands.
#[derive(Serialize, ToSchema)]
struct SelfUpdate {
    /// `idle`, `deferred` while it waits until no root run is active, `applying` or `failed`.
    state: &'static str,
    /// The program that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_path: Option<String>,
    /// The year 1 where it was not.
    #[schema(format = DateTime)]
    requested_at: String,
    /// The year 1 where it was not.
    #[schema(format = DateTime)]
    started_at: String,
    /// The year 1 where it was not.
    #[schema(format = DateTime)]
    finished_at: String,
    #[serde(skip_serializing_if = "is_zero")]
    active_runs_at_request: u64,
    /// The root runs that are active now, which it waits for. What cannot be read counts.
    active_runs_now: u64,
    /// The first thing that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_runs_error: Option<String>,
    /// What is being done: `staging`, `trying`, `starting` or `exchanging`.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    /// The version that the last one brought; missing where it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    installed_version: Option<String>,
    /// Why the last one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// How the last one ended otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_note: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<UpdateStatus> for SelfUpdate {
    fn from(status: UpdateStatus) -> SelfUpdate {
        let moment = |moment: Option<Timestamp>| {
            moment.map_or_else(|| NEVER.to_owned(), |moment| moment.to_string())
        };
        SelfUpdate {
            state: status.state.as_str(),
            binary_path: status.binary.map(|path| path.to_string_lossy().into_owned()),
            requested_at: moment(status.requested_at),
            started_at: moment(status.started_at),
            finished_at: moment(status.finished_at),
            active_runs_at_request: status.active_runs_at_request,
            active_runs_now: status.active_runs_now,
            active_runs_error: status.active_runs_error,
            step: status.step,
            installed_version: status.installed_version,
            last_error: status.last_error,
            last_note: status.last_note,
        }
    }
}

/// Where the update of the server's program stands, and what it waits for
#[utoipa::path(get, path = "/api/v1/admin/self-update", tag = "server",
    responses((status = 200, body = SelfUpdate), (status = "default", body = ErrorBody)))]
async fn status(State(app): State<App>) -> Result<Json<SelfUpdate>, Failure> {
    Ok(Json(app.call(|conductor| conductor.update().status()).await?.into()))
}

/// A program on the server's machine that shall take the server's place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// Its path.
    #[serde(default)]
    binary_path: String,
    /// The SHA-256 that it must have, 64 hexadecimal digits.
    #[serde(default)]
    sha256: Option<String>,
    /// Whether one that is older than the present one is taken.
    #[serde(default)]
    allow_downgrade: bool,
}

/// Exchanges the server's program once no root run is active
///
/// Until then, and until it is cancelled, new root runs are refused. Nobody is interrupted, and no connection is
/// refused. A wish that waits is replaced; 409 while one is applied.
#[utoipa::path(post, path = "/api/v1/admin/self-update", tag = "server", request_body = Wish,
    responses((status = 202, body = SelfUpdate), (status = "default", body = ErrorBody)))]
async fn start(
    State(app): State<App>,
    Read(wish): Read<Wish>,
) -> Result<Status<SelfUpdate>, Failure> {
    let status = app.answer(Length::Short, move |app| {
        let request = request(wish)?;
        app.conductor().update().start(request).map_err(|error| match error.code() {
            "update.applying" => {
                let message = "self-update is already in progress";
                Failure::new(StatusCode::CONFLICT, error.code(), message)
                    .detail("hint", error.hint())
            }
            _ => app.failure(&error),
        })
    });
    Ok(Status(StatusCode::ACCEPTED, status.await?.into()))
}

/// The library's wish; what is wrong with its path is said in the older program's words.
fn request(wish: Wish) -> Result<UpdateRequest, Failure> {
    let wrong = |message: String| Failure::bad_request("update.binary", message);
    let text = wish.binary_path.trim();
    if text.is_empty() {
        return Err(wrong("binary_path is required".to_owned()));
    }
    let path = std::path::absolute(text).map_err(|e| wrong(format!("stat binary_path: {e}")))?;
    let found = std::fs::metadata(&path).map_err(|e| wrong(format!("stat binary_path: {e}")))?;
    if !found.is_file() {
        return Err(wrong("binary_path must point to a file".to_owned()));
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err(wrong("binary_path is not executable".to_owned()));
    }
    let request = UpdateRequest::new(path).allow_downgrade(wish.allow_downgrade);
    Ok(match wish.sha256.filter(|digest| !digest.trim().is_empty()) {
        Some(digest) => request.sha256(digest.trim()),
        None => request,
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Why {
    /// Why; it is recorded.
    reason: Option<String>,
}

/// Takes the wish for an update back: new root runs start again. 409 while it is applied
#[utoipa::path(delete, path = "/api/v1/admin/self-update", tag = "server", params(Why),
    responses((status = 200, body = SelfUpdate), (status = "default", body = ErrorBody)))]
async fn cancel(
    State(app): State<App>,
    Query(why): Query<Why>,
) -> Result<Json<SelfUpdate>, Failure> {
    let reason = why.reason.unwrap_or_default();
    Ok(Json(app.call(move |conductor| conductor.update().cancel(&reason)).await?.into()))
}
