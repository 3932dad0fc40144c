//! The slot of a root task, which outlives the task's driver.
//!
//! The driver locks it, and the keepers of the task's attempts inherit the lock: while a run of the task
//! lives, its slot is taken, whoever dies. Who drives on after a driver that died cannot have that lock
//! from a keeper. So the slot names its task, and is that task's as long as somebody drives it: between
//! the end of the keeper and the next attempt nobody else takes it.

use super::engine::Engine;
use super::slots::Pool;
use crate::error::Result;
use crate::fsx::{FileLock, Folder, found};
use crate::id::{ProjectId, TaskId};
use crate::layout::{LOOP_LOCK, SLOTS};
use crate::sys::LockKind;

/// The longest name that is read, in bytes: two ids, a slash and a line feed fit.
const LIMIT: u64 = 1024;

/// What there is for a task that had a slot before.
#[derive(Debug)]
pub(super) enum OwnSlot {
    /// It is the caller's again.
    Taken(FileLock),
    /// A keeper of the task has it for a moment longer.
    Held,
    /// No slot names the task.
    None,
}

impl Engine {
    /// How many root tasks may run at a time; 0 for no limit.
    pub(crate) fn most_root_tasks(&self) -> u64 {
        self.settings().config.config().defaults.max_concurrent_root_tasks.unwrap_or(0)
    }

    /// Takes the slot that names the task `who` already, whoever waits in line. The caller drives it.
    pub(super) fn own_slot(&self, who: &str, size: u64) -> Result<OwnSlot> {
        let slots = self.pool_folder(SLOTS, Pool::Tasks)?;
        for number in 1..=size {
            let name = number.to_string();
            if named(&slots, &name)?.as_deref() != Some(who) {
                continue;
            }
            if slots.is_locked(&name)? {
                return Ok(OwnSlot::Held);
            }
            let Some(slot) = slots.try_lock(&name, LockKind::Exclusive)? else {
                return Ok(OwnSlot::Held);
            };
            // Somebody who found the task without a driver may have had it meanwhile.
            if named(&slots, &name)?.as_deref() == Some(who) {
                return Ok(OwnSlot::Taken(slot));
            }
        }
        Ok(OwnSlot::None)
    }

    /// Whether a free slot is kept for the task that it names. Reads only.
    pub(super) fn is_spoken_for(&self, slots: &Folder, pool: Pool, name: &str) -> Result<bool> {
        if pool != Pool::Tasks {
            return Ok(false);
        }
        let owner = named(slots, name)?;
        let Some((project, task)) = owner.as_deref().and_then(|owner| owner.split_once('/')) else {
            return Ok(false);
        };
        let (Ok(project), Ok(task)) = (ProjectId::new(project), TaskId::new(task)) else {
            return Ok(false);
        };
        match found(self.layout().task(&project, &task))? {
            Some(folder) => folder.is_locked(LOOP_LOCK),
            None => Ok(false),
        }
    }

    /// Writes into a slot that was just locked whose it is; `false` if it became another's meanwhile.
    pub(super) fn make_ours(
        &self,
        slots: &Folder,
        pool: Pool,
        name: &str,
        slot: &FileLock,
        who: &str,
    ) -> Result<bool> {
        if pool != Pool::Tasks {
            return Ok(true);
        }
        if self.is_spoken_for(slots, pool, name)? {
            return Ok(false);
        }
        let os = slots.os();
        let text = format!("{who}\n");
        os.truncate(slot.fd(), 0)
            .and_then(|()| os.write_at(slot.fd(), text.as_bytes(), 0))
            .map_err(|e| slots.error("write", name, e))?;
        Ok(true)
    }

    /// Gives the slot of a task back whose loop is over: `held`, or the one that names it where an
    /// earlier driver took it.
    pub(crate) fn give_task_slot_back(&self, who: &str, held: Option<FileLock>) -> Result<()> {
        let slot = match held {
            Some(slot) => Some(slot),
            None => match self.most_root_tasks() {
                0 => None,
                size => match self.own_slot(who, size)? {
                    OwnSlot::Taken(slot) => Some(slot),
                    OwnSlot::Held | OwnSlot::None => None,
                },
            },
        };
        let Some(slot) = slot else { return Ok(()) };
        let os = self.layout().os();
        os.truncate(slot.fd(), 0)
            .map_err(|e| crate::Error::io("free a slot of", self.layout().path(), e))
    }
}

/// The task that a slot names; `None` where it names none that can be read.
fn named(slots: &Folder, name: &str) -> Result<Option<String>> {
    let bytes = slots.read_hint(name, LIMIT)?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.and_then(|text| text.strip_suffix('\n').map(str::to_owned)))
}
