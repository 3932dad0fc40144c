//! Stopping work because the person in front of it wishes so, while it is still followed.

use conductor_core::{
    Cancel, Conductor, Error, ProjectId, Result, RunId, Stop, StopReport, TaskId, Wait,
};
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The reason that is recorded.
const REASON: &str = "Ctrl-C";

/// What is stopped: a task for good, or one run.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) project: ProjectId,
    pub(crate) task: TaskId,
    pub(crate) run: Option<RunId>,
}

/// Stops in the background, so that what happens meanwhile can be shown.
#[derive(Debug)]
pub(crate) struct Stopper {
    conductor: Conductor,
    target: Target,
    asked: u32,
    failed: Cancel,
    errors: (Sender<Error>, Receiver<Error>),
}

impl Stopper {
    pub(crate) fn new(conductor: &Conductor, target: Target) -> Stopper {
        Stopper {
            conductor: conductor.clone(),
            target,
            asked: 0,
            failed: Cancel::new(),
            errors: channel(),
        }
    }

    /// Whether a stop was asked for here.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked > 0
    }

    /// Asks once more: politely the first time, then not. Gives how often it was asked.
    pub(crate) fn ask(&mut self) -> Result<u32> {
        self.asked += 1;
        let stop = Stop::because(REASON).force(self.asked > 1);
        let (conductor, target) = (self.conductor.clone(), self.target.clone());
        let (failed, errors) = (self.failed.clone(), self.errors.0.clone());
        std::thread::Builder::new()
            .name("stop".to_owned())
            .spawn(move || {
                if let Err(error) = carry_out(&conductor, &target, stop) {
                    // Nobody waits for it any more where the work is over.
                    let _nobody_waits = errors.send(error);
                    failed.set();
                }
            })
            .map_err(|e| Error::io("start a thread in", "run-agent", e))?;
        Ok(self.asked)
    }

    /// Readable when a stop failed.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.failed.fd()
    }

    /// Why a stop failed, if one did.
    pub(crate) fn error(&self) -> Option<Error> {
        self.errors.1.try_recv().ok()
    }
}

fn carry_out(conductor: &Conductor, target: &Target, stop: Stop) -> Result<StopReport> {
    let Target { project, task, run } = target;
    match run {
        Some(run) => conductor.runs().get(project, task, run)?.stop(stop, Wait::FOREVER),
        None => conductor.tasks().get(project, task)?.stop(stop, Wait::FOREVER),
    }
}
