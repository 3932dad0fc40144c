//! The line at the bottom of a terminal while nothing is said: that it lives, and what it waits for.

use crate::render::status_line::StatusLine;
use crate::render::{text, time};
use conductor_core::{RunInfo, Task};
use std::time::{Duration, Instant, SystemTime};

/// How long nothing is said before the line shows.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the line is renewed.
const TICK: Duration = Duration::from_secs(1);
/// An agent that wrote nothing for this long is called silent.
const QUIET: Duration = Duration::from_secs(5);

/// The line, and when it is renewed.
#[derive(Debug)]
pub(crate) struct Silence {
    began: Instant,
    next: Instant,
    line: StatusLine,
}

impl Silence {
    /// A line that shows after a while of silence; `None` where nobody could see it.
    pub(crate) fn new() -> Option<Silence> {
        let (now, line) = (Instant::now(), StatusLine::new());
        line.is_seen().then(|| Silence { began: now, next: now + PATIENCE, line })
    }

    /// Takes the line away, because something is said.
    pub(crate) fn clear(&mut self) {
        self.next = Instant::now() + PATIENCE;
        self.line.clear();
    }

    /// Renews the line where it is time to; gives the moment of the next look.
    pub(crate) fn rest(&mut self, line: impl FnOnce() -> Option<String>) -> Instant {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + TICK;
            if let Some(line) = line() {
                self.line.show(&format!("[{}] {line}", time::whole(self.began.elapsed())));
            }
        }
        self.next
    }
}

/// What a task is at, in a line; nothing where that cannot be read now.
pub(crate) fn of_task(task: &Task) -> Option<String> {
    let info = task.info().ok()?;
    let me = std::process::id();
    let elsewhere = match info.driver {
        Some(driver) if driver != me => format!("  (process {driver} drives it)"),
        _ => String::new(),
    };
    let what = match (&info.waiting, &info.latest) {
        (Some(waiting), _) => {
            let until = waiting.until.map(|until| format!(", until {}", time::local_clock(until)));
            format!("waits for {}{}", text::one_line(&waiting.what), until.unwrap_or_default())
        }
        (None, Some(run)) if run.alive == Some(true) => {
            format!("attempt {} {}", info.attempts.unwrap_or(1), of_run(run))
        }
        _ => "between two attempts".to_owned(),
    };
    Some(format!("{what}{elsewhere}"))
}

/// What a living run is at: how long it runs, and whether it says something.
pub(crate) fn of_run(run: &RunInfo) -> String {
    let now = SystemTime::now();
    let length = time::now().since(run.record.start_time);
    let mut line = format!("runs for {}", time::whole(length));
    let written = run.record.stdout_path.as_deref().and_then(|path| std::fs::metadata(path).ok());
    if let Some(written) = written {
        let quiet = written.modified().ok().and_then(|at| now.duration_since(at).ok());
        match (written.len(), quiet) {
            (0, _) => line.push_str(", no output yet"),
            (_, Some(quiet)) if quiet >= QUIET => {
                line.push_str(&format!(", silent for {}", time::whole(quiet)));
            }
            (size, _) => line.push_str(&format!(", {size} bytes of output")),
        }
    }
    line
}
