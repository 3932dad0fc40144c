//! Ending a run on purpose: the wish, the reason, and the keeper that carries it out.

use super::engine::Engine;
use super::evidence::{Actors, actors, keeper_record, known, observe, processes_live};
use super::finish::{DELETED, tell_deleted};
use super::handle::RunWatch;
use super::open_entry::OpenEntry;
use super::sight::{LivingRun, LivingRuns};
use super::tree::Marks;
use super::verdict::Verdict;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{ATTACHED, RUN_LOCK};
use crate::limits;
use crate::run::RunRecord;
use crate::sys::{Processes, Signal};
use std::collections::HashSet;
use std::time::Duration;

/// The file in a run's folder that says why it was stopped; written before the signal.
pub(super) const STOP_REASON: &str = ".stop";
/// The file beside it that says that there is no grace: read by who keeps a run in a terminal.
const STOP_NOW: &str = ".stop-now";
/// How long a forced stop waits for who keeps the run, before it looks after the run itself.
const HURRIED: Duration = Duration::from_secs(1);
/// The longest reason that is kept, in bytes.
pub(super) const LONGEST: usize = 4096;

/// How to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stop {
    /// Why; it is recorded.
    pub reason: String,
    /// Whether to kill at once, without the polite signal and its grace.
    pub force: bool,
}

impl Stop {
    /// Stops for this reason: SIGTERM to everything of the run, the grace, then SIGKILL.
    pub fn because(reason: impl Into<String>) -> Stop {
        Stop { reason: reason.into(), force: false }
    }

    /// Kills at once.
    #[must_use]
    pub fn force(mut self, force: bool) -> Stop {
        self.force = force;
        self
    }
}

/// What stopping did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Runs that were asked to end, by this stop or by the task's driver for it.
    pub signalled: Vec<RunId>,
    /// Processes that had to be killed.
    pub killed: u32,
}

impl StopReport {
    /// Takes what another stop did into this one.
    pub(crate) fn add(&mut self, other: StopReport) {
        self.signalled.extend(other.signalled);
        self.killed += other.killed;
    }
}

/// Whether somebody wished the run to end.
pub(super) fn stop_wished(folder: &Folder) -> Result<bool> {
    Ok(folder.stat(STOP_REASON)?.is_some())
}

/// Whether somebody wished it to end at once.
pub(super) fn stop_wished_now(folder: &Folder) -> Result<bool> {
    Ok(folder.stat(STOP_NOW)?.is_some())
}

/// The reason that stands in a run's folder; none where an agent put something else there.
pub(crate) fn stop_reason(folder: &Folder) -> Result<Option<String>> {
    let bytes = folder.read_hint(STOP_REASON, LONGEST as u64)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
}

impl Engine {
    /// Stops a run and the runs that its agent started, and waits until nothing of them lives and
    /// their ends are written down.
    ///
    /// A run that is over already is no error: nothing is signalled.
    ///
    /// # Errors
    /// `run.not_ours` for a run that another program started.
    pub(crate) fn stop_run(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        stop: &Stop,
        wait: &Wait,
    ) -> Result<StopReport> {
        let this = |entry: &OpenEntry| entry.is_of(project, task) && entry.run == *run;
        let mut unlisted = LivingRuns::default();
        let listed = self.has_entry(project, task, run)?;
        match self.folder_and_record(project, task, run) {
            Ok((folder, record)) => {
                let lives = processes_live(&folder)?;
                if !record.is_open() && !lives {
                    return Ok(StopReport::default());
                }
                refuse_foreign(&folder, &record)?;
                if !listed && (lives || folder.is_locked(RUN_LOCK)?) {
                    let entry = OpenEntry::stand_in(project, task, run, Some(&record));
                    unlisted.runs.push(LivingRun { entry, record: Some(record) });
                }
            }
            // What lives of it is known without its folder.
            Err(error) if !listed => return Err(error),
            Err(_) => {}
        }
        self.stop_open_runs(stop, wait, unlisted, this, |id| id == run.as_str())
    }

    pub(super) fn folder_and_record(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
    ) -> Result<(Folder, RunRecord)> {
        let folder = self.layout().run(project, task, run)?;
        let record = known(&folder)?.record;
        Ok((folder, record))
    }

    /// Stops every open run that `chosen` picks, those in `unlisted`, which have no entry, the runs that
    /// their agents started, and those that descend from a run whose id `parent` accepts, wherever in the
    /// root they are. All are asked before any is waited for.
    ///
    /// # Errors
    /// The first of a run that cannot be stopped, once all others are; `root.too_new`, and nobody is asked.
    pub(crate) fn stop_open_runs(
        &self,
        stop: &Stop,
        wait: &Wait,
        unlisted: LivingRuns,
        chosen: impl Fn(&OpenEntry) -> bool,
        parent: impl Fn(&str) -> bool,
    ) -> Result<StopReport> {
        self.layout().check_writable()?;
        let mut report = StopReport::default();
        let LivingRuns { runs, unknown } = unlisted;
        let mut first_error = unknown.into_iter().next().map(|(_, error)| error);
        let mut unlisted: Vec<OpenEntry> =
            runs.into_iter().filter(|run| !run.is_external()).map(|run| run.entry).collect();
        let mut asked: Vec<RunId> = unlisted.iter().map(|entry| entry.run.clone()).collect();
        loop {
            let (mut picked, unknown) = self.picked(&chosen, &parent, &asked)?;
            first_error = first_error.or(unknown);
            picked.append(&mut unlisted);
            if picked.is_empty() {
                return first_error.map_or(Ok(report), Err);
            }
            wait.check()?;
            for OpenEntry { project, task, run, .. } in &picked {
                match unless_deleted(self.ask_run_to_stop(project, task, run, stop)) {
                    Ok(true) => report.signalled.push(run.clone()),
                    Ok(false) => {}
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            for OpenEntry { project, task, run, .. } in &picked {
                match self.await_stopped(project, task, run, stop.force, wait) {
                    Ok(killed) => report.killed += killed,
                    Err(over)
                        if matches!(over.kind(), ErrorKind::Timeout | ErrorKind::Cancelled) =>
                    {
                        return Err(over);
                    }
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            // While they ended, their agents may have started others.
            asked.extend(picked.drain(..).map(|entry| entry.run));
        }
    }

    /// The living runs that `chosen` picks, and those that descend from these, from the runs in `asked`,
    /// or from one that `parent` accepts; without those in `asked`.
    fn picked(
        &self,
        chosen: impl Fn(&OpenEntry) -> bool,
        parent: impl Fn(&str) -> bool,
        asked: &[RunId],
    ) -> Result<(Vec<OpenEntry>, Option<Error>)> {
        let LivingRuns { runs, unknown } = self.living_runs(|entry| !asked.contains(&entry.run))?;
        // A process that is only followed goes on, and so does who follows it.
        let runs = runs.into_iter().filter(|run| !run.is_external());
        let (mut picked, mut rest): (Vec<_>, Vec<_>) =
            runs.map(|run| run.entry).partition(|entry| chosen(entry));
        let mut above: HashSet<RunId> = asked.iter().cloned().collect();
        above.extend(picked.iter().map(|entry| entry.run.clone()));
        // An entry names all runs above its own, also those that are over by now.
        let descends = |entry: &OpenEntry| {
            entry.parents.iter().any(|id| above.contains(id) || parent(id.as_str()))
        };
        rest.retain(|entry| descends(entry));
        picked.append(&mut rest);
        let mut unknown = unknown.into_iter();
        let unknown = unknown.find(|(entry, _)| chosen(entry) || descends(entry));
        Ok((picked, unknown.map(|(_, error)| error)))
    }

    /// Waits for the end of a run that was asked to end; how many of its processes were killed.
    fn await_stopped(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        force: bool,
        wait: &Wait,
    ) -> Result<u32> {
        let watch = RunWatch::new(self.clone(), project.clone(), task.clone(), run.clone())?;
        let patience = if force { HURRIED } else { limits::STOP_GRACE };
        let ended = match watch.wait(&wait.clone().at_most(patience)) {
            Err(over) if over.kind() == ErrorKind::Timeout => {
                self.end_grace(project, task, run, force)?;
                watch.wait(wait)
            }
            ended => ended,
        };
        match ended {
            // Nothing of it lives any more, and nothing else tells that it ended.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                unless_deleted(tell_deleted(self, (project, task, run), DELETED, wait)).map(|()| 0)
            }
            Err(error) => Err(error),
            Ok(_) => {
                let folder = self.layout().run(project, task, run)?;
                Ok(keeper_record(&folder)?.map_or(0, |keeper| keeper.killed))
            }
        }
    }

    /// Kills what is left of a run that had its time to end, where nobody else does.
    fn end_grace(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        force: bool,
    ) -> Result<()> {
        match self.folder_and_record(project, task, run) {
            Err(_) => self.marks(project, task, run).end_leftovers(self.layout().os().as_ref()),
            Ok((folder, record)) => {
                // A keeper keeps count of the grace. An agent whose keeper died has none.
                if observe(&folder, &record)? == Verdict::Adopted {
                    signal(&folder, &record, &self.marks(project, task, run), true)?;
                } else if force && folder.stat(ATTACHED)?.is_some() {
                    // Whoever has it in his terminal does not answer.
                    let failed = |e| folder.error("signal the processes of", "", e);
                    let who = actors(&record, keeper_record(&folder)?.as_ref()).map_err(failed)?;
                    if let Some(agent) = who.agent {
                        Processes.signal(agent, Signal::Kill).map_err(failed)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Asks a run to end and does not wait for it; `false` when nothing was there to be signalled.
    ///
    /// # Errors
    /// `run.not_ours` for a run that another program started; `root.too_new`.
    pub(crate) fn ask_run_to_stop(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        stop: &Stop,
    ) -> Result<bool> {
        self.layout().check_writable()?;
        let (folder, record) = match self.folder_and_record(project, task, run) {
            Ok(found) => found,
            Err(error) => return self.ask_untold_run((project, task, run), stop, error),
        };
        refuse_foreign(&folder, &record)?;
        if stop.force && folder.stat(ATTACHED)?.is_some() {
            note(&folder, STOP_NOW, "")?;
        }
        note(&folder, STOP_REASON, &stop.reason)?;
        tracing::info!(
            name: "run_stop_requested", project_id = %project, task_id = %task, run_id = %run,
            reason = stop.reason, force = stop.force,
        );
        let marks = self.marks(project, task, run);
        signal(&folder, &record, &marks, stop.force)
    }

    /// Asks a run to end whose folder tells nothing for the reason `error`: its keeper, and everything
    /// else of it, is known by its environment.
    fn ask_untold_run(
        &self,
        (project, task, run): (&ProjectId, &TaskId, &RunId),
        stop: &Stop,
        error: Error,
    ) -> Result<bool> {
        let marks = self.marks(project, task, run);
        if marks.living()?.is_empty() {
            return Err(error);
        }
        // Where something else took the folder's place, the reason has none.
        let folder = self.layout().run(project, task, run).ok();
        let noted = folder.map_or(Ok(()), |folder| note(&folder, STOP_REASON, &stop.reason));
        let any = marks.signal(None, if stop.force { Signal::Kill } else { Signal::Term })?;
        // One that somebody stopped (SIGSTOP) would sleep through it.
        marks.signal(None, Signal::Continue)?;
        noted.map(|()| any)
    }
}

/// A run whose folder was deleted meanwhile has nothing left to be stopped.
fn unless_deleted<T: Default>(answer: Result<T>) -> Result<T> {
    match answer {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        answer => answer,
    }
}

/// Runs that conductor did not start are not ended by it.
pub(super) fn refuse_foreign(folder: &Folder, record: &RunRecord) -> Result<()> {
    if record.is_supervised() && !record.is_external() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "run.not_ours",
        format!("the run in {} was started by another program", folder.path().display()),
    )
    .with_path(folder.path())
    .with_hint("stop it with the program that started it"))
}

/// Writes the wish that the run ends, before anybody is signalled: a starter that has no keeper yet
/// looks for it before the agent is released, and who keeps a run in a terminal watches for it.
fn note(folder: &Folder, name: &str, reason: &str) -> Result<()> {
    let mut end = reason.len().min(LONGEST);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    // Two who stop at once: one reason stands, both signals go out. Whoever watches for it acts as soon
    // as it sees the name, and must find the reason there.
    folder.create_once(name, &reason.as_bytes()[..end])
}

/// Signals the keeper, or the agent whose keeper died; `false` when neither lives.
pub(super) fn signal(
    folder: &Folder,
    record: &RunRecord,
    marks: &Marks,
    force: bool,
) -> Result<bool> {
    let failed = |e| folder.error("signal the processes of", "", e);
    let Actors { keeper, agent, elsewhere } =
        actors(record, keeper_record(folder)?.as_ref()).map_err(failed)?;
    if elsewhere && folder.is_locked(RUN_LOCK)? {
        return Err(elsewhere_error(folder));
    }
    if folder.stat(ATTACHED)?.is_some()
        && let Some(keeper) = keeper
        && Processes.is_alive(keeper).map_err(failed)?
    {
        // It is the program in the terminal, which may be stopped by a key; it sees the wish itself.
        return Processes.signal(keeper, Signal::Continue).map_err(failed);
    }
    let to_keeper = if force { Signal::User1 } else { Signal::Term };
    if let Some(keeper) = keeper
        && Processes.signal(keeper, to_keeper).map_err(failed)?
    {
        // One that somebody stopped (SIGSTOP) would sleep through it.
        Processes.signal(keeper, Signal::Continue).map_err(failed)?;
        return Ok(true);
    }
    // Its keeper died, and with it all that kept its processes together.
    let to_all = if force { Signal::Kill } else { Signal::Term };
    let any = match agent {
        Some(agent) => Processes.signal(agent, to_all).map_err(failed)?,
        None => false,
    };
    Ok(marks.signal(agent, to_all)? | any)
}

fn elsewhere_error(folder: &Folder) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "run.elsewhere",
        format!("the run in {} lives in another pid namespace", folder.path().display()),
    )
    .with_path(folder.path())
    .with_hint("stop it from the container that it was started in")
}
