//! What happens around every request: who may ask, how it is answered, what is noted of it.

use super::answer;
use super::app::App;
use super::audit::Change;
use super::body;
use super::calls;
use super::failure::Failure;
use super::limits;
use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The header that names a request in logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken from a client, in bytes.
const LONGEST_ID: usize = 128;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Lets a request pass to its handler, or answers it; then completes the answer.
pub(crate) async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let headers = request.headers().clone();
    let refusal = app.settings().guard.check(&method, request.uri(), &headers);
    let has_no_body = request.body().is_end_stream();
    let (response, is_read_up) = match refusal.and_then(|()| check_length(&headers)) {
        // Its body may be on its way yet: who keeps the connection would lose the next request with it.
        Err(failure) => (refused(failure), body::pass_over(request.into_body()).await),
        Ok(()) if method == Method::OPTIONS => {
            (StatusCode::NO_CONTENT.into_response(), has_no_body)
        }
        Ok(()) if is_read(&method) => (next.run(request).await, has_no_body),
        // Apart from the connection: a client that goes away ends neither the change nor the note of it.
        Ok(()) => match tokio::spawn(change(app.clone(), id.clone(), request, next)).await {
            Ok(Ok(response)) => (response, true),
            Ok(Err(failure)) => (failure.into_response(), false),
            Err(_) => (calls::defect().into_response(), false),
        },
    };
    let mut response = in_the_wanted_form(&method, &headers, response).await;
    complete(&app, &headers, &id, &mut response);
    // What is left of a body ends the connection; who comes back on one of its own finds the one that serves next.
    if !is_read_up || app.is_ending() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status().as_u16();
    app.metrics().answered(method.as_str(), status);
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let method = method.as_str();
    tracing::info!(
        subsystem = "api",
        request_id = id,
        method,
        path,
        status,
        duration_ms,
        "request_completed"
    );
    response
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Lets a change pass, and notes it once it is made. An error where its body was not read to its end.
async fn change(app: App, id: String, request: Request, next: Next) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let asked = body::bytes(body).await?;
    let route = parts.extensions.get::<MatchedPath>();
    let mut change = Change {
        request_id: id,
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        route: route.map_or("", MatchedPath::as_str).to_owned(),
        peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
        asked: asked.clone(),
        answered: Bytes::new(),
    };
    let response = next.run(Request::from_parts(parts, Body::from(asked))).await;
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    // Whole already: answers to changes are encoded before they are sent.
    change.answered = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let response = Response::from_parts(parts, Body::from(change.answered.clone()));
    change.note(&app).await;
    Ok(response)
}

/// Refuses a body that says itself that it is too long, before anything of it is read.
fn check_length(headers: &HeaderMap) -> Result<(), Failure> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length > limits::BODY as u64 => Err(body::too_large()),
        _ => Ok(()),
    }
}

/// The older program's own answer to a wrong token; all other refusals are as all errors.
fn refused(failure: Failure) -> Response {
    if failure.status != StatusCode::UNAUTHORIZED {
        return failure.into_response();
    }
    let body = serde_json::json!({"error": "unauthorized", "message": failure.message()});
    let mut response = answer::json(StatusCode::UNAUTHORIZED, &body);
    let realm = HeaderValue::from_static("Bearer realm=\"conductor\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    response
}

async fn in_the_wanted_form(method: &Method, asked: &HeaderMap, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    match parts.extensions.remove::<Failure>() {
        None => answer::tagged(method, asked, Response::from_parts(parts, body)).await,
        Some(failure) => {
            let mut response = failure.answer(asked);
            if let Some(allowed) = parts.headers.remove(header::ALLOW) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            response
        }
    }
}

/// The headers that every answer has.
fn complete(app: &App, asked: &HeaderMap, id: &str, response: &mut Response) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    // What agents wrote is nothing that a browser may guess at, or run.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    let guard = &app.settings().guard;
    let Some(origin) = asked.get(header::ORIGIN) else { return };
    let named = origin.to_str().unwrap_or_default().to_ascii_lowercase();
    if !guard.allows_origin(&named) {
        return;
    }
    let allowed = match guard.allows_any_origin() {
        true => HeaderValue::from_static("*"),
        false => origin.clone(),
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET,POST,DELETE,OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Content-Type, Authorization, Last-Event-ID, X-API-Key, X-Request-ID, X-Conductor-Client",
        ),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "X-Request-ID, ETag"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The client's own id where it can be written down as it is, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    static SEQUENCE: AtomicU64 = AtomicU64::new(0);
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    if !given.is_empty() && given.len() <= LONGEST_ID {
        return given.to_owned();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let number = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    format!("req-{now}-{:012x}", u64::from(std::process::id()) << 24 | number & 0xff_ffff)
}

/// The answer to a path that is nothing.
pub(crate) async fn nothing_here() -> Failure {
    Failure::not_found("route.unknown", "page not found")
}

/// The answer to a method that a path does not have.
pub(crate) async fn no_such_method() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "route.method", "method not allowed")
}

/// Refuses what destroys, where a page asks for it.
///
/// # Errors
/// 403, naming the action.
pub(crate) fn refuse_pages(headers: &HeaderMap, action: &str) -> Result<(), Failure> {
    let said = |name: &str| {
        headers.get(name).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
    };
    let own = headers
        .get("x-conductor-client")
        .is_some_and(|client| client.as_bytes().eq_ignore_ascii_case(b"web-ui"));
    if own || ["sec-fetch-mode", "sec-fetch-site", "origin", "referer"].into_iter().any(said) {
        let message = format!("{action} is disabled in the web UI");
        return Err(Failure::forbidden("ui.disabled", message));
    }
    Ok(())
}

/// An empty body.
pub(crate) fn nothing(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
