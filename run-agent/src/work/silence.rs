//! The line at the bottom of a terminal while nothing is said: that it lives, and what it waits for.

use crate::render::status_line::StatusLine;
use crate::render::{text, time};
use conductor_core::{Conductor, RunInfo, Task};
use std::time::{Duration, Instant};

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
pub(crate) fn of_task(conductor: &Conductor, task: &Task) -> Option<String> {
    let info = task.info().ok()?;
    let me = std::process::id();
    let elsewhere = match info.driver {
        Some(driver) if driver != me => format!("  (process {driver} drives it)"),
        _ => String::new(),
    };
    let what = match (&info.waiting, &info.latest) {
        (Some(waiting), _) => {
            let until = waiting.until.map(|until| format!(", until {}", time::local_clock(until)));
            let place = text::place_in_line(waiting.position);
            let what = text::one_line(&waiting.what);
            format!("waits for {what}{place}{}", until.unwrap_or_default())
        }
        (None, Some(run)) if run.alive == Some(true) => {
            format!("attempt {} {}", info.attempts.unwrap_or(1), of_run(conductor, run))
        }
        _ => "between two attempts".to_owned(),
    };
    Some(format!("{what}{elsewhere}"))
}

/// What a living run is at: how long it runs, and whether it says something.
pub(crate) fn of_run(conductor: &Conductor, run: &RunInfo) -> String {
    let now = time::now();
    let line = format!("runs for {}", time::whole(now.since(run.record.start_time)));
    // The line is renewed: what cannot be read now is told by the next one, or by the run's end.
    let Ok(written) = conductor.runs().written(run) else { return line };
    let said = match written.at.map(|at| now.since(at)) {
        None => "no output yet".to_owned(),
        Some(quiet) if quiet >= QUIET => format!("silent for {}", time::whole(quiet)),
        Some(_) => format!("{} bytes of output", written.bytes),
    };
    format!("{line}, {said}")
}
