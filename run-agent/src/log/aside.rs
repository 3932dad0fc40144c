//! Lines that are written by and by: a server waits for nobody who reads its log slowly, or not at all.

use anstream::stderr;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Lines that may wait; what comes when there is no room is dropped.
const WAITING: usize = 4096;
/// How long the last lines may take at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

static LINES: OnceLock<SyncSender<Line>> = OnceLock::new();

enum Line {
    Text(String),
    Last(Sender<()>),
}

/// From now on lines are written by a thread of their own, until what is given is dropped.
pub(crate) fn begin() -> Aside {
    let (lines, waiting) = sync_channel(WAITING);
    if LINES.set(lines).is_ok() {
        std::thread::spawn(move || write(&waiting));
    }
    Aside
}

fn write(waiting: &Receiver<Line>) {
    while let Ok(line) = waiting.recv() {
        match line {
            Line::Text(line) => {
                let _nobody_listens = stderr().lock().write_all(line.as_bytes());
            }
            Line::Last(told) => {
                let _nobody_waits = told.send(());
            }
        }
    }
}

/// Takes a line; gives it back where lines are not written aside.
pub(super) fn take(line: String) -> Option<String> {
    let Some(lines) = LINES.get() else { return Some(line) };
    let _no_room = lines.try_send(Line::Text(line));
    None
}

/// The last lines are written when this is dropped.
#[derive(Debug)]
pub(crate) struct Aside;

impl Drop for Aside {
    fn drop(&mut self) {
        let (told, written) = channel();
        let room = LINES.get().map(|lines| lines.try_send(Line::Last(told)));
        // Where there is no room nobody reads, and nothing is to be waited for.
        if let Some(Ok(())) = room {
            let _written = written.recv_timeout(LAST_WORDS);
        }
    }
}
