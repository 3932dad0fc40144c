//! The attempts of a task: counting those that were, starting the next, and how they ended.

use super::{Driver, Ended, STEP_LOCK};
use crate::agent::PromptForm;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RunId;
use crate::layout::{Layout, RUNS};
use crate::run::{Outcome, store};
use crate::supervise::{RunWatch, Stop};
use crate::task::decide::LastAttempt;
use crate::task::questions::{questions, told};
use crate::task::state::Phase;
use std::path::Path;

/// Text in front of the prompt of every attempt but the first.
const CONTINUE: &str = "Continue working on the following:\n\n";

impl Driver {
    /// Counts the attempts of this series from their records, and finds the one that may live.
    pub(super) fn find_attempts(&mut self) -> Result<()> {
        self.state.attempts = 0;
        self.failures = 0;
        for run in Layout::runs_in(&self.folder)?.ids {
            let folder = self.folder.folder(Path::new(RUNS).join(&run))?;
            // A run whose record cannot be read is told by `status`; it is no attempt of ours.
            let Ok(record) = store::read(&folder) else { continue };
            if record.series != Some(self.state.series) {
                continue;
            }
            self.state.attempts += 1;
            self.state.last_run = Some(run.clone());
            if record.is_open() || record.stop_msg.is_none() {
                self.watch(run)?;
            } else if let Some(outcome) = record.outcome {
                let ago = self.engine.now().since(record.end_time);
                self.count(outcome);
                self.last = Some(Ended::new(run, outcome, &record, ago));
            }
        }
        Ok(())
    }

    /// Counts an attempt's end among the failures in a row.
    pub(super) fn count(&mut self, outcome: Outcome) {
        self.failures = if outcome == Outcome::Completed { 0 } else { self.failures + 1 };
    }

    pub(super) fn watch(&mut self, run: RunId) -> Result<()> {
        let watch = RunWatch::new(
            self.engine.clone(),
            self.plan.project.clone(),
            self.plan.task.clone(),
            run.clone(),
        )?;
        self.poller.add(watch.fd(), 3).map_err(|e| self.folder.error("watch a run of", "", e))?;
        self.attempt = Some((run, watch));
        Ok(())
    }

    pub(super) fn start_attempt(&mut self) -> Result<()> {
        if self.told_blocked.take().is_some() {
            self.post("FACT", "dependencies satisfied; starting task")?;
        }
        let restart = self.state.attempts;
        let text = format!("starting root agent (restart #{restart})");
        self.post_once(&format!("start:{restart}"), "INFO", &text)?;
        let mut plan = self.plan.clone();
        plan.series = Some(self.state.series);
        plan.previous_run = self.last.as_ref().map(|ended| ended.run.clone());
        let raw = plan.agent.prompt == PromptForm::Raw;
        if self.state.goes_on() && !raw {
            let rejection = self.state.rejection.take().unwrap_or_default();
            let asked = told(&questions(&self.bus, self.state.start_cursor.as_ref())?);
            plan.prompt.insert_str(0, &format!("{rejection}{asked}{CONTINUE}"));
        }
        self.answers = None;
        self.set_phase(Phase::Running, None)?;
        self.state.attempts += 1;
        match self.engine.start_run(&plan, &Wait::from(STEP_LOCK)) {
            Ok(run) => {
                self.state.last_run = Some(run.clone());
                // For those who look; the truth about attempts is in their records.
                self.state.write_relaxed(&self.folder)?;
                self.watch(run)
            }
            Err(error) if error.kind() == ErrorKind::SpawnFailed => {
                self.tell_refused(&error)?;
                // Its record says `refused`, from which the next decision is made.
                self.last = None;
                self.find_attempts()
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn tell_refused(&self, error: &Error) -> Result<()> {
        let restart = self.state.attempts.saturating_sub(1);
        self.post("WARNING", &format!("root agent failed on restart #{restart}: {error}"))
    }

    pub(super) fn tell_failure(&self, attempt: &LastAttempt) -> Result<()> {
        let Some(error) = &attempt.error else { return Ok(()) };
        let restart = self.state.attempts.saturating_sub(1);
        let text = format!("root agent failed on restart #{restart}: {error}");
        self.post_once(&format!("failed:{restart}"), "WARNING", &text)
    }

    pub(super) fn ask_attempt_to_stop(&self, reason: &str) -> Result<()> {
        let Some((run, _)) = &self.attempt else { return Ok(()) };
        let stop = Stop::because(reason);
        self.engine.ask_run_to_stop(&self.plan.project, &self.plan.task, run, &stop).map(drop)
    }
}
