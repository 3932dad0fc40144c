//! The dashboard: pages that are part of the program.
//!
//! The files of `ui/` are what browsers get, without a step in between. The page itself is asked for anew
//! each time, and names a folder that is called by the digest of all other files: these never change under
//! their names.

mod assets;

use super::app::App;
use super::around::nothing_here;
use assets::{ASSETS, Asset, digest};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

/// The name of the page.
const PAGE: &str = "index.html";
/// What the page may do: load its own files and talk to its own server; nothing else, and no markup that
/// text could turn into.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const FOR_A_DAY: &str = "no-cache";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The pages; apart from the routes of the API, which are described.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { page("./ui/", &headers) }))
        .route("/ui", get(|| async { moved("/ui/") }))
        .route("/ui/", get(|headers: HeaderMap| async move { page("./", &headers) }))
        .route("/ui/{*path}", get(file))
}

fn moved(to: &'static str) -> Response {
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to)]).into_response()
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    if path == PAGE {
        return page("./", &headers);
    }
    let (name, cache) = match path.split_once('/') {
        Some((folder, name)) if folder == digest() => (name, FOR_EVER),
        _ => (path.as_str(), FOR_A_DAY),
    };
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => answer(asset, asset.bytes.into(), cache, &headers),
        None => nothing_here().await.into_response(),
    }
}

/// The page, whose files lie in the folder `here` and below that in the one of their digest.
fn page(here: &str, asked: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == PAGE) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let text = String::from_utf8_lossy(asset.bytes);
    let text = text.replace("\"./", &format!("\"{here}{}/", digest()));
    answer(asset, text.into_bytes(), FOR_A_DAY, asked)
}

fn answer(asset: &Asset, bytes: Vec<u8>, cache: &'static str, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", digest());
    let known =
        asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Response::new(Body::from(bytes)),
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    for (name, value) in [
        (header::CONTENT_TYPE, asset.media_type()),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
