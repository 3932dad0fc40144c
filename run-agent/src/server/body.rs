//! Reading the JSON body of a change: bounded in length and in time, strict about what it says.

use super::failure::Failure;
use super::limits;
use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Read<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Read<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Read<T>, Failure> {
        parse(&bytes(request.into_body()).await?).map(Read)
    }
}

/// The bytes of a body, bounded in length and in time.
pub(crate) async fn bytes(body: Body) -> Result<bytes::Bytes, Failure> {
    let body = Limited::new(body, limits::BODY).collect();
    match tokio::time::timeout(limits::BODY_TIME, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Failure::bad_request("body.broken", "the body ended too early")),
        Err(_) => Err(Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "body.slow",
            format!("the body did not come within {} s", limits::BODY_TIME.as_secs()),
        )),
    }
}

/// Reads a body to its end, within the same bounds, and keeps nothing of it; whether the end was reached. One that
/// says that it is longer is not begun.
pub(crate) async fn pass_over(body: Body) -> bool {
    if body.size_hint().lower() > limits::BODY as u64 {
        return false;
    }
    let mut body = Limited::new(body, limits::BODY);
    let reads = async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                end => return end.is_none(),
            }
        }
    };
    tokio::time::timeout(limits::BODY_TIME, reads).await.unwrap_or(false)
}

/// The answer to a body that is longer than what is read.
pub(crate) fn too_large() -> Failure {
    let message = format!("the body is longer than {} bytes", limits::BODY);
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body.too_large", message)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let refuse = |what: String| Failure::bad_request("body.not_json", what);
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<T>();
    let value = match values.next() {
        None => return Err(refuse("invalid json: the body is empty".to_owned())),
        Some(value) => value.map_err(|error| refuse(format!("invalid json: {}", words(&error))))?,
    };
    match bytes[values.byte_offset()..].trim_ascii().is_empty() {
        true => Ok(value),
        false => Err(refuse("invalid json: unexpected trailing data".to_owned())),
    }
}

/// The parser's words; of an unknown field in those of the older program.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let unknown = text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
    match unknown {
        Some((name, _)) => format!("json: unknown field {name:?}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Small {
        _a: u8,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said() {
        for (text, says) in [
            ("{\"_a\":1} x", "unexpected trailing data"),
            ("{\"x\":1}", "json: unknown field \"x\""),
            ("", "the body is empty"),
            ("{", "EOF"),
        ] {
            let failure = parse::<Small>(text.as_bytes()).unwrap_err();
            assert!(failure.message().contains(says), "{text}: {}", failure.message());
            assert_eq!(failure.status, StatusCode::BAD_REQUEST);
        }
        assert!(parse::<Small>(b" {\"_a\":1}\n").is_ok());
    }
}
