//! What an entry of an open run leads to, also where the run's folder tells nothing any more: its agent
//! emptied it, or put something else in its place. Its processes are known by their environment then,
//! and no such run stands in the way of another.

use super::engine::Engine;
use super::evidence::{is_damage, known, observe, processes_live};
use super::finish::{Finished, finish, tell_deleted};
use super::open_entry::OpenEntry;
use super::prepared::hidden;
use super::tree::Marks;
use super::verdict::Verdict;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{Layout, RUN_LOCK, RUNS};
use crate::run::RunRecord;
use crate::sys::LockKind;
use std::collections::HashSet;
use std::path::Path;

/// Why the end of a run is lost whose folder cannot be opened as one.
const REPLACED: &str = "something else took the place of its folder while it ran";

/// What an entry of an open run leads to.
#[derive(Debug)]
pub(crate) enum Sight {
    /// A run that lives, or may, as its folder tells.
    Living(Box<RunRecord>),
    /// A run that lives, and whose folder cannot tell of it for this reason.
    Untold(Error),
    /// A run of which nothing lives, and whose folder cannot tell of it for this reason.
    Lost(Error),
    /// A run that is over.
    Over,
    /// No run: one that has no folder yet, or none any more.
    Gone,
}

/// A run that lives, or may.
#[derive(Debug)]
pub(crate) struct LivingRun {
    pub(crate) entry: OpenEntry,
    /// Its record; `None` where its folder cannot tell of it.
    pub(crate) record: Option<RunRecord>,
}

impl LivingRun {
    /// Whether it is a process that is only followed.
    pub(crate) fn is_external(&self) -> bool {
        self.record.as_ref().is_some_and(RunRecord::is_external)
    }
}

/// The runs that live, or may.
#[derive(Debug, Default)]
pub(crate) struct LivingRuns {
    pub(crate) runs: Vec<LivingRun>,
    /// Those of which that cannot be said, and why. None hides another.
    pub(crate) unknown: Vec<(OpenEntry, Error)>,
}

impl LivingRuns {
    /// One of them, for somebody who wants none to live.
    ///
    /// # Errors
    /// Where none is known to live, and of one that cannot be said.
    pub(crate) fn any(self) -> Result<Option<RunId>> {
        match (self.runs.into_iter().next(), self.unknown.into_iter().next()) {
            (Some(run), _) => Ok(Some(run.entry.run)),
            (None, Some((_, error))) => Err(error),
            (None, None) => Ok(None),
        }
    }
}

impl Engine {
    /// Looks at the run that an entry stands for. Reads only.
    pub(crate) fn look_at(&self, entry: &OpenEntry) -> Result<Sight> {
        let OpenEntry { project, task, run, .. } = entry;
        let told = self.layout().run(project, task, run).and_then(|folder| {
            let record = known(&folder)?.record;
            let lives = match record.is_open() {
                true => !matches!(observe(&folder, &record)?, Verdict::Over(_)),
                // A record that an agent wrote itself ends nothing.
                false => processes_live(&folder)?,
            };
            Ok(lives.then_some(record))
        });
        let error = match told {
            Ok(Some(record)) => return Ok(Sight::Living(Box::new(record))),
            Ok(None) => return Ok(Sight::Over),
            Err(error) => error,
        };
        let gone = error.code() == "run.not_found";
        if gone && self.is_being_made(project, task, run) {
            return Ok(Sight::Gone);
        }
        if !self.marks(project, task, run).living()?.is_empty() {
            return Ok(Sight::Untold(error));
        }
        match gone {
            true => Ok(Sight::Gone),
            false if is_damage(&error) => Ok(Sight::Lost(error)),
            false => Err(error),
        }
    }

    fn is_being_made(&self, project: &ProjectId, task: &TaskId, run: &RunId) -> bool {
        let unnamed = Path::new(RUNS).join(hidden(run));
        let folder = self.layout().task(project, task);
        folder.and_then(|folder| folder.stat(unnamed)).is_ok_and(|found| found.is_some())
    }

    /// How the processes of a run are known whatever became of its folder.
    pub(super) fn marks(&self, project: &ProjectId, task: &TaskId, run: &RunId) -> Marks {
        let task = self.layout().path().join(project).join(task);
        Marks::new(run, &task.join(RUNS).join(run))
    }

    /// The runs that live, or may, of those with an entry that `chosen` picks.
    ///
    /// Reads the entries of open runs: the cost is that of what is open in the root.
    pub(crate) fn living_runs(&self, chosen: impl Fn(&OpenEntry) -> bool) -> Result<LivingRuns> {
        let mut living = LivingRuns::default();
        let found = OpenEntry::list(self.layout())?;
        for error in &found.damaged {
            tracing::warn!(name: "open_entry_damaged", %error, "an entry of an open run names none");
        }
        for entry in found.entries.into_iter().filter(chosen) {
            match self.look_at(&entry) {
                Ok(Sight::Living(record)) => {
                    living.runs.push(LivingRun { entry, record: Some(*record) });
                }
                Ok(Sight::Untold(_)) => living.runs.push(LivingRun { entry, record: None }),
                Ok(Sight::Lost(_) | Sight::Over | Sight::Gone) => {}
                Err(error) => living.unknown.push((entry, error)),
            }
        }
        Ok(living)
    }

    /// The runs of a task that live, or may, whether an entry stands for them or not.
    ///
    /// Costs a look at each run of the task.
    pub(crate) fn living_in_task(&self, project: &ProjectId, task: &TaskId) -> Result<LivingRuns> {
        let mut living = self.living_runs(|entry| entry.is_of(project, task))?;
        let unlisted = self.living_unlisted(project, task)?;
        living.runs.extend(
            unlisted.into_iter().map(|(entry, record)| LivingRun { entry, record: Some(record) }),
        );
        Ok(living)
    }

    /// The runs of a task that live although no entry stands for them: somebody removed it, or brought
    /// the root back without it.
    ///
    /// Costs a look at each run of the task.
    pub(crate) fn living_unlisted(
        &self,
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<Vec<(OpenEntry, RunRecord)>> {
        let entries = OpenEntry::list(self.layout())?.entries;
        let mut living = Vec::new();
        for (run, folder) in self.unlisted(&entries, project, task)? {
            let look = || {
                let folder = folder?;
                let lives = folder.is_locked(RUN_LOCK)? || processes_live(&folder)?;
                lives.then(|| known(&folder)).transpose()
            };
            match look() {
                Ok(Some(known)) => {
                    let entry = OpenEntry::stand_in(project, task, &run, &known.record);
                    living.push((entry, known.record));
                }
                Ok(None) => {}
                // Nothing says that it is a run of ours, let alone that it lives.
                Err(error) if is_damage(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(living)
    }

    /// The runs of a task for which none of `entries` stands, each with its folder.
    pub(super) fn unlisted(
        &self,
        entries: &[OpenEntry],
        project: &ProjectId,
        task: &TaskId,
    ) -> Result<Vec<(RunId, Result<Folder>)>> {
        let listed: HashSet<&RunId> =
            entries.iter().filter(|it| it.is_of(project, task)).map(|it| &it.run).collect();
        let task = self.layout().task(project, task)?;
        let runs = Layout::runs_in(&task)?.ids.into_iter().filter(|run| !listed.contains(run));
        Ok(runs.map(|run| (run.clone(), task.folder(Path::new(RUNS).join(&run)))).collect())
    }

    /// Writes down the end of a run of which nothing lives and whose folder cannot tell of it; whether
    /// it has a record now. Only an entry says that it was a run of ours.
    pub(super) fn close_lost(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        wait: &Wait,
    ) -> Result<bool> {
        let Ok(folder) = self.layout().run(project, task, run) else {
            tell_deleted(self, (project, task, run), REPLACED, wait)?;
            return Ok(false);
        };
        // With its lock it is a run again.
        drop(folder.try_lock(RUN_LOCK, LockKind::Exclusive)?);
        Ok(finish(self, project, task, run, wait)? == Finished::Over)
    }

    /// As [`close_lost`](Engine::close_lost), where it is such a run; `None` while it lives, or where it
    /// is none.
    pub(super) fn close_if_lost(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        wait: &Wait,
    ) -> Result<Option<bool>> {
        let Some(entry) = self.entry_of(project, task, run)? else { return Ok(None) };
        match self.look_at(&entry)? {
            Sight::Lost(_) => self.close_lost(project, task, run, wait).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether an entry stands for a run: it is not known to be finished.
    pub(crate) fn has_entry(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
    ) -> Result<bool> {
        self.entry_of(project, task, run).map(|entry| entry.is_some())
    }

    fn entry_of(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
    ) -> Result<Option<OpenEntry>> {
        let entries = OpenEntry::list(self.layout())?.entries;
        Ok(entries.into_iter().find(|it| it.is_of(project, task) && it.run == *run))
    }

    /// The error of who asks for a run whose end was told because nothing tells of it any more.
    pub(super) fn told_lost(&self, project: &ProjectId, task: &TaskId, run: &RunId) -> Error {
        let what = format!("nothing is known of the run {project}/{task}/{run}: {REPLACED}");
        Error::new(ErrorKind::NotFound, "run.not_found", what)
            .with_field("run")
            .with_hint("its end stands on the task's bus")
    }
}
