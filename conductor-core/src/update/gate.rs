//! The gate that every start of a root run passes, and that an update closes.
//!
//! Starters hold the admission lock together from their look at the gate until their run stands among
//! the open ones; who changes the state of an update, or counts the active runs for one, holds it alone.
//! So no run slips in between the count and the exchange of the program.

use super::record::{Record, UpdateState};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder};
use crate::layout::{ADMISSION_LOCK, CONDUCTOR, Layout, UPDATE, UPDATE_LOCK};
use crate::sys::LockKind;
use std::path::Path;

/// A starter's passage: as long as it is held, no update begins.
#[derive(Debug)]
pub(crate) struct Admission {
    _lock: FileLock,
}

/// Lets the start of a root run pass.
///
/// # Errors
/// [`ErrorKind::UpdateInProgress`] while an update holds new root runs back.
pub(crate) fn admit(layout: &Layout, wait: &Wait) -> Result<Admission> {
    let conductor = layout.ensure_root()?.ensure_folder(CONDUCTOR)?;
    let lock = conductor.lock(ADMISSION_LOCK, LockKind::Shared, wait)?;
    match pending(&conductor)? {
        None => Ok(Admission { _lock: lock }),
        Some(record) => Err(held_back(&conductor, &record)),
    }
}

/// The update that holds new root runs back now.
fn pending(conductor: &Folder) -> Result<Option<Record>> {
    // Without anybody who could carry it out, nothing is waited for, whatever the file says.
    if !conductor.is_locked(UPDATE_LOCK)? {
        return Ok(None);
    }
    Ok(Record::read(conductor)?.filter(|record| record.state.holds_back()))
}

/// Whether a process lives that can carry an update out.
pub(crate) fn living_updater(layout: &Layout) -> Result<bool> {
    match layout.root()?.folder_if_exists(CONDUCTOR)? {
        Some(conductor) => conductor.is_locked(UPDATE_LOCK),
        None => Ok(false),
    }
}

/// Keeps every starter out for as long as the lock is held; the folder of the state.
pub(crate) fn alone(layout: &Layout, wait: &Wait) -> Result<(Folder, FileLock)> {
    let conductor = layout.ensure_root()?.ensure_folder(CONDUCTOR)?;
    let lock = conductor.lock(ADMISSION_LOCK, LockKind::Exclusive, wait)?;
    Ok((conductor, lock))
}

fn held_back(conductor: &Folder, record: &Record) -> Error {
    let what = match record.state {
        UpdateState::Applying => "the program of the server is being exchanged",
        _ => "an update of the server waits until no root run is active",
    };
    Error::new(
        ErrorKind::UpdateInProgress,
        "update.in_progress",
        format!("{what}; no new root run starts until then"),
    )
    .with_path(conductor.join(Path::new(UPDATE)))
    .with_hint(
        "`run-agent update status` shows what it waits for; `run-agent update cancel` ends it",
    )
}

#[cfg(test)]
mod tests {
    use super::super::record::UpdateRequest;
    use super::*;
    use crate::sys::RealOs;
    use crate::time::Timestamp;
    use std::sync::Arc;

    #[test]
    fn only_a_living_updater_holds_starters_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().into());
        drop(admit(&layout, &Wait::NONE.into()).unwrap());

        let (conductor, lock) = alone(&layout, &Wait::NONE.into()).unwrap();
        let request = UpdateRequest::new("/opt/new");
        let mut record = Record::deferred(request, 1, Timestamp::UNIX_EPOCH);
        record.write(&conductor).unwrap();
        assert_eq!(admit(&layout, &Wait::NONE.into()).unwrap_err().code(), "lock.timeout");
        drop(lock);

        // Nobody lives who could carry it out.
        drop(admit(&layout, &Wait::NONE.into()).unwrap());
        let updater = conductor.lock(UPDATE_LOCK, LockKind::Exclusive, &Wait::NONE.into()).unwrap();
        let error = admit(&layout, &Wait::NONE.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UpdateInProgress);
        record.end(Ok("cancelled".into()), Timestamp::UNIX_EPOCH);
        record.write(&conductor).unwrap();
        drop(admit(&layout, &Wait::NONE.into()).unwrap());

        // A damaged state is told while somebody could act on it, and blocks nobody else.
        std::fs::write(conductor.join(UPDATE), "state: [").unwrap();
        assert_eq!(admit(&layout, &Wait::NONE.into()).unwrap_err().kind(), ErrorKind::Corrupt);
        drop(updater);
        drop(admit(&layout, &Wait::NONE.into()).unwrap());
    }

    #[test]
    fn nobody_becomes_active_while_somebody_counts() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().into());
        let one = admit(&layout, &Wait::NONE.into()).unwrap();
        let two = admit(&layout, &Wait::NONE.into()).unwrap();
        assert_eq!(alone(&layout, &Wait::NONE.into()).unwrap_err().code(), "lock.timeout");
        drop((one, two));
        drop(alone(&layout, &Wait::NONE.into()).unwrap());
    }
}
