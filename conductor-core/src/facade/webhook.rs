//! The webhook as a receiver of events.

use crate::cancel::Wait;
use crate::config::Webhook;
use crate::http::Client;
use crate::limits;
use crate::outbox::{OutboxEvent, Receiver, sign};
use crate::sys::{Os as _, RealOs};

/// Posts events to the configured address.
pub(super) struct Caller<'a> {
    webhook: &'a Webhook,
    client: Client,
}

impl<'a> Caller<'a> {
    pub(super) fn of(webhook: &'a Webhook) -> Caller<'a> {
        Caller { webhook, client: Client::new() }
    }
}

impl Receiver for Caller<'_> {
    fn take(&mut self, event: &OutboxEvent, wait: &Wait) -> Result<(), String> {
        let Some(url) = &self.webhook.url else { return Err("no address".to_owned()) };
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Idempotency-Key", event.id.clone()),
            ("X-Conductor-Event", event.kind.as_str().to_owned()),
        ];
        if let Some(secret) = &self.webhook.secret {
            // The time of the call and not of the event: an old one must not look like a replay.
            headers.extend(sign(secret.reveal(), event.body.as_bytes(), RealOs.now()));
        }
        let limit = self.webhook.timeout.filter(|limit| !limit.is_zero());
        let limit = limit.unwrap_or(limits::WEBHOOK_CALL);
        let body = event.body.clone();
        let answer = self.client.post(url.reveal(), headers, body, limit, wait)?;
        match answer.is_success() {
            true => Ok(()),
            false => {
                Err(format!("it answered {} {}", answer.status, answer.reason).trim_end().into())
            }
        }
    }
}
