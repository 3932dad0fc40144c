//! How many may run at a time, over all processes of a root.
//!
//! A slot is a locked file: the keeper of the run that has it inherits the lock, so the slot is free
//! when nothing of the run lives, however it ended. Who waits holds a locked ticket; the oldest living
//! one takes the next slot. The kernel gives back the ticket of a waiter that died.

use super::engine::Engine;
use crate::cancel::Wait;
use crate::error::Result;
use crate::fsx::{FileLock, Folder};
use crate::layout::{CONDUCTOR, QUEUE, SLOTS};
use crate::sys::{FileKind, LockKind, ProcessId, Processes};
use std::cell::OnceCell;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// The longest ticket that is read, in bytes.
const LIMIT: u64 = 1024;

/// What there is a limited number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// Runs whose parent is no living run.
    Runs,
    /// Tasks that no living run started.
    Tasks,
}

impl Pool {
    /// The name of its folders.
    fn name(self) -> &'static str {
        match self {
            Pool::Runs => "run",
            Pool::Tasks => "task",
        }
    }
}

/// The slots that a run is admitted with, where there are limits. Its keeper inherits both.
#[derive(Debug, Default)]
pub(crate) struct Slots<'a> {
    /// Its own, which its starter gives up.
    pub(crate) run: Option<FileLock>,
    /// Its task's, which the driver holds too, from attempt to attempt.
    pub(crate) task: Option<&'a FileLock>,
}

/// Who waits for a slot of any pool: looked at once, when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Lines(OnceCell<[Vec<String>; 2]>);

impl Lines {
    /// The place in its line of who waits, from 1.
    pub(crate) fn place_of(&self, engine: &Engine, who: &str) -> Result<Option<usize>> {
        let lines = match self.0.get() {
            Some(lines) => lines,
            None => {
                let line = |pool| engine.waiting_in_line(pool);
                let read = [line(Pool::Tasks)?, line(Pool::Runs)?];
                self.0.get_or_init(|| read)
            }
        };
        let places = lines.iter().filter_map(|line| line.iter().position(|waits| waits == who));
        Ok(places.map(|ahead| ahead + 1).next())
    }
}

/// A place among those who wait for a slot, until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    queue: Folder,
    name: String,
    pool: Pool,
    _lock: FileLock,
}

impl Engine {
    pub(super) fn pool_folder(&self, kind: &str, pool: Pool) -> Result<Folder> {
        let conductor = self.layout().ensure_root()?.ensure_folder(CONDUCTOR)?;
        conductor.ensure_folder(kind)?.ensure_folder(pool.name())
    }

    /// Gets in line for a slot; `who` says for what, for people.
    pub(crate) fn queue_up(&self, pool: Pool, who: &str) -> Result<Ticket> {
        static SEQUENCE: AtomicU32 = AtomicU32::new(1);
        let queue = self.pool_folder(QUEUE, pool)?;
        let os = self.layout().os();
        let number = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        // All processes of this boot share the clock, and it never goes back.
        let age = os.since_boot().as_nanos();
        let name = format!("{age:020}-{}-{number}", os.process_id());
        let hidden = format!(".{name}");
        // A ticket that can be seen is locked as long as who waits with it lives.
        let lock = queue.lock(&hidden, LockKind::Exclusive, &Wait::FOREVER)?;
        let own = Processes.own().map_err(|e| queue.error("identify who waits in", "", e))?;
        let text = format!("{} {}\n{who}\n", own.pid, own.start);
        let written = os.write_at(lock.fd(), text.as_bytes(), 0).and_then(|_| {
            os.rename_at(queue.fd(), hidden.as_ref(), queue.fd(), name.as_ref(), false)
        });
        if let Err(error) = written {
            let _first_error_is_told = queue.remove_file(&hidden);
            return Err(queue.error("get in line in", "", error));
        }
        Ok(Ticket { queue, name, pool, _lock: lock })
    }

    /// A slot of a pool that has `size` of them, if one is free, for `who`. The caller is the first in
    /// line.
    pub(crate) fn take_slot(
        &self,
        ticket: &Ticket,
        who: &str,
        size: u64,
    ) -> Result<Option<FileLock>> {
        let slots = self.pool_folder(SLOTS, ticket.pool)?;
        for number in 1..=size {
            let name = number.to_string();
            // Looked at first: a try opens the file to write, and its end would wake all who wait.
            if !slots.is_locked(&name)?
                && !self.is_spoken_for(&slots, ticket.pool, &name)?
                && let Some(slot) = slots.try_lock(&name, LockKind::Exclusive)?
                && self.make_ours(&slots, ticket.pool, &name, &slot, who)?
            {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Whether a slot is free, whoever's turn it is. Reads only.
    pub(super) fn has_free_slot(&self, pool: Pool, size: u64) -> Result<bool> {
        let path = Path::new(CONDUCTOR).join(SLOTS).join(pool.name());
        let Some(slots) = self.layout().root()?.folder_if_exists(path)? else { return Ok(true) };
        for number in 1..=size {
            let name = number.to_string();
            if !slots.is_locked(&name)? && !self.is_spoken_for(&slots, pool, &name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether whoever asks for a slot now has to wait. Reads only.
    pub(crate) fn is_crowded(&self, pool: Pool, size: u64) -> Result<bool> {
        if !self.waiting_in_line(pool)?.is_empty() {
            return Ok(true);
        }
        Ok(!self.has_free_slot(pool, size)?)
    }

    /// The folders in which something changes when a slot becomes free or the line moves on.
    pub(crate) fn pool_folders(&self, pool: Pool) -> Result<[Folder; 2]> {
        Ok([self.pool_folder(QUEUE, pool)?, self.pool_folder(SLOTS, pool)?])
    }

    /// Who waits for a slot of a pool, the first in line first. Reads only.
    pub(crate) fn waiting_in_line(&self, pool: Pool) -> Result<Vec<String>> {
        let path = Path::new(CONDUCTOR).join(QUEUE).join(pool.name());
        let Some(queue) = self.layout().root()?.folder_if_exists(path)? else {
            return Ok(Vec::new());
        };
        let mut waiting = Vec::new();
        for name in tickets(&queue)? {
            if queue.is_locked(&name)? {
                waiting.extend(read(&queue, &name)?.map(|(_, who)| who));
            }
        }
        Ok(waiting)
    }
}

impl Ticket {
    /// The tickets of those before this one that live and are not stopped, in their order. Those who died
    /// are taken out of the line.
    pub(super) fn ahead(&self) -> Result<Vec<String>> {
        let mut ahead = Vec::new();
        for name in tickets(&self.queue)? {
            if name >= self.name {
                break;
            }
            if self.queue.is_locked(&name)? {
                // Who was stopped (Ctrl-Z) keeps nobody else from running.
                if !is_stopped(&self.queue, &name)? {
                    ahead.push(name);
                }
            } else if let Some(_dead) = self.queue.try_lock(&name, LockKind::Exclusive)? {
                self.queue.remove_file(&name)?;
            }
        }
        Ok(ahead)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // In a forked child the ticket is a copy: the parent waits on.
        if self.name.split('-').nth(1) == Some(&self.queue.os().process_id().to_string()) {
            // One that stays is that of a dead waiter to all who look.
            let _taken_out_by_the_next = self.queue.remove_file(&self.name);
        }
    }
}

/// The tickets that can be seen, the oldest first.
fn tickets(queue: &Folder) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for entry in queue.list()? {
        if entry.kind == FileKind::File
            && let Some(name) = entry.name.to_str().filter(|name| !name.starts_with('.'))
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Who waits with a ticket, and for what.
fn read(queue: &Folder, name: &str) -> Result<Option<(ProcessId, String)>> {
    let Some(bytes) = queue.read_hint(name, LIMIT)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let ids = lines.next().and_then(|line| {
        let (pid, start) = line.split_once(' ')?;
        Some(ProcessId { pid: pid.parse().ok()?, start: start.parse().ok()? })
    });
    Ok(ids.zip(lines.next().map(str::to_owned)))
}

fn is_stopped(queue: &Folder, name: &str) -> Result<bool> {
    let Some((process, _)) = read(queue, name)? else { return Ok(false) };
    Processes.is_stopped(process).map_err(|e| queue.error("look at who waits in", name, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_line_takes_the_slot_and_the_dead_are_taken_out() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::bare(dir.path().join("root"));
        let enter = |who: &str| engine.queue_up(Pool::Runs, who).unwrap();
        let (first, second, third) = (enter("p/one"), enter("p/two"), enter("p/three"));
        assert_eq!(
            [&first, &second, &third].map(|ticket| ticket.ahead().unwrap().len()),
            [0, 1, 2]
        );
        let line = engine.waiting_in_line(Pool::Runs).unwrap();
        assert_eq!(line, ["p/one", "p/two", "p/three"]);
        let place = |who: &str| Lines::default().place_of(&engine, who).unwrap();
        assert_eq!([place("p/one"), place("p/three"), place("p/none")], [Some(1), Some(3), None]);
        let slot = engine.take_slot(&first, "p/one", 1).unwrap().unwrap();
        assert!(engine.take_slot(&second, "p/two", 1).unwrap().is_none());
        drop(first);
        assert!(second.ahead().unwrap().is_empty());
        // As of a waiter that was killed: its ticket is there, its lock is not.
        let queue = dir.path().join("root/.conductor/queue/run");
        std::fs::write(queue.join("00000000000000000001-1-1"), "1 1\np/dead\n").unwrap();
        assert_eq!(engine.waiting_in_line(Pool::Runs).unwrap(), ["p/two", "p/three"]);
        assert!(second.ahead().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(&queue).unwrap().count(), 2);
        drop(slot);
        let _slot = engine.take_slot(&second, "p/two", 1).unwrap().unwrap();
        assert!(engine.take_slot(&second, "p/two", 2).unwrap().is_some());
        assert!(engine.waiting_in_line(Pool::Tasks).unwrap().is_empty());
    }
}
