//! What a task did last, and whether it drifts: works on without telling anything that matters.

use super::tasks::{TaskInfo, Tasks};
use crate::bus::{Event, Message, ReadOptions};
use crate::error::Result;
use crate::layout::{OUTPUT, STDERR, STDOUT};
use crate::run::Status;
use crate::time::{Timestamp, format_duration};
use std::time::Duration;

/// Types of messages that say something about the work itself.
const MEANINGFUL: [&str; 4] = ["FACT", "DECISION", "ERROR", "REVIEW"];

/// What a task did last.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Activity {
    /// The last message on its bus.
    pub latest_message: Option<Message>,
    /// When its attempt, or else its newest run, last wrote something.
    pub latest_output: Option<Timestamp>,
    /// When a fact, a decision, an error or a review was last posted.
    pub last_signal: Option<Timestamp>,
    /// Since when that run has been running; `None` where it is not.
    pub running_since: Option<Timestamp>,
    /// Whether that run is running.
    pub running: bool,
}

/// Whether a task drifts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// Whether it does.
    pub risk: bool,
    /// The age of the last meaningful message.
    pub signal_age: Option<Duration>,
    /// Why, in a few words.
    pub reason: String,
}

impl Activity {
    /// Judges whether the task drifts at the moment `now`: it runs, and said nothing that matters for
    /// `threshold` or longer.
    pub fn drift(&self, now: Timestamp, threshold: Duration) -> Drift {
        let signal_age = self.last_signal.map(|at| now.since(at));
        let seconds = |length: Duration| format_duration(Duration::from_secs(length.as_secs()));
        let running_for = self.running_since.map(|at| now.since(at));
        let (risk, reason) = match (self.running, signal_age, running_for) {
            (false, _, _) => (false, "task is not running".to_owned()),
            (true, Some(age), _) if age >= threshold => {
                (true, format!("no meaningful bus signal for {}", seconds(age)))
            }
            (true, Some(age), _) => {
                (false, format!("last meaningful bus signal {} ago", seconds(age)))
            }
            (true, None, Some(length)) if length >= threshold => {
                (true, format!("running for {} without meaningful bus signal", seconds(length)))
            }
            (true, None, Some(length)) => {
                let length = seconds(length);
                (false, format!("no meaningful bus signal yet (running for {length})"))
            }
            (true, None, None) => (false, "running with no meaningful bus signal".to_owned()),
        };
        Drift { risk, signal_age, reason }
    }
}

impl Tasks<'_> {
    /// What a task did last. Reads its bus from the end, and looks at the files of its attempt, or else
    /// of its newest run.
    pub fn activity(&self, task: &TaskInfo) -> Result<Activity> {
        let bus = self.0.engine.task_bus(&task.project, &task.id)?;
        let last = |options: ReadOptions| -> Result<Option<Message>> {
            let mut found = None;
            for event in bus.read(options.tail(1))? {
                if let Event::Message(message) = event? {
                    found = Some(message);
                }
            }
            Ok(found)
        };
        let meaningful =
            MEANINGFUL.iter().fold(ReadOptions::default(), |options, kind| options.of_type(*kind));
        let running = task.current_run().filter(|run| run.status() == Status::Running);
        Ok(Activity {
            latest_message: last(ReadOptions::default())?,
            last_signal: last(meaningful)?.map(|message| message.time),
            latest_output: self.latest_output(task)?,
            running: running.is_some(),
            running_since: running.map(|run| run.record.start_time).filter(|at| !at.is_zero()),
        })
    }

    fn latest_output(&self, task: &TaskInfo) -> Result<Option<Timestamp>> {
        let Some(run) = task.current_run() else { return Ok(None) };
        let folder = self.0.engine.layout().run(&task.project, &task.id, &run.id)?;
        let mut latest = None;
        for name in [OUTPUT, STDOUT, STDERR] {
            // An empty file was made by the start of the run, not written by it.
            if let Some(stat) = folder.stat(name)?.filter(|stat| stat.size > 0) {
                latest = latest.max(Some(Timestamp::from_unix_nanos(stat.modified)));
            }
        }
        Ok(latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i128) -> Timestamp {
        Timestamp::from_unix_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn drift_is_silence_while_running() {
        let quiet = Duration::from_secs(1200);
        let now = at(10_000);
        let judge = |running, signal: Option<i128>, since: Option<i128>| {
            let (last_signal, running_since) = (signal.map(at), since.map(at));
            let activity = Activity { running, last_signal, running_since, ..Activity::default() };
            let drift = activity.drift(now, quiet);
            (drift.risk, drift.reason)
        };
        let say = |risk, text: &str| (risk, text.to_owned());
        assert_eq!(judge(false, Some(0), None), say(false, "task is not running"));
        assert_eq!(
            judge(true, Some(9_700), Some(0)),
            say(false, "last meaningful bus signal 5m0s ago")
        );
        assert_eq!(
            judge(true, Some(8_500), Some(0)),
            say(true, "no meaningful bus signal for 25m0s")
        );
        assert_eq!(
            judge(true, None, Some(9_940)),
            say(false, "no meaningful bus signal yet (running for 1m0s)")
        );
        assert_eq!(
            judge(true, None, Some(8_500)),
            say(true, "running for 25m0s without meaningful bus signal")
        );
        assert_eq!(judge(true, None, None), say(false, "running with no meaningful bus signal"));
    }
}
