//! A program that is no part of a run, although an agent may have led to its start: under a keeper of its
//! own, it does not end with the run of that agent.

use super::engine::Engine;
use super::kept::{not_started, raw, real_file};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::sys::{self, KeeperLimits, KeeperSpec};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

/// A program to be started, and what it gets.
pub(crate) struct Apart<'a> {
    /// The program, by an absolute path, and its arguments.
    pub(crate) program: &'a Path,
    pub(crate) args: &'a [OsString],
    /// Its whole environment, without `JRUN_ID`.
    pub(crate) env: &'a [(OsString, OsString)],
    /// What it is, in the place of a run's id.
    pub(crate) name: &'a str,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
}

impl Apart<'_> {
    /// Starts it, in the current folder and a session of its own; its process id.
    ///
    /// Nothing is left on disk: nobody asks later what became of it.
    pub(crate) fn start(&self, engine: &Engine) -> Result<u32> {
        let stdin = sys::nothing_to_read().map_err(not_started)?;
        let memory = || sys::memory_to_read(&[]).map_err(not_started);
        let (record, lock) = (memory()?, memory()?);
        sys::prepare_keeper_file(real_file(&record)?, "").map_err(not_started)?;
        let here = Path::new(".");
        let cwd = sys::open_working_folder(here)
            .map_err(|e| Error::io("open the working folder", here, e))?;
        // An agent's keeper leaves a keeper alone whose environment names something else than its run.
        let mut env = self.env.to_vec();
        env.retain(|(name, _)| name != "JRUN_ID");
        env.push(("JRUN_ID".into(), self.name.into()));
        let spec = KeeperSpec {
            run_id: OsStr::new(self.name),
            stdin: raw(&stdin)?,
            stdout: self.stdout,
            stderr: self.stderr,
            record: raw(&record)?,
            run_lock: raw(&lock)?,
            slot: None,
            task_slot: None,
            cwd: cwd.as_fd(),
            limits: KeeperLimits::default(),
            program: self.program.as_os_str(),
            argv0: self.program.as_os_str(),
            args: self.args,
            env: &env,
        };
        let mut keeper =
            engine.keeper().with(engine.layout(), |image| sys::start_keeper(image, &spec))?;
        keeper.set_timeout(Some(limits::KEEPER_START)).map_err(not_started)?;
        let born = keeper.born().map_err(not_started)?;
        keeper.release().map_err(|e| {
            let what = format!("cannot execute {}", self.program.display());
            Error::new(ErrorKind::SpawnFailed, "keeper.not_started", what).with_source(e)
        })?;
        Ok(born.agent.pid)
    }
}
