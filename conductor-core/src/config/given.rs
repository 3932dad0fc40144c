//! Values as their keys take them, and as they are kept and shown.

use super::secret::Secret;
use crate::time::format_duration;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A value as its key takes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    Flag(bool),
    Count(u64),
    Amount(f64),
    Duration(Duration),
    Text(String),
    Path(PathBuf),
    Secret(Secret),
    Texts(Vec<String>),
    Paths(Vec<PathBuf>),
    Counts(Vec<u64>),
    Variables(BTreeMap<String, Secret>),
}

impl Given {
    /// The value in one line, with secrets masked.
    pub(super) fn shown(&self) -> String {
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        match self {
            Given::Flag(flag) => flag.to_string(),
            Given::Count(number) => number.to_string(),
            Given::Amount(number) => number.to_string(),
            Given::Duration(length) => format_duration(*length),
            Given::Text(text) => text.clone(),
            Given::Path(path) => path.display().to_string(),
            Given::Secret(secret) => secret.to_string(),
            Given::Texts(texts) => list(texts.clone()),
            Given::Paths(paths) => list(paths.iter().map(|p| p.display().to_string()).collect()),
            Given::Counts(numbers) => list(numbers.iter().map(u64::to_string).collect()),
            Given::Variables(variables) => {
                list(variables.iter().map(|(name, value)| format!("{name}={value}")).collect())
            }
        }
    }

    /// The value as JSON, with secrets masked.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Given::Flag(flag) => json!(flag),
            Given::Count(number) => json!(number),
            Given::Amount(number) => json!(number),
            Given::Texts(texts) => json!(texts),
            Given::Paths(paths) => {
                json!(paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>())
            }
            Given::Counts(numbers) => json!(numbers),
            Given::Variables(variables) => variables
                .iter()
                .map(|(name, value)| (name.clone(), json!(value.to_string())))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => json!(other.shown()),
        }
    }
}

/// A Rust type that a key's value is kept as.
pub(super) trait Setting: Sized {
    /// From what was read; `None` if the key's kind does not fit the type, which a test excludes.
    fn take(given: Given) -> Option<Self>;
    /// Back to what was read.
    fn give(&self) -> Given;
}

macro_rules! setting {
    ($($type:ty, $pattern:ident;)*) => {
        $(impl Setting for $type {
            fn take(given: Given) -> Option<Self> {
                match given {
                    Given::$pattern(value) => value.try_into().ok(),
                    _ => None,
                }
            }

            #[allow(
                clippy::useless_conversion,
                clippy::clone_on_copy,
                reason = "some of the types need it"
            )]
            fn give(&self) -> Given {
                Given::$pattern(self.clone().into())
            }
        })*
    };
}

setting! {
    bool, Flag;
    u64, Count;
    u32, Count;
    u16, Count;
    f64, Amount;
    Duration, Duration;
    String, Text;
    PathBuf, Path;
    Secret, Secret;
    Vec<String>, Texts;
    Vec<PathBuf>, Paths;
    Vec<u64>, Counts;
    BTreeMap<String, Secret>, Variables;
}
