//! Which run started which: a run's record names its parent, and the way up may lead through runs that
//! have ended.

use super::open_entry::OpenEntry;
use crate::error::{ErrorKind, Result};
use crate::id::RunId;
use crate::layout::Layout;
use crate::run::{RunRecord, store};

/// The longest way up that is gone; records that name each other as parents end it too.
const HIGHEST: usize = 64;

/// Living runs, and what their ancestors' records say.
pub(crate) struct Family<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) living: &'a [(OpenEntry, RunRecord)],
}

impl Family<'_> {
    /// Whether a run descends from one that `wanted` accepts.
    ///
    /// An ancestor that has ended is looked for in the task of the run that names it: an id does not say
    /// where a run lies, and nothing else is read for this.
    pub(crate) fn descends(
        &self,
        entry: &OpenEntry,
        record: &RunRecord,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<bool> {
        let (mut project, mut task) = (entry.project.clone(), entry.task.clone());
        let mut parent = record.parent_run_id.clone();
        for _ in 0..HIGHEST {
            let Some(id) = parent else { return Ok(false) };
            if wanted(&id) {
                return Ok(true);
            }
            let found = self.living.iter().find(|(entry, _)| entry.run.as_str() == id);
            parent = match found {
                Some((entry, record)) => {
                    (project, task) = (entry.project.clone(), entry.task.clone());
                    record.parent_run_id.clone()
                }
                None => {
                    let Ok(run) = RunId::new(&id) else { return Ok(false) };
                    match self.layout.run(&project, &task, &run).and_then(|run| store::read(&run)) {
                        Ok(record) => record.parent_run_id,
                        // In another task, gone, or damaged: nothing tells any more.
                        Err(error) if error.kind() == ErrorKind::NotFound => None,
                        Err(error) if super::evidence::is_damage(&error) => None,
                        Err(error) => return Err(error),
                    }
                }
            };
        }
        Ok(false)
    }
}
