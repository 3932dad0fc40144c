//! Gemini CLI: `--output-format stream-json`, and what it says on stderr while it tries again.
//!
//! The answer is what the assistant said, in pieces (`delta`) or as a whole that grows. Gemini tries
//! again for many minutes when a quota is used up and says nothing of it on stdout, only on stderr:
//! `Attempt 3 failed: You exceeded your current quota ...`. Work that comes later takes that back.

use super::limit::Reset;
use super::lines::{Look, Sink};
use super::loose::{Raw, Word, count, kind_of, read, text_field, utf8, with};
use super::peek::{is_object, peek};
use super::text::{News, Text};
use super::{Facts, Failure, TurnEnd, Waits};
use crate::usage::{ErrorClass, Usage};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a text may stand in an object.
const TEXT_FIELDS: &[&str] = &["text", "content", "result", "message"];
/// The name that stands for a choice by the CLI.
const NO_MODEL: &str = "auto";
/// A shorter pause is between two tries of the CLI itself; a limit that ended the run lasts longer.
const SHORTEST_LIMIT: Duration = Duration::from_secs(60);

/// What is known of a session so far.
#[derive(Debug, Default)]
pub(super) struct Gemini {
    events: u64,
    session: Option<String>,
    model: Option<String>,
    result: Option<String>,
    said: Text,
    /// Whether something else came after what was said last.
    interrupted: bool,
    usage: Option<Usage>,
    ended_well: bool,
    failure: Option<Failure>,
    /// How the last turn ended, unless another one has begun.
    turn_end: Option<TurnEnd>,
    /// How often something came that shows it at work.
    moves: u64,
    /// Whether the last line did.
    at_work: bool,
}

#[derive(Deserialize)]
struct Init<'a> {
    #[serde(borrow, default)]
    session_id: Word<'a>,
    #[serde(borrow, default)]
    model: Word<'a>,
}

/// A piece of what the assistant says.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, default)]
    role: Word<'a>,
    #[serde(borrow)]
    content: Cow<'a, str>,
    delta: bool,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Word<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    message: Raw<'a>,
}

#[derive(Deserialize)]
struct Trouble<'a> {
    #[serde(borrow, default)]
    severity: Word<'a>,
    #[serde(borrow, default)]
    message: Word<'a>,
}

#[derive(Deserialize)]
struct End<'a> {
    #[serde(borrow, default)]
    session_id: Word<'a>,
    #[serde(borrow, default)]
    status: Word<'a>,
    #[serde(borrow)]
    result: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
    #[serde(borrow)]
    stats: Raw<'a>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(borrow, default)]
    role: Word<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
}

#[derive(Deserialize)]
struct Reason<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Word<'a>,
    #[serde(borrow, default)]
    message: Word<'a>,
}

#[derive(Deserialize)]
struct Stats<'a> {
    #[serde(borrow)]
    input_tokens: Raw<'a>,
    #[serde(borrow)]
    output_tokens: Raw<'a>,
    #[serde(borrow)]
    cached: Raw<'a>,
    #[serde(borrow)]
    models: Raw<'a>,
}

#[derive(Deserialize)]
struct ModelStats<'a> {
    #[serde(borrow)]
    total_tokens: Raw<'a>,
}

/// An error of the service, as the CLI quotes it in its message.
#[derive(Deserialize)]
struct Quoted<'a> {
    #[serde(borrow)]
    error: Option<QuotedError<'a>>,
}

#[derive(Deserialize)]
struct QuotedError<'a> {
    #[serde(borrow)]
    code: Raw<'a>,
    #[serde(borrow, default)]
    message: Word<'a>,
    #[serde(borrow, default)]
    status: Word<'a>,
}

impl Sink for Gemini {
    fn look(&mut self, start: &[u8]) -> Look {
        let kind = peek(start, &["type"]);
        self.at_work = false;
        if matches!(kind, Some(kind) if kind != b"result" && kind != b"error") {
            self.goes_on();
        }
        let wanted = match kind {
            None => is_object(start),
            Some(b"init" | b"assistant" | b"result" | b"error") => true,
            Some(b"message") => {
                matches!(peek(start, &["role"]), None | Some(b"" | b"assistant"))
            }
            Some(_) => false,
        };
        if wanted {
            return Look::Take;
        }
        // A tool was used, or a person said something.
        self.interrupted |= is_object(start);
        Look::Pass
    }

    fn take(&mut self, line: &[u8]) {
        let line = &*utf8(line);
        let read = match kind_of(line).as_deref() {
            Some("init") => with(line, |event: Init<'_>| {
                self.goes_on();
                self.session = event.session_id.known().or(self.session.take());
                self.model = event.model.known().or(self.model.take());
            }),
            Some("message" | "assistant") => match serde_json::from_str::<Piece<'_>>(line) {
                Ok(piece) if piece.delta => {
                    self.piece(piece);
                    true
                }
                _ => with(line, |event| self.message(event)),
            },
            Some("error") => with(line, |event: Trouble<'_>| {
                if event.severity.as_str() != "warning" {
                    self.failure = Some(failure_of("", event.message.as_str()));
                }
            }),
            Some("result") => with(line, |event| self.end(event)),
            _ => false,
        };
        self.events += u64::from(read);
    }
}

fn is_assistant(role: &Word<'_>) -> bool {
    matches!(role.as_str(), "" | "assistant")
}

impl Gemini {
    fn goes_on(&mut self) {
        self.turn_end = None;
        self.moves += 1;
        self.at_work = true;
    }

    /// A piece goes right behind the one before it, blanks and all.
    fn piece(&mut self, piece: Piece<'_>) {
        self.goes_on();
        if !is_assistant(&piece.role) {
            self.interrupted = true;
            return;
        }
        if std::mem::take(&mut self.interrupted) && !self.said.is_empty() {
            self.said.append("\n");
        }
        self.said.append(&piece.content);
    }

    fn message(&mut self, event: Message<'_>) {
        self.goes_on();
        if !is_assistant(&event.role) {
            self.interrupted = true;
            return;
        }
        let inner = read::<Inner<'_>>(event.message).filter(|inner| is_assistant(&inner.role));
        let places = [event.content, inner.and_then(|inner| inner.content)];
        let found = places.iter().find_map(|raw| text_field(&read::<Value>(*raw)?, TEXT_FIELDS));
        let Some(text) = found else { return };
        let another = std::mem::take(&mut self.interrupted) && !self.said.is_empty();
        match self.said.news(&text) {
            News::Nothing => {}
            News::All(text) if another => self.said.append_line(text),
            News::Rest(text) | News::All(text) => self.said.append(text),
        }
    }

    fn end(&mut self, event: End<'_>) {
        let result = read::<Value>(event.result);
        self.result =
            result.and_then(|value| text_field(&value, TEXT_FIELDS)).or(self.result.take());
        if let Some(stats) = read::<Stats<'_>>(event.stats) {
            self.usage = tokens(&stats).or(self.usage);
            self.model = busiest(stats.models).or(self.model.take());
        }
        self.ended_well = event.status.as_str() != "error";
        self.turn_end = Some(TurnEnd::of(self.ended_well));
        self.moves += u64::from(self.ended_well);
        self.at_work = self.ended_well;
        self.failure = match (self.ended_well, read::<Reason<'_>>(event.error)) {
            (true, _) => None,
            (false, Some(reason)) => {
                Some(failure_of(reason.kind.as_str(), reason.message.as_str()))
            }
            (false, None) => self.failure.or(Some(ErrorClass::Other.into())),
        };
        self.session = event.session_id.known().or(self.session.take());
    }

    pub(super) fn turn_end(&self) -> Option<TurnEnd> {
        self.turn_end
    }

    /// How often something came that shows it at work: at least once for each piece of it.
    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// Whether the last line showed it at work.
    pub(super) fn is_at_work(&self) -> bool {
        self.at_work
    }

    /// What it told of so far.
    pub(super) fn used(&self) -> Option<Usage> {
        self.usage
    }

    /// What is known in the end, with what stderr told.
    pub(super) fn finish(self, stderr: GeminiErrors) -> Facts {
        let told = stderr.failure.filter(|_| !self.ended_well);
        let failure = match (self.failure, told) {
            (Some(Failure { class: ErrorClass::Other, .. }) | None, Some(told)) => Some(told),
            (failure, _) => failure,
        };
        let text = self.result.map(Text::from).or_else(|| self.said.trimmed());
        let failure = failure.map(|failure| failure.after_work(text.is_some()));
        Facts {
            events: self.events,
            text,
            session_id: self.session,
            model: self.model.filter(|model| model != NO_MODEL),
            usage: self.usage,
            // Gemini names no price.
            cost_usd: None,
            failure,
            turn_end: self.turn_end,
        }
    }
}

/// Gemini counts what came from the cache among its input.
fn tokens(stats: &Stats<'_>) -> Option<Usage> {
    let cached = count(stats.cached).unwrap_or(0);
    Some(Usage {
        input_tokens: count(stats.input_tokens)?.saturating_sub(cached),
        output_tokens: count(stats.output_tokens)?,
        cache_read_tokens: cached,
        cache_creation_tokens: 0,
    })
}

/// The model that did most of the work.
fn busiest(models: Raw<'_>) -> Option<String> {
    let models: BTreeMap<String, ModelStats<'_>> = read(models)?;
    let busy = models.into_iter().map(|(name, model)| (count(model.total_tokens), name));
    busy.filter(|(tokens, _)| tokens.is_some_and(|tokens| tokens > 0)).max().map(|(_, name)| name)
}

/// The failure that an error's kind and message tell of.
fn failure_of(kind: &str, message: &str) -> Failure {
    let quoted = message.find('{').and_then(|at| {
        let mut values =
            serde_json::Deserializer::from_str(&message[at..]).into_iter::<Quoted<'_>>();
        values.next()?.ok()?.error
    });
    let class = quoted.as_ref().and_then(|error| {
        let code = count(error.code).and_then(ErrorClass::of_status);
        ErrorClass::of_both(code, || {
            words(error.status.as_str()).or_else(|| words(error.message.as_str()))
        })
    });
    let class = class.or_else(|| words(kind)).or_else(|| words(message));
    Failure { class: class.unwrap_or(ErrorClass::Other), reset: None }.with_reset(message)
}

impl Failure {
    fn with_reset(mut self, message: &str) -> Failure {
        let long = |reset: &Reset| !matches!(reset, Reset::In(pause) if *pause < SHORTEST_LIMIT);
        if self.class == ErrorClass::UsageLimit {
            self.reset = Reset::parse(message).filter(long);
        }
        self
    }
}

fn words(text: &str) -> Option<ErrorClass> {
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["quota", "resource_exhausted", "status 429", "rate limit"]) {
        Some(ErrorClass::UsageLimit)
    } else if has(&["api key not valid", "unauthenticated", "permission_denied", "authentication"])
    {
        Some(ErrorClass::BadCredentials)
    } else if has(&["unavailable", "overloaded", "status 5", "deadline_exceeded", "fetch failed"]) {
        Some(ErrorClass::Transient)
    } else {
        None
    }
}

/// What Gemini says on stderr between two tries.
#[derive(Debug, Default)]
pub(super) struct GeminiErrors {
    /// What kept it from its work, unless it went on since.
    failure: Option<Failure>,
    waits: Waits,
}

impl GeminiErrors {
    /// What it told of usage limits.
    pub(super) fn waits(&self) -> Waits {
        self.waits
    }

    /// Takes back what it told so far: a later try went well.
    pub(super) fn went_on(&mut self) {
        self.failure = None;
        self.waits.over = self.waits.told;
    }

    /// When the limit ends that it told of last.
    pub(super) fn reset(&self) -> Option<Reset> {
        self.failure?.reset
    }
}

/// How such a line begins.
const ATTEMPT: &[u8] = b"Attempt ";

impl Sink for GeminiErrors {
    fn look(&mut self, start: &[u8]) -> Look {
        if start.starts_with(ATTEMPT) { Look::Take } else { Look::Pass }
    }

    fn take(&mut self, line: &[u8]) {
        let text = utf8(&line[ATTEMPT.len()..]);
        let Some((number, rest)) = text.split_once(' ') else { return };
        let Some(why) = rest.strip_prefix("failed") else { return };
        if number.parse::<u32>().is_ok() {
            let class = words(why).unwrap_or(ErrorClass::Other);
            self.waits.told += u64::from(class == ErrorClass::UsageLimit);
            self.failure = Some(Failure { class, reset: None }.with_reset(why));
        }
    }
}
