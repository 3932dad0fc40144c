//! The messages of a task as people read them: which attempt, what it says, how it ended.

use crate::out::Out;
use crate::render::{color, table, text, time};
use anstyle::Style;
use conductor_core::{Conductor, Event, Message, RunInfo, Timestamp};
use std::io;

/// The lines of a message that are shown.
const LINES: usize = 6;
/// The last lines of a failed agent's standard error that are shown.
const STDERR_LINES: usize = 3;
/// The width of the column with the type.
const TYPE: usize = 9;
/// The width of what stands before the text: the time, the type, two gaps.
const BEFORE: usize = 8 + 2 + TYPE + 2;

/// What there is to say about one event.
#[derive(Clone, Debug, PartialEq)]
struct Saying {
    time: Option<Timestamp>,
    word: String,
    lines: Vec<String>,
}

/// Knows the attempts so far, and so what a run of theirs is called.
#[derive(Debug)]
pub(crate) struct Story {
    conductor: Conductor,
    attempts: Vec<String>,
}

impl Story {
    pub(crate) fn new(conductor: &Conductor) -> Story {
        Story { conductor: conductor.clone(), attempts: Vec::new() }
    }

    /// Prints an event; `whose` names its task where there are several.
    pub(crate) fn tell(
        &mut self,
        out: &mut Out,
        event: &Event,
        whose: Option<&str>,
    ) -> io::Result<()> {
        let Some(mut saying) = self.saying(event) else { return Ok(()) };
        if let Some(whose) = whose {
            // Many tasks at once: a line each.
            saying.lines.truncate(1);
            if let Some(line) = saying.lines.first_mut() {
                line.insert_str(0, &format!("{whose}  "));
            }
        }
        print(out, &saying)
    }

    fn saying(&mut self, event: &Event) -> Option<Saying> {
        let message = match event {
            Event::Message(message) => message,
            damage => return Some(of_damage(damage)),
        };
        let lines = match message.msg_type.as_str() {
            "RUN_START" | "RUN_STOP" | "RUN_CRASH" => self.of_run(message),
            // The attempt itself says so with its next message.
            "INFO" if message.body.starts_with("starting root agent (restart #") => return None,
            _ => None,
        };
        Some(Saying {
            time: Some(message.time).filter(|time| !time.is_zero()),
            word: message.msg_type.clone(),
            lines: lines.unwrap_or_else(|| first_lines(without_key(message))),
        })
    }

    /// The beginning or the end of a run, from its record; `None` where that cannot be read.
    fn of_run(&mut self, message: &Message) -> Option<Vec<String>> {
        let (project, task) = (message.project_id.parse().ok()?, message.task_id.parse().ok()?);
        let run = message.run_id.parse().ok()?;
        let info = self.conductor.runs().info(&project, &task, &run).ok()?;
        let name = self.name(&info);
        if message.msg_type == "RUN_START" {
            return Some(vec![match name.starts_with("attempt") {
                true => format!("{name}: {}", info.id),
                false => name,
            }]);
        }
        let mut lines = vec![ending(&name, &info)];
        if message.msg_type == "RUN_CRASH" {
            let stderr = message.body.split_once("\n## stderr").map_or("", |(_, lines)| lines);
            let stderr: Vec<&str> = stderr.lines().skip(1).collect();
            let last = stderr.len().saturating_sub(STDERR_LINES);
            lines.extend(stderr[last..].iter().map(|line| text::one_line(line).into_owned()));
        }
        Some(lines)
    }

    /// What a run is called: `attempt 2`, or with its id where it is no attempt.
    fn name(&mut self, info: &RunInfo) -> String {
        if info.record.series.is_some() {
            let id = info.id.to_string();
            let known = self.attempts.iter().position(|attempt| *attempt == id);
            let number = known.unwrap_or_else(|| {
                self.attempts.push(id);
                self.attempts.len() - 1
            });
            return format!("attempt {}", number + 1);
        }
        let child = if info.record.parent_run_id.is_some() { "child run" } else { "run" };
        format!("{child} {}", info.id)
    }
}

/// The text, without the numbers by which programs find what was told to the project.
fn without_key(message: &Message) -> &str {
    const TOLD: &str = "task completion facts propagated to project bus";
    if message.body.starts_with(TOLD) { TOLD } else { &message.body }
}

/// How a run ended, in a line.
pub(crate) fn ending(name: &str, info: &RunInfo) -> String {
    let outcome = info.outcome().map_or("ended", |outcome| outcome.as_str()).replace('_', " ");
    let record = &info.record;
    let mut line = format!("{name} {outcome}");
    if !record.end_time.is_zero() {
        let length = record.end_time.since(record.start_time);
        line.push_str(&format!(" after {}", time::brief(length)));
    }
    if let Some(reason) = &record.stop_reason {
        line.push_str(&format!(": {}", text::one_line(reason)));
    } else if let Some(signal) = record.signal {
        line.push_str(&format!(": signal {signal}"));
    } else if record.exit_code > 0 {
        line.push_str(&format!(": exit code {}", record.exit_code));
    } else if let Some(error) = &record.error_summary {
        line.push_str(&format!(": {}", text::one_line(error)));
    }
    line
}

fn first_lines(body: &str) -> Vec<String> {
    let body = body.trim_end();
    let mut lines: Vec<String> =
        body.lines().take(LINES).map(|line| text::one_line(line).into_owned()).collect();
    match body.lines().count() {
        0 => lines.push(String::new()),
        count if count > LINES => lines.push(format!("... {} more lines", count - LINES)),
        _ => {}
    }
    lines
}

/// What stands on a bus in place of a message: told, never skipped.
fn of_damage(event: &Event) -> Saying {
    let (word, line) = match event {
        Event::Gap { from, to } => ("gap", format!("messages {from} to {to} are missing")),
        Event::Corrupt(damage) => (
            "corrupt",
            format!("{} bytes at {} of {}", damage.len, damage.offset, damage.path.display()),
        ),
        Event::Foreign(damage) => {
            let line = damage.text.lines().find(|line| !line.trim().is_empty());
            ("foreign", text::one_line(line.unwrap_or_default()).into_owned())
        }
        Event::Replaced { path, .. } => ("replaced", format!("{} is another file", path.display())),
        _ => ("unknown", String::new()),
    };
    Saying { time: None, word: word.to_owned(), lines: vec![line] }
}

fn print(out: &mut Out, saying: &Saying) -> io::Result<()> {
    let (colored, width) = (out.is_colored(), out.width());
    let fit = |line: &str| match width {
        Some(width) => table::cut(line, width.saturating_sub(BEFORE).max(20)).into_owned(),
        None => line.to_owned(),
    };
    let clock = saying.time.map_or_else(|| " ".repeat(8), time::local_clock);
    let word = format!("{:<TYPE$}", saying.word);
    let first = saying.lines.first().map_or_else(String::new, |line| fit(line));
    let line = format!(
        "{}  {}  {first}",
        paint(&clock, color::FAINT, colored),
        paint(&word, color::message_type(&saying.word), colored)
    );
    out.line(line.trim_end())?;
    for line in saying.lines.iter().skip(1) {
        out.line(format!("{:BEFORE$}{}", "", fit(line)).trim_end())?;
    }
    Ok(())
}

/// `text` in a colour, where colours are wanted.
pub(crate) fn paint(text: &str, style: Style, colored: bool) -> String {
    if colored && style != color::PLAIN {
        return format!("{style}{text}{style:#}");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_are_cut_by_lines_and_empty_ones_have_one() {
        assert_eq!(first_lines(""), [""]);
        assert_eq!(first_lines("a\nb\n\n"), ["a", "b"]);
        let body = "x\n".repeat(LINES + 2);
        let lines = first_lines(&body);
        assert_eq!(lines.len(), LINES + 1);
        assert_eq!(lines.last().unwrap(), "... 2 more lines");
        assert_eq!(first_lines("a\x1b[31mb"), ["a\\u{1b}[31mb"]);
    }

    #[test]
    fn lines_are_aligned_below_each_other() {
        let (mut out, written) = Out::to_memory(None, false);
        let lines = vec!["one".to_owned(), "two".to_owned()];
        print(&mut out, &Saying { time: None, word: "FACT".into(), lines }).unwrap();
        drop(out);
        assert_eq!(written.text(), format!("{0:10}FACT       one\n{0:21}two\n", ""));
    }

    #[test]
    fn damage_is_told() {
        assert_eq!(
            of_damage(&Event::Gap { from: 3, to: 5 }).lines,
            ["messages 3 to 5 are missing"]
        );
    }
}
