//! Errors: few kinds that say what to do, and below each a stable dotted code that says what happened.

mod kind;
mod refusal;

pub use kind::{ErrorKind, KINDS, KindRow};
pub(crate) use refusal::Refusal;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and the way out.
///
/// [`Display`](fmt::Display) prints the message alone: lower case, naming the path or the field.
/// The cause is reached through [`source`](StdError::source), the way out through [`hint`](Error::hint).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    hint: Option<String>,
    path: Option<PathBuf>,
    field: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with the stable dotted `code` (as `bus.not_written`) and a message.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            code,
            message: message.into(),
            hint: None,
            path: None,
            field: None,
            source: None,
        }))
    }

    /// An input or output error at `path` while doing `what` ("open", "read", ...).
    ///
    /// The kind follows from the cause: not found, permission denied, storage full, else
    /// [`ErrorKind::Io`]. Where nothing was to be done in the first place, the error is that one.
    pub fn io(what: &str, path: impl Into<PathBuf>, source: io::Error) -> Error {
        if let Some(refusal) = source.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>()) {
            return refusal.error();
        }
        let path = path.into();
        let (kind, code) = classify(&source);
        let error = Error::new(kind, code, format!("cannot {what} {}", path.display()));
        let error = match code {
            WATCH_LIMIT => error.with_hint(
                "close programs that watch much, or raise the limit: sysctl fs.epoll.max_user_watches",
            ),
            _ => error,
        };
        error.with_path(path).with_source(source)
    }

    /// Shorthand for an [`ErrorKind::InvalidInput`] error about one named field.
    pub fn invalid(code: &'static str, field: &str, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::InvalidInput, code, message).with_field(field)
    }

    /// Adds the way out, a sentence for a person.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Names the file or folder that the error is about.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Error {
        self.0.path = Some(path.into());
        self
    }

    /// Names the argument, flag or key that the error is about.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Error {
        self.0.field = Some(field.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened: a stable dotted word, as `lock.timeout`.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The way out, or the kind's general advice where nothing better is known.
    pub fn hint(&self) -> &str {
        self.0.hint.as_deref().unwrap_or(self.0.kind.row().advice)
    }

    /// The way out if one was given for this very case.
    pub fn specific_hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The file or folder that the error is about.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The argument, flag or key that the error is about.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// Whether the same call may succeed later without a change by the caller.
    ///
    /// An unknown outcome of a write is never retryable: a second try could double it.
    pub fn is_retryable(&self) -> bool {
        self.0.kind.row().retryable
    }

    /// The errno of the cause, where there is one.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.source.as_deref()?.downcast_ref::<io::Error>()?.raw_os_error()
    }

    /// The chain of causes in one line, the nearest first; `None` where there is none.
    pub fn cause(&self) -> Option<String> {
        let mut next = std::error::Error::source(self);
        let mut causes = Vec::new();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        (!causes.is_empty()).then(|| causes.join(": "))
    }
}

/// What cannot fail has no error.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Error {
        match never {}
    }
}

/// The system watches no more descriptors for this user. It says so with the number that else means
/// a full disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooManyWatches;

impl fmt::Display for TooManyWatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the limit of watched descriptors of this user, fs.epoll.max_user_watches")
    }
}

impl StdError for TooManyWatches {}

/// The code of a limit of the system on what is watched.
const WATCH_LIMIT: &str = "watch.limit";

/// Kind and code of an operating system error.
fn classify(source: &io::Error) -> (ErrorKind, &'static str) {
    if source.get_ref().is_some_and(|inner| inner.is::<TooManyWatches>()) {
        return (ErrorKind::Busy, WATCH_LIMIT);
    }
    match source.kind() {
        io::ErrorKind::NotFound => (ErrorKind::NotFound, "io.not_found"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::PermissionDenied, "io.permission_denied")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::StorageFull, "io.storage_full")
        }
        io::ErrorKind::AlreadyExists => (ErrorKind::AlreadyExists, "io.already_exists"),
        _ => (ErrorKind::Io, "io.other"),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("code", &self.0.code);
        out.field("message", &self.0.message);
        for (name, value) in [("hint", &self.0.hint), ("field", &self.0.field)] {
            if let Some(value) = value {
                out.field(name, value);
            }
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_keep_errno_and_name_the_path() {
        let error = Error::io("open", "/x/y", io::Error::from_raw_os_error(28));
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(error.raw_os_error(), Some(28));
        assert_eq!(error.to_string(), "cannot open /x/y");
        assert_eq!(error.path(), Some(Path::new("/x/y")));
        assert_eq!(error.hint(), "free space, then try again");
    }

    #[test]
    fn a_limit_of_watches_is_no_full_disk() {
        let source = io::Error::new(io::ErrorKind::ResourceBusy, TooManyWatches);
        let error = Error::io("watch", "/x", source);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Busy, "watch.limit"));
        assert!(error.hint().contains("fs.epoll.max_user_watches"), "{}", error.hint());
        assert!(error.is_retryable());
    }

    #[test]
    fn the_source_is_not_repeated_in_the_message() {
        let error = Error::io("read", "/x", io::Error::other("broken"));
        assert!(!error.to_string().contains("broken"));
        assert_eq!(error.source().unwrap().to_string(), "broken");
        let outer = Error::new(ErrorKind::Io, "x.y", "it failed").with_source(error);
        assert_eq!(outer.cause().unwrap(), "cannot read /x: broken");
    }
}
