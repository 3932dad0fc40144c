//! Starting a program under a keeper of its own: the files that the two share, and the talk.

use super::engine::Engine;
use super::note::Note;
use super::output_locks::OutputLocks;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FILE_MODE, FileLock, Folder};
use crate::limits;
use crate::sys::{self, Fd, KeeperControl, KeeperLimits, KeeperSpec, Open};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

/// A program to be kept, and the files of a folder that its keeper gets.
pub(super) struct Kept<'a> {
    /// Where all the files lie.
    pub(super) folder: &'a Folder,
    /// The run that it belongs to.
    pub(super) run: &'a str,
    /// What it reads; nothing where there is no such file.
    pub(super) stdin: Option<&'a str>,
    /// What it reads instead, from memory: nobody else can open that.
    pub(super) memory: Option<&'a [u8]>,
    /// What it writes is appended to these.
    pub(super) stdout: &'a str,
    pub(super) stderr: &'a str,
    /// The keeper's own record; made anew.
    pub(super) record: &'a str,
    /// What its starter wants to be known of it whatever becomes of other files, and of which processes may
    /// be asked from another pid namespace; of a run only.
    pub(super) note: Option<Note>,
    /// Held by the keeper while anything of the program lives.
    pub(super) lock: &'a FileLock,
    /// Held likewise: what lets the program count among those that run.
    pub(super) slot: Option<&'a FileLock>,
    /// And what lets its task.
    pub(super) task_slot: Option<&'a FileLock>,
    pub(super) cwd: &'a Path,
    pub(super) program: &'a OsStr,
    pub(super) argv: &'a [OsString],
    pub(super) env: &'a [(OsString, OsString)],
    pub(super) limits: KeeperLimits,
}

impl Kept<'_> {
    /// Starts the keeper. The program is held before it runs anything until it is released.
    pub(super) fn start(&self, engine: &Engine) -> Result<KeeperControl> {
        let stdin = match (self.memory, self.stdin) {
            (Some(bytes), _) => sys::memory_to_read(bytes).map_err(not_started)?,
            (None, Some(name)) => self.folder.open(name, Open::Read)?,
            (None, None) => sys::nothing_to_read().map_err(not_started)?,
        };
        let stdout = self.folder.open(self.stdout, Open::AppendOrCreate(FILE_MODE))?;
        let stderr = self.folder.open(self.stderr, Open::AppendOrCreate(FILE_MODE))?;
        let record = self.folder.open(self.record, Open::CreateNew(FILE_MODE))?;
        let (mut note, mut _copy) = (self.note.clone(), None);
        if let Some(note) = &mut note {
            _copy = OutputLocks::take(self.folder, &stdout, &stderr)?;
            note.output_locks = _copy.as_ref().map(|(locks, _)| *locks);
        }
        let note = note.map(|note| note.to_text()).unwrap_or_default();
        sys::prepare_keeper_file(real_file(&record)?, &note)
            .map_err(|e| self.folder.error("prepare", self.record, e))?;
        self.folder.sync()?;
        let cwd = sys::open_working_folder(self.cwd)
            .map_err(|e| Error::io("open the working folder", self.cwd, e).with_field("cwd"))?;
        let Some((argv0, args)) = self.argv.split_first() else {
            return Err(not_started(std::io::ErrorKind::InvalidInput.into()));
        };
        let spec = KeeperSpec {
            run_id: self.run.as_ref(),
            stdin: raw(&stdin)?,
            stdout: raw(&stdout)?,
            stderr: raw(&stderr)?,
            record: raw(&record)?,
            run_lock: raw(self.lock.fd())?,
            slot: self.slot.map(|slot| raw(slot.fd())).transpose()?,
            task_slot: self.task_slot.map(|slot| raw(slot.fd())).transpose()?,
            cwd: cwd.as_fd(),
            limits: self.limits,
            program: self.program,
            argv0,
            args,
            env: self.env,
        };
        let control =
            engine.keeper().with(engine.layout(), |image| sys::start_keeper(image, &spec))?;
        control.set_timeout(Some(limits::KEEPER_START)).map_err(not_started)?;
        Ok(control)
    }
}

fn real_file(fd: &Fd) -> Result<&std::fs::File> {
    fd.as_file().ok_or_else(|| not_started(std::io::ErrorKind::Unsupported.into()))
}

fn raw(fd: &Fd) -> Result<BorrowedFd<'_>> {
    fd.as_raw().ok_or_else(|| not_started(std::io::ErrorKind::Unsupported.into()))
}

pub(super) fn not_started(source: std::io::Error) -> Error {
    Error::new(ErrorKind::SpawnFailed, "keeper.not_started", "the keeper of the run did not start")
        .with_source(source)
}
