//! The few colours, and what they stand for.

use anstyle::{AnsiColor, Style};

/// The heading of an error.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The heading of a warning.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The heading of a hint.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// The headings of a table.
pub(crate) const HEADING: Style = Style::new().bold();
/// A word to be typed as it stands.
pub(crate) const LITERAL: Style = AnsiColor::Cyan.on_default();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Nothing special.
pub(crate) const PLAIN: Style = Style::new();

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const ALIVE: Style = AnsiColor::Cyan.on_default();
const HELD: Style = AnsiColor::Yellow.on_default();

/// The colour of a status word of a run or a task.
pub(crate) fn status(word: &str) -> Style {
    match word {
        "completed" | "done" => GOOD,
        "failed" | "damaged" | "gave_up" => BAD,
        "running" => ALIVE,
        "blocked" | "waiting" | "queued" | "stopped" | "cancelled" | "unknown" => HELD,
        _ => PLAIN,
    }
}

/// The colour of a type of message.
pub(crate) fn message_type(word: &str) -> Style {
    match word {
        "ERROR" | "RUN_CRASH" | "ISSUE" => BAD,
        "WARNING" | "WARN" | "QUESTION" => HELD,
        "FACT" | "DECISION" | "REVIEW" | "ANSWER" => GOOD,
        "RUN_START" | "RUN_STOP" | "INFO" => FAINT,
        _ => PLAIN,
    }
}
