//! The processes of a run by what their environment names: where its keeper died, so that nobody keeps
//! them together any more, or where its folder tells nothing of them.

use crate::error::{Error, Result};
use crate::id::RunId;
use crate::sys::{Os, ProcessId, Processes, Signal};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the rest is looked for and killed, and the pause in between.
const PASSES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// What the environment of a run's processes names: the run, and where its folder is or was.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    run: RunId,
    folder: PathBuf,
}

impl Marks {
    pub(super) fn new(run: &RunId, folder: &Path) -> Marks {
        Marks { run: run.clone(), folder: folder.to_owned() }
    }

    /// The living processes of the run, and what they started. Whoever asks is not among them, nor
    /// those that it descends from. Costs a look at each process of the machine.
    pub(super) fn living(&self) -> Result<Vec<ProcessId>> {
        let id = [b"JRUN_ID=", self.run.as_str().as_bytes()].concat();
        let place = [b"JRUN_RUN_FOLDER=", self.folder.as_os_str().as_bytes()].concat();
        Processes.marked(&[&id, &place]).map_err(|e| self.failed("look for", e))
    }

    /// Signals each of them but one that has it already; whether one was there.
    pub(super) fn signal(&self, has_it: Option<ProcessId>, signal: Signal) -> Result<bool> {
        let mut any = false;
        for process in self.living()? {
            if Some(process) == has_it {
                continue;
            }
            any |= match Processes.signal(process, signal) {
                // One that works for another user now, as below sudo, is not ours to signal.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => false,
                sent => sent.map_err(|e| self.failed("signal", e))?,
            };
        }
        Ok(any)
    }

    /// Kills what is left of a run that is over.
    pub(super) fn end_leftovers(&self, os: &dyn Os) -> Result<()> {
        for _pass in 0..PASSES {
            if !self.signal(None, Signal::Kill)? {
                return Ok(());
            }
            os.sleep(PAUSE);
        }
        // They belong to somebody else, or the kernel does not let them go. The run is over all the
        // same.
        tracing::warn!(run = %self.run, "processes of a run that is over cannot be ended");
        Ok(())
    }

    fn failed(&self, what: &str, source: std::io::Error) -> Error {
        Error::io(&format!("{what} the processes of"), &self.folder, source)
    }
}
