//! What is to be known of one run: one look at each name in its folder, and at its record.

use super::decide::IdHasher;
use super::facts::{RunFact, RunState, StrayFact, StrayKind};
use super::strays::is_temporary_of_run;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{Folder, Measure};
use crate::id::RunId;
use crate::layout::{KEEPER, RUN_INFO, RUN_LOCK};
use crate::run::{Glimpse, Outcome, Status, glimpse, store};
use crate::supervise::{Verdict, moment, observe};
use crate::sys::{FileKind, Open, Stat};
use crate::time::Timestamp;
use std::path::Path;

/// How much of a record is read at once, in bytes; few are larger.
const USUAL: usize = 8 << 10;

/// Looks at runs.
#[derive(Debug)]
pub(super) struct RunScanner<'a> {
    pub(super) root: &'a Path,
    pub(super) now: Timestamp,
    pub(super) hasher: &'a IdHasher,
    buffer: Vec<u8>,
}

/// What was found of one run.
pub(super) struct FoundRun {
    pub(super) fact: RunFact,
    /// Why its record cannot be read.
    pub(super) error: Option<Error>,
}

impl<'a> RunScanner<'a> {
    pub(super) fn new(root: &'a Path, now: Timestamp, hasher: &'a IdHasher) -> RunScanner<'a> {
        RunScanner { root, now, hasher, buffer: vec![0; USUAL] }
    }

    /// Looks at the run `id` in the folder `runs`; `None` where it is gone. `open` tells whether it
    /// has an entry among the open runs.
    pub(super) fn scan(
        &mut self,
        runs: &Folder,
        id: RunId,
        open: bool,
        strays: &mut Vec<StrayFact>,
    ) -> Result<Option<FoundRun>> {
        let mut fact = RunFact::of(id);
        let folder = match runs.folder_here(&fact.id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.code() == "path.mount_point" => {
                fact.mounted = true;
                return Ok(Some(FoundRun { fact, error: None }));
            }
            Err(error) => {
                fact.state = RunState::Unreadable;
                return Ok(Some(FoundRun { fact, error: Some(error) }));
            }
            Ok(folder) => folder,
        };
        let (mut info, mut keeper, mut lock) = (None, false, false);
        let sum = folder.measure(&mut |name, stat| {
            if name == RUN_INFO {
                info = Some(*stat);
            } else if name == KEEPER {
                keeper = true;
            } else if name == RUN_LOCK {
                lock = true;
            } else if stat.kind == FileKind::File && is_temporary_of_run(name) {
                strays.push(StrayFact {
                    kind: StrayKind::Temporary,
                    path: below(self.root, &folder).join(name),
                    bytes: stat.size,
                    modified: Timestamp::from_unix_nanos(stat.modified),
                    held: false,
                });
            }
            true
        })?;
        (fact.bytes, fact.mounted, fact.whole) = (sum.bytes, sum.mounted, sum.whole);
        fact.guarded = keeper || lock;
        let answer = match info {
            None => self.orphan(&folder, &sum, &mut fact),
            Some(stat) => self.judge(&folder, &stat, keeper, open, &mut fact),
        };
        let error = match answer {
            Ok(()) => None,
            // Deleted by somebody at this very moment.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                fact.state = RunState::Unreadable;
                Some(error)
            }
        };
        Ok(Some(FoundRun { fact, error }))
    }

    fn orphan(&self, folder: &Folder, sum: &Measure, fact: &mut RunFact) -> Result<()> {
        let starting = folder.is_locked(RUN_LOCK)?;
        fact.state = if starting { RunState::Alive } else { RunState::Orphan };
        fact.end = newest_of_orphan(folder, sum)?;
        Ok(())
    }

    fn judge(
        &mut self,
        folder: &Folder,
        stat: &Stat,
        keeper: bool,
        open: bool,
        fact: &mut RunFact,
    ) -> Result<()> {
        fact.stamp = stamp(stat);
        let seen = self.read(folder, stat)?;
        fact.start = seen.start_time;
        fact.end = match seen.end_time {
            end if end.is_zero() => Timestamp::from_unix_nanos(stat.modified),
            end => end,
        };
        fact.series = seen.series;
        let hash = |id: &Option<String>| id.as_deref().map(|id| self.hasher.of(id.trim()));
        (fact.parent, fact.previous) = (hash(&seen.parent_run_id), hash(&seen.previous_run_id));
        let unfinished =
            seen.outcome.is_none() && (seen.supervised || keeper || seen.status == Status::Running);
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
            over(&seen)
        };
        Ok(())
    }

    /// Reads the few keys of a record that are needed.
    fn read(&mut self, folder: &Folder, stat: &Stat) -> Result<Glimpse> {
        let size = usize::try_from(stat.size).unwrap_or(usize::MAX);
        if stat.kind == FileKind::File && size < self.buffer.len() {
            let fd = folder
                .os()
                .open_at(folder.fd(), Path::new(RUN_INFO), Open::Read)
                .map_err(|e| folder.error("open", RUN_INFO, e))?;
            let read = folder.os().read_at(&fd, &mut self.buffer, 0);
            let read = read.map_err(|e| folder.error("read", RUN_INFO, e))?;
            // One that grew meanwhile is none of those that are replaced as a whole.
            if read < self.buffer.len()
                && let Some(seen) = glimpse(&self.buffer[..read])
            {
                return Ok(seen);
            }
        }
        Ok(Glimpse::from(&store::read(folder)?))
    }
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

/// A number by which a file is known again: a record that is changed is another file.
pub(super) fn stamp(stat: &Stat) -> u64 {
    // The low bits are those that differ.
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "only compared")]
    let modified = stat.modified as u64;
    modified.rotate_left(17) ^ stat.inode.rotate_left(41) ^ stat.size
}

/// The path of a folder below the root.
pub(super) fn below(root: &Path, folder: &Folder) -> std::path::PathBuf {
    folder.path().strip_prefix(root).unwrap_or_else(|_| folder.path()).to_owned()
}

impl RunFact {
    /// A run of which nothing is known yet.
    pub(super) fn of(id: RunId) -> RunFact {
        RunFact {
            id,
            state: RunState::Unknown,
            mounted: false,
            whole: true,
            guarded: false,
            start: Timestamp::ZERO,
            end: Timestamp::ZERO,
            bytes: 0,
            series: None,
            parent: None,
            previous: None,
            stamp: 0,
        }
    }
}
