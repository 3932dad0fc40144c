//! Where something stands in a document.
//!
//! Values carry no places: only an error, and who asks where a setting is from, need one. The document
//! is then read once more, up to the value in question.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// A place in a text; both numbers begin at 1 and count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of a byte of `text`.
    pub fn of_offset(text: &str, offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    pub(super) fn of_error(error: &serde_yaml::Error) -> Option<Place> {
        let location = error.location()?;
        Some(Place { line: location.line(), column: location.column() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list, counted from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Step {
        Step::Key(key.to_owned())
    }
}

/// Which part of a pair is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its key; of a list's item, the item.
    Key,
    /// Its value.
    Value,
}

/// Where `part` of what lies at the end of `path` stands; `None` where nothing lies there.
pub fn locate(text: &str, path: &[Step], part: Part) -> Option<Place> {
    let reached = Cell::new(false);
    let probe = Probe { path, part, reached: &reached };
    // A place is only told with an error, so the probe fails where it wants to know.
    let error = probe.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    if reached.get() { Place::of_error(&error) } else { None }
}

#[derive(Clone, Copy)]
struct Probe<'a> {
    path: &'a [Step],
    part: Part,
    reached: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            self.reached.set(true);
            deserializer.deserialize_any(Fail)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the path leads through")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), rest)) = self.path.split_first() else { return Ok(()) };
        let fail = rest.is_empty() && self.part == Part::Key;
        let reached = fail.then_some(self.reached);
        while let Some(found) = pairs.next_key_seed(KeyProbe { wanted, reached })? {
            if found {
                pairs.next_value_seed(Probe { path: rest, ..self })?;
            } else {
                pairs.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((Step::Index(wanted), rest)) = self.path.split_first() else { return Ok(()) };
        for _ in 0..*wanted {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        items.next_element_seed(Probe { path: rest, ..self })?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Fails at whatever it is shown.
struct Fail;

impl Visitor<'_> for Fail {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing: the place is reached")
    }
}

/// Tells whether a key is the wanted one, or fails at it.
struct KeyProbe<'a> {
    wanted: &'a str,
    reached: Option<&'a Cell<bool>>,
}

impl KeyProbe<'_> {
    fn look<E: serde::de::Error>(&self, key: &str) -> Result<bool, E> {
        match self.reached {
            Some(reached) if self.wanted == key => {
                reached.set(true);
                Err(E::custom("the key is reached"))
            }
            _ => Ok(self.wanted == key),
        }
    }
}

impl<'de> DeserializeSeed<'de> for KeyProbe<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeyProbe<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        self.look(key)
    }

    fn visit_bool<E: serde::de::Error>(self, key: bool) -> Result<bool, E> {
        self.look(&key.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, key: i64) -> Result<bool, E> {
        self.look(&key.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, key: u64) -> Result<bool, E> {
        self.look(&key.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, key: f64) -> Result<bool, E> {
        self.look(&key.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a comment
agents:
  claude: {type: claude, token: x}
  n\u{e4}me:
    command:
      - a
      - [b, c]
defaults:
  agent: 7
";

    fn place(path: &[Step], part: Part) -> Option<(usize, usize)> {
        locate(TEXT, path, part).map(|place| (place.line, place.column))
    }

    #[test]
    fn keys_and_values_are_found_where_they_stand() {
        let key = |names: &[&str]| names.iter().map(|name| Step::from(*name)).collect::<Vec<_>>();
        assert_eq!(place(&key(&["agents"]), Part::Key), Some((2, 1)));
        assert_eq!(place(&key(&["agents", "claude", "token"]), Part::Key), Some((3, 26)));
        assert_eq!(place(&key(&["agents", "claude", "token"]), Part::Value), Some((3, 33)));
        assert_eq!(place(&key(&["defaults", "agent"]), Part::Value), Some((9, 10)));
        let mut path = key(&["agents", "n\u{e4}me", "command"]);
        path.push(Step::Index(1));
        assert_eq!(place(&path, Part::Value), Some((7, 9)));
        path.push(Step::Index(1));
        assert_eq!(place(&path, Part::Key), Some((7, 13)));
    }

    #[test]
    fn what_is_not_there_has_no_place() {
        assert_eq!(place(&["gone".into()], Part::Key), None);
        assert_eq!(place(&["agents".into(), Step::Index(0)], Part::Key), None);
        let list = ["agents".into(), "n\u{e4}me".into(), "command".into(), Step::Index(2)];
        assert_eq!(place(&list, Part::Value), None);
    }

    #[test]
    fn places_of_bytes_count_characters() {
        let text = "a\n\u{e4}b";
        assert_eq!(Place::of_offset(text, 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of_offset(text, 4), Place { line: 2, column: 2 });
        assert_eq!(Place::of_offset(text, 99), Place { line: 2, column: 3 });
    }
}
