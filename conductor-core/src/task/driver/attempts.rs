//! The attempts of a task: counting those that were, starting the next, and how they ended.

use super::admit::{Slot, passes};
use super::{Driver, Ended, STEP_LOCK};
use crate::agent::PromptForm;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{RunId, TaskId};
use crate::layout::{Layout, RUNS};
use crate::limits;
use crate::run::receipts::{self, Receipt};
use crate::run::{Outcome, RunRecord};
use crate::supervise::{
    DELETED, RunPlan, RunWatch, Slots, Started, Stop, is_damage, known, tell_deleted,
};
use crate::task::policy::{LastAttempt, Tally};
use crate::task::questions::{questions, told};
use crate::task::state::{Phase, Spent};
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
        let mut tally = Tally::default();
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
                true => self.folder_of(&run)?,
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
                    self.last = Ended::of(run, &record, &folder, ago)?;
                    if let Some(ended) = self.last.take() {
                        let attempt = &ended.attempt;
                        tally.count(attempt.outcome, attempt.class, attempt.hopeless);
                        self.note_whether_missing(&ended);
                        self.last = Some(ended);
                    }
                }
                // It may live although its folder tells nothing of it, or its end was told by nobody.
                None if receipt.is_none_or(|receipt| receipt.end.is_none())
                    && self.engine.has_entry(&self.plan.project, &self.plan.task, &run)? =>
                {
                    self.watch(Started { run, keeper: None })?;
                }
                None => {
                    if let Some((receipt, (outcome, _))) = receipt.and_then(|r| Some((r, r.end?))) {
                        tally.count(outcome, receipt.class, false);
                    }
                }
            }
        }
        // An attempt may be gone from the disk, and its receipt too; it was made all the same.
        tally.attempts += self.state.attempts.saturating_sub(counted);
        self.state.attempts = self.state.attempts.max(counted);
        self.tally = tally;
        let before = self.state.spent;
        self.charge_for(&receipts);
        if self.state.spent != before {
            // Those whose end no driver saw; whoever takes over counts them, too.
            self.state.write(&self.folder)?;
        }
        self.uncertain = false;
        Ok(())
    }

    /// The folder of a run; `None` where there is none, or something else in its place.
    fn folder_of(&self, run: &RunId) -> Result<Option<Folder>> {
        match self.folder.folder_if_exists(Path::new(RUNS).join(run)) {
            Err(error) if is_damage(&error) => Ok(None),
            folder => folder,
        }
    }

    /// Adds up what the attempts of the series used, and the runs that their agents started in the task;
    /// whether it is more than was known.
    pub(super) fn charge(&mut self) -> Result<bool> {
        let before = self.state.spent;
        let receipts = receipts::read(&self.folder)?.all;
        self.charge_for(&receipts);
        Ok(self.state.spent != before)
    }

    fn charge_for(&mut self, receipts: &BTreeMap<String, Receipt>) {
        let mut spent = Spent::default();
        for receipt in receipts.values() {
            let attempt = receipt.series == Some(self.state.series);
            let child = receipt.series.is_none() && receipt.start >= self.state.started_at;
            if !attempt && !child {
                continue;
            }
            // Nobody knows for how long one ran whose end nobody saw.
            if let Some((outcome, end)) = receipt.end.filter(|_| attempt)
                && outcome != Outcome::Lost
            {
                // A laptop that is closed does not work, and its clock goes on.
                let slept = Duration::from_secs(receipt.slept.unwrap_or(0));
                spent.wall += end.since(receipt.start).saturating_sub(slept);
            }
            spent.tokens += receipt.usage.map_or(0, |usage| usage.total());
            spent.cost_usd += receipt.cost_usd.unwrap_or(0.0);
        }
        // What was counted once stays counted, whatever became of the receipts.
        let known = self.state.spent;
        self.state.spent = Spent {
            wall: known.wall.max(spent.wall),
            tokens: known.tokens.max(spent.tokens),
            cost_usd: known.cost_usd.max(spent.cost_usd),
        };
        let Spent { wall, tokens, cost_usd } = self.state.spent;
        self.tally = Tally { wall, tokens, cost_usd, ..self.tally.clone() };
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
        let wait = self.patience(STEP_LOCK);
        match watch.step(&wait) {
            Ok(Step::Pending) => Ok(None),
            Ok(Step::Ready(record)) => {
                // The older program drops the account from the record.
                if record.account.is_none()
                    && let Some(account) = &self.plan.account
                {
                    self.engine.note_limit(account, &record, &wait)?;
                }
                let folder = self.folder.folder(Path::new(RUNS).join(run))?;
                Ended::of(run.clone(), &record, &folder, Duration::ZERO)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let ids = (&self.plan.project, &self.plan.task, run);
                tell_deleted(&self.engine, ids, DELETED, &wait)?;
                let (outcome, error) = (Outcome::Lost, Some(DELETED.to_owned()));
                let attempt = LastAttempt {
                    outcome,
                    class: None,
                    error,
                    ago: Duration::ZERO,
                    hopeless: false,
                    spread: 0,
                };
                let (run, seen) = (run.clone(), Instant::now());
                Ok(Some(Ended { run, agent: None, attempt, cursor: None, seen }))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn start_attempt(&mut self, slot: Slot) -> Result<()> {
        if self.told_blocked.is_some() {
            self.post_once("unblocked", "FACT", "dependencies satisfied; starting task")?;
            self.told_blocked = None;
        }
        let restart = self.state.attempts;
        let text = format!("starting root agent (restart #{restart})");
        self.post_once(&format!("start:{restart}"), "INFO", &text)?;
        let mut plan = self.next_plan()?;
        plan.series = Some(self.state.series);
        plan.previous_run = self.last.as_ref().map(|ended| ended.run.clone());
        // The keeper ends the attempt that uses up the time of all.
        let left = self.bounds.budget.wall_left(&self.tally);
        plan.limits.total = plan.limits.total.into_iter().chain(left).min();
        let raw = plan.agent.prompt == PromptForm::Raw;
        if self.state.goes_on() && !raw {
            let rejection = self.state.rejection.take().unwrap_or_default();
            let asked = told(&questions(&self.bus, self.state.start_cursor.as_ref())?);
            // Whoever wrote these may not have known what to hide.
            let before = format!("{rejection}{asked}{CONTINUE}");
            plan.prompt.insert_str(0, &self.engine.secrets().hide(&before));
        }
        self.answers = None;
        self.set_phase(Phase::Running, None)?;
        let wait = self.patience(limits::BUS_LOCK);
        self.uncertain = true;
        let slots = Slots { run: slot, task: self.task_slot.as_ref() };
        match self.engine.start_attempt(&plan, &self.folder, slots, &wait) {
            Ok(started) => {
                self.state.attempts += 1;
                self.state.last_run = Some(started.run.clone());
                self.watch(started)?;
                self.uncertain = false;
                // For those who look; the truth about attempts is in their records.
                self.state.write_relaxed(&self.folder)
            }
            Err(error) if error.kind() == ErrorKind::SpawnFailed => {
                // Its record says `refused`, from which the next decision is made.
                self.last = None;
                self.find_attempts()?;
                if let Some(mut ended) = self.last.take() {
                    ended.attempt.hopeless |= !passes(&error);
                    self.note_whether_missing(&ended);
                    self.last = Some(ended);
                }
                self.tell_refused(&error)
            }
            Err(error) => Err(error),
        }
    }

    /// The plan of the next attempt: by whom, and going on with what.
    pub(super) fn next_plan(&self) -> Result<RunPlan> {
        Ok(self.plan.behind(self.last_record()?.as_ref(), &self.missing))
    }

    /// Remembers an agent that cannot be started, until it is.
    pub(super) fn note_whether_missing(&mut self, ended: &Ended) {
        let Some(agent) = &ended.agent else { return };
        if ended.attempt.hopeless {
            self.missing.insert(agent.clone());
        } else {
            self.missing.remove(agent);
        }
    }

    /// What the end of an attempt says of all agents that share the work: where one of them cannot be started,
    /// those that stand in for it may be there.
    pub(super) fn for_all_agents(&self, last: LastAttempt) -> LastAttempt {
        if !last.hopeless || self.plan.others.is_empty() {
            return last;
        }
        let hopeless = self.plan.agents().all(|agent| self.missing.contains(&agent.name));
        let error = last.error.filter(|_| hopeless);
        let error = error.map(|why| format!("no agent that shares the work can be started: {why}"));
        LastAttempt { hopeless, error, ..last }
    }

    /// The record of the last attempt, where it can be read.
    fn last_record(&self) -> Result<Option<RunRecord>> {
        let Some(ended) = &self.last else { return Ok(None) };
        Ok(self
            .folder_of(&ended.run)?
            .and_then(|folder| known(&folder).ok())
            .map(|known| known.record))
    }

    pub(super) fn tell_refused(&self, error: &Error) -> Result<()> {
        let restart = self.state.attempts.saturating_sub(1);
        let missing = self.last.as_ref().filter(|ended| ended.attempt.hopeless);
        let passed_over = match missing.and_then(|ended| ended.agent.as_deref()) {
            Some(agent) if !self.plan.others.is_empty() => {
                format!("\nthe agent {agent} is passed over from now on")
            }
            _ => String::new(),
        };
        let text = format!("root agent failed on restart #{restart}: {error}{passed_over}");
        self.post("WARNING", &text)
    }

    pub(super) fn tell_failure(&self) -> Result<()> {
        let error = self.last.as_ref().and_then(|ended| ended.attempt.error.as_ref());
        let Some(error) = error else { return Ok(()) };
        let restart = self.state.attempts.saturating_sub(1);
        let text = format!("root agent failed on restart #{restart}: {error}");
        self.post_once(&format!("failed:{restart}"), "WARNING", &text)
    }

    pub(super) fn ask_attempt_to_stop(&mut self, reason: &str) -> Result<()> {
        self.ask_children_to_stop(reason)?;
        let Some((run, _)) = &self.attempt else { return Ok(()) };
        self.ask_to_stop(&self.plan.task, run, reason)
    }

    /// Asks what agents of this task started to end: who wished the stop may know nothing of it, as the
    /// older program.
    pub(super) fn ask_children_to_stop(&mut self, reason: &str) -> Result<()> {
        for (task, run) in self.children.runs(&self.engine, &self.plan.project, &self.plan.task)? {
            self.ask_to_stop(&task, &run, reason)?;
        }
        Ok(())
    }

    fn ask_to_stop(&self, task: &TaskId, run: &RunId, reason: &str) -> Result<()> {
        let stop = Stop::because(reason);
        deleted_or_foreign(self.engine.ask_run_to_stop(&self.plan.project, task, run, &stop))
    }
}

/// What became of asking a run to end, where that could be asked.
fn deleted_or_foreign(asked: Result<bool>) -> Result<()> {
    match asked {
        // Its agent deleted its folder; the end of its process is awaited.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // A run of another program, which only that ends.
        Err(error) if error.code() == "run.not_ours" => Ok(()),
        asked => asked.map(drop),
    }
}
