//! Ending a run on purpose: the wish, the reason, and the keeper that carries it out.

use super::engine::Engine;
use super::finish::{agent_of, keeper_of, keeper_record, known};
use super::handle::RunWatch;
use super::open_entry::OpenEntry;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::run::RunRecord;
use crate::sys::{Processes, Signal};

/// The file in a run's folder that says why it was stopped; written before the signal.
const STOP_REASON: &str = ".stop";
/// The longest reason that is kept, in bytes.
const LONGEST: usize = 4096;

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
    /// Runs that were asked to end.
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

/// The reason that stands in a run's folder.
pub(super) fn stop_reason(folder: &Folder) -> Result<Option<String>> {
    let bytes = folder.read_if_exists(STOP_REASON, LONGEST as u64 + 1)?;
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
        let folder = self.layout().run(project, task, run)?;
        let record = known(&folder)?.record;
        if !record.is_open() {
            return Ok(StopReport::default());
        }
        refuse_foreign(&folder, &record)?;
        self.stop_open_runs(stop, wait, |entry| {
            entry.project == *project && entry.task == *task && entry.run == *run
        })
    }

    /// Stops every open run that `chosen` picks, and the runs that their agents started, wherever in
    /// the root they are. All are asked before any is waited for.
    pub(crate) fn stop_open_runs(
        &self,
        stop: &Stop,
        wait: &Wait,
        chosen: impl Fn(&OpenEntry) -> bool,
    ) -> Result<StopReport> {
        let open = self.living_runs(|_| true)?;
        let (mut picked, mut rest): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|(entry, _)| chosen(entry));
        let mut next = 0;
        while let Some((entry, _)) = picked.get(next) {
            let run = entry.run.to_string();
            let (children, others) = rest
                .into_iter()
                .partition(|(_, record)| record.parent_run_id.as_ref() == Some(&run));
            picked.extend::<Vec<_>>(children);
            rest = others;
            next += 1;
        }
        let mut report = StopReport::default();
        for (OpenEntry { project, task, run, .. }, _) in &picked {
            if self.ask_run_to_stop(project, task, run, stop)? {
                report.signalled.push(run.clone());
            }
        }
        for (OpenEntry { project, task, run, .. }, _) in &picked {
            report.killed += self.await_stopped(project, task, run, wait)?;
        }
        Ok(report)
    }

    /// Waits for the end of a run that was asked to end; how many of its processes were killed.
    fn await_stopped(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        wait: &Wait,
    ) -> Result<u32> {
        let watch = RunWatch::new(self.clone(), project.clone(), task.clone(), run.clone())?;
        watch.wait(wait)?;
        let folder = self.layout().run(project, task, run)?;
        Ok(keeper_record(&folder)?.map_or(0, |keeper| keeper.killed))
    }

    /// Asks a run to end and does not wait for it; `false` when nothing was there to be signalled.
    ///
    /// # Errors
    /// `run.not_ours` for a run that another program started.
    pub(crate) fn ask_run_to_stop(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        stop: &Stop,
    ) -> Result<bool> {
        let folder = self.layout().run(project, task, run)?;
        refuse_foreign(&folder, &known(&folder)?.record)?;
        ask(&folder, stop)
    }
}

/// Runs that conductor did not start are not ended by it.
fn refuse_foreign(folder: &Folder, record: &RunRecord) -> Result<()> {
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

/// Writes the reason and signals the keeper; `false` when nothing was there to be signalled.
fn ask(folder: &Folder, stop: &Stop) -> Result<bool> {
    let mut reason = stop.reason.clone();
    while reason.len() > LONGEST {
        reason.pop();
    }
    // Two who stop at once: one reason stands, both signals go out.
    if folder.stat(STOP_REASON)?.is_none() {
        match folder.create(STOP_REASON, reason.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let Some(keeper) = keeper_record(folder)? else { return Ok(false) };
    let signal = if stop.force { Signal::User1 } else { Signal::Term };
    let failed = |e| folder.error("signal the processes of", "", e);
    if Processes.signal(keeper_of(&keeper), signal).map_err(failed)? {
        return Ok(true);
    }
    if keeper.ended.is_some() {
        return Ok(false);
    }
    // Its keeper died: what is left is the agent itself.
    let signal = if stop.force { Signal::Kill } else { Signal::Term };
    Processes.signal(agent_of(&keeper), signal).map_err(failed)
}
