//! A machine that a test makes up: one folder of files in memory, where any call can fail, any
//! process can die at any call, and a power cut loses what was not synced.

use super::dice::Dice;
use super::turns::{Turns, Work};
use conductor_core::Timestamp;
use conductor_core::sys::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Os, Stat};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

type Names = BTreeMap<OsString, usize>;

/// The state that survives the death of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    names: Names,
    /// The names after each change since the last sync of the folder; the first are durable.
    names_log: Vec<Names>,
}

#[derive(Clone, Debug, Default)]
struct File {
    data: Vec<u8>,
    durable: Vec<u8>,
    /// Changes since the last sync.
    log: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails with this error, once.
    Error(i32),
    /// This call and all later ones of its name fail.
    Persistent(i32),
    /// A write writes only a part.
    Short,
    /// A write writes only a part, and then the disk is full.
    Full,
    /// The process dies; a write may have written a part.
    Kill,
}

/// A description of an open file.
#[derive(Debug)]
struct Description {
    file: Option<usize>,
    process: u32,
    position: u64,
    lock: Option<LockKind>,
}

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    open: BTreeMap<u64, Description>,
    next_open: u64,
    time: i128,
    calls: u64,
    fault: Option<(u64, Fault)>,
    failing: Option<(&'static str, i32)>,
    dead: Vec<u32>,
    dice: u64,
    bytes_read: u64,
    reads: u64,
}

/// The machine. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Machine(Arc<Mutex<State>>, Arc<Turns>, Arc<Mutex<Option<Interruption>>>);

/// What others do between two calls of a process.
struct Interruption {
    process: u32,
    /// Calls that the process still makes before.
    left: u64,
    work: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interruption").field("process", &self.process).finish_non_exhaustive()
    }
}

/// The machine as one process sees it.
#[derive(Debug)]
pub(crate) struct SimulatedOs {
    machine: Machine,
    process: u32,
}

#[derive(Debug)]
struct Handle {
    machine: Machine,
    id: u64,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.machine.state().open.remove(&self.id);
    }
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl Machine {
    pub(crate) fn new(disk: Disk) -> Machine {
        let time = 1_800_000_000_000_000_000;
        let disk = Disk { names_log: vec![disk.names.clone()], ..disk };
        let state = State { disk, time, next_open: 1, ..State::default() };
        Machine(Arc::new(Mutex::new(state)), Arc::default(), Arc::default())
    }

    /// Runs processes at once, in an order of their calls that `seed` decides.
    pub(crate) fn run(&self, seed: u64, processes: Vec<(u32, Work<'_>)>) {
        self.1.run(seed, processes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// A new process.
    pub(crate) fn process(&self, process: u32) -> Arc<dyn Os> {
        Arc::new(SimulatedOs { machine: self.clone(), process })
    }

    /// Lets `fault` happen at the `at`-th call from now, from 1.
    pub(crate) fn plan(&self, at: u64, fault: Fault, dice: u64) {
        let mut state = self.state();
        state.fault = Some((state.calls + at, fault));
        state.dice = dice;
    }

    /// Lets others do `work` right before the `at`-th call of a process from now, from 1.
    pub(crate) fn interrupt(&self, process: u32, at: u64, work: impl FnOnce() + Send + 'static) {
        *self.2.lock() = Some(Interruption { process, left: at - 1, work: Box::new(work) });
    }

    /// Whether what [`Machine::interrupt`] planned was done; it is planned no more.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.2.lock().take().is_none()
    }

    fn perhaps_interrupt(&self, process: u32) {
        let mut planned = self.2.lock();
        let Some(plan) = planned.as_mut().filter(|plan| plan.process == process) else { return };
        if plan.left > 0 {
            plan.left -= 1;
        } else if let Some(plan) = planned.take() {
            drop(planned);
            (plan.work)();
        }
    }

    /// Whether the planned fault has happened.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state();
        state.fault.is_none_or(|(at, _)| state.calls >= at)
    }

    /// Nothing fails from now on.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        (state.fault, state.failing) = (None, None);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Reads so far, and the bytes they gave.
    pub(crate) fn reads(&self) -> (u64, u64) {
        let state = self.state();
        (state.reads, state.bytes_read)
    }

    /// Ends a process: its files are closed.
    pub(crate) fn kill(&self, process: u32) {
        self.state().kill(process);
    }

    /// The length of a file; 0 where there is none.
    pub(crate) fn size(&self, name: &str) -> usize {
        let state = self.state();
        let file = state.disk.names.get(OsStr::new(name));
        file.map_or(0, |file| state.disk.files[*file].data.len())
    }

    /// The disk as it is.
    pub(crate) fn disk(&self) -> Disk {
        self.state().disk.clone()
    }
}

impl Disk {
    /// The files by name.
    pub(crate) fn contents(&self) -> BTreeMap<OsString, Vec<u8>> {
        self.names
            .iter()
            .map(|(name, file)| (name.clone(), self.files[*file].data.clone()))
            .collect()
    }

    pub(crate) fn with_file(name: &str, data: Vec<u8>) -> Disk {
        let file = File { durable: data.clone(), data, log: Vec::new() };
        Disk { files: vec![file], names: [(name.into(), 0)].into(), names_log: Vec::new() }
    }

    /// One of the states in which a power cut may leave the disk.
    ///
    /// Changes of names are durable in their order; of the data that was not synced any part may be
    /// there, a lost part in front of one that is there reads as zeros, and the last write may be
    /// torn.
    pub(crate) fn after_power_cut(&self, dice: &mut Dice) -> Disk {
        let names = self.names_log[dice.roll(self.names_log.len() as u64) as usize].clone();
        let files = self.files.iter().map(|file| file.after_power_cut(dice)).collect();
        Disk { files, names, names_log: Vec::new() }
    }
}

impl File {
    fn after_power_cut(&self, dice: &mut Dice) -> File {
        let mut data = self.durable.clone();
        // Most file systems keep the order; then a prefix of the changes is there.
        let ordered = dice.roll(2) == 0;
        let kept = dice.roll(self.log.len() as u64 + 1) as usize;
        for (at, change) in self.log.iter().enumerate() {
            let there = if ordered { at < kept } else { dice.roll(2) == 0 };
            match change {
                Change::Write(offset, bytes) if there => {
                    // The last one may be torn.
                    let whole = !(at + 1 == self.log.len() || at + 1 == kept) || dice.roll(2) == 0;
                    let part = if whole {
                        bytes.len()
                    } else {
                        dice.roll(bytes.len() as u64 + 1) as usize
                    };
                    put(&mut data, *offset, &bytes[..part]);
                    // Its length may be durable before its data is.
                    if !whole && dice.roll(2) == 0 {
                        put(&mut data, *offset + part, &vec![0; bytes.len() - part]);
                    }
                }
                Change::Write(..) => {}
                Change::Truncate(length) if there => data.truncate(*length),
                Change::Truncate(_) => {}
            }
        }
        File { durable: data.clone(), data, log: Vec::new() }
    }
}

fn put(data: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if data.len() < offset + bytes.len() {
        data.resize(offset + bytes.len(), 0);
    }
    data[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl State {
    fn kill(&mut self, process: u32) {
        self.dead.push(process);
        for description in self.open.values_mut().filter(|open| open.process == process) {
            description.lock = None;
        }
    }

    fn names_changed(&mut self) {
        self.disk.names_log.push(self.disk.names.clone());
    }

    fn file(&mut self, id: u64) -> io::Result<&mut File> {
        let file = self.open.get(&id).and_then(|open| open.file).ok_or(errno(libc::EBADF))?;
        Ok(&mut self.disk.files[file])
    }
}

impl SimulatedOs {
    /// Counts a call and lets happen what is planned. Gives how much of a write to do, where not all.
    fn call(&self, name: &'static str) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        self.machine.1.take(self.process);
        self.machine.perhaps_interrupt(self.process);
        let mut state = self.machine.state();
        if state.dead.contains(&self.process) {
            return Err(errno(libc::EIO));
        }
        state.calls += 1;
        state.time += 1000;
        if let Some((failing, error)) = state.failing
            && failing == name
        {
            return Err(errno(error));
        }
        let due = state.fault.filter(|(at, _)| *at == state.calls).map(|(_, fault)| fault);
        match due {
            Some(Fault::Error(error)) => return Err(errno(error)),
            Some(Fault::Persistent(error)) => {
                state.failing = Some((name, error));
                return Err(errno(error));
            }
            Some(Fault::Kill) if name != "write" => {
                state.kill(self.process);
                return Err(errno(libc::EIO));
            }
            _ => {}
        }
        Ok((state, due))
    }

    fn id(fd: &Fd) -> io::Result<u64> {
        let handle = fd.as_simulated().and_then(|handle| handle.downcast_ref::<Handle>());
        handle.map(|handle| handle.id).ok_or(errno(libc::EBADF))
    }

    fn open(&self, state: &mut State, file: Option<usize>) -> Fd {
        let id = state.next_open;
        state.next_open += 1;
        let description = Description { file, process: self.process, position: 0, lock: None };
        state.open.insert(id, description);
        Fd::simulated(Box::new(Handle { machine: self.machine.clone(), id }))
    }

    fn stat_of(state: &State, file: Option<usize>) -> Stat {
        let (kind, size) = match file {
            Some(file) => (FileKind::File, state.disk.files[file].data.len() as u64),
            None => (FileKind::Folder, 0),
        };
        let links = state.disk.names.values().filter(|named| Some(**named) == file).count() as u64;
        let inode = file.map_or(0, |file| file as u64 + 1);
        let (allocated, modified) = (size, state.time);
        Stat { kind, device: 1, inode, size, allocated, links, owner: 0, mode: 0o644, modified }
    }
}

impl Os for SimulatedOs {
    fn open_root(&self, _: &Path) -> io::Result<Fd> {
        let (mut state, _) = self.call("open")?;
        Ok(self.open(&mut state, None))
    }

    fn make_root(&self, _: &Path, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn open_at(&self, _: &Fd, path: &Path, how: Open) -> io::Result<Fd> {
        let (mut state, _) = self.call("open")?;
        let name = path.as_os_str();
        let there = state.disk.names.get(name).copied();
        let create =
            matches!(how, Open::AppendOrCreate(_) | Open::CreateNew(_) | Open::WriteOrCreate(_));
        let file = match there {
            Some(_) if matches!(how, Open::CreateNew(_)) => return Err(errno(libc::EEXIST)),
            Some(file) => file,
            None if create => {
                state.disk.files.push(File::default());
                let file = state.disk.files.len() - 1;
                state.disk.names.insert(name.to_owned(), file);
                state.names_changed();
                file
            }
            None => return Err(errno(libc::ENOENT)),
        };
        Ok(self.open(&mut state, Some(file)))
    }

    fn stat_at(&self, _: &Fd, name: &OsStr) -> io::Result<Stat> {
        let (state, _) = self.call("stat")?;
        let file = *state.disk.names.get(name).ok_or(errno(libc::ENOENT))?;
        Ok(Self::stat_of(&state, Some(file)))
    }

    fn mkdir_at(&self, _: &Fd, _: &OsStr, _: u32) -> io::Result<()> {
        Err(errno(libc::ENOSYS))
    }

    fn unlink_at(&self, _: &Fd, name: &OsStr) -> io::Result<()> {
        let (mut state, _) = self.call("unlink")?;
        state.disk.names.remove(name).ok_or(errno(libc::ENOENT))?;
        state.names_changed();
        Ok(())
    }

    fn rmdir_at(&self, _: &Fd, _: &OsStr) -> io::Result<()> {
        Err(errno(libc::ENOSYS))
    }

    fn rename_at(&self, _: &Fd, old: &OsStr, _: &Fd, new: &OsStr, replace: bool) -> io::Result<()> {
        let (mut state, _) = self.call("rename")?;
        let names = &mut state.disk.names;
        let file = *names.get(old).ok_or(errno(libc::ENOENT))?;
        if !replace && names.contains_key(new) {
            return Err(errno(libc::EEXIST));
        }
        names.remove(old);
        names.insert(new.to_owned(), file);
        state.names_changed();
        Ok(())
    }

    fn link_at(&self, _: &Fd, old: &OsStr, _: &Fd, new: &OsStr) -> io::Result<()> {
        let (mut state, _) = self.call("link")?;
        let names = &mut state.disk.names;
        let file = *names.get(old).ok_or(errno(libc::ENOENT))?;
        if names.contains_key(new) {
            return Err(errno(libc::EEXIST));
        }
        names.insert(new.to_owned(), file);
        state.names_changed();
        Ok(())
    }

    fn list(&self, _: &Fd) -> io::Result<Vec<Entry>> {
        let (state, _) = self.call("list")?;
        let names = state.disk.names.keys();
        Ok(names.map(|name| Entry { name: name.clone(), kind: FileKind::File }).collect())
    }

    fn stat(&self, fd: &Fd) -> io::Result<Stat> {
        let (state, _) = self.call("stat")?;
        let open = state.open.get(&Self::id(fd)?).ok_or(errno(libc::EBADF))?;
        Ok(Self::stat_of(&state, open.file))
    }

    fn read_at(&self, fd: &Fd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut state, _) = self.call("read")?;
        let data = &state.file(Self::id(fd)?)?.data;
        let from = (offset as usize).min(data.len());
        let read = (data.len() - from).min(buffer.len());
        buffer[..read].copy_from_slice(&data[from..from + read]);
        state.reads += 1;
        state.bytes_read += read as u64;
        Ok(read)
    }

    fn write_at(&self, _: &Fd, _: &[u8], _: u64) -> io::Result<usize> {
        Err(errno(libc::ENOSYS))
    }

    fn write(&self, fd: &Fd, bytes: &[u8]) -> io::Result<usize> {
        let (mut state, fault) = self.call("write")?;
        let id = Self::id(fd)?;
        let part = match fault {
            Some(Fault::Short | Fault::Full) => 1.max(bytes.len() / 2),
            Some(Fault::Kill) => (state.dice % (bytes.len() as u64 + 1)) as usize,
            _ => bytes.len(),
        };
        let file = state.file(id)?;
        let offset = file.data.len();
        file.data.extend_from_slice(&bytes[..part]);
        file.log.push(Change::Write(offset, bytes[..part].to_vec()));
        if fault == Some(Fault::Full) {
            state.failing = Some(("write", libc::ENOSPC));
        }
        if fault == Some(Fault::Kill) {
            state.kill(self.process);
            return Err(errno(libc::EIO));
        }
        if let Some(open) = state.open.get_mut(&id) {
            open.position = (offset + part) as u64;
        }
        Ok(part)
    }

    fn position(&self, fd: &Fd) -> io::Result<u64> {
        let (state, _) = self.call("position")?;
        state.open.get(&Self::id(fd)?).map(|open| open.position).ok_or(errno(libc::EBADF))
    }

    fn truncate(&self, fd: &Fd, length: u64) -> io::Result<()> {
        let (mut state, _) = self.call("truncate")?;
        let file = state.file(Self::id(fd)?)?;
        file.data.truncate(length as usize);
        file.log.push(Change::Truncate(length as usize));
        Ok(())
    }

    fn allocate(&self, _: &Fd, _: u64) -> io::Result<()> {
        Err(errno(libc::ENOSYS))
    }

    fn sync_data(&self, fd: &Fd) -> io::Result<()> {
        self.sync(fd)
    }

    fn sync(&self, fd: &Fd) -> io::Result<()> {
        let (mut state, _) = self.call("sync")?;
        let id = Self::id(fd)?;
        if state.open.get(&id).is_some_and(|open| open.file.is_none()) {
            state.disk.names_log = vec![state.disk.names.clone()];
            return Ok(());
        }
        let file = state.file(id)?;
        file.durable = file.data.clone();
        file.log.clear();
        Ok(())
    }

    fn try_lock(&self, fd: &Fd, kind: LockKind) -> io::Result<bool> {
        let (mut state, _) = self.call("lock")?;
        let id = Self::id(fd)?;
        let file = state.open.get(&id).ok_or(errno(libc::EBADF))?.file;
        let taken = state.open.iter().any(|(other, open)| {
            let excludes = kind == LockKind::Exclusive || open.lock == Some(LockKind::Exclusive);
            *other != id && open.file == file && open.lock.is_some() && excludes
        });
        if !taken && let Some(open) = state.open.get_mut(&id) {
            open.lock = Some(kind);
        }
        Ok(!taken)
    }

    fn unlock(&self, fd: &Fd) -> io::Result<()> {
        let (mut state, _) = self.call("unlock")?;
        if let Some(open) = state.open.get_mut(&Self::id(fd)?) {
            open.lock = None;
        }
        Ok(())
    }

    fn file_system(&self, _: &Fd) -> io::Result<FileSystem> {
        Ok(FileSystem::Local)
    }

    fn available_space(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn now(&self) -> Timestamp {
        let mut state = self.machine.state();
        state.time += 1;
        Timestamp::from_unix_nanos(state.time)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.machine.state().time as u64)
    }

    fn sleep(&self, length: Duration) {
        self.machine.1.take(self.process);
        self.machine.state().time += length.as_nanos() as i128;
    }

    fn process_id(&self) -> u32 {
        self.process
    }
}
