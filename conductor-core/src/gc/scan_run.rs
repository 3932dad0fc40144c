//! What is to be known of one run: its record, the names in its folder, and how much they hold.

use super::facts::{IdHash, RunFact, RunState, StrayFact};
use super::strays::{is_temporary_of_run, temporary};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{Folder, Measure};
use crate::id::RunId;
use crate::layout::{KEEPER, RUN_INFO, RUN_LOCK};
use crate::run::{Glimpse, Outcome, Status, glimpse, store};
use crate::supervise::{Verdict, moment, observe};
use crate::sys::{FileKind, Open};
use crate::time::Timestamp;
use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

/// How much of a record is read at once, in bytes; few are larger.
const USUAL: usize = 8 << 10;
/// How many names of a run's folder are remembered at once; more are listed again.
const NAMES: usize = 256;

/// Makes numbers of run ids, the same for one plan.
#[derive(Clone, Debug, Default)]
pub(super) struct IdHasher(RandomState);

impl IdHasher {
    pub(super) fn of(&self, id: &str) -> IdHash {
        self.0.hash_one(id)
    }
}

/// What one run came from, as far as it is named.
pub(super) type CameFrom = [Option<IdHash>; 2];

/// Looks at runs, one after the other.
#[derive(Debug)]
pub(super) struct RunScanner {
    pub(super) root: PathBuf,
    pub(super) now: Timestamp,
    buffer: Vec<u8>,
}

/// What was found of one run.
#[derive(Debug)]
pub(super) struct FoundRun {
    pub(super) fact: RunFact,
    /// Its open folder, where it may be opened.
    pub(super) folder: Option<Folder>,
    /// What its record says.
    pub(super) seen: Option<Glimpse>,
    /// Temporary files in it.
    pub(super) strays: Vec<StrayFact>,
    /// Why its record cannot be read.
    pub(super) error: Option<Error>,
    /// How many runs of the task are newer.
    pub(super) newer: usize,
    names: Names,
}

/// The names in a run's folder.
#[derive(Debug, Default)]
struct Names {
    listed: Vec<OsString>,
    /// Whether there are more than those.
    more: bool,
    info: bool,
    keeper: bool,
    lock: bool,
    temporary: bool,
}

impl RunScanner {
    pub(super) fn new(root: &Path, now: Timestamp) -> RunScanner {
        RunScanner { root: root.to_owned(), now, buffer: vec![0; USUAL] }
    }

    /// What the run `id` came from, if its record can be read, and whether it lives. A run that ended
    /// at the moment that is judged at or later lives. `open` tells whether it has an entry among the
    /// open runs.
    pub(super) fn came_from(
        &mut self,
        runs: &Folder,
        id: &RunId,
        open: bool,
        hasher: &IdHasher,
    ) -> Result<(CameFrom, bool)> {
        let seen = match self.read(runs, &Path::new(id.as_str()).join(RUN_INFO))? {
            Some(record) if !names_others(record) => return Ok(([None, None], false)),
            record => record.and_then(glimpse),
        };
        let seen = match seen {
            Some(seen) => seen,
            None => Glimpse::from(&store::read(&runs.folder_here(id)?)?),
        };
        let up = [&seen.parent_run_id, &seen.previous_run_id];
        let up = up.map(|id| id.as_deref().map(|id| hasher.of(id.trim())));
        if up == [None, None] {
            return Ok((up, false));
        }
        let mut fact = RunFact::of(id.clone());
        if open || is_unfinished(&seen) || seen.end_time.is_zero() {
            let folder = runs.folder_here(id)?;
            let info = folder.stat(RUN_INFO)?.map_or(0, |stat| stat.modified);
            fact.written = Timestamp::from_unix_nanos(info);
            self.judge(&folder, &seen, false, open, &mut fact)?;
        } else {
            fact.state = over(&seen);
            fact.end = seen.end_time;
        }
        let lives = match fact.state {
            RunState::Alive => true,
            RunState::Over(_) | RunState::Unwritten(_) => fact.end >= self.now,
            RunState::Unreadable | RunState::Unknown | RunState::Orphan => false,
        };
        Ok((up, lives))
    }

    /// Looks at the run `id` in the folder `runs`, not yet at how much it holds; `None` where it is
    /// gone. `open` tells whether it has an entry among the open runs.
    pub(super) fn scan(
        &mut self,
        runs: &Folder,
        id: RunId,
        open: bool,
    ) -> Result<Option<FoundRun>> {
        let mut found = FoundRun {
            fact: RunFact::of(id),
            folder: None,
            seen: None,
            strays: Vec::new(),
            error: None,
            newer: 0,
            names: Names::default(),
        };
        let folder = match runs.folder_here(&found.fact.id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.code() == "path.mount_point" => {
                found.fact.mounted = true;
                return Ok(Some(found));
            }
            Err(error) => {
                found.fact.state = RunState::Unreadable;
                found.error = Some(error);
                return Ok(Some(found));
            }
            Ok(folder) => folder,
        };
        found.names = Names::of(&folder)?;
        if found.names.temporary {
            found.strays = self.temporaries(&folder)?;
        }
        let (keeper, lock) = (found.names.keeper, found.names.lock);
        found.fact.guarded = keeper || lock;
        match self.stand(&folder, open, &mut found) {
            Ok(()) => {}
            // Deleted by somebody at this very moment.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                found.fact.state = RunState::Unreadable;
                found.error = Some(error);
            }
        }
        found.folder = Some(folder);
        Ok(Some(found))
    }

    /// Finds out where a run stands.
    fn stand(&mut self, folder: &Folder, open: bool, found: &mut FoundRun) -> Result<()> {
        let FoundRun { fact, names, seen: known, .. } = found;
        if !names.info {
            let starting = folder.is_locked(RUN_LOCK)?;
            fact.state = if starting { RunState::Alive } else { RunState::Orphan };
            return Ok(());
        }
        let seen = match self.read(folder, Path::new(RUN_INFO))?.and_then(glimpse) {
            Some(seen) => seen,
            None => Glimpse::from(&store::read(folder)?),
        };
        if seen.end_time.is_zero() {
            let stat = folder.stat(RUN_INFO)?.map_or(0, |stat| stat.modified);
            fact.written = Timestamp::from_unix_nanos(stat);
        }
        self.judge(folder, &seen, names.keeper, open, fact)?;
        *known = Some(seen);
        Ok(())
    }

    fn judge(
        &self,
        folder: &Folder,
        seen: &Glimpse,
        keeper: bool,
        open: bool,
        fact: &mut RunFact,
    ) -> Result<()> {
        fact.start = seen.start_time;
        fact.end = if seen.end_time.is_zero() { fact.written } else { seen.end_time };
        fact.series = seen.series;
        let unfinished = is_unfinished(seen) || (keeper && seen.outcome.is_none());
        fact.state = if seen.too_new {
            RunState::Unknown
        } else if unfinished || open {
            let record = store::read(folder)?;
            match observe(folder, &record)? {
                Verdict::Supervised | Verdict::Adopted | Verdict::PossiblyAlive => RunState::Alive,
                Verdict::Over(ending) => match record.outcome {
                    Some(outcome) => RunState::Over(outcome),
                    None if record.is_open() => {
                        // As it will stand once it is written down.
                        fact.end = ending.ended_at.map_or(self.now, moment);
                        RunState::Unwritten(ending.outcome)
                    }
                    None => over(&Glimpse::from(&record)),
                },
            }
        } else {
            over(seen)
        };
        Ok(())
    }

    /// Reads a record as it stands; `None` where only the reader of whole records knows what is wrong.
    fn read(&mut self, folder: &Folder, path: &Path) -> Result<Option<&[u8]>> {
        let fd = match folder.os().open_at(folder.fd(), path, Open::Read) {
            Ok(fd) => fd,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(folder.error("open", path, error));
            }
            Err(_) => return Ok(None),
        };
        // One that grew meanwhile is none of those that are replaced as a whole.
        let read = folder.os().read_at(&fd, &mut self.buffer, 0);
        Ok(read.ok().filter(|read| *read < USUAL).map(|read| &self.buffer[..read]))
    }

    fn temporaries(&self, folder: &Folder) -> Result<Vec<StrayFact>> {
        let mut found = Vec::new();
        for entry in folder.list()?.into_iter().filter(|entry| is_temporary_of_run(&entry.name)) {
            if entry.kind == FileKind::File {
                found.extend(temporary(&self.root, folder, &entry.name)?);
            }
        }
        Ok(found)
    }
}

impl FoundRun {
    /// Looks at how much the run holds, and whether all of it can be seen.
    pub(super) fn measure(&mut self, wait: &Wait) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut written = None;
        let note = &mut |name: &std::ffi::OsStr, stat: &crate::sys::Stat| {
            if name == RUN_INFO {
                written = Some(Timestamp::from_unix_nanos(stat.modified));
            }
            true
        };
        let sum = match self.names.more {
            true => folder.measure_until(wait, note)?,
            false => folder.measure_names(&self.names.listed, wait, note)?,
        };
        let fact = &mut self.fact;
        (fact.bytes, fact.mounted, fact.whole) = (sum.bytes, sum.mounted, sum.whole);
        fact.written = written.unwrap_or(fact.written);
        if fact.state == RunState::Orphan {
            fact.end = newest_of_orphan(folder, &sum)?;
        }
        Ok(())
    }
}

impl FoundRun {
    /// Takes note that this collection wrote the record itself.
    pub(super) fn refresh(&mut self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let written = folder.stat(RUN_INFO)?.map_or(0, |stat| stat.modified);
        self.fact.written = Timestamp::from_unix_nanos(written);
        self.seen = None;
        Ok(())
    }
}

impl Names {
    fn of(folder: &Folder) -> Result<Names> {
        let mut names = Names::default();
        folder.visit(&mut |name, kind| {
            match name.to_str() {
                Some(RUN_INFO) => names.info = true,
                Some(KEEPER) => names.keeper = true,
                Some(RUN_LOCK) => names.lock = true,
                _ => names.temporary |= kind == FileKind::File && is_temporary_of_run(name),
            }
            match names.listed.len() < NAMES {
                true => names.listed.push(name.to_owned()),
                false => names.more = true,
            }
            true
        })?;
        Ok(names)
    }
}

/// Whether a record may name a run that this one came from; with an escape, it may name anything.
fn names_others(record: &[u8]) -> bool {
    ["\\", "parent_run_id", "previous_run_id"]
        .iter()
        .any(|key| memchr::memmem::find(record, key.as_bytes()).is_some())
}

/// Whether a record leaves open whether the run is over.
fn is_unfinished(seen: &Glimpse) -> bool {
    seen.outcome.is_none() && (seen.supervised || seen.status == Status::Running)
}

/// Where a run stands whose record tells of its end.
pub(super) fn over(seen: &Glimpse) -> RunState {
    match (seen.outcome, &seen.status) {
        (Some(outcome), _) => RunState::Over(outcome),
        (None, Status::Completed) => RunState::Over(Outcome::Completed),
        (None, Status::Failed) => RunState::Over(Outcome::Failed),
        (None, _) => RunState::Unknown,
    }
}

/// When something last changed in the folder of a run that has no record.
pub(super) fn newest_of_orphan(folder: &Folder, sum: &Measure) -> Result<Timestamp> {
    let own = folder.os().stat(folder.fd()).map_err(|e| folder.error("look at", "", e))?;
    Ok(Timestamp::from_unix_nanos(sum.newest.max(own.modified)))
}

/// The path of a folder below the root.
pub(super) fn below(root: &Path, folder: &Folder) -> PathBuf {
    folder.path().strip_prefix(root).unwrap_or_else(|_| folder.path()).to_owned()
}
