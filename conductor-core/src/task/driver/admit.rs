//! Whether the next attempt may start: slots, the hold of its account, space, and what went wrong before.

use super::Driver;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::FileLock;
use crate::limits;
use crate::supervise::{Admission, Admitted, Gate, Pool};
use crate::sys::{Polled, may_pass};
use crate::task::decide::Trouble;
use crate::task::state::{TaskResult, Waiting};
use crate::wait::Step;
use std::time::Instant;

/// A place in a line, or before a gate.
#[derive(Debug)]
pub(super) struct Asking {
    pool: Pool,
    admission: Polled<Admission>,
    /// What was told of it last.
    told: Option<Gate>,
}

/// Something that kept an attempt from being started, and may pass.
#[derive(Debug)]
pub(super) struct Met {
    what: String,
    at: Instant,
    times: u32,
}

impl Met {
    pub(super) fn trouble(&self) -> Trouble {
        Trouble { what: self.what.clone(), ago: self.at.elapsed(), times: self.times }
    }
}

impl Driver {
    /// Starts the next attempt if it may; what it has to wait for otherwise.
    pub(super) fn start_if_admitted(&mut self) -> Result<Option<Gate>> {
        let started = match self.admitted() {
            Ok(Admitted::Wait(gate)) => return Ok(Some(gate)),
            Ok(Admitted::Go(slot)) => {
                self.asking = None;
                self.start_attempt(slot)
            }
            Err(error) => Err(error),
        };
        match started {
            Err(error) if passes(&error) => {
                let times = self.trouble.as_ref().map_or(0, |met| met.times) + 1;
                self.trouble = Some(Met { what: in_words(&error), at: Instant::now(), times });
                tracing::warn!(%error, times, "an attempt could not be started now");
                // One that came far enough to have a record counts as one that never began.
                self.find_attempts()?;
                Ok(None)
            }
            started => {
                started?;
                self.trouble = None;
                Ok(None)
            }
        }
    }

    fn admitted(&mut self) -> Result<Admitted> {
        let demand = self.engine.demand(&self.next_plan()?)?;
        if demand.slot && self.task_slot.is_none() && self.engine.most_root_tasks() > 0 {
            let who = demand.who.clone();
            match self.ask(Pool::Tasks, |engine| Admission::of_task(engine, who))? {
                Admitted::Go(slot) => self.task_slot = slot,
                wait => return Ok(wait),
            }
        }
        self.ask(Pool::Runs, |engine| Admission::of_run(engine, demand))
    }

    fn ask(
        &mut self,
        pool: Pool,
        make: impl FnOnce(crate::supervise::Engine) -> Result<Admission>,
    ) -> Result<Admitted> {
        let wait = self.patience(limits::RECORD_LOCK);
        let asking = match &mut self.asking {
            Some(asking) if asking.pool == pool => asking,
            other => {
                // The place in another line goes first.
                *other = None;
                let failed = |e| self.folder.error("watch the line for", "", e);
                let admission = self.poller.hold(make(self.engine.clone())?, 6).map_err(failed)?;
                other.insert(Asking { pool, admission, told: None })
            }
        };
        asking.admission.step(&wait)
    }

    /// Waits before a gate. What for is told once, and again when its end moves.
    pub(super) fn wait_at(&mut self, gate: &Gate) -> Result<Step<TaskResult>> {
        let (what, until) = (gate.words(), gate.until());
        let known = self.asking.as_ref().and_then(|asking| asking.told.as_ref());
        if known.is_none_or(|known| (known.words(), known.until()) != (gate.words(), until)) {
            let end = until.map(|until| format!(" until {until}")).unwrap_or_default();
            let event = format!("gate:{}:{what}{end}", self.state.attempts);
            self.post_once(&event, "PROGRESS", &format!("the task waits for {what}{end}"))?;
            if let Some(asking) = &mut self.asking {
                asking.told = Some(gate.clone());
            }
        }
        let waiting = Waiting::new(&what, self.engine.now(), until);
        self.rest(Some(waiting), limits::SAFETY_POLL)
    }
}

/// Whether what kept an attempt from starting may be gone at the next try.
pub(super) fn passes(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|e| e.downcast_ref::<std::io::Error>());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::Busy => error.code() != "lock.timeout",
        ErrorKind::Io | ErrorKind::SpawnFailed => source.is_some_and(may_pass),
        _ => false,
    }
}

fn in_words(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The slot that an attempt was admitted with.
pub(super) type Slot = Option<FileLock>;
