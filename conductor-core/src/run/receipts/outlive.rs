//! Receipts outlive what they tell of: those of runs stay with the task, those of tasks with the project.

use super::{Line, Receipt, read, read_from, write_behind};
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{RunId, TaskId};
use crate::layout::RECEIPTS;
use crate::limits;
use crate::sys::{LockKind, Open};
use std::collections::{BTreeMap, HashSet};

/// The receipts of a task while runs of it are about to be deleted.
#[derive(Debug)]
pub(crate) struct Keeping {
    task: Folder,
    /// The runs whose end has a receipt.
    known: HashSet<String>,
    /// Those that get one with the next writing, and their lines.
    added: Vec<String>,
    lines: Vec<u8>,
    /// Whether what is known is durable.
    durable: bool,
}

impl Keeping {
    /// Reads the receipts of a task.
    pub(crate) fn new(task: &Folder) -> Result<Keeping> {
        let all = read(task)?.all.into_iter();
        let known = all.filter(|(_, receipt)| receipt.end.is_some()).map(|(run, _)| run).collect();
        let (added, lines) = (Vec::new(), Vec::new());
        Ok(Keeping { task: task.clone(), known, added, lines, durable: false })
    }

    /// Whether there is no receipt of the run's end.
    pub(crate) fn lacks(&self, run: &RunId) -> bool {
        !self.known.contains(run.as_str())
    }

    /// Notes a receipt that is lacking.
    pub(crate) fn add(&mut self, run: &RunId, receipt: &Receipt) -> Result<()> {
        self.lines.extend(receipt.line(run.as_str(), None)?);
        self.added.push(run.to_string());
        Ok(())
    }

    /// Makes all receipts of the task durable, those that were noted among them. After an error those
    /// are lacking again.
    pub(crate) fn write(&mut self, wait: &Wait) -> Result<()> {
        let (added, lines) = (std::mem::take(&mut self.added), std::mem::take(&mut self.lines));
        let nothing = lines.is_empty() && self.task.stat(RECEIPTS)?.is_none();
        if nothing || (lines.is_empty() && self.durable) {
            return Ok(());
        }
        let wait = wait.clone().at_most(limits::RECORD_LOCK);
        let lock = self.task.lock(RECEIPTS, LockKind::Exclusive, &wait)?;
        write_behind(&self.task, &lock, &lines)?;
        let file = lock.fd();
        self.task.os().sync_data(file).map_err(|e| self.task.error("sync", RECEIPTS, e))?;
        self.task.sync()?;
        self.known.extend(added);
        self.durable = true;
        Ok(())
    }
}

/// Appends the receipts of a task that is about to be deleted to those of its project, durably.
///
/// A crash between this and the end of the task lets the next one append them again: lines of the same
/// run of the same task are one receipt.
pub(crate) fn hand_over(task: &Folder, id: &TaskId, project: &Folder, wait: &Wait) -> Result<()> {
    let receipts = read(task)?.all;
    let mut lines = Vec::new();
    for (run, receipt) in &receipts {
        lines.extend(receipt.line(run, Some(id.as_str()))?);
    }
    if lines.is_empty() {
        return Ok(());
    }
    let wait = wait.clone().at_most(limits::RECORD_LOCK);
    let lock = project.lock(RECEIPTS, LockKind::Exclusive, &wait)?;
    write_behind(project, &lock, &lines)?;
    project.os().sync_data(lock.fd()).map_err(|e| project.error("sync", RECEIPTS, e))?;
    project.sync()
}

/// The receipts of tasks of a project that are gone, by task and run. What is damaged is passed over:
/// nobody can repair it any more.
pub(crate) fn read_gone(project: &Folder) -> Result<BTreeMap<(TaskId, RunId), Receipt>> {
    let mut found = BTreeMap::new();
    let file = match project.open(RECEIPTS, Open::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        file => file?,
    };
    let bytes = read_from(project, &file, 0)?;
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((run, receipt)) = Receipt::parse(line) else { continue };
        let task = serde_json::from_slice::<Line>(line).ok().and_then(|line| line.task);
        let task = task.and_then(|task| TaskId::new(task).ok());
        if let (Some(task), Ok(run)) = (task, RunId::new(run)) {
            found.insert((task, run), receipt);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Outcome;
    use crate::sys::RealOs;
    use crate::time::Timestamp;
    use std::fs;
    use std::sync::Arc;

    fn receipt() -> Receipt {
        let end = Some((Outcome::Completed, Timestamp::UNIX_EPOCH));
        let (agent, start) = ("claude".to_owned(), Timestamp::UNIX_EPOCH);
        Receipt {
            agent,
            series: Some(1),
            start,
            end,
            slept: None,
            class: None,
            model: None,
            usage: None,
            cost_usd: None,
        }
    }

    #[test]
    fn what_lacks_is_written_once_and_a_torn_line_swallows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let task = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        fs::write(dir.path().join(RECEIPTS), "{\"run\":\"r").unwrap();
        let run = RunId::new("r1").unwrap();
        for lacks in [true, false] {
            let mut keeping = Keeping::new(&task).unwrap();
            assert_eq!(keeping.lacks(&run), lacks);
            if lacks {
                keeping.add(&run, &receipt()).unwrap();
            }
            keeping.write(&Wait::FOREVER).unwrap();
            assert!(!keeping.lacks(&run));
        }
        assert_eq!(read(&task).unwrap().all.len(), 1);
    }

    #[test]
    fn receipts_of_a_task_go_to_its_project_and_are_told_by_task() {
        let dir = tempfile::tempdir().unwrap();
        let project = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let (one, run) = (TaskId::new("one").unwrap(), RunId::new("r1").unwrap());
        let task = project.make_folder("one").unwrap();
        hand_over(&task, &one, &project, &Wait::FOREVER).unwrap();
        assert!(read_gone(&project).unwrap().is_empty());
        assert!(!dir.path().join(RECEIPTS).exists());
        let mut keeping = Keeping::new(&task).unwrap();
        keeping.add(&run, &receipt()).unwrap();
        keeping.write(&Wait::FOREVER).unwrap();
        for _crash in 0..2 {
            hand_over(&task, &one, &project, &Wait::FOREVER).unwrap();
        }
        let gone = read_gone(&project).unwrap();
        assert_eq!(gone, [((one, run), receipt())].into());
    }
}
