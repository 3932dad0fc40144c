//! What a server answered.

use conductor_core::{Error, ErrorKind, KINDS, Result};
use serde_json::Value;

/// An answer of a server.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    pub(super) fn new(status: u16, text: String) -> Answer {
        Answer { status, text }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as it came, without the line feed at its end.
    pub(crate) fn text(&self) -> &str {
        self.text.trim_end_matches('\n')
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `server.not_conductor` for an answer of something else.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).map_err(|source| {
            Error::new(
                ErrorKind::Io,
                "server.not_conductor",
                "what answers there is no server of conductor",
            )
            .with_source(source)
            .with_hint("name the server with --server")
        })
    }

    /// The error that an answer tells which is no success, with the kind that belongs to its status.
    pub(super) fn refusal(&self) -> Error {
        let told: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let error = &told["error"];
        let words = error["message"].as_str().or(told["message"].as_str());
        let words = words.unwrap_or(self.text()).to_owned();
        let kind = match self.status {
            _ if error["details"]["code"] == "update.in_progress" => ErrorKind::UpdateInProgress,
            401 => ErrorKind::PermissionDenied,
            409 => ErrorKind::Conflict,
            429 => ErrorKind::Busy,
            503 => ErrorKind::Busy,
            status => KINDS
                .iter()
                .find(|row| row.http_status == status)
                .map_or(ErrorKind::Io, |row| row.kind),
        };
        let message = format!("server returned {}: {words}", self.status);
        let refusal = Error::new(kind, "server.refused", message);
        match (error["details"]["hint"].as_str(), self.status) {
            (Some(hint), _) => refusal.with_hint(hint),
            (None, 401) => refusal.with_hint(
                "the token stands in .conductor/server.token of the root that is served: name the root \
                 with --root, or the token with --api-key",
            ),
            (None, _) => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_kind_of_its_status_and_the_servers_words() {
        let text = r#"{"error":{"code":"NOT_FOUND","message":"there is no task x","details":{"hint":"look"}}}"#;
        let error = Answer::new(404, text.to_owned()).refusal();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), "server returned 404: there is no task x");
        assert_eq!(error.hint(), "look");
        let drains = r#"{"error":{"message":"x","details":{"code":"update.in_progress"}}}"#;
        let error = Answer::new(409, drains.to_owned()).refusal();
        assert_eq!(error.kind(), ErrorKind::UpdateInProgress);
        let wrong = r#"{"error":"unauthorized","message":"valid API key required"}"#;
        let error = Answer::new(401, wrong.to_owned()).refusal();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.to_string(), "server returned 401: valid API key required");
        let error = Answer::new(502, "bad gateway\n".to_owned()).refusal();
        assert_eq!(error.to_string(), "server returned 502: bad gateway");
    }
}
