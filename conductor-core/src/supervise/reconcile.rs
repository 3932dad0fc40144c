//! Closing runs that ended while nobody looked.

use super::engine::Engine;
use super::evidence::known;
use super::finish::{Finished, finish};
use super::open_entry::OpenEntry;
use super::sight::Sight;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::RUN_LOCK;

impl Engine {
    /// Writes down the end of an open run if it is over; whether it was, and has a record.
    pub(crate) fn close(&self, entry: &OpenEntry, wait: &Wait) -> Result<bool> {
        let OpenEntry { project, task, run, .. } = entry;
        match finish(self, project, task, run, wait) {
            Ok(finished) => Ok(finished == Finished::Over),
            Err(error) => match self.look_at(entry)? {
                Sight::Gone => self.forget_if_gone(entry).map(|_| false),
                Sight::Lost(_) => self.close_lost(project, task, run, wait),
                // Its agent works on without the folder that would tell of it.
                Sight::Untold(_) => Ok(false),
                // It was beginning: its entry stands before its folder does.
                Sight::Living(_) | Sight::Over if error.kind() == ErrorKind::NotFound => {
                    let finished = finish(self, project, task, run, wait)?;
                    Ok(finished == Finished::Over)
                }
                Sight::Living(_) | Sight::Over => Err(error),
            },
        }
    }

    /// Closes the runs of a task that are over and for which no entry stands: somebody removed it, or
    /// brought the root back without it. One that lives gets its entry again,
    /// without the bounds of what its agent may start. Gives those that it closed.
    ///
    /// Costs a look at each run of the task.
    ///
    /// # Errors
    /// The first of what cannot be closed, once everything else is, beside what was closed.
    pub(crate) fn close_unlisted(
        &self,
        project: &ProjectId,
        task: &TaskId,
        wait: &Wait,
    ) -> Result<(Vec<RunId>, Option<Error>)> {
        let (mut closed, mut first_error) = (Vec::new(), None);
        for (run, folder) in self.unlisted(project, task)? {
            let close = || -> Result<()> {
                let record = known(&folder?)?.record;
                let told = record.outcome.is_some() && record.stop_msg.is_some();
                if told || !record.is_supervised() {
                    return Ok(());
                }
                match finish(self, project, task, &run, wait)? {
                    Finished::Over => closed.push(run.clone()),
                    Finished::NotYet => {
                        let OpenEntry { parents, family, .. } =
                            OpenEntry::stand_in(project, task, &run, Some(&record));
                        OpenEntry::create(self.layout(), (project, task, &run), &parents, family)?;
                    }
                }
                Ok(())
            };
            match close() {
                // Deleted meanwhile, or nothing says that it was ever a run of ours: `doctor` tells.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                done => first_error = first_error.or(done.err()),
            }
        }
        Ok((closed, first_error))
    }

    /// Closes the runs of a task that are over, for whoever starts another one there. What cannot be
    /// closed is left to `reconcile`, which tells why: it keeps nobody from starting.
    pub(crate) fn close_what_is_over(&self, project: &ProjectId, task: &TaskId, wait: &Wait) {
        let found = match OpenEntry::list(self.layout()) {
            Ok(found) => found,
            Err(error) => return tracing::warn!(%error, "the open runs cannot be listed"),
        };
        for entry in found.entries.iter().filter(|entry| entry.is_of(project, task)) {
            let living = self
                .layout()
                .run(project, task, &entry.run)
                .and_then(|folder| folder.is_locked(RUN_LOCK))
                .unwrap_or(false);
            // What lives is passed over at the cost of one look, however much of it there is.
            if !living && let Err(error) = self.close(entry, wait) {
                tracing::warn!(%error, run = %entry.run, "a run that is over cannot be closed");
            }
        }
    }
}
