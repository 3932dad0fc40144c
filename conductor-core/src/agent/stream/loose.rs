//! Reading fields that may be anything: another version of an agent moves and changes them, and one
//! odd field must not cost the rest of the line.

use super::peek::peek;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A text where there is one; anything else is nothing.
#[derive(Debug, Default)]
pub(super) struct Word<'a>(pub(super) Option<Cow<'a, str>>);

impl Word<'_> {
    /// The text; empty where there is none.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text, where it is not blank.
    pub(super) fn known(self) -> Option<String> {
        self.0.map(Cow::into_owned).filter(|text| !text.trim().is_empty())
    }

    /// Whether there is a text.
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word<'a>, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
                Ok(Word(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
                Ok(Word(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_unit<E>(self) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Word<'de>, E> {
                Ok(Word(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Word<'de>, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Word(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Word<'de>, A::Error> {
                while pairs.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Word(None))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The `type` of an object, mostly without reading it; `None` where it has none or is no object.
pub(super) fn kind_of<'a>(line: &'a str) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type", default)]
        kind: Word<'a>,
    }
    match peek(line.as_bytes(), &["type"]) {
        Some(kind) => std::str::from_utf8(kind).ok().map(Cow::Borrowed),
        None => serde_json::from_str::<Kind<'a>>(line).ok()?.kind.0,
    }
}

/// Reads a line as `T` and hands it on; whether it is one.
pub(super) fn with<'a, T: Deserialize<'a>>(line: &'a str, take: impl FnOnce(T)) -> bool {
    serde_json::from_str(line).map(take).is_ok()
}

/// Any value, not read yet.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// Reads a value as `T`; `None` where it is something else.
pub(super) fn read<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// Reads a count; one that is no whole number, or negative, is not known.
pub(super) fn count(raw: Raw<'_>) -> Option<u64> {
    read(raw)
}

/// A line as text. A byte that is no UTF-8 costs itself and not the line.
pub(super) fn utf8(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line)
}

/// The text that a value holds: a text, one in a field of an object that may hold it, or those of a
/// list, joined by line ends. Blanks around each are taken off; `None` where nothing is left.
pub(super) fn text_field(value: &Value, fields: &[&str]) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Object(object) => fields
            .iter()
            .find_map(|field| object.get(*field).and_then(|value| text_field(value, fields)))?,
        Value::Array(items) => {
            let texts: Vec<String> =
                items.iter().filter_map(|item| text_field(item, fields)).collect();
            texts.join("\n")
        }
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, default)]
        word: Word<'a>,
        #[serde(borrow)]
        raw: Raw<'a>,
    }

    #[test]
    fn an_odd_field_is_nothing_and_costs_no_other() {
        for odd in ["7", "-7", "7.5", "true", "null", "[1,[2]]", r#"{"a":{"b":1}}"#] {
            let text = format!(r#"{{"word":{odd},"raw":7}}"#);
            let line: Line<'_> = serde_json::from_str(&text).unwrap();
            assert!(!line.word.is_some(), "{odd}");
            assert_eq!(count(line.raw), Some(7));
        }
        let line: Line<'_> = serde_json::from_str(r#"{"word":"a\n","raw":-1}"#).unwrap();
        assert_eq!((line.word.as_str(), count(line.raw)), ("a\n", None));
    }

    #[test]
    fn a_text_is_found_wherever_it_may_stand() {
        const FIELDS: &[&str] = &["text", "content"];
        for (json, found) in [
            (r#"" a ""#, Some("a")),
            (r#"{"content":[{"text":"a"},{"text":" "},"b"]}"#, Some("a\nb")),
            (r#"{"other":"a"}"#, None),
            ("[]", None),
            ("7", None),
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(text_field(&value, FIELDS).as_deref(), found, "{json}");
        }
    }
}
