//! A program that judges the work of a run, under a keeper of its own.
//!
//! As a run it outlives whoever started it, is stopped as a whole, and its end is known afterwards.
//! Its files lie in the folder of the run that it judges.

use super::engine::Engine;
use super::evidence::{keeper_of, read_keeper_record};
use super::kept::{Kept, not_started};
use crate::error::{Error, Result};
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::check_files;
use crate::sys::{
    KeeperEnd, KeeperLimits, KeeperReason, KeeperState, LockKind, ProcessId, Processes, Signal,
};
use crate::time::format_duration;
use std::ffi::OsString;
use std::path::Path;

/// A check to be made.
pub(crate) struct Check<'a> {
    /// The folder of the run that is judged.
    pub(crate) folder: &'a Folder,
    pub(crate) run: &'a RunId,
    /// Counts the checks in that folder.
    pub(crate) number: u32,
    pub(crate) argv: &'a [OsString],
    pub(crate) program: &'a Path,
    pub(crate) cwd: &'a Path,
    pub(crate) env: &'a [(OsString, OsString)],
    pub(crate) limits: KeeperLimits,
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It was never begun.
    Not,
    /// It runs; the process to wait for, where it is known.
    Running(Option<ProcessId>),
    /// It says that the work is done.
    Passed,
    /// It says that it is not, or could not say; why.
    Failed(String),
    /// Nobody knows: it must be made again.
    Lost,
}

impl Check<'_> {
    /// Begins the check. Returns when its program runs.
    ///
    /// # Errors
    /// That of a keeper that did not start. A program that cannot be executed is a check that failed.
    pub(crate) fn begin(&self, engine: &Engine) -> Result<()> {
        let files = check_files(self.number);
        let Some(lock) = self.folder.try_lock(&*files.lock, LockKind::Exclusive)? else {
            // Somebody else begins it.
            return Ok(());
        };
        let kept = Kept {
            folder: self.folder,
            run: self.run.as_str(),
            stdin: None,
            memory: None,
            stdout: &files.output,
            stderr: &files.output,
            record: &files.record,
            lock: &lock,
            note: None,
            slot: None,
            task_slot: None,
            cwd: self.cwd,
            program: self.program.as_os_str(),
            argv: self.argv,
            env: self.env,
            limits: self.limits,
        };
        let mut keeper = kept.start(engine)?;
        // The keeper holds the lock from here. Closing our copy does not give it back, whatever
        // happens; unlocking it would.
        let _copy = lock.passed_on();
        keeper.born().map_err(not_started)?;
        keeper.send_release().map_err(not_started)?;
        // What became of the start stands in the keeper's record, too.
        let _told_by_the_record = keeper.answer();
        Ok(())
    }
}

/// What became of a check. Reads only.
pub(crate) fn checked(folder: &Folder, number: u32, limits: &KeeperLimits) -> Result<Checked> {
    let files = check_files(number);
    if folder.stat(&*files.record)?.is_none() {
        return Ok(Checked::Not);
    }
    let look = |e| folder.error("look at the processes of", &files.record, e);
    // Asked first: the keeper writes the end before it gives the lock back.
    let locked = folder.is_locked(&*files.lock)?;
    let Some(keeper) = read_keeper_record(folder, &files.record)? else {
        return Ok(if locked { Checked::Running(None) } else { Checked::Lost });
    };
    if locked {
        return Ok(Checked::Running(keeper_of(&keeper).map_err(look)?));
    }
    let failed = |why: String| Ok(Checked::Failed(why));
    match (keeper.ended, keeper.reason, keeper.state) {
        (Some(_), Some(KeeperReason::Total), _) => {
            let limit = limits.total.map(format_duration).unwrap_or_default();
            failed(format!("the check took longer than {limit}"))
        }
        (Some(_), Some(KeeperReason::Stopped), _) => Ok(Checked::Lost),
        (Some(KeeperEnd::Code(0)), ..) => Ok(Checked::Passed),
        (Some(KeeperEnd::Code(code)), ..) => failed(format!("the check exited with code {code}")),
        (Some(KeeperEnd::Signal(signal)), ..) => {
            failed(format!("the check was killed by signal {signal}"))
        }
        (None, _, KeeperState::ExecFailed) => failed("the check could not be started".to_owned()),
        _ => Ok(Checked::Lost),
    }
}

/// Asks a check that runs to end.
pub(crate) fn stop_check(folder: &Folder, number: u32) -> Result<()> {
    let files = check_files(number);
    let failed = |e| Error::io("signal the processes of", folder.join(&files.record), e);
    let Some(keeper) = read_keeper_record(folder, &files.record)? else { return Ok(()) };
    if let Some(keeper) = keeper_of(&keeper).map_err(failed)? {
        Processes.signal(keeper, Signal::Term).map_err(failed)?;
    }
    Ok(())
}
