//! What a key takes: how it is read, what is said when something else stands there, how it is shown.

use super::secret::Secret;
use crate::time::{format_duration, parse_duration};
use crate::yaml::{Mapping, Step, Value};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

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

/// Why a value is not taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wrong {
    /// The way from the key's value to what is wrong; empty for the value itself.
    pub(super) at: Vec<Step>,
    /// What stands there.
    pub(super) found: String,
    /// What is wanted.
    pub(super) wanted: String,
    /// Whether it is of another type, rather than out of range.
    pub(super) is_type: bool,
    /// The way out, where there is one that the wanted does not say.
    pub(super) hint: Option<String>,
}

/// What relative paths and `~` stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bases<'a> {
    /// The folder of the file.
    pub(super) folder: &'a Path,
    /// The user's home.
    pub(super) home: Option<&'a Path>,
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

    /// Reads a value; `None` where nothing is said: null, or a blank text.
    pub(super) fn read(self, value: &Value, bases: Bases<'_>) -> Result<Option<Given>, Wrong> {
        let blank = matches!(value, Value::Text(text) if text.trim().is_empty());
        if *value == Value::Null || blank {
            return Ok(None);
        }
        self.read_said(value, bases).map(Some)
    }

    fn read_said(self, value: &Value, bases: Bases<'_>) -> Result<Given, Wrong> {
        let given = match self {
            Kind::Flag => match value {
                Value::Bool(flag) => Given::Flag(*flag),
                _ => return Err(self.wrong_type(value)),
            },
            Kind::Count { min, max } => Given::Count(self.count(value, min, max)?),
            Kind::Amount => match value {
                Value::Int(number) if *number >= 0 => Given::Amount(*number as f64),
                Value::Large(number) => Given::Amount(*number as f64),
                Value::Float(number) if number.is_finite() && *number >= 0.0 => {
                    Given::Amount(*number)
                }
                Value::Int(_) | Value::Float(_) => return Err(self.out_of_range(value)),
                _ => return Err(self.wrong_type(value)),
            },
            Kind::Duration => match (value, parse_duration(&self.text_or_zero(value)?)) {
                (_, Ok(length)) => Given::Duration(length),
                (_, Err(_)) => return Err(self.out_of_range(value)),
            },
            Kind::Size => Given::Count(self.size(value)?),
            Kind::Text => Given::Text(self.text(value)?.to_owned()),
            Kind::Word(words) => Given::Text(self.word(value, words)?),
            Kind::Url => Given::Text(self.url(value)?),
            Kind::Path => Given::Path(self.path(value, bases)?),
            Kind::Secret => Given::Secret(Secret::new(self.text(value)?.trim())),
            Kind::SecretUrl => Given::Secret(Secret::new(self.url(value)?)),
            Kind::Texts => {
                Given::Texts(self.each(value, |kind, item| kind.text(item).map(str::to_owned))?)
            }
            Kind::Words(words) => {
                Given::Texts(self.each(value, |kind, item| kind.word(item, words))?)
            }
            Kind::Paths => Given::Paths(self.each(value, |kind, item| kind.path(item, bases))?),
            Kind::Counts => {
                Given::Counts(self.each(value, |kind, item| kind.count(item, 1, u64::MAX))?)
            }
            Kind::Command => Given::Texts(self.command(value, bases)?),
            Kind::Variables => Given::Variables(self.variables(value)?),
        };
        Ok(given)
    }

    fn wrong(self, found: String, is_type: bool) -> Wrong {
        Wrong { at: Vec::new(), found, wanted: self.wanted(), is_type, hint: None }
    }

    fn wrong_type(self, value: &Value) -> Wrong {
        // What was meant as a secret is not repeated, whatever its type.
        let found = if self.is_secret() { kind_of(value).to_owned() } else { described(value) };
        let mut wrong = self.wrong(found, true);
        let scalar =
            matches!(value, Value::Bool(_) | Value::Int(_) | Value::Large(_) | Value::Float(_));
        wrong.hint = match self {
            Kind::Command if matches!(value, Value::Text(_)) => {
                Some("write each argument as an item: [\"program\", \"--flag\"]".to_owned())
            }
            Kind::Text | Kind::Secret | Kind::Texts | Kind::Variables if scalar => {
                Some("put it in quotes".to_owned())
            }
            Kind::Flag if matches!(value, Value::Text(_)) => {
                Some("write true or false, without quotes".to_owned())
            }
            _ => None,
        };
        wrong
    }

    fn out_of_range(self, value: &Value) -> Wrong {
        let found = if self.is_secret() { "this value".to_owned() } else { shortened(value) };
        self.wrong(found, false)
    }

    fn text(self, value: &Value) -> Result<&str, Wrong> {
        match value {
            Value::Text(text) if text.contains('\0') => {
                Err(self.wrong("text with a NUL character".to_owned(), false))
            }
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong_type(value)),
        }
    }

    /// The text, or the number zero, which needs no unit.
    fn text_or_zero(self, value: &Value) -> Result<String, Wrong> {
        match value {
            Value::Int(0) => Ok("0".to_owned()),
            Value::Int(number) if *number > 0 => Err(Wrong {
                hint: Some(format!("write it with its unit: \"{number}s\"")),
                ..self.wrong_type(value)
            }),
            _ => self.text(value).map(|text| text.trim().to_owned()),
        }
    }

    fn count(self, value: &Value, min: u64, max: u64) -> Result<u64, Wrong> {
        let number = match value {
            Value::Int(number) => u64::try_from(*number).map_err(|_| self.out_of_range(value))?,
            Value::Large(number) => *number,
            Value::Float(_) => return Err(self.out_of_range(value)),
            _ => return Err(self.wrong_type(value)),
        };
        if (min..=max).contains(&number) { Ok(number) } else { Err(self.out_of_range(value)) }
    }

    fn size(self, value: &Value) -> Result<u64, Wrong> {
        match value {
            Value::Int(_) | Value::Large(_) | Value::Float(_) => self.count(value, 0, u64::MAX),
            _ => parse_size(self.text(value)?).ok_or_else(|| self.out_of_range(value)),
        }
    }

    fn word(self, value: &Value, words: &[&str]) -> Result<String, Wrong> {
        let word = self.text(value)?.trim().to_ascii_lowercase();
        if words.contains(&word.as_str()) {
            return Ok(word);
        }
        let near = crate::nearest::nearest(&word, words.iter().copied());
        let hint = near.map(|near| format!("did you mean {near:?}?"));
        Err(Wrong { hint, ..self.out_of_range(value) })
    }

    fn url(self, value: &Value) -> Result<String, Wrong> {
        let url = self.text(value)?.trim();
        let lower = url.to_ascii_lowercase();
        let rest = ["http://", "https://"].iter().find_map(|scheme| lower.strip_prefix(scheme));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        let blank = url.contains(|c: char| c.is_whitespace() || c.is_control());
        match host {
            Some(host) if !host.is_empty() && !blank => Ok(url.to_owned()),
            _ => Err(self.out_of_range(value)),
        }
    }

    fn path(self, value: &Value, bases: Bases<'_>) -> Result<PathBuf, Wrong> {
        let text = self.text(value)?.trim();
        if text.is_empty() {
            return Err(self.out_of_range(value));
        }
        let path = match text.strip_prefix('~') {
            None => bases.folder.join(text),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => match bases.home {
                Some(home) => home.join(rest.trim_start_matches('/')),
                None => {
                    let hint = Some("there is no home folder; write the whole path".to_owned());
                    return Err(Wrong { hint, ..self.out_of_range(value) });
                }
            },
            Some(_) => {
                let hint =
                    Some("only your own home can be written as ~; write the path".to_owned());
                return Err(Wrong { hint, ..self.out_of_range(value) });
            }
        };
        Ok(cleaned(&path))
    }

    fn each<T>(
        self,
        value: &Value,
        read: impl Fn(Kind, &Value) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let Value::List(items) = value else { return Err(self.wrong_type(value)) };
        let item_kind = self.of_items();
        let items = items.iter().enumerate().map(|(index, item)| {
            read(item_kind, item).map_err(|mut wrong| {
                wrong.at.insert(0, Step::Index(index));
                wrong
            })
        });
        items.collect()
    }

    /// What an item of a list is, for what is said of a wrong one.
    fn of_items(self) -> Kind {
        match self {
            Kind::Words(words) => Kind::Word(words),
            Kind::Paths => Kind::Path,
            Kind::Counts => Kind::Count { min: 1, max: u64::MAX },
            _ => Kind::Text,
        }
    }

    /// A program that is named with a folder is a path as all others; without one it is searched.
    fn command(self, value: &Value, bases: Bases<'_>) -> Result<Vec<String>, Wrong> {
        let mut argv = self.each(value, |kind, item| kind.text(item).map(str::to_owned))?;
        let Some(program) = argv.first_mut().filter(|program| !program.trim().is_empty()) else {
            return Err(self.wrong("a list without a program".to_owned(), false));
        };
        if program.contains('/') {
            let at = |mut wrong: Wrong| {
                wrong.at.insert(0, Step::Index(0));
                wrong
            };
            let path = Kind::Path.path(&Value::from(program.as_str()), bases).map_err(at)?;
            let path = path.into_os_string().into_string();
            *program = path.map_err(|path| {
                at(self.wrong(format!("a folder whose name is no text: {}", path.display()), false))
            })?;
        }
        Ok(argv)
    }

    fn variables(self, value: &Value) -> Result<BTreeMap<String, Secret>, Wrong> {
        let Value::Map(map) = value else { return Err(self.wrong_type(value)) };
        let mut variables = BTreeMap::new();
        for (name, value) in map.iter() {
            let at = |mut wrong: Wrong| {
                wrong.at.insert(0, Step::from(name));
                wrong
            };
            let own = name.starts_with("JRUN_") || name == "CONDUCTOR_ROOT";
            if name.is_empty() || own || name.contains(['=', '\0']) {
                let found = format!("the variable {name:?}");
                let mut wrong = at(self.wrong(found, false));
                wrong.hint = Some(if own {
                    "conductor itself sets this one for every run".to_owned()
                } else {
                    "a name is not empty and holds no =".to_owned()
                });
                return Err(wrong);
            }
            let text = match value {
                Value::Null => "",
                value => Kind::Secret.text(value).map_err(at)?,
            };
            variables.insert(name.to_owned(), Secret::new(text));
        }
        Ok(variables)
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

/// `.` taken out; `..` stays, because what it means depends on links.
fn cleaned(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// What sort of value it is, for a person.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Int(_) | Value::Large(_) | Value::Float(_) => "a number",
        Value::Text(_) | Value::Time(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a group of keys",
    }
}

/// What a value is, for a person.
fn described(value: &Value) -> String {
    match value {
        Value::Bool(flag) => format!("the truth value {flag}"),
        Value::Int(_) | Value::Large(_) | Value::Float(_) => {
            format!("the number {}", shortened(value))
        }
        other => kind_of(other).to_owned(),
    }
}

/// A scalar as it stands, cut where it is long.
fn shortened(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::Text(text) => text.clone(),
        other => return other.as_text().unwrap_or_else(|| described(other)),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Reads a number of bytes: `10MB`, `1.5GiB`, `512k`, `4096`. Units are powers of 1024.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    let part = match fraction.get(..fraction.len().min(9)) {
        None | Some("") => 0,
        Some(digits) => {
            let scale = 10u128.pow(u32::try_from(digits.len()).ok()?);
            u64::try_from((digits.parse::<u128>().ok()? << shift) / scale).ok()?
        }
    };
    whole.checked_add(part)
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

/// The keys of a mapping that are the user's own.
pub(super) fn is_free(key: &str) -> bool {
    key.starts_with("x-")
}

/// The mapping that a section is; nothing is an empty one.
pub(super) fn section_of(value: &Value) -> Result<Option<&Mapping>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Map(map) => Ok(Some(map)),
        other => Err(described(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases() -> Bases<'static> {
        Bases { folder: Path::new("/etc/c"), home: Some(Path::new("/home/u")) }
    }

    fn read(kind: Kind, value: impl Into<Value>) -> Result<Option<Given>, Wrong> {
        kind.read(&value.into(), bases())
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("10MB", 10 << 20),
            ("10 mib", 10 << 20),
            ("1.5k", 1536),
            ("2G", 2 << 30),
            ("7b", 7),
            ("1tb", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "1.", ".5k", "10xMB", "1e3", "99999999999999T", "1.2.3k"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn paths_belong_to_the_file_or_the_home() {
        let path = |text: &str| match read(Kind::Path, text).unwrap().unwrap() {
            Given::Path(path) => path,
            other => panic!("{other:?}"),
        };
        assert_eq!(path("a/./b"), Path::new("/etc/c/a/b"));
        assert_eq!(path("./a"), Path::new("/etc/c/a"));
        assert_eq!(path("../a"), Path::new("/etc/c/../a"));
        assert_eq!(path("/a"), Path::new("/a"));
        assert_eq!(path("~"), Path::new("/home/u"));
        assert_eq!(path("~/x"), Path::new("/home/u/x"));
        let wrong = read(Kind::Path, "~bob/x").unwrap_err();
        assert!(wrong.hint.unwrap().contains("your own home"));
        let homeless = Bases { home: None, ..bases() };
        assert!(Kind::Path.read(&"~/x".into(), homeless).is_err());
    }

    #[test]
    fn a_program_in_a_folder_is_a_path_and_its_arguments_are_not() {
        let command = |words: &[&str]| match read(Kind::Command, Value::list(words.iter().copied()))
            .unwrap()
            .unwrap()
        {
            Given::Texts(argv) => argv,
            other => panic!("{other:?}"),
        };
        assert_eq!(command(&["agent", "./x", "~"]), ["agent", "./x", "~"]);
        assert_eq!(command(&["./agent", "./x"]), ["/etc/c/agent", "./x"]);
        assert_eq!(command(&["~/bin/agent"]), ["/home/u/bin/agent"]);
        assert_eq!(command(&["/bin/agent"]), ["/bin/agent"]);
    }

    #[test]
    fn nothing_and_blank_text_say_nothing() {
        for kind in [Kind::Flag, Kind::Text, Kind::Secret, Kind::Texts, Kind::Duration] {
            assert_eq!(read(kind, Value::Null), Ok(None));
            assert_eq!(read(kind, " "), Ok(None));
        }
    }

    #[test]
    fn numbers_stay_in_range_and_lengths_have_units() {
        let port = Kind::Count { min: 0, max: 65535 };
        assert_eq!(read(port, 80i64), Ok(Some(Given::Count(80))));
        assert!(!read(port, -1i64).unwrap_err().is_type);
        assert!(!read(port, 65536i64).unwrap_err().is_type);
        assert!(!read(port, Value::Float(1.5)).unwrap_err().is_type);
        assert!(read(port, "80").unwrap_err().is_type);
        assert_eq!(read(Kind::Duration, 0i64), Ok(Some(Given::Duration(Duration::ZERO))));
        assert_eq!(
            read(Kind::Duration, 30i64).unwrap_err().hint.unwrap(),
            "write it with its unit: \"30s\""
        );
        assert_eq!(read(Kind::Amount, Value::Float(f64::NAN)).unwrap_err().found, "NaN");
    }

    #[test]
    fn a_wrong_secret_is_not_repeated() {
        for kind in [Kind::Secret, Kind::SecretUrl] {
            for value in [Value::from("hunter2\0"), Value::from("hunter2 x")] {
                if let Err(wrong) = kind.read(&value, bases()) {
                    assert!(!format!("{wrong:?}").contains("hunter"), "{wrong:?}");
                }
            }
        }
    }

    #[test]
    fn addresses_need_a_scheme_and_a_host() {
        for good in ["http://x", "HTTPS://x:8/y?z"] {
            assert!(read(Kind::Url, good).is_ok(), "{good}");
        }
        for bad in ["x", "ftp://x", "http://", "http:///x", "http://x y"] {
            assert!(read(Kind::Url, bad).is_err(), "{bad}");
        }
    }
}
