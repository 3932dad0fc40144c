//! Lines that are written by and by: a server waits for nobody who reads its log slowly, or not at all.
//! Where there is no room for a line it is dropped, and how many were is told in their place.

use anstream::stderr;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Lines that may wait; what comes when there is no room is dropped.
const WAITING: usize = 4096;
/// How long the last lines may take at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

static LINES: OnceLock<Lines> = OnceLock::new();

enum Line {
    Text(String),
    /// So many lines would stand here.
    Dropped(u64),
    Last(Sender<()>),
}

/// The lines that wait to be written.
struct Lines {
    waiting: SyncSender<Line>,
    /// How many were dropped since that was told.
    dropped: AtomicU64,
}

impl Lines {
    fn new(room: usize) -> (Lines, Receiver<Line>) {
        let (waiting, lines) = sync_channel(room);
        (Lines { waiting, dropped: AtomicU64::new(0) }, lines)
    }

    fn take(&self, line: String) {
        self.tell_dropped();
        if self.waiting.try_send(Line::Text(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has it told how many were dropped, as soon as there is room for that.
    fn tell_dropped(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 && self.waiting.try_send(Line::Dropped(dropped)).is_err() {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

/// From now on lines are written by a thread of their own, until what is given is dropped.
pub(crate) fn begin() -> Aside {
    let (lines, waiting) = Lines::new(WAITING);
    if LINES.set(lines).is_ok() {
        std::thread::spawn(move || write(&waiting));
    }
    Aside
}

fn write(waiting: &Receiver<Line>) {
    let put = |line: &str| {
        let _nobody_listens = stderr().lock().write_all(line.as_bytes());
    };
    while let Ok(line) = waiting.recv() {
        match line {
            Line::Text(line) => put(&line),
            Line::Dropped(count) => super::line_of_dropped(count).iter().for_each(|line| put(line)),
            Line::Last(told) => {
                let _nobody_waits = told.send(());
            }
        }
    }
}

/// Takes a line; gives it back where lines are not written aside.
pub(super) fn take(line: String) -> Option<String> {
    let Some(lines) = LINES.get() else { return Some(line) };
    lines.take(line);
    None
}

/// The last lines are written when this is dropped.
#[derive(Debug)]
pub(crate) struct Aside;

impl Drop for Aside {
    fn drop(&mut self) {
        let (told, written) = channel();
        let Some(lines) = LINES.get() else { return };
        lines.tell_dropped();
        // Where there is no room nobody reads, and nothing is to be waited for.
        if lines.waiting.try_send(Line::Last(told)).is_ok() {
            let _written = written.recv_timeout(LAST_WORDS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lines_are_counted_and_told_in_their_place() {
        let (lines, waiting) = Lines::new(2);
        for text in ["1", "2", "3", "4"] {
            lines.take(text.to_owned());
        }
        let next = || match waiting.try_recv() {
            Ok(Line::Text(text)) => text,
            Ok(Line::Dropped(count)) => format!("{count} dropped"),
            Ok(Line::Last(_)) | Err(_) => "nothing".to_owned(),
        };
        assert_eq!((next(), next(), next()), ("1".into(), "2".into(), "nothing".into()));
        lines.take("5".to_owned());
        lines.take("6".to_owned());
        assert_eq!((next(), next(), next()), ("2 dropped".into(), "5".into(), "nothing".into()));
        lines.tell_dropped();
        assert_eq!((next(), next()), ("1 dropped".into(), "nothing".into()));
        lines.take("7".to_owned());
        assert_eq!(next(), "7");
    }
}
