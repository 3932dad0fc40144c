//! The forms of a line. Pure.

use crate::render::color;
use crate::render::time::local_clock;
use clap::ValueEnum;
use conductor_core::{LogLevel, LogLine, escaped};
use std::fmt::Write as _;

/// The forms that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    // For people at a terminal, pairs otherwise.
    Auto,
    // For people.
    Human,
    // Pairs of names and values: `level=INFO event=run_started`.
    Pairs,
    // JSON, one object on each line.
    Json,
}

impl LogForm {
    /// The form of this name in the configuration.
    pub(super) fn named(name: &str) -> Option<LogForm> {
        LogForm::from_str(name, true).ok()
    }
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Human,
    Pairs,
    Json,
}

impl Form {
    pub(super) fn of(asked: LogForm, terminal: bool) -> Form {
        match asked {
            LogForm::Auto if terminal => Form::Human,
            LogForm::Human => Form::Human,
            LogForm::Auto | LogForm::Pairs => Form::Pairs,
            LogForm::Json => Form::Json,
        }
    }

    /// The line with its line feed. Colours are taken out later where they are not wanted.
    pub(super) fn line(self, line: &LogLine) -> String {
        let mut text = match self {
            Form::Human => human(line),
            Form::Pairs => line.to_pairs(),
            Form::Json => line.to_json(),
        };
        text.push('\n');
        text
    }
}

/// `14:03:09 warn runner: what happened (run_id r-1, agent claude)`
fn human(line: &LogLine) -> String {
    let style = match line.level {
        LogLevel::Error => color::ERROR,
        LogLevel::Warn => color::WARNING,
        LogLevel::Info | LogLevel::Debug => color::HINT,
    };
    let time = local_clock(line.at);
    let (level, subsystem) = (line.level.as_str(), escaped(&line.subsystem));
    let what = match (&*line.message, &line.event) {
        ("", Some(event)) => event.replace('_', " "),
        (message, _) => message.to_owned(),
    };
    let mut text = format!("{time} {style}{level}{style:#} {subsystem}: {}", escaped(&what));
    for (index, (name, value)) in line.fields.iter().enumerate() {
        let before = if index == 0 { " (" } else { ", " };
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{before}{} {}", escaped(name), escaped(&value.to_string()));
    }
    if !line.fields.is_empty() {
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    /// The line of the event that `emit` emits.
    fn line(emit: impl FnOnce()) -> LogLine {
        struct Keep(std::sync::Arc<parking_lot::Mutex<Option<LogLine>>>);
        impl<S: tracing::Subscriber> Layer<S> for Keep {
            fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
                let at = conductor_core::Timestamp::from_unix_nanos(0);
                *self.0.lock() = Some(LogLine::of(event, at));
            }
        }
        let kept = std::sync::Arc::default();
        let keep = Keep(std::sync::Arc::clone(&kept));
        with_default(tracing_subscriber::registry().with(keep), emit);
        kept.lock().take().unwrap()
    }

    #[test]
    fn the_form_is_asked_for_or_that_of_who_reads() {
        assert_eq!(Form::of(LogForm::Auto, true), Form::Human);
        assert_eq!(Form::of(LogForm::Auto, false), Form::Pairs);
        assert_eq!(Form::of(LogForm::Json, true), Form::Json);
        assert_eq!(Form::of(LogForm::Human, false), Form::Human);
        assert_eq!(LogForm::named("JSON"), Some(LogForm::Json));
    }

    #[test]
    fn a_line_says_what_happened_and_keeps_secrets_and_the_terminal() {
        let line = line(|| {
            tracing::warn!(
                name: "thing_happened", run_id = %"r-1", api_token = "hunter2", count = 3,
                "it said sk-1234567890abc\n\x1b[31mred"
            );
        });
        let human = Form::Human.line(&line);
        assert!(human.contains(" conductor: it said [REDACTED]"), "{human}");
        assert!(human.ends_with(" (run_id r-1, api_token [REDACTED], count 3)\n"), "{human}");
        assert_eq!(human.lines().count(), 1);
        for form in [Form::Human, Form::Pairs, Form::Json] {
            let text = form.line(&line);
            assert!(!text.contains("hunter2") && !text.contains("\x1b[31mred"), "{text}");
        }
        let pairs = Form::Pairs.line(&line);
        assert!(pairs.contains(" level=WARN subsystem=conductor event=thing_happened message=\""));
        let json: serde_json::Value = serde_json::from_str(&Form::Json.line(&line)).unwrap();
        assert_eq!((&json["count"], &json["event"]), (&3.into(), &"thing_happened".into()));
    }
}
