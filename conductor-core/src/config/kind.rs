//! What a key takes, in words for people and as a JSON Schema.

use serde_json::json;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// True or false.
    Flag,
    /// A whole number.
    Count { min: u64, max: u64 },
    /// A number that is not negative.
    Amount,
    /// A length of time, with units.
    Duration,
    /// A number of bytes, or text with a unit.
    Size,
    /// Text.
    Text,
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// An address that begins with `http://` or `https://`.
    Url,
    /// A path; a relative one belongs to the folder of the file that names it.
    Path,
    /// Text that is never shown.
    Secret,
    /// An address that is never shown: whoever knows it may use it.
    SecretUrl,
    /// A list of texts.
    Texts,
    /// A list of these words.
    Words(&'static [&'static str]),
    /// A list of paths.
    Paths,
    /// A list of whole numbers above 0.
    Counts,
    /// A program and its arguments.
    Command,
    /// Names and values of variables; the values are never shown.
    Variables,
}

impl Kind {
    /// What is wanted, in a few words.
    pub(super) fn wanted(self) -> String {
        match self {
            Kind::Flag => "true or false".to_owned(),
            Kind::Count { min, max: u64::MAX } => format!("a whole number, {min} or more"),
            Kind::Count { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Amount => "a number, 0 or more".to_owned(),
            Kind::Duration => "a length of time (30s, 1h30m)".to_owned(),
            Kind::Size => "a size (10MB, 512KB)".to_owned(),
            Kind::Text => "text".to_owned(),
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Url => "an address (http://... or https://...)".to_owned(),
            Kind::Path => "a path".to_owned(),
            Kind::Secret => "text".to_owned(),
            Kind::SecretUrl => Kind::Url.wanted(),
            Kind::Texts => "a list of texts".to_owned(),
            Kind::Words(words) => format!("a list of words out of {}", words.join(", ")),
            Kind::Paths => "a list of paths".to_owned(),
            Kind::Counts => "a list of whole numbers above 0".to_owned(),
            Kind::Command => "a list of the program and its arguments".to_owned(),
            Kind::Variables => "names with a text each".to_owned(),
        }
    }

    /// Whether its values are never shown.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Kind::Secret | Kind::SecretUrl | Kind::Variables)
    }

    /// What an item of a list is, for what is said of a wrong one.
    pub(super) fn of_items(self) -> Kind {
        match self {
            Kind::Words(words) => Kind::Word(words),
            Kind::Paths => Kind::Path,
            Kind::Counts => Kind::Count { min: 1, max: u64::MAX },
            _ => Kind::Text,
        }
    }

    /// The JSON Schema of its values.
    pub(super) fn schema(self) -> serde_json::Value {
        match self {
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Count { min, max: u64::MAX } => json!({"type": "integer", "minimum": min}),
            Kind::Count { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Kind::Amount => json!({"type": "number", "minimum": 0}),
            Kind::Duration => {
                json!({"type": ["string", "integer"], "pattern": DURATION_PATTERN, "maximum": 0, "minimum": 0})
            }
            Kind::Size => {
                json!({"type": ["string", "integer"], "pattern": SIZE_PATTERN, "minimum": 0})
            }
            Kind::Text | Kind::Path | Kind::Secret => json!({"type": "string"}),
            Kind::Word(words) => json!({"type": "string", "enum": words}),
            Kind::Url | Kind::SecretUrl => json!({"type": "string", "pattern": "^https?://"}),
            Kind::Texts | Kind::Paths => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Words(_) | Kind::Counts => {
                json!({"type": "array", "items": self.of_items().schema()})
            }
            Kind::Command => json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            Kind::Variables => json!({
                "type": "object",
                "propertyNames": {"pattern": "^(?!JRUN_|CONDUCTOR_ROOT$)[^=]+$"},
                "additionalProperties": {"type": ["string", "null"]},
            }),
        }
    }
}

const DURATION_PATTERN: &str = r"^(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|ms|s|m|h))+$";
const SIZE_PATTERN: &str = r"^[0-9]+(\.[0-9]+)? ?([kKmMgGtT]([iI]?[bB])?|[bB])?$";
