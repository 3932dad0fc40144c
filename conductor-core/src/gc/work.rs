//! Deleting the runs of a task, and the task itself.
//!
//! The task's lock keeps starters out, which share it until their run can be found by its entry. So
//! what such an entry says of a run that began meanwhile is complete for this task.

use super::apply::{GcResult, Moved, Work};
use super::facts::{RunFact, RunState, TaskFact};
use super::item::{GcAction, GcReason};
use super::scan_run::{newest_of_orphan, over, stamp};
use super::scan_task::is_own;
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::{FileLock, Folder, LockError};
use crate::layout::{
    DONE, LOOP, LOOP_LOCK, Layout, RUN_INFO, RUN_LOCK, RUNS, TASK_CONFIG, TASK_LOCK,
};
use crate::limits;
use crate::run::receipts::{self, Keeping, Receipt};
use crate::run::{Glimpse, glimpse, store};
use crate::supervise::{Finished, OpenEntry, finish, processes_live};
use crate::sys::{FileKind, LockKind, Open};
use crate::time::Timestamp;
use std::ffi::OsStr;

impl Work<'_> {
    /// Deletes what the plan says of a task.
    pub(super) fn task(&mut self, at: usize) -> Result<()> {
        let goes = |run: &usize| self.plan.verdicts.runs[*run].action == GcAction::Delete;
        let runs: Vec<usize> = self.plan.facts.tasks[at].runs.clone().filter(goes).collect();
        let task_goes = self.plan.task_item(at).is_some_and(|i| i.action == GcAction::Delete);
        let mut left = &runs[..];
        while !left.is_empty() {
            self.wait.check()?;
            let (some, more) = left.split_at(left.len().min(self.trash.room().max(1)));
            left = more;
            self.runs(at, some);
            if self.trash.is_full() {
                self.flush();
            }
        }
        if task_goes && let Some(item) = self.plan.task_item(at) {
            self.wait.check()?;
            match self.whole_task(at) {
                // Told once it is deleted.
                Ok(None) => {}
                Ok(Some(result)) => self.tell(item, Ok(result)),
                Err(error) => self.tell(item, Err(error)),
            }
            if self.trash.is_full() {
                self.flush();
            }
        }
        Ok(())
    }

    /// Moves some runs of a task into the trash.
    fn runs(&mut self, at: usize, runs: &[usize]) {
        // Their ends are written down first, messages included, as everybody who waits would do.
        let mut results: Vec<Option<Result<GcResult>>> =
            runs.iter().map(|run| self.write_down(at, *run).transpose()).collect();
        let held = match self.hold(at) {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(result)) => Err(result),
            Err(error) => {
                // Told of the first; the others are kept for the same reason.
                if let Some(first) = results.iter_mut().find(|result| result.is_none()) {
                    *first = Some(Err(error));
                }
                Err(GcResult::Kept(GcReason::Unreadable))
            }
        };
        let held = match held {
            Ok(held) => self.keep_receipts(&held, runs, &mut results).map(|()| held),
            answer => answer,
        };
        for (run, result) in runs.iter().zip(results) {
            let result = match (result, &held) {
                (Some(result), _) => result.map(Some),
                (None, Ok(held)) => self.run(at, *run, held),
                (None, Err(GcResult::Gone)) => Ok(Some(GcResult::Gone)),
                (None, Err(GcResult::Kept(reason))) => Ok(Some(GcResult::Kept(*reason))),
                (None, Err(_)) => Ok(Some(GcResult::Kept(GcReason::Busy))),
            };
            if let Some(result) = result.transpose() {
                let item = self.plan.run_item(at, *run);
                self.tell(item, result);
            }
        }
    }

    /// Makes the receipts of runs durable that are about to go. A run whose receipt cannot be had stays.
    fn keep_receipts(
        &self,
        held: &HeldTask,
        runs: &[usize],
        results: &mut [Option<Result<GcResult>>],
    ) -> Result<(), GcResult> {
        let fact = |run: usize| &self.plan.facts.runs[run];
        let mut first_error = None;
        let kept = Keeping::new(&held.folder, self.wait).and_then(|mut keeping| {
            for (run, result) in runs.iter().zip(results.iter_mut()) {
                let run = fact(*run);
                let tells = run.state != RunState::Orphan && result.is_none();
                if tells && keeping.lacks(&run.id) {
                    match receipt(held, run) {
                        Ok(Some(receipt)) => keeping.add(&run.id, &receipt)?,
                        Ok(None) => *result = Some(Ok(GcResult::Gone)),
                        Err(error) => *result = Some(Err(error)),
                    }
                }
            }
            keeping.write()
        });
        if let Err(error) = kept {
            // Told of the first; the others stay for the same reason.
            first_error = Some(error);
        }
        match (first_error, results.iter_mut().find(|result| result.is_none())) {
            (None, _) => Ok(()),
            (Some(error), Some(first)) => {
                *first = Some(Err(error));
                Err(GcResult::Kept(GcReason::Busy))
            }
            (Some(_), None) => Err(GcResult::Kept(GcReason::Busy)),
        }
    }

    /// Writes the end of a run down that nobody wrote down yet; `None` where it may go on.
    fn write_down(&self, at: usize, run: usize) -> Result<Option<GcResult>> {
        let (task, run) = (&self.plan.facts.tasks[at], &self.plan.facts.runs[run]);
        if !matches!(run.state, RunState::Unwritten(_)) {
            return Ok(None);
        }
        match finish(self.engine, self.plan.project(task), &task.id, &run.id, self.wait) {
            Ok(Finished::Over) => Ok(None),
            Ok(Finished::NotYet) => Ok(Some(GcResult::Kept(GcReason::Changed))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(GcResult::Gone)),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock of a task, if nobody starts anything in it; else what becomes of its things.
    fn hold(&self, at: usize) -> Result<Result<HeldTask, GcResult>> {
        let task = &self.plan.facts.tasks[at];
        let project = self.plan.project(task);
        let folder = match self.engine.layout().task(project, &task.id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(GcResult::Gone)),
            folder => folder?,
        };
        let Some(lock) = folder.try_lock(TASK_LOCK, LockKind::Exclusive)? else {
            return Ok(Err(GcResult::Kept(GcReason::Busy)));
        };
        // Who deleted the task before us moved the folder away that we locked.
        if !self.engine.layout().is_task(&folder, project, &task.id)? {
            return Ok(Err(GcResult::Kept(GcReason::Changed)));
        }
        if self.began_meanwhile(task)? {
            return Ok(Err(GcResult::Kept(GcReason::Alive)));
        }
        let runs = match folder.folder_here(RUNS) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            runs => Some(runs?),
        };
        Ok(Ok(HeldTask { folder, runs, _lock: lock }))
    }

    /// Whether a run began since the plan was made that is of the task, or came from a run of it.
    fn began_meanwhile(&self, task: &TaskFact) -> Result<bool> {
        let Some(entries) = self.open_entries()? else { return Ok(false) };
        let (known, mut new) = (&self.plan.facts.entries, false);
        entries.visit(&mut |name, _| {
            new = name.to_str().is_none_or(|name| !known.iter().any(|known| known == name));
            !new
        })?;
        if !new {
            return Ok(false);
        }
        let layout = self.engine.layout();
        let found = OpenEntry::list(layout)?.entries;
        for entry in found.iter().filter(|entry| !known.contains(&entry.name)) {
            if entry.task == task.id && entry.project == *self.plan.project(task) {
                return Ok(true);
            }
            let record = layout.run(&entry.project, &entry.task, &entry.run);
            let Ok(record) = record.and_then(|folder| store::read(&folder)) else { continue };
            let links = [record.parent_run_id, record.previous_run_id];
            let runs = &self.plan.facts.runs[task.runs.clone()];
            if links.iter().flatten().any(|id| runs.iter().any(|run| run.id.as_str() == id.trim()))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves a run into the trash; `None` where it is there and is told once it is deleted.
    fn run(&mut self, at: usize, run: usize, task: &HeldTask) -> Result<Option<GcResult>> {
        let fact = &self.plan.facts.runs[run];
        let Some(runs) = &task.runs else { return Ok(Some(GcResult::Gone)) };
        let folder = match runs.folder_here(&fact.id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(GcResult::Gone)),
            Err(error) if error.code() == "path.mount_point" => {
                return Ok(Some(GcResult::Kept(GcReason::Mounted)));
            }
            folder => folder?,
        };
        // One that was over without them when it was looked at has neither lock nor keeper.
        let guarded = fact.guarded || !matches!(fact.state, RunState::Over(_));
        let _lock = match guarded.then(|| lock_if_there(&folder)).transpose()? {
            Some(Err(())) => return Ok(Some(GcResult::Kept(GcReason::Alive))),
            Some(Ok(lock)) => lock,
            None => None,
        };
        // Whatever its files say: an agent may have written them.
        if guarded && processes_live(&folder)? {
            return Ok(Some(GcResult::Kept(GcReason::Alive)));
        }
        if let Some(reason) = why_not(&folder, fact)? {
            return Ok(Some(GcResult::Kept(reason)));
        }
        let moved = self.trash.take(runs, OsStr::new(fact.id.as_str()), Moved::Run(at, run))?;
        Ok((!moved).then_some(GcResult::Gone))
    }

    /// Moves a task into the trash; `None` where it is there.
    fn whole_task(&mut self, at: usize) -> Result<Option<GcResult>> {
        let held = match self.hold(at)? {
            Ok(held) => held,
            Err(result) => return Ok(Some(result)),
        };
        let plan = self.plan;
        let task = &plan.facts.tasks[at];
        if let Some(reason) = self.why_not_task(&held.folder, task)? {
            return Ok(Some(GcResult::Kept(reason)));
        }
        let project = self.engine.layout().project(plan.project(task))?;
        receipts::hand_over(&held.folder, &task.id, &project, self.wait)?;
        let moved = self.trash.take(&project, OsStr::new(task.id.as_str()), Moved::Task(at))?;
        Ok((!moved).then_some(GcResult::Gone))
    }

    /// Why a locked task must stay although the plan says otherwise.
    fn why_not_task(&self, folder: &Folder, task: &TaskFact) -> Result<Option<GcReason>> {
        let done = folder.stat(DONE)?.is_some_and(|stat| stat.kind == FileKind::File);
        if !done {
            return Ok(Some(GcReason::Changed));
        }
        if folder.is_locked(LOOP_LOCK)? {
            return Ok(Some(GcReason::Busy));
        }
        let has = |name: &str| folder.stat(name).map(|stat| stat.is_some());
        if has(LOOP)? || has(TASK_CONFIG)? {
            let look = (self.look)(folder)?;
            if look.series.is_some() && look.ended_at.is_none() {
                return Ok(Some(GcReason::Attempt));
            }
        }
        let runs = Layout::runs_in(folder)?;
        if !runs.ids.is_empty() || !runs.foreign.is_empty() {
            return Ok(Some(GcReason::Runs));
        }
        let sum = folder.measure(&mut |name, _| is_own(name))?;
        Ok(if sum.mounted {
            Some(GcReason::Mounted)
        } else if Timestamp::from_unix_nanos(sum.newest) > task.newest {
            Some(GcReason::Changed)
        } else {
            None
        })
    }
}

/// The receipt of a run that has none; `None` where the run is gone.
fn receipt(held: &HeldTask, fact: &RunFact) -> Result<Option<Receipt>> {
    let Some(runs) = &held.runs else { return Ok(None) };
    let folder = match runs.folder_here(&fact.id) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    let Some(bytes) = folder.read_if_exists(RUN_INFO, limits::YAML_FILE)? else {
        return Ok(None);
    };
    let plain = glimpse(&bytes).filter(|seen| !seen.counted);
    let (seen, known) = match plain {
        Some(seen) => (seen, None),
        None => {
            let record = store::read(&folder)?;
            (Glimpse::from(&record), Some(Receipt::of(&record)))
        }
    };
    let end = match over(&seen) {
        RunState::Over(outcome) => Some((outcome, seen.end_time)),
        _ => None,
    };
    let Glimpse { agent, series, start_time: start, .. } = seen;
    Ok(Some(match known {
        Some(known) => Receipt { end, ..known },
        None => Receipt { agent, series, start, end, model: None, usage: None, cost_usd: None },
    }))
}

/// Why a locked run must stay although the plan says otherwise.
fn why_not(folder: &Folder, fact: &RunFact) -> Result<Option<GcReason>> {
    let info = folder.stat(RUN_INFO)?;
    Ok(match (fact.state, info) {
        (RunState::Orphan, None) => {
            let newest = newest_of_orphan(folder, &folder.measure(&mut |_, _| true)?)?;
            (newest > fact.end).then_some(GcReason::Changed)
        }
        (RunState::Unwritten(_), Some(_)) => {
            store::read(folder)?.is_open().then_some(GcReason::Changed)
        }
        (RunState::Over(_), Some(info)) => {
            (stamp(&info) != fact.stamp).then_some(GcReason::Changed)
        }
        _ => Some(GcReason::Changed),
    })
}

/// A task that nobody starts anything in as long as it is held.
struct HeldTask {
    folder: Folder,
    /// The folder of its runs, where it has one.
    runs: Option<Folder>,
    _lock: FileLock,
}

/// Takes the lock of a run, where it has one. Without a lock file no keeper holds it.
fn lock_if_there(run: &Folder) -> Result<Result<Option<FileLock>, ()>> {
    let wait = Wait::NONE.into();
    let lock = run.lock_file(OsStr::new(RUN_LOCK), Open::Write, LockKind::Exclusive, &wait);
    match lock {
        Ok(lock) => Ok(Ok(Some(lock))),
        Err(LockError::Held(_)) => Ok(Err(())),
        // None, or something that is none: the identity of its processes decides.
        Err(LockError::Other(error))
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) =>
        {
            Ok(Ok(None))
        }
        Err(LockError::Other(error)) => Err(error),
    }
}
