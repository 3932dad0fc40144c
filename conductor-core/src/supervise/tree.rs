//! What is left of a run whose keeper died: nobody keeps its processes together any more, but their
//! environment tells whose they are.

use crate::error::Result;
use crate::fsx::Folder;
use crate::id::RunId;
use crate::sys::{ProcessId, Processes, Signal};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

/// How often the rest is looked for and killed, and the pause in between.
const PASSES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// The living processes of a run, by the run and the folder that their environment names, and what they
/// started. Whoever asks is not among them, nor those that it descends from.
fn processes_of(folder: &Folder, run: &RunId) -> Result<Vec<ProcessId>> {
    let id = [b"JRUN_ID=", run.as_str().as_bytes()].concat();
    let place = [b"JRUN_RUN_FOLDER=", folder.path().as_os_str().as_bytes()].concat();
    let failed = |e| folder.error("look for the processes of", "", e);
    Processes.marked(&[&id, &place]).map_err(failed)
}

/// Signals each of them but one that has it already; whether one was there.
pub(super) fn signal_all(
    folder: &Folder,
    run: &RunId,
    has_it: Option<ProcessId>,
    signal: Signal,
) -> Result<bool> {
    let mut any = false;
    for process in processes_of(folder, run)? {
        if Some(process) == has_it {
            continue;
        }
        any |= match Processes.signal(process, signal) {
            // One that works for another user now, as below sudo, is not ours to signal.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => false,
            sent => sent.map_err(|e| folder.error("signal the processes of", "", e))?,
        };
    }
    Ok(any)
}

/// Kills what is left of a run that is over.
pub(super) fn end_leftovers(folder: &Folder, run: &RunId) -> Result<()> {
    for _pass in 0..PASSES {
        if !signal_all(folder, run, None, Signal::Kill)? {
            return Ok(());
        }
        folder.os().sleep(PAUSE);
    }
    // They belong to somebody else, or the kernel does not let them go. The run is over all the same.
    tracing::warn!(%run, "processes of a run that is over cannot be ended");
    Ok(())
}
