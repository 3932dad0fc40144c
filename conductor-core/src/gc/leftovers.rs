//! Removing what nobody needs.

use super::apply::GcResult;
use super::facts::{RunState, StrayFact, StrayKind};
use super::going;
use super::item::GcReason;
use super::scan_run::{newest_of_orphan, over};
use super::trash;
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::{Folder, LockError};
use crate::id::{RunId, TaskId};
use crate::layout::{RUN_INFO, RUN_LOCK, RUNS};
use crate::limits;
use crate::run::receipts::Receipt;
use crate::run::{Glimpse, glimpse, store};
use crate::supervise::{Engine, OpenEntry};
use crate::sys::{FileKind, LockKind, Open};
use std::ffi::OsStr;
use std::path::Path;

/// Removes a stray below the root, unless somebody uses it by now.
pub(super) fn remove_stray(
    engine: &Engine,
    root: &Folder,
    stray: &StrayFact,
    wait: &Wait,
) -> Result<GcResult> {
    let (Some(parent), Some(name)) = (stray.path.parent(), stray.path.file_name()) else {
        return Ok(GcResult::Gone);
    };
    let Some(folder) = root.folder_if_exists(parent)? else { return Ok(GcResult::Gone) };
    let Some(stat) = folder.stat(name)? else { return Ok(GcResult::Gone) };
    let removed = match stray.kind {
        StrayKind::Trash => match going::id_of(name) {
            Some(id) => return finish_going(root, &folder, name, id, wait),
            None => trash::empty(&folder, name)?,
        },
        StrayKind::Lock => remove_lock(&folder, name)?,
        StrayKind::Entry => {
            let found = OpenEntry::list(engine.layout())?.entries;
            let Some(entry) = found.into_iter().find(|e| OsStr::new(&e.name) == name) else {
                return Ok(GcResult::Gone);
            };
            engine.forget_if_gone(&entry)?.then_some(true)
        }
        StrayKind::Unnamed => return unnamed_run(&folder, name, stray),
        StrayKind::Temporary => {
            let same = stat.kind == FileKind::File && stray.modified.unix_nanos() == stat.modified;
            if !same {
                return Ok(GcResult::Kept(GcReason::Changed));
            }
            Some(folder.remove_file(name)?)
        }
    };
    Ok(match removed {
        None => GcResult::Kept(GcReason::Busy),
        Some(true) => GcResult::Done,
        Some(false) => GcResult::Gone,
    })
}

/// Goes on with what was being deleted where it stood.
fn finish_going(
    root: &Folder,
    source: &Folder,
    name: &OsStr,
    id: &str,
    wait: &Wait,
) -> Result<GcResult> {
    let folder = match source.folder_here(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(GcResult::Gone),
        folder => folder?,
    };
    if !trash::lock(&folder)? {
        return Ok(GcResult::Kept(GcReason::Busy));
    }
    // The name may not have been durable when its deletion was cut short.
    source.sync()?;
    match (source.path().ends_with(RUNS), RunId::new(id), TaskId::new(id)) {
        (true, Ok(run), _) => {
            let below = source.path().strip_prefix(root.path()).unwrap_or(Path::new(""));
            let task = root.folder(below.parent().unwrap_or(Path::new("")))?;
            going::finish_run(&task, source, &folder, &run, wait)?;
        }
        (false, _, Ok(task)) => going::finish_task(source, &folder, &task, wait)?,
        _ => return Ok(GcResult::Gone),
    }
    Ok(GcResult::Done)
}

/// Removes a lock file that nobody holds; `None` where somebody does.
fn remove_lock(folder: &Folder, name: &OsStr) -> Result<Option<bool>> {
    match folder.lock_file(name, Open::Write, LockKind::Exclusive, &Wait::NONE.into()) {
        Ok(_held) => folder.remove_file(name).map(Some),
        Err(LockError::Held(_)) => Ok(None),
        Err(LockError::Other(error)) => Err(error),
    }
}

/// Removes the folder of a run whose starter died before the folder had its name.
fn unnamed_run(runs: &Folder, name: &OsStr, stray: &StrayFact) -> Result<GcResult> {
    let folder = match runs.folder_here(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(GcResult::Gone),
        folder => folder?,
    };
    let newest = newest_of_orphan(&folder, &folder.measure(&mut |_, _| true)?)?;
    if stray.modified != newest {
        return Ok(GcResult::Kept(GcReason::Changed));
    }
    let Some(_lock) = folder.try_lock(RUN_LOCK, LockKind::Exclusive)? else {
        return Ok(GcResult::Kept(GcReason::Busy));
    };
    let removed = runs.remove_tree(name)?;
    Ok(if removed { GcResult::Done } else { GcResult::Gone })
}

/// The receipt of a run whose folder is open; `None` where it has no record, or one that cannot be
/// read.
pub(super) fn receipt_of(folder: &Folder) -> Result<Option<Receipt>> {
    let Some(bytes) = folder.read_if_exists(RUN_INFO, limits::YAML_FILE)? else {
        return Ok(None);
    };
    match glimpse(&bytes) {
        Some(seen) => receipt(folder, &seen).map(Some),
        None => match store::read(folder) {
            Ok(record) => receipt(folder, &Glimpse::from(&record)).map(Some),
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            Err(_) => Ok(None),
        },
    }
}

/// The receipt of a run of which this was seen.
pub(super) fn receipt(folder: &Folder, seen: &Glimpse) -> Result<Receipt> {
    let end = match over(seen) {
        RunState::Over(outcome) => Some((outcome, seen.end_time)),
        _ => None,
    };
    if seen.counted {
        return Ok(Receipt { end, ..Receipt::of(&store::read(folder)?) });
    }
    let Glimpse { series, start_time: start, .. } = *seen;
    let agent = seen.agent.clone();
    let slept = None;
    Ok(Receipt {
        agent,
        series,
        start,
        end,
        slept,
        class: None,
        model: None,
        usage: None,
        cost_usd: None,
    })
}
