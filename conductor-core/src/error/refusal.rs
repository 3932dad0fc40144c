//! An error that is known before the machine is asked for anything.

use super::{Error, ErrorKind};
use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// Why something is not done, whatever is asked for: as the cause of an input or output error it takes that error's
/// place, so that each caller is told this and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) path: PathBuf,
    pub(crate) field: &'static str,
    pub(crate) hint: String,
}

impl Refusal {
    /// The error that it stands for.
    pub(crate) fn error(&self) -> Error {
        Error::new(self.kind, self.code, self.message.as_str())
            .with_path(self.path.as_path())
            .with_field(self.field)
            .with_hint(self.hint.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Refusal {}
