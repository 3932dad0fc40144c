//! The server's log: one line for each event, on the standard error, as `key=value` pairs.

use conductor_core::Timestamp;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The longest value that is written, in characters.
const LONGEST: usize = 2048;

/// Lines that may wait to be written. Who reads them may be slow, or not read at all: the server waits for
/// nobody, and says how many lines it had to drop.
const WAITING: usize = 4096;
/// How long the last lines may take at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Begins to log what is as grave as `CONDUCTOR_LOG` says (`error`, `warn`, `info`, `debug`); `info`
/// unless it says.
///
/// The lines still waiting are written when what is given is dropped.
pub(crate) fn begin() -> Writing {
    let word = std::env::var("CONDUCTOR_LOG").unwrap_or_default();
    let level = match word.trim().to_ascii_lowercase().as_str() {
        "error" => Level::ERROR,
        "warn" | "warning" => Level::WARN,
        "debug" => Level::DEBUG,
        _ => Level::INFO,
    };
    let (lines, waiting) = mpsc::sync_channel(WAITING);
    let (over, ended) = mpsc::channel();
    std::thread::spawn(move || write(&waiting, &over));
    let dropped = AtomicU64::new(0);
    // A second server in one process logs where the first one does.
    let _first_one_stands =
        tracing::subscriber::set_global_default(Lines { level, lines: lines.clone(), dropped });
    Writing { lines, ended }
}

/// Writes lines one by one, until it is told that there are no more.
fn write(waiting: &mpsc::Receiver<Line>, over: &mpsc::Sender<()>) {
    while let Ok(Line::Text(line)) = waiting.recv() {
        // Nobody to tell that nobody listens.
        let _nobody_listens = std::io::stderr().lock().write_all(line.as_bytes());
    }
    let _nobody_waits = over.send(());
}

/// What is written by and by.
enum Line {
    Text(String),
    Last,
}

/// The log while it is written.
pub(crate) struct Writing {
    lines: mpsc::SyncSender<Line>,
    ended: mpsc::Receiver<()>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Where there is no room for it nobody reads, and nothing is to be waited for.
        if self.lines.try_send(Line::Last).is_ok() {
            let _over = self.ended.recv_timeout(LAST_WORDS);
        }
    }
}

/// Writes events as lines. Spans are not told apart: what belongs together has the same request id.
struct Lines {
    level: Level,
    lines: mpsc::SyncSender<Line>,
    /// Lines that nobody took in time.
    dropped: AtomicU64,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut pairs = Pairs::default();
        event.record(&mut pairs);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            pairs.add("dropped_before", &dropped.to_string());
        }
        let line = pairs.line(Timestamp::UNIX_EPOCH.plus(since), *event.metadata().level());
        match self.lines.try_send(Line::Text(line)) {
            Ok(()) => self.dropped.fetch_sub(dropped, Ordering::Relaxed),
            Err(_) => self.dropped.fetch_add(1, Ordering::Relaxed),
        };
    }
}

#[derive(Default)]
struct Pairs {
    event: String,
    subsystem: String,
    rest: String,
}

impl Pairs {
    fn line(&self, now: Timestamp, level: Level) -> String {
        let subsystem = if self.subsystem.is_empty() { "core" } else { &self.subsystem };
        let event = quoted(&self.event);
        format!("ts={now} level={level} subsystem={subsystem} event={event}{}\n", self.rest)
    }

    fn add(&mut self, name: &str, value: &str) {
        match name {
            "message" => self.event = value.to_owned(),
            "subsystem" => self.subsystem = value.to_owned(),
            _ => {
                let _never_fails = write!(self.rest, " {name}={}", quoted(value));
            }
        }
    }
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

/// A value as it can stand in a line: no value can begin a line or a pair of its own.
fn quoted(value: &str) -> String {
    let mut value = value.trim().to_owned();
    if let Some((end, _)) = value.char_indices().nth(LONGEST) {
        value.truncate(end);
        value.push_str("...[TRUNCATED]");
    }
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '"' && c != '=';
    if !value.is_empty() && value.chars().all(plain) {
        return value;
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(c.escape_default()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_forge_a_pair_or_a_line() {
        assert_eq!(quoted("plain-1"), "plain-1");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a b=c\nts=1"), "\"a b=c\\nts=1\"");
        assert_eq!(quoted("say \"x\"\u{1b}"), "\"say \\\"x\\\"\\u{1b}\"");
        assert!(quoted(&"x".repeat(5000)).len() < 2100);
    }

    #[test]
    fn a_line_says_when_how_grave_and_what() {
        let mut pairs = Pairs::default();
        pairs.add("subsystem", "api");
        pairs.add("message", "server_listening");
        pairs.add("address", "127.0.0.1:1");
        assert_eq!(
            pairs.line(Timestamp::UNIX_EPOCH, Level::INFO),
            "ts=1970-01-01T00:00:00Z level=INFO subsystem=api event=server_listening \
             address=127.0.0.1:1\n"
        );
    }
}
