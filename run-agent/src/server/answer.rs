//! JSON answers as the older program's clients know them: Go's escapes, and a line feed at the end.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// A success with a JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

/// As [`Json`], with another status.
#[derive(Debug)]
pub(crate) struct Status<T>(pub(crate) StatusCode, pub(crate) T);

impl<T: Serialize> IntoResponse for Status<T> {
    fn into_response(self) -> Response {
        json(self.0, &self.1)
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Everything that is answered has a JSON form: named fields of texts, numbers and lists.
    let bytes = encode(body).unwrap_or_else(|_| b"{}".to_vec());
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether a field is left out of an answer for it.
pub(crate) fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The bytes of an answer.
pub(crate) fn encode(body: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = escape(serde_json::to_vec(body)?);
    bytes.push(b'\n');
    Ok(bytes)
}

/// About how long something is in an answer, in bytes; nothing is kept of it.
pub(crate) fn length(body: &impl Serialize) -> usize {
    let mut counted = Counted(0);
    // Counting does not fail.
    let _counted = serde_json::to_writer(&mut counted, body);
    counted.0
}

/// Counts what is written, with Go's escapes.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let escaped = bytes.iter().filter(|byte| matches!(byte, b'<' | b'>' | b'&')).count();
        self.0 += bytes.len() + 5 * escaped;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Escapes what Go escapes: `<`, `>`, `&`, and the two line separators. They stand in texts only.
fn escape(json: Vec<u8>) -> Vec<u8> {
    let special = |byte: u8| matches!(byte, b'<' | b'>' | b'&' | 0xe2);
    if !json.iter().copied().any(special) {
        return json;
    }
    let mut escaped = Vec::with_capacity(json.len() + 64);
    let mut rest = &json[..];
    while let Some(at) = rest.iter().copied().position(special) {
        escaped.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (escape, length): (&[u8], usize) = match rest {
            [b'<', ..] => (b"\\u003c", 1),
            [b'>', ..] => (b"\\u003e", 1),
            [b'&', ..] => (b"\\u0026", 1),
            [0xe2, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            _ => (&rest[..1], 1),
        };
        escaped.extend_from_slice(escape);
        rest = &rest[length..];
    }
    escaped.extend_from_slice(rest);
    escaped
}

/// Gives a read's answer its tag, and says "not modified" to a client that has it already.
pub(crate) async fn tagged(method: &Method, asked: &HeaderMap, response: Response) -> Response {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    if method != Method::GET || response.status() != StatusCode::OK || !is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Whole already: JSON answers are encoded before they are sent.
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tag = tag(&bytes);
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let value = value.to_str().unwrap_or_default();
        value
            .split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    });
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn tag(bytes: &Bytes) -> String {
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(bytes)[..12] {
        let _never_fails = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_escapes_is_escaped() {
        let bytes = encode(&"<a & b>\u{2028}\u{2029}\u{20ac}\"").unwrap();
        let text = "\"\\u003ca \\u0026 b\\u003e\\u2028\\u2029\u{20ac}\\\"\"\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
    }

    #[test]
    fn the_length_is_counted_as_it_is_sent() {
        for text in ["", "plain", "<a & b> \u{1}\n\"\\", "\u{20ac}"] {
            assert_eq!(length(&text) + 1, encode(&text).unwrap().len(), "{text:?}");
        }
    }

    #[test]
    fn the_tag_is_that_of_the_bytes() {
        let (one, other) = (tag(&Bytes::from_static(b"one")), tag(&Bytes::from_static(b"other")));
        assert!(one != other && one.len() == 26 && one == tag(&Bytes::from_static(b"one")));
    }
}
