//! Closing runs that ended while nobody looked.

use super::engine::Engine;
use super::finish::{Finished, finish};
use super::open_entry::OpenEntry;
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::id::{ProjectId, TaskId};
use crate::layout::RUN_LOCK;

impl Engine {
    /// Writes down the end of an open run if it is over; whether it was, and has a record.
    pub(crate) fn close(&self, entry: &OpenEntry, wait: &Wait) -> Result<bool> {
        let OpenEntry { project, task, run, .. } = entry;
        match finish(self, project, task, run, wait) {
            Ok(finished) => Ok(finished == Finished::Over),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.forget_if_gone(entry).map(|_| false)
            }
            Err(error) => Err(error),
        }
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
