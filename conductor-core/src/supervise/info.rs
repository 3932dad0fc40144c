//! What is known of a run: its record, and what its processes say.

use super::engine::Engine;
use super::evidence::{moment, observe_to_tell};
use super::verdict::{Ending, Verdict};
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{RUN_LOCK, RUNS};
use crate::run::{Outcome, Phase, RunRecord, Status, store};
use std::path::{Path, PathBuf};

/// What is known of a run at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunInfo {
    /// The project.
    pub project: ProjectId,
    /// The task.
    pub task: TaskId,
    /// The run.
    pub id: RunId,
    /// The run's folder.
    pub folder: PathBuf,
    /// Its record, as it stands on disk. Where its end is known and nobody wrote it down yet, with the
    /// exit code, the signal, the time and the error of that end; its `outcome` is `None` then.
    pub record: RunRecord,
    /// Whether anything of it lives, by the identity of its processes; `None` where only its number
    /// is known (a run of the older program).
    pub alive: Option<bool>,
    /// How it ended, also where nobody wrote it down yet; `None` while it lives.
    pub ended: Option<Outcome>,
}

impl RunInfo {
    /// The status in the words of the older program, judged by what lives and not by what is written.
    pub fn status(&self) -> Status {
        match (self.alive, self.ended) {
            (Some(true), _) => Status::Running,
            (_, Some(outcome)) => outcome.status(),
            _ => self.record.status.clone(),
        }
    }

    /// How it ended; `None` while it lives.
    pub fn outcome(&self) -> Option<Outcome> {
        self.ended
    }
}

/// Reads what is known of a run; changes nothing.
pub(crate) fn read_info(
    engine: &Engine,
    project: &ProjectId,
    task: &TaskId,
    run: &RunId,
) -> Result<RunInfo> {
    let task_folder = engine.layout().task(project, task)?;
    read_info_in(&task_folder, project, task, run)
}

/// As [`read_info`], with the task's folder open already.
pub(crate) fn read_info_in(
    task_folder: &Folder,
    project: &ProjectId,
    task: &TaskId,
    run: &RunId,
) -> Result<RunInfo> {
    let folder = task_folder.folder(Path::new(RUNS).join(run))?;
    let mut record = match store::read(&folder) {
        // Its starter holds the lock and has not come to the record yet.
        Err(error) if error.kind() == ErrorKind::NotFound && folder.is_locked(RUN_LOCK)? => {
            RunRecord { phase: Some(Phase::Starting), ..RunRecord::new(project, task, run) }
        }
        record => record?,
    };
    let (alive, ended) = look(&folder, &mut record)?;
    Ok(RunInfo {
        project: project.clone(),
        task: task.clone(),
        id: run.clone(),
        folder: folder.path().to_owned(),
        record,
        alive,
        ended,
    })
}

/// Whether the run whose folder this is lives, and how it ended; what is known of an end that nobody wrote
/// down goes into the record that was read.
pub(crate) fn look(
    folder: &Folder,
    record: &mut RunRecord,
) -> Result<(Option<bool>, Option<Outcome>)> {
    Ok(match (record.outcome, record.is_open()) {
        (Some(outcome), _) => (Some(false), Some(outcome)),
        (None, false) => (Some(false), record.foreign_outcome()),
        (None, true) => match observe_to_tell(folder, record)? {
            Verdict::Supervised | Verdict::Adopted => (Some(true), None),
            Verdict::PossiblyAlive => (None, None),
            Verdict::Over(ending) => {
                let outcome = ending.outcome;
                tell(record, ending);
                (Some(false), Some(outcome))
            }
        },
    })
}

/// What is known of an end, for who reads it before it is written down.
fn tell(record: &mut RunRecord, ending: Ending) {
    record.exit_code = ending.exit_code;
    record.signal = ending.signal;
    if let Some(at) = ending.ended_at {
        record.end_time = moment(at);
        record.slept = ending.slept.map(u64::from);
    }
    if record.error_summary.is_none() {
        record.error_summary = ending.error;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Wait;
    use crate::error::ErrorKind;
    use crate::sys::{LockKind, RealOs};
    use std::sync::Arc;

    #[test]
    fn a_run_whose_starter_has_not_come_to_its_record_is_starting() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("runs/r1")).unwrap();
        let task = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let (project, id) = (ProjectId::new("p").unwrap(), TaskId::new("t").unwrap());
        let run = RunId::new("r1").unwrap();
        let read = || read_info_in(&task, &project, &id, &run);
        assert_eq!(read().unwrap_err().kind(), ErrorKind::NotFound);

        let folder = task.folder("runs/r1").unwrap();
        let lock = folder.lock(RUN_LOCK, LockKind::Exclusive, &Wait::FOREVER).unwrap();
        let info = read().unwrap();
        assert_eq!((info.status(), info.record.phase), (Status::Running, Some(Phase::Starting)));
        drop(lock);
        assert_eq!(read().unwrap_err().kind(), ErrorKind::NotFound, "it died on the way");
    }
}
