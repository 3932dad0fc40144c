//! The attempts of a task: counting those that were, starting the next, and how they ended.

use super::{Driver, Ended, STEP_LOCK};
use crate::agent::PromptForm;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::{Layout, RUNS};
use crate::run::Outcome;
use crate::run::receipts::{self, Receipt};
use crate::supervise::{DELETED, RunWatch, Started, Stop, is_damage, known, tell_deleted};
use crate::task::decide::LastAttempt;
use crate::task::questions::{questions, told};
use crate::task::state::Phase;
use crate::wait::Step;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// Text in front of the prompt of every attempt but the first.
const CONTINUE: &str = "Continue working on the following:\n\n";

impl Driver {
    /// Counts the attempts of this series, and finds the one that may live.
    ///
    /// Their receipts tell of attempts whose folders are gone, and of the series that the older program
    /// takes out of records; their records tell of those that have no receipt.
    pub(super) fn find_attempts(&mut self) -> Result<()> {
        self.failures = 0;
        let (mut counted, newest) = (0, self.state.last_run.clone());
        let receipts = receipts::read(&self.folder)?.all;
        for (run, has_folder) in self.runs_ever(&receipts)? {
            let receipt = receipts.get(run.as_str());
            let series = receipt.and_then(|receipt| receipt.series);
            if series.is_some_and(|series| series != self.state.series) {
                continue;
            }
            let folder = match has_folder {
                // Gone since it was listed: its receipt tells of it.
                true => self.folder.folder_if_exists(Path::new(RUNS).join(&run))?,
                false => None,
            };
            let record = match folder.as_ref().map(known) {
                Some(Ok(known)) => Some(known.record),
                // A run of which nothing can be read is told by `status`. What could not be read just
                // now may live: another attempt beside it would be worse than an error.
                Some(Err(error)) if !is_damage(&error) => return Err(error),
                _ => None,
            };
            let series = series.or(record.as_ref().and_then(|record| record.series));
            // One whose record lost its series is ours if the loop's state says so.
            if series.map_or(newest.as_ref() != Some(&run), |series| series != self.state.series) {
                continue;
            }
            counted += 1;
            self.state.last_run = Some(run.clone());
            match folder.zip(record) {
                Some((_, record)) if record.is_open() || record.stop_msg.is_none() => {
                    self.watch(Started { run, keeper: None })?;
                }
                Some((folder, record)) => {
                    let ago = self.engine.now().since(record.end_time);
                    if let Some(outcome) = record.outcome {
                        self.count(outcome);
                    }
                    self.last = Ended::of(run, &record, &folder, ago)?;
                }
                None => {
                    if let Some((outcome, _)) = receipt.and_then(|receipt| receipt.end) {
                        self.count(outcome);
                    }
                }
            }
        }
        // An attempt may be gone from the disk, and its receipt too; it was made all the same.
        self.state.attempts = self.state.attempts.max(counted);
        Ok(())
    }

    /// Every run of the task that is known, in the order of creation, and whether it has a folder.
    fn runs_ever(&self, receipts: &BTreeMap<String, Receipt>) -> Result<Vec<(RunId, bool)>> {
        let here = Layout::runs_in(&self.folder)?.ids;
        let known: HashSet<&str> = here.iter().map(RunId::as_str).collect();
        let gone = receipts.keys().filter(|run| !known.contains(run.as_str()));
        let gone: Vec<RunId> = gone.filter_map(|run| run.parse().ok()).collect();
        let mut runs: Vec<(RunId, bool)> = here.into_iter().map(|run| (run, true)).collect();
        runs.extend(gone.into_iter().map(|run| (run, false)));
        runs.sort_by(|(a, _), (b, _)| a.sort_key().cmp(&b.sort_key()));
        Ok(runs)
    }

    /// Counts an attempt's end among the failures in a row.
    pub(super) fn count(&mut self, outcome: Outcome) {
        self.failures = if outcome == Outcome::Completed { 0 } else { self.failures + 1 };
    }

    pub(super) fn watch(&mut self, started: Started) -> Result<()> {
        let run = started.run.clone();
        let (project, task) = (self.plan.project.clone(), self.plan.task.clone());
        let watch = RunWatch::of_started(self.engine.clone(), project, task, started)?;
        let failed = |e| self.folder.error("watch a run of", "", e);
        self.attempt = Some((run, self.poller.hold(watch, 3).map_err(failed)?));
        Ok(())
    }

    /// The end of the attempt that is watched; `None` while it lives, or where there is none.
    pub(super) fn look_at_attempt(&self) -> Result<Option<Ended>> {
        let Some((run, watch)) = &self.attempt else { return Ok(None) };
        let wait = Wait::from(STEP_LOCK);
        match watch.step(&wait) {
            Ok(Step::Pending) => Ok(None),
            Ok(Step::Ready(record)) => {
                let folder = self.folder.folder(Path::new(RUNS).join(run))?;
                Ended::of(run.clone(), &record, &folder, Duration::ZERO)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tell_deleted(&self.engine, &self.plan.project, &self.plan.task, run, &wait)?;
                let (outcome, error) = (Outcome::Lost, Some(DELETED.to_owned()));
                let attempt = LastAttempt { outcome, error, ago: Duration::ZERO, hopeless: false };
                Ok(Some(Ended { run: run.clone(), attempt, cursor: None, seen: Instant::now() }))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn start_attempt(&mut self) -> Result<()> {
        let layout = self.engine.layout();
        if !layout.is_task(&self.folder, &self.plan.project, &self.plan.task)? {
            return Err(deleted(&self.folder));
        }
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
        match self.engine.start_run(&plan, &Wait::from(STEP_LOCK)) {
            Ok(started) => {
                self.state.attempts += 1;
                self.state.last_run = Some(started.run.clone());
                // For those who look; the truth about attempts is in their records.
                self.state.write_relaxed(&self.folder)?;
                self.watch(started)
            }
            Err(error) if error.kind() == ErrorKind::SpawnFailed => {
                // Its record says `refused`, from which the next decision is made.
                self.last = None;
                self.find_attempts()?;
                if let Some(ended) = &mut self.last {
                    ended.attempt.hopeless = true;
                }
                self.tell_refused(&error)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn tell_refused(&self, error: &Error) -> Result<()> {
        let restart = self.state.attempts.saturating_sub(1);
        self.post("WARNING", &format!("root agent failed on restart #{restart}: {error}"))
    }

    pub(super) fn tell_failure(&self) -> Result<()> {
        let error = self.last.as_ref().and_then(|ended| ended.attempt.error.as_ref());
        let Some(error) = error else { return Ok(()) };
        let restart = self.state.attempts.saturating_sub(1);
        let text = format!("root agent failed on restart #{restart}: {error}");
        self.post_once(&format!("failed:{restart}"), "WARNING", &text)
    }

    pub(super) fn ask_attempt_to_stop(&self, reason: &str) -> Result<()> {
        let Some((run, _)) = &self.attempt else { return Ok(()) };
        let stop = Stop::because(reason);
        match self.engine.ask_run_to_stop(&self.plan.project, &self.plan.task, run, &stop) {
            // Its agent deleted its folder; the end of its process is awaited.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            asked => asked.map(drop),
        }
    }
}

fn deleted(folder: &Folder) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "task.deleted",
        format!("{} was deleted while its loop went on", folder.path().display()),
    )
    .with_path(folder.path())
    .with_field("task")
    .with_hint("start the task anew")
}
