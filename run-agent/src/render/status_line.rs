//! One line at the bottom of a terminal that says what goes on, and goes away.

use super::text::one_line;
use std::io::{self, IsTerminal as _, Write as _};

/// Goes to the beginning of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// A line on stderr that is written over again and again; nothing where stderr is no terminal.
#[derive(Debug)]
pub(crate) struct StatusLine {
    terminal: bool,
    shown: bool,
}

impl StatusLine {
    /// Nothing is shown yet.
    pub(crate) fn new() -> StatusLine {
        StatusLine { terminal: io::stderr().is_terminal(), shown: false }
    }

    /// Whether there is somebody to look at it.
    pub(crate) fn is_seen(&self) -> bool {
        self.terminal
    }

    /// Shows `text` in the place of what was shown before, cut to the width of the terminal.
    pub(crate) fn show(&mut self, text: &str) {
        if !self.terminal {
            return;
        }
        let width = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0);
        let text: String = one_line(text).chars().take(usize::from(width).max(2) - 1).collect();
        write(&format!("{CLEAR}{text}"));
        self.shown = true;
    }

    /// Takes it away, so that other lines can be printed.
    pub(crate) fn clear(&mut self) {
        if self.shown {
            write(CLEAR);
            self.shown = false;
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A line that nobody can see is no failure.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _nobody_looks = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
