//! Deleting the runs of a task, and the task itself.
//!
//! The task's lock keeps starters out, which share it until their run can be found by its entry. So
//! what such an entry says of a run that began meanwhile is complete for this task. The first run that
//! is to go is looked at again once the lock is held, those after it are looked at under it.

use super::apply::{GcResult, GcWork};
use super::decide::Verdict;
use super::facts::{Owner, RunFact, RunState, TaskFact};
use super::going;
use super::item::{GcItem, GcReason};
use super::leftovers::{receipt, receipt_of};
use super::scan_run::{FoundRun, newest_of_orphan};
use super::scan_task::{Loose, TaskScan, is_own};
use super::trash::Taken;
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::{FileLock, Folder, LockError};
use crate::layout::{DONE, LOOP, LOOP_LOCK, Layout, RUN_INFO, RUN_LOCK, TASK_CONFIG, TASK_LOCK};
use crate::run::receipts::{self, Keeping};
use crate::supervise::{Finished, finish, processes_live};
use crate::sys::{FileKind, LockKind, Open};
use crate::time::Timestamp;
use std::ffi::OsStr;

/// How many runs are moved together: each is held open until then.
const TOGETHER: usize = 48;

/// How many runs are looked at in one part: whoever waits for the work can end it between two.
const LOOKED_AT: usize = 256;

/// A task that nobody starts anything in as long as it is held.
#[derive(Debug)]
struct HeldTask {
    folder: Folder,
    _lock: FileLock,
}

/// A run that may go, looked at under the task's lock.
struct Ready {
    item: GcItem,
    found: FoundRun,
    /// Its own lock, where it has one.
    _lock: Option<FileLock>,
}

/// How it stands with the lock of a task.
#[derive(Debug)]
enum Hold {
    Not,
    Held(HeldTask),
    /// It is not to be had now: what goes stays for this.
    Refused(GcReason),
}

/// A task whose runs are being deleted.
#[derive(Debug)]
pub(super) struct TaskWork {
    scan: TaskScan,
    hold: Hold,
    keeping: Option<Keeping>,
}

impl TaskWork {
    pub(super) fn new(scan: TaskScan) -> TaskWork {
        TaskWork { scan, hold: Hold::Not, keeping: None }
    }

    /// What is beside its runs.
    pub(super) fn into_loose(mut self) -> (Owner, Loose) {
        (self.scan.owner(), std::mem::take(&mut self.scan.loose))
    }
}

impl GcWork {
    /// Deletes some of what is to go of a task; `false` once that is all. No lock is held behind it.
    pub(super) fn task_part(&mut self, task: &mut TaskWork) -> bool {
        let TaskWork { scan, hold, keeping } = task;
        let mut ready: Vec<Ready> = Vec::new();
        for _ in 0..LOOKED_AT {
            let Some((found, verdict)) = self.walk.next_run(scan) else {
                self.move_away(scan, keeping, &mut ready);
                let hold = std::mem::replace(hold, Hold::Not);
                self.end_of_task(scan, hold);
                return false;
            };
            if !verdict.deletes() {
                continue;
            }
            if let Hold::Not = hold {
                *hold = self.hold_or_tell(&scan.fact, &found, verdict);
                if let Hold::Refused(_) = hold {
                    continue;
                }
                // Looked at before the lock was held: once more.
                let again = self.again(scan, found);
                ready.extend(self.make_ready(scan, again));
            } else if let Hold::Refused(reason) = hold {
                let item = self.plan.run_item(&scan.fact, &found.fact, verdict);
                self.tell(item, Ok(GcResult::Kept(*reason)));
            } else {
                ready.extend(self.make_ready(scan, Ok(Some((found, verdict)))));
            }
            if ready.len() >= TOGETHER {
                break;
            }
        }
        self.move_away(scan, keeping, &mut ready);
        if let Hold::Held(_) = hold {
            // Starters of the task need not wait for all of it.
            *hold = Hold::Not;
        }
        true
    }

    /// Deletes the task itself, where it is to go.
    fn end_of_task(&mut self, scan: &mut TaskScan, hold: Hold) {
        let verdict = self.walk.end_task(scan);
        if let Some(verdict) = verdict.filter(|verdict| verdict.deletes()) {
            let item = self.plan.task_item(&scan.fact, verdict);
            match self.whole_task(&scan.fact, hold, &item) {
                // Told once it is deleted.
                Ok(None) => {}
                Ok(Some(result)) => self.tell(item, Ok(result)),
                // A person deletes it too.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.tell(item, Ok(GcResult::Gone));
                }
                Err(error) => self.tell(item, Err(error)),
            }
        }
        if self.trash.is_full() {
            self.flush();
        }
    }

    /// Takes the lock of the task of a run that is to go, or tells of that run why not.
    fn hold_or_tell(&mut self, task: &TaskFact, found: &FoundRun, verdict: Verdict) -> Hold {
        let item = self.plan.run_item(task, &found.fact, verdict);
        match self.hold(task) {
            Ok(Ok(held)) => Hold::Held(held),
            Ok(Err(GcResult::Kept(reason))) => {
                self.tell(item, Ok(GcResult::Kept(reason)));
                Hold::Refused(reason)
            }
            Ok(Err(result)) => {
                self.tell(item, Ok(result));
                Hold::Refused(GcReason::Changed)
            }
            Err(error) => {
                // Told of the first; the others are kept for the same reason.
                self.tell(item, Err(error));
                Hold::Refused(GcReason::Unreadable)
            }
        }
    }

    /// Takes the lock of a task, if nobody starts anything in it; else what becomes of its things.
    fn hold(&mut self, task: &TaskFact) -> Result<Result<HeldTask, GcResult>> {
        let layout = self.plan.engine.layout();
        let folder = match layout.task(&task.project, &task.id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(GcResult::Gone)),
            folder => folder?,
        };
        let lock = match folder.try_lock(TASK_LOCK, LockKind::Exclusive) {
            // Deleted since it was opened.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(GcResult::Gone)),
            lock => lock?,
        };
        let Some(lock) = lock else { return Ok(Err(GcResult::Kept(GcReason::Busy))) };
        // Who deleted the task before us moved the folder away that we locked.
        if !layout.is_task(&folder, &task.project, &task.id)? {
            return Ok(Err(GcResult::Kept(GcReason::Changed)));
        }
        // Runs that began since the plan was made keep what they came from.
        self.follow_new_runs()?;
        Ok(Ok(HeldTask { folder, _lock: lock }))
    }

    /// Looks at a run again; its end is written down first where nobody did.
    fn again(&mut self, scan: &TaskScan, found: FoundRun) -> Result<Option<(FoundRun, Verdict)>> {
        let Some(runs) = &scan.runs else { return Ok(None) };
        let newer = found.newer;
        self.walk.look_at_run(&scan.fact, runs, found.fact.id, newer)
    }

    /// Makes sure that a run may go that is to go; tells of it where it may not.
    fn make_ready(
        &mut self,
        scan: &TaskScan,
        looked: Result<Option<(FoundRun, Verdict)>>,
    ) -> Option<Ready> {
        let (found, verdict) = match looked {
            Ok(Some(looked)) => looked,
            Ok(None) => return None,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                self.fail(error);
                return None;
            }
        };
        let item = self.plan.run_item(&scan.fact, &found.fact, verdict);
        if !verdict.deletes() {
            self.tell(item, Ok(GcResult::Kept(verdict.reason)));
            return None;
        }
        match self.may_go(scan, found) {
            Ok(Ok((found, _lock))) => return Some(Ready { item, found, _lock }),
            Ok(Err(result)) => self.tell(item, Ok(result)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.tell(item, Ok(GcResult::Gone));
            }
            Err(error) => self.tell(item, Err(error)),
        }
        None
    }

    /// Whether a run may go under its own lock; else what becomes of it.
    #[allow(clippy::type_complexity, reason = "one caller, right above")]
    fn may_go(
        &mut self,
        scan: &TaskScan,
        mut found: FoundRun,
    ) -> Result<Result<(FoundRun, Option<FileLock>), GcResult>> {
        if let RunState::Unwritten(_) = found.fact.state {
            // Messages included, as everybody who waits for it would do.
            let (project, task) = (&scan.fact.project, &scan.fact.id);
            match finish(&self.plan.engine, project, task, &found.fact.id, &self.wait) {
                Ok(Finished::Over) => found.refresh()?,
                Ok(Finished::NotYet) => return Ok(Err(GcResult::Kept(GcReason::Changed))),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Err(GcResult::Gone));
                }
                Err(error) => return Err(error),
            }
        }
        let Some(folder) = found.folder.clone() else { return Ok(Err(GcResult::Gone)) };
        // One that was over without them when it was looked at has neither lock nor keeper.
        let guarded = found.fact.guarded || !matches!(found.fact.state, RunState::Over(_));
        let lock = match guarded.then(|| lock_if_there(&folder)).transpose()? {
            Some(Err(())) => return Ok(Err(GcResult::Kept(GcReason::Alive))),
            Some(Ok(lock)) => lock,
            None => None,
        };
        // Whatever its files say: an agent may have written them.
        if guarded && processes_live(&folder)? {
            return Ok(Err(GcResult::Kept(GcReason::Alive)));
        }
        Ok(Ok((found, lock)))
    }

    /// Moves runs of a task into the trash that are held open, their receipts first.
    fn move_away(
        &mut self,
        scan: &TaskScan,
        keeping: &mut Option<Keeping>,
        ready: &mut Vec<Ready>,
    ) {
        let (Some(task), Some(runs)) = (&scan.folder, &scan.runs) else { return };
        let mut first_error = None;
        let (mut owing, mut gone) = (false, false);
        if !ready.is_empty() {
            match self.keep_receipts(task, keeping, ready) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => owing = true,
                // A person deleted the task.
                Err(error) if error.kind() == ErrorKind::NotFound => gone = true,
                Err(error) => first_error = Some(error),
            }
        }
        let refused = first_error.is_some();
        for run in ready.drain(..) {
            let result = match first_error.take() {
                // Told of the first; the others stay for the same reason.
                Some(error) => Err(error),
                None if refused => Ok(Some(GcResult::Kept(GcReason::Busy))),
                None if gone => Ok(Some(GcResult::Gone)),
                None => match self.run(task, runs, &run, owing) {
                    // A person deletes it too.
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(GcResult::Gone)),
                    result => result,
                },
            };
            if let Some(result) = result.transpose() {
                self.tell(run.item, result);
            }
        }
        if self.trash.is_full() {
            self.flush();
        }
    }

    /// Makes the receipts of runs durable that are about to go.
    fn keep_receipts(
        &self,
        task: &Folder,
        keeping: &mut Option<Keeping>,
        ready: &[Ready],
    ) -> Result<()> {
        let keeping = match keeping {
            Some(keeping) => keeping,
            None => keeping.insert(Keeping::new(task)?),
        };
        for Ready { found, .. } in ready {
            let FoundRun { fact, folder: Some(folder), .. } = found else { continue };
            if fact.state != RunState::Orphan && keeping.lacks(&fact.id) {
                let new = match &found.seen {
                    Some(seen) => receipt(folder, seen).map(Some),
                    None => receipt_of(folder),
                };
                match new {
                    // A person deletes it too.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    new => {
                        if let Some(new) = new? {
                            keeping.add(&fact.id, &new)?;
                        }
                    }
                }
            }
        }
        keeping.write(&self.wait)
    }

    /// Moves a run into the trash; `None` where it is there and is told once it is deleted.
    fn run(
        &mut self,
        task: &Folder,
        runs: &Folder,
        run: &Ready,
        owing: bool,
    ) -> Result<Option<GcResult>> {
        let FoundRun { fact, folder: Some(folder), .. } = &run.found else {
            return Ok(Some(GcResult::Gone));
        };
        if let Some(reason) = why_not(folder, fact)? {
            return Ok(Some(GcResult::Kept(reason)));
        }
        let taken = match owing {
            true => Taken::NoRoom,
            false => self.trash.take(runs, OsStr::new(fact.id.as_str()), &run.item)?,
        };
        match taken {
            Taken::Moved => Ok(None),
            Taken::Gone => Ok(Some(GcResult::Gone)),
            Taken::NoRoom => {
                // What is in the trash already makes room too.
                self.flush();
                let Some(hidden) = going::hide(runs, fact.id.as_str())? else {
                    return Ok(Some(GcResult::Gone));
                };
                let followed = self.follow_new_runs();
                if followed.is_err() || self.walk.relations().is_ancestor(&fact.id) {
                    hidden.put_back(runs, fact.id.as_str())?;
                    return followed.map(|()| Some(GcResult::Kept(GcReason::Ancestor)));
                }
                going::finish_run(task, runs, hidden.folder(), &fact.id, &self.wait)?;
                Ok(Some(GcResult::Done))
            }
        }
    }

    /// Moves a task into the trash; `None` where it is there.
    fn whole_task(
        &mut self,
        task: &TaskFact,
        hold: Hold,
        item: &GcItem,
    ) -> Result<Option<GcResult>> {
        let held = match hold {
            Hold::Held(held) => held,
            Hold::Refused(reason) => return Ok(Some(GcResult::Kept(reason))),
            Hold::Not => match self.hold(task)? {
                Ok(held) => held,
                Err(result) => return Ok(Some(result)),
            },
        };
        if let Some(reason) = self.why_not_task(&held.folder, task)? {
            return Ok(Some(GcResult::Kept(reason)));
        }
        let project = self.plan.engine.layout().project(&task.project)?;
        let name = task.id.as_str();
        let taken = match receipts::hand_over(&held.folder, &task.id, &project, &self.wait) {
            Ok(()) => self.trash.take(&project, OsStr::new(name), item)?,
            Err(error) if error.kind() == ErrorKind::StorageFull => Taken::NoRoom,
            Err(error) => return Err(error),
        };
        match taken {
            Taken::Moved => Ok(None),
            Taken::Gone => Ok(Some(GcResult::Gone)),
            Taken::NoRoom => {
                self.flush();
                let Some(hidden) = going::hide(&project, name)? else {
                    return Ok(Some(GcResult::Gone));
                };
                going::finish_task(&project, hidden.folder(), &task.id, &self.wait)?;
                Ok(Some(GcResult::Done))
            }
        }
    }

    /// Why a locked task must stay although it is to go.
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
            let look = (self.plan.look)(folder)?;
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

/// Why a run must stay whose folder is held open although it is to go.
fn why_not(folder: &Folder, fact: &RunFact) -> Result<Option<GcReason>> {
    let info = folder.stat(RUN_INFO)?;
    let changed = match (fact.state, info) {
        (RunState::Orphan, None) => {
            newest_of_orphan(folder, &folder.measure(&mut |_, _| true)?)? > fact.end
        }
        (RunState::Over(_) | RunState::Unwritten(_), Some(info)) => {
            Timestamp::from_unix_nanos(info.modified) != fact.written
        }
        _ => true,
    };
    Ok(changed.then_some(GcReason::Changed))
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
