//! Values and ordered mappings.

use crate::time::Timestamp;

/// A value of a YAML document.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number too large for [`Value::Int`].
    Large(u64),
    /// Another number.
    Float(f64),
    /// Text, quoted where it would be read as something else.
    Text(String),
    /// A point in time, written plain. It reads back as text.
    Time(Timestamp),
    /// A list.
    List(Vec<Value>),
    /// A mapping.
    Map(Mapping),
}

impl Value {
    /// A point in time.
    pub fn timestamp(time: Timestamp) -> Value {
        Value::Time(time)
    }

    /// A list of texts.
    pub fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
        Value::List(texts.into_iter().map(Value::from).collect())
    }

    /// The text of a scalar that is not null.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Value::Null | Value::List(_) | Value::Map(_) => None,
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            Value::Large(value) => Some(value.to_string()),
            Value::Float(value) => Some(value.to_string()),
            Value::Text(value) => Some(value.clone()),
            Value::Time(value) => Some(value.to_string()),
        }
    }

    /// The texts of a list of scalars.
    pub fn as_text_list(&self) -> Option<Vec<String>> {
        match self {
            Value::List(items) => items.iter().map(Value::as_text).collect(),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        i64::try_from(number).map_or(Value::Large(number), Value::Int)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

/// Keys and values in the order of the document.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    pairs: Vec<(String, Value)>,
    /// The lines of the document that each pair was read from, as long as it is unchanged.
    source: Vec<Option<String>>,
}

impl PartialEq for Mapping {
    fn eq(&self, other: &Mapping) -> bool {
        self.pairs == other.pairs
    }
}

impl Mapping {
    /// A mapping of nothing.
    pub fn new() -> Mapping {
        Mapping::default()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// How many pairs it holds.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Gives `key` a value, in its place or at the end.
    pub fn insert(&mut self, key: &str, value: Value) {
        match self.pairs.iter().position(|(known, _)| known == key) {
            Some(index) => {
                self.pairs[index].1 = value;
                self.source[index] = None;
            }
            None => {
                self.pairs.push((key.to_owned(), value));
                self.source.push(None);
            }
        }
    }

    /// Adds a pair whose key is known to be a new one.
    pub fn push(&mut self, key: String, value: Value) {
        self.pairs.push((key, value));
        self.source.push(None);
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The text of a scalar under `key`.
    pub fn get_text(&self, key: &str) -> Option<String> {
        self.get(key)?.as_text()
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.pairs.iter().position(|(known, _)| known == key)?;
        self.source.remove(index);
        Some(self.pairs.remove(index).1)
    }

    /// Remembers the lines that each top-level pair was read from, so that an untouched one is
    /// written back to the letter, whatever its style.
    pub(super) fn keep_source(&mut self, text: &str) {
        let mut blocks: Vec<String> = Vec::new();
        for line in text.split_inclusive('\n') {
            let continues = line.starts_with([' ', '\t', '#', '-', '\n', '\r']);
            match blocks.last_mut() {
                Some(block) if continues => block.push_str(line),
                None if continues => return,
                _ => blocks.push(line.to_owned()),
            }
        }
        // A key in quotes, a document marker or the flow style: written anew, in our own style.
        let matches = blocks.len() == self.pairs.len()
            && blocks.iter().zip(&self.pairs).all(|(block, (key, _))| {
                block.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(':'))
            });
        if matches {
            self.source = blocks.into_iter().map(Some).collect();
        }
    }

    /// The untouched lines of the pair at `index`.
    pub(super) fn source_of(&self, index: usize) -> Option<&str> {
        self.source.get(index)?.as_deref()
    }

    /// Moves a pair of another mapping to the end, with the lines that it was read from.
    pub fn adopt(&mut self, from: &Mapping, key: &str) {
        let Some(index) = from.pairs.iter().position(|(known, _)| known == key) else { return };
        self.remove(key);
        self.pairs.push(from.pairs[index].clone());
        self.source.push(from.source[index].clone());
    }
}
