//! Codex: `codex exec --json`.
//!
//! The answer is everything that the agent said, a message to a line. Errors have no code, only a
//! message; it is Codex's own, not the agent's, and known by its fixed words.

use super::limit::Reset;
use super::lines::{Look, Sink};
use super::loose::{Raw, Word, count, kind_of, read, text_field, utf8, with};
use super::peek::{is_object, peek};
use super::text::{News, Text};
use super::{Facts, Failure};
use crate::usage::{ErrorClass, Usage};
use serde::Deserialize;
use serde_json::Value;

/// Where a text may stand in an object.
const TEXT_FIELDS: &[&str] = &["text", "content", "result", "message", "output", "output_text"];

/// What is known of a session so far.
#[derive(Debug, Default)]
pub(super) struct Codex {
    events: u64,
    session: Option<String>,
    said: Text,
    usage: Option<Usage>,
    failure: Option<Failure>,
}

#[derive(Deserialize)]
struct Started<'a> {
    #[serde(borrow, default)]
    thread_id: Word<'a>,
}

#[derive(Deserialize)]
struct ItemEvent<'a> {
    #[serde(borrow)]
    item: Item<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Word<'a>,
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    output_text: Raw<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    message: Raw<'a>,
}

#[derive(Deserialize)]
struct Completed<'a> {
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    result: Raw<'a>,
    #[serde(borrow)]
    output_text: Raw<'a>,
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    message: Raw<'a>,
}

#[derive(Deserialize)]
struct Failed<'a> {
    #[serde(borrow)]
    error: Reason<'a>,
}

#[derive(Deserialize)]
struct Tokens<'a> {
    #[serde(borrow)]
    input_tokens: Raw<'a>,
    #[serde(borrow)]
    cached_input_tokens: Raw<'a>,
    #[serde(borrow)]
    cache_write_input_tokens: Raw<'a>,
    #[serde(borrow)]
    output_tokens: Raw<'a>,
}

#[derive(Deserialize)]
struct Reason<'a> {
    #[serde(borrow, default)]
    message: Word<'a>,
}

impl Sink for Codex {
    fn look(&mut self, start: &[u8]) -> Look {
        let wanted = match peek(start, &["type"]) {
            None => is_object(start),
            Some(kind) if kind.starts_with(b"item.") => {
                matches!(
                    peek(start, &["item", "type"]),
                    None | Some(b"" | b"agent_message" | b"message")
                )
            }
            Some(kind) => matches!(
                kind,
                b"" | b"thread.started"
                    | b"turn.completed"
                    | b"turn.failed"
                    | b"error"
                    | b"result"
                    | b"response.completed"
                    | b"message"
            ),
        };
        if wanted { Look::Take } else { Look::Pass }
    }

    fn take(&mut self, line: &[u8]) {
        let line = &*utf8(line);
        let kind = kind_of(line);
        let kind = kind.as_deref().unwrap_or_default();
        let read = match kind {
            "thread.started" => with(line, |event: Started<'_>| {
                self.session = event.thread_id.known().or(self.session.take());
            }),
            "turn.failed" => {
                with(line, |event: Failed<'_>| self.fail(event.error.message.as_str()))
            }
            "error" => with(line, |event: Reason<'_>| self.fail(event.message.as_str())),
            "turn.completed" | "result" | "response.completed" | "message" => {
                with(line, |event| self.complete(kind, event))
            }
            _ => with(line, |event: ItemEvent<'_>| self.item(event.item)),
        };
        self.events += u64::from(read);
    }
}

impl Codex {
    fn item(&mut self, item: Item<'_>) {
        if matches!(item.kind.as_str(), "" | "agent_message" | "message") {
            self.say(&[item.text, item.output_text, item.content, item.message]);
        }
    }

    fn complete(&mut self, kind: &str, event: Completed<'_>) {
        self.say(&[event.result, event.output_text, event.text, event.content, event.message]);
        if kind == "turn.completed" {
            // Also what was only retried is over.
            self.failure = None;
            self.usage = read::<Tokens<'_>>(event.usage).as_ref().and_then(tokens).or(self.usage);
        }
    }

    /// Adds the first of these that holds a text; messages are told again while they grow.
    fn say(&mut self, places: &[Raw<'_>]) {
        let found = places.iter().find_map(|raw| text_field(&read::<Value>(*raw)?, TEXT_FIELDS));
        let Some(text) = found else { return };
        match self.said.news(&text) {
            News::Nothing => {}
            News::Rest(rest) => self.said.append(rest),
            News::All(text) => self.said.append_line(text),
        }
    }

    fn fail(&mut self, message: &str) {
        let class = class_of(message);
        let reset =
            Some(message).filter(|_| class == ErrorClass::UsageLimit).and_then(Reset::parse);
        self.failure = Some(Failure { class, reset });
    }

    pub(super) fn used(&self) -> Option<Usage> {
        self.usage
    }

    pub(super) fn finish(self) -> Facts {
        Facts {
            events: self.events,
            text: self.said.trimmed(),
            session_id: self.session,
            // Codex names neither its model nor a price.
            model: None,
            usage: self.usage,
            cost_usd: None,
            failure: self.failure,
        }
    }
}

/// Codex counts what came from the cache among its input.
fn tokens(tokens: &Tokens<'_>) -> Option<Usage> {
    let cached = count(tokens.cached_input_tokens).unwrap_or(0);
    let written = count(tokens.cache_write_input_tokens).unwrap_or(0);
    Some(Usage {
        input_tokens: count(tokens.input_tokens)?.saturating_sub(cached.saturating_add(written)),
        output_tokens: count(tokens.output_tokens)?,
        cache_read_tokens: cached,
        cache_creation_tokens: written,
    })
}

fn class_of(message: &str) -> ErrorClass {
    let lower = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let status = ["unexpected status ", "last status: "].iter().find_map(|words| {
        let rest = &lower[lower.find(words)? + words.len()..];
        rest.get(..3)?.parse().ok()
    });
    if let Some(class) = status.and_then(ErrorClass::of_status) {
        class
    } else if has(&["usage limit", "quota exceeded", "out of credits"]) {
        ErrorClass::UsageLimit
    } else if has(&["access token", "refresh token", "not logged in", "incorrect api key"]) {
        ErrorClass::BadCredentials
    } else if has(&[
        "stream disconnected",
        "high demand",
        "at capacity",
        "overloaded",
        "reconnecting",
        "error sending request",
        "timed out",
    ]) {
        ErrorClass::Transient
    } else {
        ErrorClass::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_class() {
        for (message, class) in [
            ("You\u{2019}ve hit your usage limit. Try again later.", ErrorClass::UsageLimit),
            ("exceeded retry limit, last status: 429 Too Many Requests", ErrorClass::UsageLimit),
            ("unexpected status 401 Unauthorized: x", ErrorClass::BadCredentials),
            ("unexpected status 503 Service Unavailable: x", ErrorClass::Transient),
            ("unexpected status 400 Bad Request: x", ErrorClass::Other),
            ("Your access token could not be refreshed", ErrorClass::BadCredentials),
            ("stream disconnected before completion: x", ErrorClass::Transient),
            ("unexpected status ", ErrorClass::Other),
            ("", ErrorClass::Other),
        ] {
            assert_eq!(class_of(message), class, "{message}");
        }
    }
}
