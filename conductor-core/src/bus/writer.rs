//! Appending: lock, look at the end, write, unlock, sync.

use super::birth;
use super::cursor::Cursor;
use super::options::{BusOptions, Durability};
use super::post::{Post, Posted};
use super::reader::step_patiently;
use super::record::{Draft, Moment, Stamp};
use super::scope::Scope;
use super::store::{Segment, Store};
use super::tail::{self, Tail};
use super::walk::Walk;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::LockError;
use crate::id::MessageId;
use crate::sys::{FileSystem, LockKind, Open};
use parking_lot::{Mutex, MutexGuard};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the records of this process, so that ids of one process differ on all its buses.
static COUNTER: AtomicU32 = AtomicU32::new(1);
/// How often a record is appended again that landed behind an unfinished line of somebody.
const GLUED_TRIES: u32 = 3;

/// What the threads of a process share to write one bus.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Store,
    scope: Scope,
    options: BusOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The open file, and its end as this process left it.
    file: Option<(Segment, Option<Tail>)>,
    /// Whether the file system was found fit for writing.
    fit: bool,
    /// Whether the disk failed to keep what was written.
    failed: bool,
}

/// The bus file, locked for this process, and the turn among its threads.
struct Locked<'a> {
    // Fields are dropped in this order: the lock goes before the turn.
    lock: ExclusiveLock,
    state: MutexGuard<'a, State>,
}

/// A held lock on a file.
#[derive(Debug)]
pub(super) struct ExclusiveLock {
    pub(super) file: Segment,
    process: u32,
}

impl ExclusiveLock {
    /// Waits for the lock of an open file.
    pub(super) fn take(store: &Store, file: Segment, wait: &Wait) -> Result<ExclusiveLock> {
        store
            .folder()
            .wait_for_lock(file.path().as_os_str(), file.fd(), LockKind::Exclusive, wait)
            .map_err(|error| not_locked(file.path(), error))?;
        let process = file.os().process_id();
        Ok(ExclusiveLock { file, process })
    }

    /// The same lock on a file that got another name.
    pub(super) fn renamed(mut self, store: &Store, name: &OsStr) -> ExclusiveLock {
        self.file = store.renamed(&self.file, name);
        self
    }

    /// Whether `name` still stands for the locked file.
    pub(super) fn is_named(&self, store: &Store, name: &OsStr) -> Result<bool> {
        let locked = self.file.stat()?;
        Ok(store.folder().stat(name)?.is_some_and(|named| named.same_file(&locked)))
    }
}

impl Drop for ExclusiveLock {
    fn drop(&mut self) {
        // In a forked child an unlock would take the lock from the parent.
        if self.process == self.file.os().process_id() {
            // A lock that is held is given back without fail; closing the file would do so too.
            let _held = self.file.os().unlock(self.file.fd());
        }
    }
}

impl Writer {
    pub(crate) fn new(store: Store, scope: Scope, options: BusOptions) -> Writer {
        Writer { store, scope, options, state: Mutex::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn draft(&self, post: &Post) -> Result<Draft> {
        Draft::new(post, &self.scope, self.options.max_body)
    }

    /// Appends all records or none.
    pub(crate) fn append(&self, drafts: &[Draft], wait: &Wait) -> Result<Vec<Posted>> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let mut locked = self.lock(wait)?;
        let posted = self.write(&mut locked, drafts)?;
        self.finish(locked, posted)
    }

    /// Appends a record unless one whose meta has the same key came after `since`.
    pub(crate) fn append_once(
        &self,
        draft: &Draft,
        (name, key): (&str, &str),
        mut walk: Walk,
        wait: &Wait,
    ) -> Result<Posted> {
        let find = |walk: &mut Walk| -> Result<Option<Posted>> {
            while let Some(event) = step_patiently(walk, &self.store)? {
                let super::Event::Message(message) = event else { continue };
                if message.meta(name) == Some(key) {
                    return Ok(Some(Posted::of(message)));
                }
            }
            Ok(None)
        };
        // Most of the way without the lock, the rest under it.
        if let Some(posted) = find(&mut walk)? {
            return Ok(posted);
        }
        let mut locked = self.lock(wait)?;
        walk.trust();
        if let Some(posted) = find(&mut walk)? {
            return Ok(posted);
        }
        let posted = self.write(&mut locked, std::slice::from_ref(draft))?;
        let mut posted = self.finish(locked, posted)?;
        posted.pop().ok_or_else(super::handle::none_posted)
    }

    /// Takes the lock of the file that the path names, which is made where it is missing.
    fn lock(&self, wait: &Wait) -> Result<Locked<'_>> {
        let mut state = self.state(wait)?;
        if state.failed {
            return Err(self.failed());
        }
        self.check_fitness(&mut state)?;
        loop {
            let opened = match &state.file {
                Some((file, _)) => Some(file.clone()),
                None => self.store.open(self.store.live(), Open::Append)?,
            };
            let lock = match opened {
                Some(file) => ExclusiveLock::take(&self.store, file, wait)?,
                None => match birth::first_segment(&self.store, &self.scope, wait)? {
                    Some(lock) => lock,
                    None => continue,
                },
            };
            // The path may name another file by now: what we write to this one would be lost.
            if lock.is_named(&self.store, self.store.live())? {
                if state.file.is_none() {
                    state.file = Some((lock.file.clone(), None));
                }
                return Ok(Locked { lock, state });
            }
            state.file = None;
        }
    }

    fn state(&self, wait: &Wait) -> Result<MutexGuard<'_, State>> {
        const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
        loop {
            // Short looks, so that a cancelled wait ends soon.
            let limit = wait.remaining().map_or(LOOK, |left| left.min(LOOK));
            if let Some(state) = self.state.try_lock_for(limit) {
                return Ok(state);
            }
            wait.check().map_err(|over| match over.kind() {
                ErrorKind::Timeout => not_locked(&self.store.path(), LockError::Held(None)),
                _ => over,
            })?;
        }
    }

    fn check_fitness(&self, state: &mut State) -> Result<()> {
        if state.fit {
            return Ok(());
        }
        let folder = self.store.folder();
        let kind = self.store.os().file_system(folder.fd());
        let kind = kind.map_err(|e| Error::io("look at the file system of", folder.path(), e))?;
        if let FileSystem::Remote(kind) = kind {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "bus.remote",
                format!("{} lies on {kind}, a shared file system", self.store.path().display()),
            )
            .with_path(self.store.path())
            .with_hint("locks and syncs are not those of a local disk there; reading works"));
        }
        state.fit = true;
        Ok(())
    }

    /// Writes records at the end of the locked file.
    fn write(&self, locked: &mut Locked<'_>, drafts: &[Draft]) -> Result<Vec<Posted>> {
        let mut posted = self.write_once(locked, drafts)?;
        let mut tries = 0;
        while posted.first_is_glued {
            // Behind somebody's unfinished line it is no record; the others have their marks.
            tries += 1;
            if tries > GLUED_TRIES {
                let why = "another program keeps writing into the file without taking its lock";
                return Err(self.unknown(&posted.list, io::Error::other(why)));
            }
            let again = self.write_once(locked, &drafts[..1])?;
            posted.first_is_glued = again.first_is_glued;
            posted.list.splice(..1, again.list);
        }
        Ok(posted.list)
    }

    fn write_once(&self, locked: &mut Locked<'_>, drafts: &[Draft]) -> Result<Written> {
        let file = &locked.lock.file;
        let size = file.stat()?.size;
        let known = locked.state.file.as_mut().and_then(|(_, tail)| tail.take());
        let mut tail = match known.filter(|known| known.size == size) {
            Some(known) => known,
            None => tail::inspect(&self.store, file, size, known)?,
        };
        let mut bytes = Vec::with_capacity(drafts.iter().map(Draft::most).sum());
        let mut list = Vec::with_capacity(drafts.len());
        let now = Moment::of(file.os().now());
        let before = tail.size;
        for draft in drafts {
            bytes.extend_from_slice(&b"\n\n"[..tail.lead()]);
            let stamp = self.stamp(&tail, now)?;
            draft.push(&stamp, &mut bytes);
            let msg_id = stamp.id()?;
            let cursor = Cursor::of_record(stamp.seq, msg_id.clone());
            list.push(Posted { msg_id, seq: stamp.seq, cursor });
            tail.last_seq = stamp.seq;
            tail.last_time = stamp.id_time;
            tail.size = before + bytes.len() as u64;
            // A record ends with one line feed; a body that ends with one more makes it two.
            tail.feeds = if bytes.ends_with(b"\n\n") { 2 } else { 1 };
        }
        put(file, before, &bytes).map_err(|failure| match failure {
            Failure::NotWritten(source) => self.not_written(source),
            Failure::Unknown(source) => self.unknown(&list, source),
        })?;
        let end = file.os().position(file.fd()).map_err(|e| self.unknown(&list, e))?;
        if end == tail.size {
            if let Some((_, known)) = &mut locked.state.file {
                *known = Some(tail);
            }
            return Ok(Written { list, first_is_glued: false });
        }
        // Somebody who does not lock wrote in between: our records are behind his bytes.
        let first_is_glued = is_glued(file, end, &bytes).map_err(|e| match e.raw_os_error() {
            Some(errno) => self.unknown(&list, io::Error::from_raw_os_error(errno)),
            None => self.unknown(&list, io::Error::other(e)),
        })?;
        Ok(Written { list, first_is_glued })
    }

    fn stamp(&self, tail: &Tail, now: Moment) -> Result<Stamp> {
        let seq = tail.last_seq + 1;
        let later = tail.last_time.next().filter(|_| seq < super::record::SEQ_LIMIT);
        let later = later.ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                "bus.exhausted",
                format!("the last record of {} leaves no later one", self.store.path().display()),
            )
            .with_path(self.store.path())
            .with_hint("its number or time was made up; `run-agent bus check` shows it")
        })?;
        Ok(Stamp {
            seq,
            id_time: now.max(later),
            time: now,
            process: self.store.os().process_id(),
            counter: COUNTER.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Gives the lock back and makes what was written durable.
    fn finish(&self, locked: Locked<'_>, posted: Vec<Posted>) -> Result<Vec<Posted>> {
        let file = locked.lock.file.clone();
        drop(locked);
        if self.options.durability == Durability::Disk
            && let Err(error) = file.os().sync_data(file.fd())
        {
            // The kernel forgets what it could not write: another sync would succeed and mean
            // nothing. This handle is done.
            self.state.lock().failed = true;
            return Err(self.unknown(&posted, error));
        }
        Ok(posted)
    }

    fn not_written(&self, source: io::Error) -> Error {
        let path = self.store.path();
        let kind = Error::io("write", &path, io::Error::from(source.kind())).kind();
        Error::new(kind, "bus.not_written", format!("cannot write to {}", path.display()))
            .with_path(path)
            .with_hint("nothing was written: the same message may be posted again")
            .with_source(source)
    }

    fn unknown(&self, posted: &[Posted], source: io::Error) -> Error {
        let path = self.store.path();
        let (first, last) = match (posted.first(), posted.last()) {
            (Some(first), Some(last)) => (first, last),
            _ => return self.not_written(source),
        };
        let what = if posted.len() == 1 {
            format!("message {} (seq {})", first.msg_id, first.seq)
        } else {
            format!("messages seq {} to {}", first.seq, last.seq)
        };
        Error::new(
            ErrorKind::Io,
            "bus.unknown",
            format!("{what} may or may not be on {}", path.display()),
        )
        .with_path(path)
        .with_hint("read the bus before posting again: a second post could double the message")
        .with_source(UnknownWrite { msg_id: first.msg_id.clone(), seq: first.seq, source })
    }

    fn failed(&self) -> Error {
        let path = self.store.path();
        Error::new(
            ErrorKind::Io,
            "bus.failed",
            format!("an earlier write to {} could not be made durable", path.display()),
        )
        .with_path(path)
        .with_hint("check the disk, then open the bus again; nothing was written now")
    }
}

/// What a write left behind.
struct Written {
    list: Vec<Posted>,
    /// Whether the first record stands behind bytes that hide it.
    first_is_glued: bool,
}

enum Failure {
    NotWritten(io::Error),
    Unknown(io::Error),
}

/// Writes all bytes at the end of a file, at `start`, or takes back what was written of them.
fn put(file: &Segment, start: u64, bytes: &[u8]) -> Result<(), Failure> {
    let mut written = 0;
    while written < bytes.len() {
        let failure = match file.os().write(file.fd(), &bytes[written..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(more) => {
                written += more;
                continue;
            }
            Err(error) => error,
        };
        if written == 0 {
            return Err(Failure::NotWritten(failure));
        }
        // Only our own bytes are taken back.
        let ours = file.stat().is_ok_and(|stat| stat.size == start + written as u64);
        return Err(match ours && file.os().truncate(file.fd(), start).is_ok() {
            true => Failure::NotWritten(failure),
            false => Failure::Unknown(failure),
        });
    }
    Ok(())
}

/// Whether the first of our records, which end at `end`, cannot be found behind somebody's bytes.
fn is_glued(file: &Segment, end: u64, bytes: &[u8]) -> Result<bool> {
    let lead = bytes.iter().take_while(|byte| **byte == b'\n').count();
    let start = end.saturating_sub(bytes.len() as u64) + lead as u64;
    if start < 2 {
        return Ok(start != 0);
    }
    let mut before = [0; 2];
    let read = file.read(&mut before, start - 2)?;
    Ok(read != 2 || before != *b"\n\n")
}

fn not_locked(path: &Path, error: LockError) -> Error {
    match error {
        LockError::Other(error) => error,
        LockError::Held(holder) => {
            let who = holder.map_or(String::new(), |pid| format!(" by process {pid}"));
            Error::new(
                ErrorKind::Busy,
                "lock.timeout",
                format!("{} is locked{who}; nothing was written", path.display()),
            )
            .with_path(path)
            .with_hint("try again; if that process hangs, stop it")
        }
    }
}

/// The source of a `bus.unknown` error: which message may or may not be on the bus.
#[derive(Debug)]
pub struct UnknownWrite {
    /// The id that the message has if it is there; of a batch, the first one's.
    pub msg_id: MessageId,
    /// The number that it has if it is there.
    pub seq: u64,
    source: io::Error,
}

impl fmt::Display for UnknownWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)
    }
}

impl std::error::Error for UnknownWrite {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
