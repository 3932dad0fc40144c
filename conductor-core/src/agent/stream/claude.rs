//! Claude Code: `--output-format stream-json`.
//!
//! The answer is the `result` of the last `result` event that is no error; a session of several turns
//! has several. Where there is none it is what the assistant said, including the pieces of a message
//! that was cut off (`stream_event`). What a sub-agent said is not part of it.

use super::limit::Reset;
use super::lines::{Look, Sink};
use super::loose::{Raw, Word, count, kind_of, read, utf8, with};
use super::messages::Messages;
use super::peek::{is_object, peek};
use super::text::Text;
use super::{Facts, Failure};
use crate::usage::{ErrorClass, Usage};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The name that Claude Code gives to messages of its own making, in the place of a model's.
const NO_MODEL: &str = "<synthetic>";

/// What is known of a session so far.
#[derive(Debug, Default)]
pub(super) struct Claude {
    events: u64,
    session: Option<String>,
    /// The model that was asked for, and the one that answered.
    asked: Option<String>,
    answered: Option<String>,
    answer: Option<Text>,
    said: Text,
    /// A message that is not complete yet.
    partial: Text,
    last: Option<Ended>,
    /// What was asked of the service since.
    since: Messages,
    /// What stood in the way since something last went well.
    failure: Option<ErrorClass>,
    /// Requests are refused, until then where that is known.
    rejected: Option<Option<Reset>>,
}

/// What a `result` event says.
#[derive(Debug)]
struct Ended {
    failed: bool,
    status: Option<u64>,
    usage: Option<Usage>,
    cost: Option<f64>,
}

#[derive(Deserialize)]
struct System<'a> {
    #[serde(borrow, default)]
    subtype: Word<'a>,
    #[serde(borrow, default)]
    session_id: Word<'a>,
    #[serde(borrow, default)]
    model: Word<'a>,
    #[serde(borrow, default)]
    error: Word<'a>,
    #[serde(borrow)]
    error_status: Raw<'a>,
}

#[derive(Deserialize)]
struct Assistant<'a> {
    #[serde(borrow, default)]
    parent_tool_use_id: Word<'a>,
    #[serde(borrow, default)]
    error: Word<'a>,
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Word<'a>,
    #[serde(borrow, default)]
    model: Word<'a>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Word<'a>,
    #[serde(borrow, default)]
    text: Word<'a>,
}

#[derive(Deserialize)]
struct StreamEvent<'a> {
    #[serde(borrow, default)]
    parent_tool_use_id: Word<'a>,
    #[serde(borrow)]
    event: Partial<'a>,
}

#[derive(Deserialize)]
struct Partial<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Word<'a>,
    #[serde(borrow)]
    delta: Option<Block<'a>>,
}

#[derive(Deserialize)]
struct RateLimitEvent<'a> {
    #[serde(borrow)]
    rate_limit_info: RateLimit<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimit<'a> {
    #[serde(borrow, default)]
    status: Word<'a>,
    #[serde(borrow)]
    resets_at: Raw<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow, default)]
    subtype: Word<'a>,
    #[serde(borrow, default)]
    session_id: Word<'a>,
    #[serde(borrow, default)]
    result: Word<'a>,
    #[serde(borrow)]
    is_error: Raw<'a>,
    #[serde(borrow)]
    api_error_status: Raw<'a>,
    #[serde(borrow)]
    total_cost_usd: Raw<'a>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow, rename = "modelUsage")]
    model_usage: Raw<'a>,
}

/// Tokens as they stand in `usage`.
#[derive(Deserialize)]
struct Tokens<'a> {
    #[serde(borrow)]
    input_tokens: Raw<'a>,
    #[serde(borrow)]
    output_tokens: Raw<'a>,
    #[serde(borrow)]
    cache_read_input_tokens: Raw<'a>,
    #[serde(borrow)]
    cache_creation_input_tokens: Raw<'a>,
}

/// Tokens as they stand in `modelUsage`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelTokens<'a> {
    #[serde(borrow)]
    input_tokens: Raw<'a>,
    #[serde(borrow)]
    output_tokens: Raw<'a>,
    #[serde(borrow)]
    cache_read_input_tokens: Raw<'a>,
    #[serde(borrow)]
    cache_creation_input_tokens: Raw<'a>,
}

impl Sink for Claude {
    fn look(&mut self, start: &[u8]) -> Look {
        let wanted = match peek(start, &["type"]) {
            None => is_object(start),
            Some(b"assistant" | b"result" | b"rate_limit_event") => true,
            Some(b"system") => match peek(start, &["subtype"]) {
                None | Some(b"init" | b"api_retry") => true,
                Some(_) => false,
            },
            Some(b"stream_event") => match peek(start, &["event", "type"]) {
                None | Some(b"message_start") => true,
                Some(b"content_block_delta") => {
                    matches!(peek(start, &["event", "delta", "type"]), None | Some(b"text_delta"))
                }
                Some(_) => false,
            },
            Some(_) => false,
        };
        if wanted { Look::Take } else { Look::Pass }
    }

    fn take(&mut self, line: &[u8]) {
        let line = &*utf8(line);
        let read = match kind_of(line).as_deref() {
            Some("system") => with(line, |event| self.system(event)),
            Some("assistant") => with(line, |event| self.assistant(event)),
            Some("stream_event") => with(line, |event| self.partial(event)),
            Some("rate_limit_event") => with(line, |event| self.rate_limit(event)),
            Some("result") => with(line, |event| self.result(event)),
            _ => false,
        };
        self.events += u64::from(read);
    }
}

impl Claude {
    fn system(&mut self, event: System<'_>) {
        match event.subtype.as_str() {
            "init" => {
                self.session = event.session_id.known().or(self.session.take());
                self.asked = event.model.known().or(self.asked.take());
            }
            "api_retry" => {
                let status = count(event.error_status).and_then(ErrorClass::of_status);
                self.failure = status.or_else(|| class_of(event.error.as_str()));
            }
            _ => {}
        }
    }

    fn assistant(&mut self, event: Assistant<'_>) {
        let message = event.message;
        if let Some(used) = read(message.usage).and_then(used_by) {
            self.since.count(message.id.known(), used);
        }
        if event.parent_tool_use_id.is_some() {
            return;
        }
        for block in &message.content {
            let text = block.text.as_str();
            if block.kind.as_str() == "text" && !text.is_empty() {
                self.partial.clear();
                self.said.append_line(text);
            }
        }
        match event.error.0 {
            Some(error) => {
                self.failure = Some(class_of(&error).unwrap_or(ErrorClass::Other));
            }
            // The service answered.
            None => self.went_well(),
        }
        if message.model.as_str() != NO_MODEL {
            self.answered = message.model.known().or(self.answered.take());
        }
    }

    fn partial(&mut self, event: StreamEvent<'_>) {
        if event.parent_tool_use_id.is_some() {
            return;
        }
        let partial = event.event;
        match partial.kind.as_str() {
            "message_start" => self.partial.clear(),
            "content_block_delta" => {
                let delta = partial.delta.filter(|delta| delta.kind.as_str() == "text_delta");
                self.partial.append(delta.as_ref().map_or("", |delta| delta.text.as_str()));
            }
            _ => {}
        }
    }

    /// Only `rejected` refuses; `allowed_warning` and what it says of overage do not.
    fn rate_limit(&mut self, event: RateLimitEvent<'_>) {
        let limit = event.rate_limit_info;
        self.rejected = match limit.status.as_str() {
            "rejected" => Some(count(limit.resets_at).map(Reset::at_unix)),
            _ => None,
        };
    }

    fn result(&mut self, event: Outcome<'_>) {
        let failed =
            read(event.is_error).unwrap_or(false) || event.subtype.as_str().starts_with("error");
        if failed {
            self.failure = self.failure.or(Some(ErrorClass::Other));
        } else {
            self.went_well();
            let result = event.result.0.filter(|text| !text.is_empty());
            let said = std::mem::take(&mut self.said);
            let answer = result.map(|text| Text::from(text.into_owned()));
            self.answer =
                answer.or(Some(said).filter(|said| !said.is_empty())).or(self.answer.take());
        }
        let usage = tokens(event.model_usage, event.usage);
        let cost = read::<f64>(event.total_cost_usd).filter(|cost| {
            // Tokens at no price are tokens whose price is not known.
            cost.is_finite()
                && (*cost > 0.0 || *cost == 0.0 && usage.is_some_and(|u| u.total() == 0))
        });
        self.session = event.session_id.known().or(self.session.take());
        self.last = Some(Ended { failed, status: count(event.api_error_status), usage, cost });
        self.since = Messages::default();
    }

    fn went_well(&mut self) {
        self.failure = None;
        self.rejected = None;
    }

    pub(super) fn finish(mut self) -> Facts {
        if !self.partial.is_empty() {
            let partial = std::mem::take(&mut self.partial);
            self.said.append_line(partial.as_str());
        }
        let failure = self.why();
        let (usage, cost_usd) = self.used();
        Facts {
            events: self.events,
            text: self.answer.or(Some(self.said).filter(|said| !said.is_empty())),
            session_id: self.session,
            model: self.answered.or(self.asked),
            usage,
            cost_usd,
            failure,
        }
    }

    /// The tokens and the cost that are known: those of the last `result`, and the tokens of the messages
    /// since, whose cost is not told.
    pub(super) fn used(&self) -> (Option<Usage>, Option<f64>) {
        let last = self.last.as_ref();
        let usage = match (last.and_then(|last| last.usage), self.since.used()) {
            (Some(mut told), Some(since)) => {
                told.add(&since);
                Some(told)
            }
            (told, since) => told.or(since),
        };
        (usage, last.and_then(|last| last.cost))
    }

    fn why(&self) -> Option<Failure> {
        let status = match &self.last {
            Some(last) if !last.failed => return None,
            last => last.as_ref().and_then(|last| last.status).and_then(ErrorClass::of_status),
        };
        let class = status.or(self.failure.filter(|class| *class != ErrorClass::Other));
        match (class, self.rejected) {
            (None | Some(ErrorClass::UsageLimit), Some(reset)) => {
                Some(Failure { class: ErrorClass::UsageLimit, reset })
            }
            (class, _) => class.or(self.failure).map(Failure::from),
        }
    }
}

/// What the `error` of an event stands for.
fn class_of(word: &str) -> Option<ErrorClass> {
    match word {
        "rate_limit" | "billing_error" => Some(ErrorClass::UsageLimit),
        "authentication_failed" | "oauth_org_not_allowed" => Some(ErrorClass::BadCredentials),
        "server_error" | "overloaded" => Some(ErrorClass::Transient),
        _ => None,
    }
}

/// The tokens of all models of the session, else those that the main one used.
fn tokens(by_model: Raw<'_>, main: Raw<'_>) -> Option<Usage> {
    let by_model: BTreeMap<String, ModelTokens<'_>> = read(by_model).unwrap_or_default();
    let mut sum = Usage::default();
    for model in by_model.values() {
        sum.add(&Usage {
            input_tokens: count(model.input_tokens)?,
            output_tokens: count(model.output_tokens)?,
            cache_read_tokens: count(model.cache_read_input_tokens).unwrap_or(0),
            cache_creation_tokens: count(model.cache_creation_input_tokens).unwrap_or(0),
        });
    }
    if !by_model.is_empty() {
        return Some(sum);
    }
    used_by(read(main)?)
}

/// The tokens as `usage` has them.
fn used_by(tokens: Tokens<'_>) -> Option<Usage> {
    Some(Usage {
        input_tokens: count(tokens.input_tokens)?,
        output_tokens: count(tokens.output_tokens)?,
        cache_read_tokens: count(tokens.cache_read_input_tokens).unwrap_or(0),
        cache_creation_tokens: count(tokens.cache_creation_input_tokens).unwrap_or(0),
    })
}
