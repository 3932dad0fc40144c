//! The exit codes, and what ends a command before its time.
//!
//! Every failure of the library has the exit code of its kind; `docs/CLI.md` lists them all.

use crate::render::error;
use conductor_core::{Error, ErrorKind};
use std::io;
use std::process::ExitCode;

/// The command did what was asked.
pub(crate) const OK: u8 = 0;
/// The command ran, and the answer is "no": a run failed, nothing matched.
pub(crate) const NO: u8 = 1;
/// The task was stopped by somebody.
pub(crate) const STOPPED: u8 = 3;
/// The time of a wait was over; the work goes on.
pub(crate) const WAIT_OVER: u8 = ErrorKind::Timeout.row().exit_code;
/// Ctrl-C ended the work, or the wait for it.
pub(crate) const INTERRUPTED: u8 = ErrorKind::Cancelled.row().exit_code;
/// SIGTERM ended the wait; the work goes on. The code is that of shells for that signal.
pub(crate) const TERMINATED: u8 = 143;
/// The command line is wrong. The same as the library's "invalid input".
pub(crate) const USAGE: u8 = ErrorKind::InvalidInput.row().exit_code;

/// What ended a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library, or a check of the command line, refused.
    Error(Error),
    /// The output could not be written.
    Output(io::Error),
}

impl Failure {
    /// Tells the person on stderr, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let error = match self {
            // Whoever reads our output had enough of it.
            Failure::Output(source) if source.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::from(OK);
            }
            Failure::Output(source) => Error::io("write to", "standard output", source),
            Failure::Error(error) => error,
        };
        error::print(&error);
        ExitCode::from(code_of(&error))
    }
}

/// The exit code that the error's kind has in the library's table.
pub(crate) fn code_of(error: &Error) -> u8 {
    error.kind().row().exit_code
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::KINDS;

    #[test]
    fn no_kind_of_failure_passes_for_an_answer() {
        for row in KINDS {
            assert!(![OK, NO, STOPPED, TERMINATED].contains(&row.exit_code), "{}", row.name);
        }
        assert_eq!(USAGE, 2);
        assert_eq!((WAIT_OVER, INTERRUPTED), (124, 130));
    }
}
