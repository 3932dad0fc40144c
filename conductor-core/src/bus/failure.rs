//! How an append fails: nothing was written, or nobody knows.

use super::post::Posted;
use crate::error::{Error, ErrorKind};
use crate::id::MessageId;
use std::fmt;
use std::io;
use std::path::Path;

/// Why records of a batch are not known to be on the bus.
#[derive(Debug)]
pub(super) enum Failure {
    /// None of them is: an error met before the first byte was written.
    Before(Error),
    /// None of them is: what was written of them was taken back. Of a batch, none of the rest.
    NotWritten(io::Error),
    /// Each of them may be.
    Unknown(io::Error),
    /// Each of them is, and may be gone after a power cut.
    Unsynced(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Before(error)
    }
}

impl Failure {
    /// The same failure once more, for another message of the batch.
    pub(super) fn again(&self) -> Failure {
        match self {
            Failure::Before(error) => {
                let mut again = Error::new(error.kind(), error.code(), error.to_string())
                    .with_hint(error.hint().to_owned());
                if let Some(path) = error.path() {
                    again = again.with_path(path);
                }
                if let Some(errno) = error.raw_os_error() {
                    again = again.with_source(io::Error::from_raw_os_error(errno));
                }
                Failure::Before(again)
            }
            Failure::NotWritten(error) => Failure::NotWritten(io_again(error)),
            Failure::Unknown(error) => Failure::Unknown(io_again(error)),
            Failure::Unsynced(error) => Failure::Unsynced(io_again(error)),
        }
    }

    /// The same of records of which some are there and some are not.
    pub(super) fn in_part(&self) -> Failure {
        Failure::Unknown(match self.again() {
            Failure::Before(error) => io::Error::other(error),
            Failure::NotWritten(error) | Failure::Unknown(error) | Failure::Unsynced(error) => {
                error
            }
        })
    }

    /// The error for the messages `posted`, which were to be written to `path`.
    pub(super) fn into_error(self, path: &Path, posted: &[Posted]) -> Error {
        match (self, posted) {
            (Failure::Before(error), _) => error,
            (Failure::Unknown(source) | Failure::Unsynced(source), [first, ..]) => {
                unknown(path, first, posted, source)
            }
            (Failure::Unknown(source) | Failure::Unsynced(source), []) => unknown_end(path, source),
            (Failure::NotWritten(source), _) => not_written(path, source),
        }
    }
}

fn io_again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn not_written(path: &Path, source: io::Error) -> Error {
    let kind = Error::io("write", path, io_again(&source)).kind();
    Error::new(kind, "bus.not_written", format!("cannot write to {}", path.display()))
        .with_path(path)
        .with_hint("nothing was written: the same message may be posted again")
        .with_source(source)
}

fn unknown(path: &Path, first: &Posted, posted: &[Posted], source: io::Error) -> Error {
    let what = match posted {
        [only] => format!("message {} (seq {})", only.msg_id, only.seq),
        _ => format!("messages seq {} to {}", first.seq, first.seq + posted.len() as u64 - 1),
    };
    Error::new(
        ErrorKind::Io,
        "bus.unknown",
        format!("{what} may or may not be on {}", path.display()),
    )
    .with_path(path)
    .with_hint("read the bus before posting again: a second post could double the message")
    .with_source(UnknownWrite { msg_id: first.msg_id.clone(), seq: first.seq, source })
}

/// For a rotation that came to no end: no message is lost or doubled by it.
fn unknown_end(path: &Path, source: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        "bus.unknown",
        format!("the record that ends {} may or may not be on the disk", path.display()),
    )
    .with_path(path)
    .with_hint("check the disk, then open the bus again: the next post goes on with the rotation")
    .with_source(source)
}

/// The source of a `bus.unknown` error: which message may or may not be on the bus.
#[derive(Debug)]
pub struct UnknownWrite {
    /// The id that the message has if it is there; of a batch, the first one's.
    pub msg_id: MessageId,
    /// The number that it has if it is there.
    pub seq: u64,
    source: io::Error,
}

impl fmt::Display for UnknownWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)
    }
}

impl std::error::Error for UnknownWrite {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
