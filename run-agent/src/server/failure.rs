//! What went wrong, in the two forms that a client can ask for.

use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use conductor_core::{Error, ErrorKind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use utoipa::ToSchema;

use super::answer;

/// The media type of RFC 9457.
const PROBLEM: &str = "application/problem+json";

/// An answer that is no success.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    message: String,
    /// The library's stable dotted code, or one of ours.
    code: &'static str,
    details: BTreeMap<&'static str, String>,
}

/// An error as clients of the older program know it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorEnvelope,
}

#[derive(Serialize, ToSchema)]
struct ErrorEnvelope {
    /// What class of error it is, as `NOT_FOUND`.
    code: &'static str,
    /// What happened, for a person.
    message: String,
    /// More about it, as the stable `code` of the library and a `hint`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<&'static str, String>,
}

/// An error in the form of RFC 9457.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// The stable code, as `task.not_found`.
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Failure {
    /// An error that the server itself found.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Failure { status, message: message.into(), code, details: BTreeMap::new() }
    }

    /// The call itself is wrong.
    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// It is not allowed here.
    pub(crate) fn forbidden(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::FORBIDDEN, code, message)
    }

    /// What was named does not exist.
    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, code, message)
    }

    /// The same with another status, which clients of the older program know it by.
    #[must_use]
    pub(crate) fn with_status(mut self, status: StatusCode) -> Failure {
        self.status = status;
        self
    }

    /// Adds something about it.
    #[must_use]
    pub(crate) fn detail(mut self, name: &'static str, value: impl Into<String>) -> Failure {
        self.details.insert(name, value.into());
        self
    }

    /// An error of the library. Paths are told as they are below the root: where that lies is the
    /// affair of this machine.
    pub(crate) fn of(error: &Error, root: &Path) -> Failure {
        let root = root.to_string_lossy();
        let below =
            |text: &str| text.replace(&format!("{root}/"), "").replace(root.as_ref(), "the root");
        Failure::told(error, below)
    }

    /// An error of the library about words of the client, which name no path.
    pub(crate) fn of_words(error: &Error) -> Failure {
        Failure::told(error, str::to_owned)
    }

    fn told(error: &Error, below: impl Fn(&str) -> String) -> Failure {
        let status = error.kind().row().http_status;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut failure = Failure::new(status, error.code(), below(&error.to_string()));
        if let Some(hint) = error.specific_hint() {
            failure = failure.detail("hint", below(hint));
        }
        if let Some(field) = error.field() {
            failure = failure.detail("field", field);
        }
        if status.is_server_error() && error.kind() != ErrorKind::Busy {
            let cause = error.cause().unwrap_or_default();
            tracing::warn!(code = error.code(), cause, "{error}");
        }
        failure
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The answer in the form that the client asks for: RFC 9457 where it accepts that by name, else the
    /// older program's.
    pub(crate) fn answer(self, headers: &HeaderMap) -> Response {
        let accepts = headers.get_all(header::ACCEPT).iter();
        let wants_problem =
            accepts.filter_map(|value| value.to_str().ok()).any(|value| value.contains(PROBLEM));
        if !wants_problem {
            return self.into_response();
        }
        let Failure { status, message, code, mut details } = self;
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: message,
            code,
            hint: details.remove("hint"),
            field: details.remove("field"),
        };
        let mut response = answer::json(status, &problem);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        response
    }
}

/// The older program's word for a status.
fn word(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "BAD_REQUEST",
        401 => "UNAUTHORIZED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        405 => "METHOD_NOT_ALLOWED",
        408 | 504 => "TIMEOUT",
        409 => "CONFLICT",
        410 => "GONE",
        413 => "PAYLOAD_TOO_LARGE",
        415 => "UNSUPPORTED_MEDIA_TYPE",
        422 => "UNPROCESSABLE",
        429 => "TOO_MANY_REQUESTS",
        501 => "NOT_IMPLEMENTED",
        503 => "UNAVAILABLE",
        507 => "STORAGE_FULL",
        _ => "INTERNAL",
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let kept = self.clone();
        let Failure { status, message, code, mut details } = self;
        details.insert("code", code.to_owned());
        let body = ErrorBody { error: ErrorEnvelope { code: word(status), message, details } };
        let mut response = answer::json(status, &body);
        // For the form that the request asks for, which nobody knows here.
        response.extensions_mut().insert(kept);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_root_lies_is_told_to_nobody() {
        let error = Error::new(ErrorKind::Corrupt, "x.y", "cannot read /srv/root/p/t: bad")
            .with_hint("look at /srv/root/p/t");
        let failure = Failure::of(&error, Path::new("/srv/root"));
        assert_eq!(failure.message(), "cannot read p/t: bad");
        assert_eq!(failure.details["hint"], "look at p/t");
        assert_eq!(failure.status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn every_kind_of_the_library_has_a_word() {
        for row in conductor_core::KINDS {
            let status = StatusCode::from_u16(row.http_status).unwrap();
            assert!(row.http_status == 499 || status.is_client_error() || status.is_server_error());
            assert_eq!(word(status) == "INTERNAL", matches!(row.http_status, 500 | 499), "{row:?}");
        }
    }
}
