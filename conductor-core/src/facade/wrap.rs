//! Runs of programs that a person uses in a terminal.

use super::conductor::Conductor;
use super::jobs::Jobs;
use super::plan::plan_attached;
use super::runs::Run;
use super::spec::JobSpec;
use crate::cancel::Wait;
use crate::error::Result;
use crate::id::ProjectId;
use crate::supervise::{Attached, Changed, RunInfo};
use crate::sys::{ChildEnd, KeeperReason, Paused, Signal};
use crate::wait::Step;
use std::os::fd::BorrowedFd;

/// The project of wrapped programs where nobody names one and none can be inferred.
pub const TERMINAL_PROJECT: &str = "terminal";

/// What happened to a wrapped program.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A key stopped it, or it wanted the terminal from the background. The terminal is this process's
    /// again; [`Wrapped::suspend`] does what a shell expects then.
    Paused(Pause),
    /// It ended, and that is written down.
    Ended(Box<RunInfo>),
}

/// Why a wrapped program was stopped; for [`Wrapped::suspend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause(Paused);

/// How a wrapped program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramEnd {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Another part of this process waited for it and keeps the answer; the run's end is lost.
    Unseen,
}

/// A signal that a wrapped program gets as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Passed {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGQUIT, as Ctrl-\ sends it.
    Quit,
    /// SIGHUP: the terminal went away.
    HangUp,
}

impl Jobs<'_> {
    /// Runs a program in this process's terminal, as a shell runs a job, and records it as a run.
    ///
    /// `command` is the program with its arguments; `agent` is what the record calls it, else the
    /// program's name in lower case. It gets the standard streams of this process, the whole environment
    /// with the variables of the run, and the current folder unless `cwd` names one. Its output is not
    /// recorded. Of the limits only `total_timeout` and `grace` mean something. An empty project is
    /// [`TERMINAL_PROJECT`].
    ///
    /// Unlike every other run it has no keeper: it is a child of this process, which a host's own
    /// `waitpid(-1)` would see, and its end is lost if this process is killed.
    ///
    /// # Errors
    /// What is wrong with the spec, before anything is made; `agent.not_started` after it, with the run
    /// recorded as refused.
    pub fn wrap(&self, spec: JobSpec, wait: impl Into<Wait>) -> Result<Wrapped> {
        let Conductor { engine, .. } = self.0;
        let plan = plan_attached(engine, spec.work)?;
        let attached = engine.start_attached(&plan, &wait.into())?;
        let run = attached.run().clone();
        let run = Run::new(engine.clone(), plan.project, plan.task, run)?;
        Ok(Wrapped { run, attached })
    }
}

/// A program that runs in this process's terminal; from [`Jobs::wrap`].
///
/// Who holds it calls [`step`](Wrapped::step) when [`fd`](Wrapped::fd) is readable and on every SIGCHLD,
/// which alone tells of a stop, and [`go_on`](Wrapped::go_on) on SIGCONT. Whoever stops the run, from
/// any process, is heard by `step`. Dropping it ends nothing, but then nobody writes the end down before
/// this process is gone.
#[derive(Debug)]
pub struct Wrapped {
    run: Run,
    attached: Attached,
}

impl Wrapped {
    /// The run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// A descriptor that becomes readable when [`step`](Wrapped::step) may have something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.attached.fd()
    }

    /// Looks once, without waiting, and does what has to be done now: it ends a program that somebody
    /// stops or whose time is over, and writes the end down.
    ///
    /// # Errors
    /// What kept the end from being written down; the next step tries again.
    pub fn step(&mut self) -> Result<Step<Change>> {
        Ok(match self.attached.step()? {
            Step::Pending => Step::Pending,
            Step::Ready(Changed::Stopped(why)) => Step::Ready(Change::Paused(Pause(why))),
            Step::Ready(Changed::Ended) => Step::Ready(Change::Ended(Box::new(self.run.info()?))),
        })
    }

    /// How the program ended, as soon as it has, also where that could not be written down.
    pub fn end(&self) -> Option<ProgramEnd> {
        self.attached.end().map(|end| match end {
            ChildEnd::Code(code) => ProgramEnd::Code(code),
            ChildEnd::Signal(signal) => ProgramEnd::Signal(signal),
            ChildEnd::Unseen => ProgramEnd::Unseen,
        })
    }

    /// Stops the process group of this process, itself among it, as the key did with the program, and
    /// lets the program go on once a shell lets this process go on. To be called in the first thread.
    ///
    /// Where no shell looks after this process, it does not stop, and the program goes on at once.
    pub fn suspend(&mut self, why: Pause) -> Result<()> {
        self.attached.suspend(why.0)
    }

    /// Lets the program go on, in front of the terminal if this process is: a shell let it go on.
    pub fn go_on(&mut self) -> Result<()> {
        self.attached.go_on()
    }

    /// Passes a signal that this process got on to the program and its process group.
    pub fn pass_on(&mut self, signal: Passed) -> Result<()> {
        self.attached.pass_on(match signal {
            Passed::Interrupt => Signal::Interrupt,
            Passed::Quit => Signal::Quit,
            Passed::HangUp => Signal::HangUp,
        })
    }

    /// Begins to end the program and everything that it started: SIGTERM, the grace, SIGKILL; with
    /// `force` without the first two. Steps carry it out. [`Run::stop`] from elsewhere does the same.
    pub fn stop(&mut self, force: bool) -> Result<()> {
        self.attached.stop(KeeperReason::Stopped, force)
    }
}

/// The project of a wrapped program.
pub(super) fn project_of(named: &str) -> Result<ProjectId> {
    ProjectId::new(if named.is_empty() { TERMINAL_PROJECT } else { named })
}
