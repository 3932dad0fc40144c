//! The end of a task as it is shown, and the exit code that tells it to scripts.

use super::drive::End;
use super::signals::Asked;
use super::story::paint;
use crate::exit;
use crate::out::Out;
use crate::render::{color, text, time};
use conductor_core::{OutputFile, Run, Task, TaskOutcome, TaskResult};
use std::io;
use std::time::Duration;

/// The lines of the summary that are shown.
const SUMMARY_LINES: usize = 20;
/// How much of the summary is read for them, in bytes.
const SUMMARY: usize = 16 << 10;

/// The exit code of a task's end.
pub(crate) fn code(outcome: TaskOutcome) -> u8 {
    match outcome {
        TaskOutcome::Done => exit::OK,
        TaskOutcome::Stopped => exit::STOPPED,
        _ => exit::NO,
    }
}

/// The exit code of a wait that ended before the work did.
pub(crate) fn code_of_wait(end: End) -> u8 {
    match end {
        End::Over => exit::OK,
        End::WaitOver => exit::WAIT_OVER,
        End::Asked(Asked::Interrupt) => exit::INTERRUPTED,
        End::Asked(Asked::Terminate) => exit::TERMINATED,
    }
}

/// The end in a sentence.
pub(crate) fn sentence(result: &TaskResult, length: Option<Duration>) -> String {
    let attempts = match result.attempts {
        1 => "1 attempt".to_owned(),
        count => format!("{count} attempts"),
    };
    let word = match result.outcome {
        TaskOutcome::Done => "done",
        TaskOutcome::GaveUp => "gave up",
        TaskOutcome::Stopped => "stopped",
        _ => "ended",
    };
    let mut line = format!("{word} after {attempts}");
    if let Some(length) = length {
        line.push_str(&format!(", {}", time::brief(length)));
    }
    if let Some(reason) = &result.reason {
        line.push_str(&format!(": {}", text::one_line(reason)));
    }
    line
}

/// Prints the end of a task for people: the sentence, where the result is, and its first lines.
pub(crate) fn print(
    out: &mut Out,
    task: &Task,
    result: &TaskResult,
    length: Option<Duration>,
    last: Option<&Run>,
) -> io::Result<()> {
    let style = color::status(result.outcome.as_str());
    let sentence = paint(&sentence(result, length), style, out.is_colored());
    let name = format!("{}/{}", task.project(), task.id());
    out.line(&format!("{name}: {sentence}"))?;
    match (result.outcome, last) {
        (TaskOutcome::Done, Some(run)) => summary(out, run),
        (TaskOutcome::Done, None) => Ok(()),
        (_, last) => {
            if let Some(run) = last {
                out.line(&format!("last run: {}", run.folder().display()))?;
            }
            let (project, task) = (task.project(), task.id());
            out.line(&format!("to go on: run-agent task resume --project {project} --task {task}"))
        }
    }
}

/// The path of the last attempt's output, and its first lines.
fn summary(out: &mut Out, run: &Run) -> io::Result<()> {
    // A result that cannot be read is told by `output`; the end of the task stands.
    let Ok(mut output) = run.output(OutputFile::Output) else { return Ok(()) };
    out.line(&format!("output: {}", output.path().display()))?;
    let mut bytes = vec![0; SUMMARY];
    let mut filled = 0;
    while filled < bytes.len() {
        match output.read(&mut bytes[filled..]) {
            Ok(read) if read > 0 => filled += read,
            _ => break,
        }
    }
    let whole = filled < bytes.len();
    let text = String::from_utf8_lossy(&bytes[..filled]);
    let mut lines = text.lines();
    let shown: Vec<_> = lines.by_ref().take(SUMMARY_LINES).collect();
    if shown.is_empty() {
        return Ok(());
    }
    out.line("")?;
    for line in shown {
        let indented = format!("  {}", text::one_line(line));
        out.line(indented.trim_end())?;
    }
    if lines.next().is_some() || !whole {
        out.line("  ...")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_a_code_of_its_own() {
        let codes = [TaskOutcome::Done, TaskOutcome::GaveUp, TaskOutcome::Stopped].map(code);
        assert_eq!(codes, [0, 1, 3]);
        let waits = [End::WaitOver, End::Asked(Asked::Interrupt), End::Asked(Asked::Terminate)];
        assert_eq!(waits.map(code_of_wait), [124, 130, 143]);
    }
}
