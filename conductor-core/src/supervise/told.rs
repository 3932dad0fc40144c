//! A run whose agent told its result and does not exit: ending it, and what is written down of it.
//!
//! The agent's own word stands: whoever ends the run only ends a process that has nothing more to do. The note
//! is made before the signal, so that whoever writes the end down knows why the keeper was asked to stop.

use super::engine::Engine;
use super::stop::{LONGEST, note, refuse_foreign, signal, stop_wished};
use super::verdict::{Ending, summary};
use crate::agent::stream::{StreamSummary, TurnEnd};
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::run::Outcome;

/// The file in a run's folder that says why it was ended although nobody wished it to stop.
const TOLD: &str = ".told";

impl Engine {
    /// Asks a run to end whose agent told its result, and does not wait for it; `why` is recorded. `force`
    /// kills at once.
    ///
    /// # Errors
    /// `run.not_ours` for a run that another program started; `run.elsewhere` for one in another pid
    /// namespace. Nothing is recorded then.
    pub(crate) fn end_told_run(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        why: &str,
        force: bool,
    ) -> Result<()> {
        let (folder, record) = self.folder_and_record(project, task, run)?;
        refuse_foreign(&folder, &record)?;
        note(&folder, TOLD, why)?;
        tracing::info!(
            name: "run_told_and_silent", project_id = %project, task_id = %task, run_id = %run,
            reason = why,
        );
        let asked = signal(&folder, &record, &self.marks(project, task, run), force);
        if asked.is_err() {
            // Another end of it must not be taken for this one.
            let _already_gone = folder.remove_file(TOLD)?;
        }
        asked.map(drop)
    }
}

/// Takes the agent's word for the end of a run that was ended because it had told its result. Why it was
/// ended; `None` where it came to its end otherwise, or where somebody wished it to stop.
pub(super) fn take_its_word(
    folder: &Folder,
    ending: &mut Ending,
    stream: Option<&StreamSummary>,
) -> Result<Option<String>> {
    if !matches!(ending.outcome, Outcome::Stopped | Outcome::Lost) || stop_wished(folder)? {
        return Ok(None);
    }
    let why = match folder.read_if_exists(TOLD, LONGEST as u64) {
        // An agent put something else there.
        Err(error) if error.kind() == ErrorKind::InvalidInput => None,
        bytes => bytes?,
    };
    let Some(why) = why.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()) else {
        return Ok(None);
    };
    let (outcome, exit_code, error) = match stream.and_then(|stream| stream.turn_end) {
        Some(TurnEnd::Success) => (Outcome::Completed, 0, None),
        Some(TurnEnd::Failure) => (Outcome::Failed, 1, Some(summary(1))),
        // It had begun another turn at the last moment, which was cut off.
        None => return Ok(Some(why)),
    };
    *ending = Ending { outcome, exit_code, signal: None, error, ..ending.clone() };
    Ok(Some(why))
}
