//! What is wrong, or doubtful, in a configuration.

use super::take::Wrong;
use crate::error::{Error, ErrorKind};
use crate::yaml::{Place, Step};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but hardly as it was meant.
    Warning,
    /// It cannot be used.
    Error,
}

impl Severity {
    /// Its word: `warning` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Something wrong, or doubtful, in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What the caller should do about it.
    pub kind: ErrorKind,
    /// A stable dotted word, as `config.unknown_key`.
    pub code: &'static str,
    /// What is wrong, without the place.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The file that it stands in.
    pub path: Option<PathBuf>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The key, with the sections that it lies in: `agents.claude.token`.
    pub field: Option<String>,
}

impl Problem {
    pub(super) fn error(code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            kind: ErrorKind::InvalidInput,
            code,
            message: message.into(),
            hint: None,
            path: None,
            line: None,
            column: None,
            field: None,
        }
    }

    /// A defect of conductor itself.
    pub(super) fn internal(message: impl Into<String>) -> Problem {
        Problem { kind: ErrorKind::Internal, ..Problem::error("config.internal", message) }
    }

    pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(code, message) }
    }

    pub(super) fn wrong(wrong: &Wrong) -> Problem {
        let code = if wrong.is_type { "config.wrong_type" } else { "config.invalid_value" };
        let Wrong { found, wanted, hint, .. } = wrong;
        Problem::error(code, format!("expected {wanted}, found {found}")).hint(hint.clone())
    }

    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Problem {
        self.hint = hint.into();
        self
    }

    pub(super) fn field(mut self, path: &[Step]) -> Problem {
        self.field = Some(dotted(path));
        self
    }

    pub(super) fn place(mut self, place: Option<Place>) -> Problem {
        self.line = place.map(|place| place.line);
        self.column = place.map(|place| place.column);
        self
    }

    pub(super) fn file(mut self, path: &Path) -> Problem {
        self.path = Some(path.to_owned());
        self
    }

    /// A problem that an error tells of.
    pub fn of_error(severity: Severity, error: &Error) -> Problem {
        let mut message = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            // Writing to a String cannot fail.
            let _infallible = write!(message, ": {source}");
        }
        Problem {
            severity,
            kind: error.kind(),
            code: error.code(),
            message,
            hint: error.specific_hint().map(str::to_owned),
            path: error.path().map(Path::to_owned),
            line: None,
            column: None,
            field: error.field().map(str::to_owned),
        }
    }

    /// Where it is and what is wrong, on one line: `/x/config.yaml:3:5: defaults.agnet: ...`.
    pub fn line_for_people(&self) -> String {
        let mut line = String::new();
        if let Some(path) = &self.path
            && !self.message.contains(&*path.to_string_lossy())
        {
            line.push_str(&path.to_string_lossy());
            for number in [self.line, self.column].into_iter().flatten() {
                // Writing to a String cannot fail.
                let _infallible = write!(line, ":{number}");
            }
            line.push_str(": ");
        }
        if let Some(field) = self.field.as_deref().filter(|field| !field.is_empty()) {
            line.push_str(field);
            line.push_str(": ");
        }
        line.push_str(&self.message);
        line
    }

    /// The error that stops whoever needs the configuration.
    pub(super) fn to_error(&self) -> Error {
        let mut error = Error::new(self.kind, self.code, self.line_for_people());
        if let Some(path) = &self.path {
            error = error.with_path(path);
        }
        if let Some(field) = &self.field {
            error = error.with_field(field);
        }
        match &self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// The way to a value as it is written for people: `agents.claude.command[0]`.
pub(super) fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        // Writing to a String cannot fail.
        let _infallible = match step {
            Step::Index(index) => write!(text, "[{index}]"),
            Step::Key(key) => {
                let dot = if text.is_empty() { "" } else { "." };
                let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
                if !key.is_empty() && key.chars().all(plain) {
                    write!(text, "{dot}{key}")
                } else {
                    write!(text, "{dot}{key:?}")
                }
            }
        };
    }
    text
}
