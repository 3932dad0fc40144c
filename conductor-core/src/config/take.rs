//! Reading values: from what stands in a document to what a key takes, or to what is wrong with it.

use super::given::Given;
use super::kind::Kind;
use super::secret::Secret;
use crate::size::parse_size;
use crate::time::parse_duration;
use crate::yaml::{Mapping, Step, Value};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

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
            Kind::Count { .. } | Kind::Amount if is_number(value) => {
                Some("write the number without quotes".to_owned())
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
            _ => parse_size(self.text(value)?).map_err(|_| self.out_of_range(value)),
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
            let own = is_own_variable(name);
            if !is_variable(name) {
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
}

/// The path without `.` and `..`, by its text alone, as the older program has it.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some() => drop(clean.pop()),
            // Nothing lies above the top.
            Component::ParentDir if clean.has_root() => {}
            part => clean.push(part),
        }
    }
    clean
}

/// Whether it is a number that somebody put in quotes.
fn is_number(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.trim().parse::<f64>().is_ok_and(f64::is_finite))
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

/// Whether only conductor sets this variable.
fn is_own_variable(name: &str) -> bool {
    name.starts_with("JRUN_") || name == "CONDUCTOR_ROOT"
}

/// Whether a configuration may give this variable to an agent.
pub(super) fn is_variable(name: &str) -> bool {
    !name.trim().is_empty() && !is_own_variable(name) && !name.contains(['=', '\0'])
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
    use std::time::Duration;

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
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "MB", "-1", "1.", ".5k", "10xMB", "1e3", "99999999999999T", "1.2.3k"] {
            assert!(parse_size(text).is_err(), "{text}");
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
        assert_eq!(path("../a"), Path::new("/etc/a"));
        assert_eq!(path("../../../../a"), Path::new("/a"));
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
