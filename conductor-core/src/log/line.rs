//! One event as a line that may be shown: bounded, with secrets masked.

use super::levels::{LogLevel, subsystem};
use super::redact::{is_secret, redacted};
use crate::time::Timestamp;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use tracing::Event;
use tracing::field::{Field, Visit};

/// The longest text of a line, in characters.
const LONGEST: usize = 2048;
/// What stands behind a text that was cut.
const CUT: &str = "...[TRUNCATED]";
/// The most fields of a line.
const MOST: usize = 64;
/// What is looked at of a text beyond the longest, so that a secret at the cut is still known for one.
const BEYOND: usize = 512;

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LogValue {
    /// A text, with secrets masked.
    Text(String),
    /// A whole number.
    Number(i128),
    /// A number with a fraction.
    Decimal(f64),
    /// True or false.
    Flag(bool),
}

impl fmt::Display for LogValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogValue::Text(text) => f.write_str(text),
            LogValue::Number(number) => number.fmt(f),
            LogValue::Decimal(number) => number.fmt(f),
            LogValue::Flag(flag) => flag.fmt(f),
        }
    }
}

/// An event that may be shown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogLine {
    /// When it happened.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The part that it comes from: `runner`, `messagebus`, `storage`, `webhook`, ...
    pub subsystem: String,
    /// What happened, as a stable word: `run_started`. Not every event has one.
    pub event: Option<String>,
    /// What happened, for a person.
    pub message: String,
    /// What belongs to it: name and value.
    pub fields: Vec<(String, LogValue)>,
}

impl LogLine {
    /// A line that no event tells of, as its writer's own; without fields.
    pub fn new(
        at: Timestamp,
        level: LogLevel,
        subsystem: &str,
        event: &str,
        text: &str,
    ) -> LogLine {
        LogLine {
            at,
            level,
            subsystem: subsystem.to_owned(),
            event: Some(event.to_owned()),
            message: text.to_owned(),
            fields: Vec::new(),
        }
    }

    /// The line of an event that happened now.
    pub fn of(event: &Event<'_>, now: Timestamp) -> LogLine {
        let metadata = event.metadata();
        // An event without a name has its place in the source for one.
        let name = Some(metadata.name()).filter(|name| !name.starts_with("event "));
        let mut line = LogLine {
            at: now,
            level: LogLevel::of(metadata.level()),
            subsystem: subsystem(metadata.target()).to_owned(),
            event: name.map(str::to_owned),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        // A message of one plain word is the name of what happened.
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if line.event.is_none() && is_name(&line.message) {
            line.event = Some(std::mem::take(&mut line.message));
        }
        line
    }

    /// The line as one JSON object.
    pub fn to_json(&self) -> String {
        let mut map = Map::new();
        map.insert("ts".into(), json!(self.at.to_string()));
        map.insert("level".into(), json!(self.level.as_str().to_ascii_uppercase()));
        map.insert("subsystem".into(), json!(self.subsystem));
        if let Some(event) = &self.event {
            map.insert("event".into(), json!(event));
        }
        if !self.message.is_empty() {
            map.insert("message".into(), json!(self.message));
        }
        for (name, value) in &self.fields {
            let value = match value {
                LogValue::Text(text) => json!(text),
                LogValue::Number(number) => match i64::try_from(*number) {
                    Ok(number) => json!(number),
                    Err(_) => u64::try_from(*number)
                        .map_or_else(|_| json!(number.to_string()), |n| json!(n)),
                },
                LogValue::Decimal(number) => json!(number),
                LogValue::Flag(flag) => json!(flag),
            };
            // What the line itself says is not said otherwise by a field.
            map.entry(name.clone()).or_insert(value);
        }
        Value::Object(map).to_string()
    }

    /// The line as pairs of names and values, as the older program writes it, without its date in front:
    /// `ts=2026-11-23T14:44:21.2Z level=INFO subsystem=runner event=run_started run_id=...`.
    pub fn to_pairs(&self) -> String {
        let mut text = format!(
            "ts={} level={} subsystem={}",
            self.at,
            self.level.as_str().to_ascii_uppercase(),
            quoted(&self.subsystem)
        );
        let mut pair = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _infallible = write!(text, " {}={}", key(name), quoted(value));
        };
        if let Some(event) = &self.event {
            pair("event", event);
        }
        if !self.message.is_empty() {
            pair("message", &self.message);
        }
        for (name, value) in &self.fields {
            pair(name, &value.to_string());
        }
        text
    }

    fn put(&mut self, field: &Field, value: LogValue) {
        match value {
            LogValue::Text(text) if field.name() == "message" => self.message = text,
            // Whoever emits it may know better where it belongs than its module does.
            LogValue::Text(text) if field.name() == "subsystem" => self.subsystem = text,
            LogValue::Text(text) if field.name() == "event" => self.event = Some(text),
            value if self.fields.len() < MOST => {
                self.fields.push((field.name().trim_start_matches("r#").to_owned(), value));
            }
            _ => {}
        }
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        let text = if is_secret(field.name()) { "[REDACTED]".to_owned() } else { safe(text) };
        self.put(field, LogValue::Text(text));
    }
}

/// Takes the fields of an event.
impl Visit for LogLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded(String::new());
        // It refuses what is beyond its bound.
        let _cut = write!(text, "{value:?}");
        self.put_text(field, &text.0);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, LogValue::Number(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, LogValue::Number(value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, LogValue::Decimal(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, LogValue::Flag(value));
    }
}

/// A text that takes no more than is looked at.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = (4 * (LONGEST + BEYOND)).saturating_sub(self.0.len());
        let end = (0..=left.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        self.0.push_str(&text[..end.unwrap_or(0)]);
        if text.len() > left { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The text with secrets masked, cut where it is long.
fn safe(text: &str) -> String {
    let looked_at = text.char_indices().nth(LONGEST + BEYOND).map_or(text, |(end, _)| &text[..end]);
    let safe = redacted(looked_at.trim());
    match safe.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}{CUT}", &safe[..end]),
        None if looked_at.len() < text.len() => format!("{safe}{CUT}"),
        None => safe.into_owned(),
    }
}

/// The name of a pair: lower case, and `_` for each run of other characters.
fn key(name: &str) -> String {
    let mut key = String::new();
    for c in name.chars() {
        match c.is_alphanumeric() {
            true => key.extend(c.to_lowercase()),
            false if !key.ends_with('_') => key.push('_'),
            false => {}
        }
    }
    key.trim_matches('_').to_owned()
}

/// The value of a pair: in quotes, with escapes, where it could be read otherwise.
fn quoted(value: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_whitespace() || c == '=' || c == '"' || is_hidden(c);
    if !value.is_empty() && !value.contains(odd) {
        return Cow::Borrowed(value);
    }
    let mut quoted = String::with_capacity(value.len() + 8);
    quoted.push('"');
    for c in value.chars() {
        // Writing to a String cannot fail.
        let _infallible = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            '\n' => write!(quoted, "\\n"),
            '\r' => write!(quoted, "\\r"),
            '\t' => write!(quoted, "\\t"),
            c if c.is_ascii_control() => write!(quoted, "\\x{:02x}", u32::from(c)),
            // All that is hidden has four digits.
            c if is_hidden(c) => write!(quoted, "\\u{:04x}", u32::from(c)),
            c => write!(quoted, "{c}"),
        };
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

/// The text on one line that a terminal does not obey: control characters, and those that make a line read
/// other than it is, as escapes.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_hidden(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, fields: &[(&str, LogValue)]) -> LogLine {
        LogLine {
            at: Timestamp::UNIX_EPOCH,
            level: LogLevel::Warn,
            subsystem: "runner".into(),
            event: Some("run_started".into()),
            message: message.into(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        }
    }

    #[test]
    fn pairs_are_those_of_the_older_program() {
        let text = |text: &str| LogValue::Text(text.into());
        let fields = [
            ("run_id", text("r-1")),
            ("empty", text("")),
            ("Odd Key!", text("a=b")),
            ("lines", text("a\nb\x1b[31m \"c\\")),
            ("turned", text("a\u{202e}\u{85}")),
            ("n", LogValue::Number(7)),
        ];
        assert_eq!(
            line("", &fields).to_pairs(),
            "ts=1970-01-01T00:00:00Z level=WARN subsystem=runner event=run_started run_id=r-1 empty=\"\" \
             odd_key=\"a=b\" lines=\"a\\nb\\x1b[31m \\\"c\\\\\" turned=\"a\\u202e\\u0085\" n=7"
        );
        assert!(line("two words", &[]).to_pairs().ends_with(" message=\"two words\""));
    }

    #[test]
    fn json_is_one_line_and_its_own_names_win() {
        let fields = [("level", LogValue::Text("no".into())), ("big", LogValue::Number(1 << 70))];
        let json = line("a\nb", &fields).to_json();
        assert_eq!(json.lines().count(), 1);
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&value["level"], &value["message"]), (&json!("WARN"), &json!("a\nb")));
        assert_eq!(value["big"], json!("1180591620717411303424"));
    }

    #[test]
    fn texts_are_masked_and_then_cut() {
        assert_eq!(safe(&"x".repeat(LONGEST)).len(), LONGEST);
        let long = safe(&"\u{e4}".repeat(LONGEST + 1));
        assert_eq!(long.chars().count(), LONGEST + CUT.len());
        // A key that the cut would make too short to be known.
        let edge = format!("{} sk-{}", "x".repeat(LONGEST - 8), "k".repeat(40));
        assert!(!safe(&edge).contains("sk-k"), "{}", safe(&edge));
        let mut bounded = Bounded(String::new());
        assert!(write!(bounded, "{}", "\u{e4}".repeat(100_000)).is_err());
        assert!(bounded.0.len() <= 4 * (LONGEST + BEYOND));
    }
}
