//! From a text to a value, within bounds.

use super::locate::Place;
use super::value::{Mapping, Value};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The most brackets that may be open at once.
const DEEPEST: usize = 256;
/// Pairs of a mapping from which on its keys are looked up in a set.
const MANY: usize = 32;

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub why: Why,
    /// Where, if it stands somewhere.
    pub place: Option<Place>,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is no YAML, in the words of the library.
    Syntax(String),
    /// It nests too deeply.
    Deep,
    /// A key stands twice in a mapping.
    Twice(String),
    /// A key is no text.
    Key,
    /// A tag.
    Tag,
    /// Its aliases repeat more than the document itself holds.
    Aliases,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Syntax(message) => f.write_str(message),
            Why::Deep => f.write_str("it nests too deeply"),
            Why::Twice(key) => write!(f, "the key {key:?} stands twice"),
            Why::Key => f.write_str("a key is not text"),
            Why::Tag => f.write_str("tags are not understood"),
            Why::Aliases => f.write_str("its aliases repeat too much"),
        }
    }
}

/// Reads a document; an empty one, and one of comments only, is [`Value::Null`].
///
/// What is built is never much larger than `text`: aliases that would make it so are refused.
///
/// # Errors
/// A [`Fault`].
pub fn read(text: &str) -> Result<Value, Fault> {
    if nests_too_deeply(text) {
        return Err(Fault { why: Why::Deep, place: None });
    }
    let mut bounds = Bounds { nodes: 2 * text.len() + 8, bytes: 2 * text.len() + 8, why: None };
    let deserializer = serde_yaml::Deserializer::from_str(text);
    ValueSeed(&mut bounds).deserialize(deserializer).map_err(|error| {
        let place = Place::of_error(&error);
        let why = bounds.why.take().unwrap_or_else(|| Why::Syntax(message(&error, place)));
        Fault { why, place }
    })
}

/// The library's message without the place that it ends with.
fn message(error: &serde_yaml::Error, place: Option<Place>) -> String {
    let text = error.to_string();
    let Some(place) = place else { return text };
    text.replacen(&format!(" at line {} column {}", place.line, place.column), "", 1)
}

/// What a document without aliases cannot exceed, and the fault that was found.
struct Bounds {
    nodes: usize,
    bytes: usize,
    why: Option<Why>,
}

impl Bounds {
    fn take<E: serde::de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        match (self.nodes.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(nodes), Some(bytes)) => {
                (self.nodes, self.bytes) = (nodes, bytes);
                Ok(())
            }
            _ => Err(self.fail(Why::Aliases)),
        }
    }

    /// The library puts the place into the error that passes through it; the reason stays here.
    fn fail<E: serde::de::Error>(&mut self, why: Why) -> E {
        let error = E::custom(&why);
        self.why = Some(why);
        error
    }
}

struct ValueSeed<'a>(&'a mut Bounds);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.0.take(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.0.take(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.take(0)?;
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.take(0)?;
        Ok(Value::from(value))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.0.take(0)?;
        Ok(Value::Float(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.take(value.len())?;
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _tagged: A) -> Result<Value, A::Error> {
        Err(self.0.fail(Why::Tag))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.take(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(ValueSeed(self.0))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        self.0.take(0)?;
        let (mut map, mut seen) = (Mapping::new(), HashSet::new());
        while let Some(key) =
            pairs.next_key_seed(KeySeed { bounds: self.0, map: &map, seen: &seen })?
        {
            let value = pairs.next_value_seed(ValueSeed(self.0))?;
            if map.len() == MANY {
                seen.extend(map.iter().map(|(key, _)| key.to_owned()));
            }
            if map.len() >= MANY {
                seen.insert(key.clone());
            }
            map.push(key, value);
        }
        Ok(Value::Map(map))
    }
}

/// Reads a key, and fails at one that the mapping has already.
struct KeySeed<'a> {
    bounds: &'a mut Bounds,
    map: &'a Mapping,
    /// The keys of a large mapping.
    seen: &'a HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl KeySeed<'_> {
    fn key<E: serde::de::Error>(self, key: String) -> Result<String, E> {
        self.bounds.take(key.len())?;
        let known = match self.seen.is_empty() {
            true => self.map.get(&key).is_some(),
            false => self.seen.contains(&key),
        };
        if known { Err(self.bounds.fail(Why::Twice(key))) } else { Ok(key) }
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        self.key(key.to_owned())
    }

    fn visit_bool<E: serde::de::Error>(self, key: bool) -> Result<String, E> {
        self.key(key.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, key: i64) -> Result<String, E> {
        self.key(key.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, key: u64) -> Result<String, E> {
        self.key(key.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, key: f64) -> Result<String, E> {
        self.key(key.to_string())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<String, E> {
        Err(self.bounds.fail(Why::Key))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _tagged: A) -> Result<String, A::Error> {
        Err(self.bounds.fail(Why::Tag))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _items: A) -> Result<String, A::Error> {
        Err(self.bounds.fail(Why::Key))
    }

    fn visit_map<A: MapAccess<'de>>(self, _pairs: A) -> Result<String, A::Error> {
        Err(self.bounds.fail(Why::Key))
    }
}

/// Whether brackets nest so deeply that the library would take a time that grows with the square of
/// the depth. Blocks of text are left out; they may hold anything.
fn nests_too_deeply(text: &str) -> bool {
    let mut depth = 0usize;
    let mut block: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if block.is_some_and(|outer| indent > outer || line.trim().is_empty()) {
            continue;
        }
        let header = line.trim_end().trim_end_matches(['+', '-']);
        block = header.ends_with(['|', '>']).then_some(indent);
        for byte in line.bytes() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (Why, Option<(usize, usize)>) {
        let Fault { why, place } = read(text).unwrap_err();
        (why, place.map(|place| (place.line, place.column)))
    }

    #[test]
    fn a_fault_says_what_and_where() {
        let twice = Why::Twice("b".into());
        assert_eq!(fault("a:\n  b: 1\n  c: 2\n  b: 3\n"), (twice, Some((4, 3))));
        assert_eq!(fault("a: 1\n[b]: 2\n"), (Why::Key, Some((2, 1))));
        assert_eq!(fault("a: 1\nb: !x 2\n"), (Why::Tag, Some((2, 4))));
        let (why, place) = fault("a: 1\nb: c: d\n");
        assert_eq!(place, Some((2, 5)));
        assert_eq!(why.to_string(), "mapping values are not allowed in this context");
    }

    #[test]
    fn large_mappings_notice_a_second_key_too() {
        let mut text: String = (0..100).map(|n| format!("k{n}: {n}\n")).collect();
        assert!(read(&text).is_ok());
        text.push_str("k77: 1\n");
        assert_eq!(fault(&text), (Why::Twice("k77".into()), Some((101, 1))));
    }

    #[test]
    fn aliases_may_repeat_a_little_and_never_much() {
        let Value::Map(map) = read("a: &x {b: 1}\nc: *x\n").unwrap() else { panic!() };
        assert_eq!(map.get("a"), map.get("c"));
        let long = "x".repeat(1000);
        let text = format!("a: &x {long}\nb: [{}]\n", vec!["*x"; 100].join(", "));
        assert_eq!(fault(&text).0, Why::Aliases);
    }

    #[test]
    fn a_document_of_nothing_is_null() {
        for text in ["", "\n", "# nothing\n", "---\n"] {
            assert_eq!(read(text), Ok(Value::Null), "{text:?}");
        }
    }
}
