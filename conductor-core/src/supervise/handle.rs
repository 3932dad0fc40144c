//! Waiting for the end of a run, as a machine of steps behind one pollable descriptor.

use super::engine::Engine;
use super::evidence::{Actors, known, observe_with_actors};
use super::finish::{Finished, finish};
use super::start::Started;
use super::verdict::Verdict;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{ATTACHED, RUNS};
use crate::limits;
use crate::run::{Phase, RunRecord, store};
use crate::sys::{Polled, Poller, ProcessId, Processes, TimerFd};
use crate::wait::{Step, block_on};
use parking_lot::Mutex;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// What is pollable: the process that is waited for, and the timer of the next look.
const PROCESS: u64 = 1;
const TIMER: u64 = 2;

/// How soon to look again where somebody else is at work on the run's end, or at its start.
const SOON: Duration = Duration::from_millis(20);
/// How soon to look again at a run whose processes cannot be watched from here, or which has none as it
/// waits for its turn.
const ELSEWHERE: Duration = Duration::from_secs(1);

/// Waits for one run's end and writes it down.
///
/// [`RunWatch::step`] never blocks for longer than the writing of the end takes; between two steps
/// the descriptor becomes readable when there is news. Idle, it looks at the truth every ten minutes.
#[derive(Debug)]
pub(crate) struct RunWatch {
    engine: Engine,
    project: ProjectId,
    task: TaskId,
    run: RunId,
    poller: Poller,
    timer: TimerFd,
    process: Mutex<Option<(ProcessId, Polled<OwnedFd>)>>,
}

impl RunWatch {
    pub(crate) fn new(
        engine: Engine,
        project: ProjectId,
        task: TaskId,
        run: RunId,
    ) -> Result<RunWatch> {
        let failed = |e| Error::io("make a wait for", engine.layout().path(), e);
        let (poller, timer) = (Poller::new().map_err(failed)?, TimerFd::new().map_err(failed)?);
        poller.add(&timer, TIMER).map_err(failed)?;
        // The first look is due at once.
        timer.set(Duration::ZERO).map_err(failed)?;
        Ok(RunWatch { engine, project, task, run, poller, timer, process: Mutex::new(None) })
    }

    /// A wait for a run that was just started: it is known by its keeper even if its agent deletes its
    /// folder first thing.
    pub(crate) fn of_started(
        engine: Engine,
        project: ProjectId,
        task: TaskId,
        started: Started,
    ) -> Result<RunWatch> {
        let watch = RunWatch::new(engine, project, task, started.run)?;
        watch.watch_process(started.keeper)?;
        watch.look_again(Duration::ZERO)?;
        Ok(watch)
    }

    /// Readable when a step may find something new.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Looks once: the final record, or not yet.
    ///
    /// # Errors
    /// "Not found" once nothing lives of a run whose folder was deleted.
    pub(crate) fn step(&self, wait: &Wait) -> Result<Step<RunRecord>> {
        let seen = self.engine.layout().run(&self.project, &self.task, &self.run);
        let seen = seen.and_then(|folder| Ok((known(&folder)?.record, folder)));
        let step = match seen {
            Err(error) => return self.step_without_folder(error, wait),
            Ok((record, folder)) => self.step_in_folder(&record, &folder, wait),
        };
        match step {
            // It is being deleted: what was there a moment ago is gone.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.step_without_folder(error, wait)
            }
            step => step,
        }
    }

    fn step_in_folder(
        &self,
        record: &RunRecord,
        folder: &Folder,
        wait: &Wait,
    ) -> Result<Step<RunRecord>> {
        if !record.is_open() && record.stop_msg.is_some() {
            return Ok(Step::Ready(record.clone()));
        }
        let over = self.is_over(folder, record)?;
        if !over && record.is_open() {
            return Ok(Step::Pending);
        }
        match finish(&self.engine, &self.project, &self.task, &self.run, wait)? {
            Finished::Over => store::read(folder).map(Step::Ready),
            Finished::NotYet => {
                self.look_again(SOON)?;
                Ok(Step::Pending)
            }
        }
    }

    /// As [`step`](RunWatch::step), for a run whose folder tells nothing: its agent deleted, emptied or
    /// replaced it. What lives of it runs on.
    fn step_without_folder(&self, error: Error, wait: &Wait) -> Result<Step<RunRecord>> {
        if self.process_lives()? {
            self.look_again(limits::SAFETY_POLL)?;
            return Ok(Step::Pending);
        }
        let RunWatch { engine, project, task, run, .. } = self;
        if let Some(process) = engine.marks(project, task, run).living()?.first() {
            self.watch_process(Some(*process))?;
            return Ok(Step::Pending);
        }
        match engine.close_if_lost(project, task, run, wait)? {
            None => Err(error),
            Some(false) => Err(engine.told_lost(project, task, run)),
            Some(true) => store::read(&engine.layout().run(project, task, run)?).map(Step::Ready),
        }
    }

    /// Looks once and writes nothing down: whether nothing of the run lives any more.
    pub(crate) fn look(&self) -> Result<bool> {
        let folder = self.engine.layout().run(&self.project, &self.task, &self.run)?;
        let record = known(&folder)?.record;
        Ok(!record.is_open() || self.is_over(&folder, &record)?)
    }

    /// Whether what lives says that the run is over; if not, when to look again is arranged.
    fn is_over(&self, folder: &Folder, record: &RunRecord) -> Result<bool> {
        let (verdict, Actors { keeper, agent, elsewhere }) = observe_with_actors(folder, record)?;
        match verdict {
            Verdict::Over(_) => return Ok(true),
            Verdict::Supervised if elsewhere => self.look_again(ELSEWHERE)?,
            Verdict::Supervised if record.phase == Some(Phase::Queued) => {
                self.look_again(ELSEWHERE)?
            }
            // Who keeps a run in a terminal lives on when the run has ended.
            Verdict::Supervised if folder.stat(ATTACHED)?.is_some() => self.watch_process(agent)?,
            Verdict::Supervised => self.watch_process(keeper)?,
            Verdict::Adopted => self.watch_process(agent)?,
            // Its keeper is gone, and the rest of its container may be going.
            Verdict::PossiblyAlive if elsewhere => self.look_again(ELSEWHERE)?,
            Verdict::PossiblyAlive => self.look_again(limits::SAFETY_POLL)?,
        }
        Ok(false)
    }

    /// Wakes up when this process has ended; soon, where it is not known or has ended already.
    fn watch_process(&self, process: Option<ProcessId>) -> Result<()> {
        let failed = |e| self.failed("watch", e);
        let mut watched = self.process.lock();
        let opened = match process {
            Some(process) => Processes.watch(process).map_err(failed)?,
            None => None,
        };
        let Some(fd) = opened else {
            // The descriptor of a process that ended stays readable: it must go.
            if let Some((known, _)) = &*watched
                && !Processes.is_alive(*known).map_err(failed)?
            {
                *watched = None;
            }
            // A starter that has no keeper yet, a keeper between its last step and its end, or a
            // finisher at work: each takes moments.
            return self.look_again(SOON);
        };
        *watched = None;
        let fd = self.poller.hold(fd, PROCESS).map_err(failed)?;
        *watched = process.map(|process| (process, fd));
        self.look_again(limits::CALM_POLL)
    }

    /// Whether the process that was watched last lives.
    fn process_lives(&self) -> Result<bool> {
        match &*self.process.lock() {
            Some((process, _)) => Processes.is_alive(*process).map_err(|e| self.failed("watch", e)),
            None => Ok(false),
        }
    }

    fn look_again(&self, delay: Duration) -> Result<()> {
        self.timer.set(delay).map_err(|e| self.failed("set the timer of a wait for", e))
    }

    fn failed(&self, what: &str, source: std::io::Error) -> Error {
        let path = self.engine.layout().path().join(&self.project).join(&self.task);
        Error::io(what, path.join(RUNS).join(&self.run), source)
    }

    /// Steps until the end is known or the wait is over.
    pub(crate) fn wait(&self, wait: &Wait) -> Result<RunRecord> {
        block_on(self.fd(), wait, || self.step(wait))
    }
}

impl AsFd for RunWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}
