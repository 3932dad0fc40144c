//! Deleting where a thing stands, on a disk that has no room for the trash or for a receipt.
//!
//! The folder is given a hidden name beside its own, which needs no room, and is from then on gone for
//! everybody. What is large in it is deleted; then there is room for the receipts, which are written
//! from what is left; then that goes too. A death on the way leaves a hidden folder with everything
//! that the receipts need, and the next collection goes on with it.

use super::leftovers::receipt_of;
use super::trash::lock;
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{RunId, TaskId};
use crate::layout::{RECEIPTS, RUN_INFO};
use crate::run::receipts::{self, Keeping};
use crate::sys::Listed;
use std::ffi::OsStr;

/// What the name of a folder begins with that is being deleted where it stands.
const PREFIX: &str = ".gc-";

/// The id of the run or task that a hidden folder was.
pub(super) fn id_of(name: &OsStr) -> Option<&str> {
    name.to_str()?.strip_prefix(PREFIX)
}

/// A hidden folder, locked: other collections leave it alone.
pub(super) struct Hidden {
    // Taken off the list of a fork before the folder is closed.
    _listed: Listed,
    folder: Folder,
}

impl Hidden {
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Gives it its name again: somebody needs it.
    pub(super) fn put_back(&self, source: &Folder, name: &str) -> Result<()> {
        let (hidden, os) = (format!("{PREFIX}{name}"), source.os());
        os.rename_at(source.fd(), OsStr::new(&hidden), source.fd(), OsStr::new(name), false)
            .map_err(|e| source.error("show again", name, e))?;
        source.sync()
    }
}

/// Hides the folder `name`; `None` where it is gone.
pub(super) fn hide(source: &Folder, name: &str) -> Result<Option<Hidden>> {
    let folder = match source.folder_here(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    if !lock(&folder)? {
        return Ok(None);
    }
    let hidden = format!("{PREFIX}{name}");
    let os = source.os();
    match os.rename_at(source.fd(), OsStr::new(name), source.fd(), OsStr::new(&hidden), false) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(source.error("hide", name, error)),
    }
    source.sync()?;
    let _listed = Listed::new(folder.fd());
    Ok(Some(Hidden { _listed, folder: folder.renamed(source.join(hidden)) }))
}

/// Deletes what is left of a hidden run.
pub(super) fn finish_run(
    task: &Folder,
    runs: &Folder,
    folder: &Folder,
    run: &RunId,
    wait: &Wait,
) -> Result<()> {
    let mut keeping = Keeping::new(task)?;
    if keeping.lacks(run)
        && let Some(receipt) = receipt_of(folder)?
    {
        folder.remove_all_but(RUN_INFO)?;
        keeping.add(run, &receipt)?;
    }
    keeping.write(wait)?;
    runs.remove_tree(format!("{PREFIX}{run}")).map(drop)
}

/// Deletes what is left of a hidden task.
pub(super) fn finish_task(
    project: &Folder,
    folder: &Folder,
    task: &TaskId,
    wait: &Wait,
) -> Result<()> {
    folder.remove_all_but(RECEIPTS)?;
    receipts::hand_over(folder, task, project, wait)?;
    project.remove_tree(format!("{PREFIX}{task}")).map(drop)
}
