//! What is wrong or doubtful, for people and as JSON.

use super::color;
use super::text::one_line;
use conductor_core::{Problem, Severity};
use serde_json::{Value, json};

/// The lines of a problem, as errors are printed; without colours unless `colored`.
pub(crate) fn lines(problem: &Problem, colored: bool) -> Vec<String> {
    let (heading, style) = match problem.severity {
        Severity::Error => ("Error", color::ERROR),
        Severity::Warning => ("warning", color::WARNING),
    };
    let paint = |word: &str, style: anstyle::Style| match colored {
        true => format!("{style}{word}{style:#}"),
        false => word.to_owned(),
    };
    let text = problem.line_for_people();
    let mut lines = vec![format!("{} {}", paint(&format!("{heading}:"), style), one_line(&text))];
    if let Some(hint) = &problem.hint {
        lines.push(format!("  {} {}", paint("hint:", color::HINT), one_line(hint)));
    }
    lines
}

/// A problem as JSON.
pub(crate) fn to_json(problem: &Problem) -> Value {
    json!({
        "severity": problem.severity.name(),
        "kind": problem.kind.name(),
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "field": problem.field,
    })
}
