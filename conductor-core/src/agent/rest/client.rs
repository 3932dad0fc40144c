//! One request over HTTP, and why it failed, in words that hold no secret.

use super::call::RestLimits;
use super::retry::retry_after;
use crate::sys::{Os as _, RealOs};
use std::io::Read;
use std::time::Duration;
use ureq::tls::{RootCerts, TlsConfig};

/// How much of the body of a refusal is looked at, in bytes.
const REFUSAL: u64 = 8 << 10;

/// An answer whose head has come.
pub(super) struct Reply {
    /// Whether the body is a stream of events.
    pub(super) is_stream: bool,
    pub(super) body: Box<dyn Read>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct NoReply {
    /// The status; `None` where none came.
    pub(super) status: Option<u16>,
    /// The pause that the service asked for.
    pub(super) asked: Option<Duration>,
    /// In words, for a person. They may hold what the service said.
    pub(super) why: String,
    /// Whether a time limit was over.
    pub(super) timed_out: bool,
}

/// Posts `body` and waits for the head of the answer.
pub(super) fn post(
    url: &str,
    token: &str,
    body: &str,
    limits: &RestLimits,
    left: Option<Duration>,
) -> Result<Reply, NoReply> {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        // Another host must not get the token, and a POST that was moved is no POST any more.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(limits.connect))
        .timeout_recv_response(limits.first_byte)
        .timeout_per_read(limits.idle)
        .timeout_global(left)
        .user_agent(concat!("conductor/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build();
    let bearer = format!("Bearer {}", token);
    let answer = ureq::Agent::new_with_config(config)
        .post(url)
        .header("Authorization", &bearer)
        .header("Content-Type", "application/json")
        .header("Accept", "text/event-stream")
        .send(body);
    let answer = answer.map_err(|error| NoReply {
        status: None,
        asked: None,
        timed_out: matches!(error, ureq::Error::Timeout(_)),
        why: error.to_string(),
    })?;
    let (head, body) = answer.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let status = head.status.as_u16();
    if (200..300).contains(&status) {
        let kind = header("content-type").unwrap_or_default().trim().to_ascii_lowercase();
        let is_stream = kind.starts_with("text/event-stream");
        return Ok(Reply { is_stream, body: Box::new(body.into_reader()) });
    }
    let asked = header("retry-after").and_then(|value| retry_after(value, RealOs.now()));
    let mut said = Vec::new();
    // A refusal whose words do not come is a refusal all the same.
    let _no_words = body.into_reader().take(REFUSAL).read_to_end(&mut said);
    let said = super::answer::shortened(&String::from_utf8_lossy(&said));
    let why = match said.is_empty() {
        true => format!("status {status}"),
        false => format!("status {status}: {said}"),
    };
    Err(NoReply { status: Some(status), asked, why, timed_out: false })
}

/// Whether reading the body failed because a time limit was over.
pub(super) fn is_timeout(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    error.kind() == std::io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)))
}
