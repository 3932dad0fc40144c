//! What was found in a root: plain data, kept small, as a root may hold very many runs.

use crate::bus::Rotation;
use crate::error::Error;
use crate::id::{ProjectId, RunId, TaskId};
use crate::run::Outcome;
use crate::time::Timestamp;
use std::ffi::OsString;
use std::ops::Range;
use std::path::PathBuf;

/// A run id as a number, to compare without keeping the text. Two ids with one number keep more than
/// they must, never less.
pub(super) type IdHash = u64;

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) projects: Vec<ProjectId>,
    /// In the order of projects and names.
    pub(super) tasks: Vec<TaskFact>,
    /// In the order of tasks, those of each task in the order of their creation.
    pub(super) runs: Vec<RunFact>,
    pub(super) buses: Vec<BusFact>,
    pub(super) archives: Vec<ArchiveFact>,
    pub(super) strays: Vec<StrayFact>,
    /// What living runs came from that are not among `runs`.
    pub(super) links_of_others: Vec<IdHash>,
    /// The names of the entries of open runs.
    pub(super) entries: Vec<String>,
    /// Bytes that may still be written to the disk.
    pub(super) available: Option<u64>,
    /// What could not be looked at.
    pub(super) errors: Vec<Error>,
}

/// A task.
#[derive(Debug)]
pub(super) struct TaskFact {
    pub(super) project: usize,
    pub(super) id: TaskId,
    pub(super) runs: Range<usize>,
    /// Whether `DONE` stands.
    pub(super) done: bool,
    /// Whether a process holds its lease.
    pub(super) driven: bool,
    /// The series of its loop, while that has not ended at the moment that is judged at.
    pub(super) open_series: Option<u64>,
    /// Whether it has a loop of conductor's at all.
    pub(super) has_loop: bool,
    /// The tasks that it waits for.
    pub(super) depends_on: Vec<TaskId>,
    /// Whether its dependencies or its loop cannot be read.
    pub(super) unreadable: bool,
    /// Whether `runs` holds something that is no run.
    pub(super) foreign: bool,
    /// What lies in it beside its runs.
    pub(super) bytes: u64,
    /// When the newest thing in it changed, its runs left out; looked at for tasks that may go.
    pub(super) newest: Timestamp,
    /// Whether all of it was seen.
    pub(super) whole: bool,
    pub(super) mounted: bool,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunState {
    /// It is over.
    Over(Outcome),
    /// It is over, but nobody wrote that down yet.
    Unwritten(Outcome),
    /// It lives, or may.
    Alive,
    /// Its record cannot be read.
    Unreadable,
    /// Its status is none that is known here, or its record is of a newer form.
    Unknown,
    /// It has no record.
    Orphan,
}

/// A run.
#[derive(Debug)]
pub(super) struct RunFact {
    pub(super) id: RunId,
    pub(super) state: RunState,
    /// Whether something is mounted in it.
    pub(super) mounted: bool,
    /// Whether all of it was seen.
    pub(super) whole: bool,
    /// Whether a lock or a keeper's record lies in it. One that is over gets none later.
    pub(super) guarded: bool,
    pub(super) start: Timestamp,
    /// When it ended; of one without a record, when the newest thing in it changed.
    pub(super) end: Timestamp,
    pub(super) bytes: u64,
    pub(super) series: Option<u64>,
    pub(super) parent: Option<IdHash>,
    pub(super) previous: Option<IdHash>,
    /// Tells whether the record is still the one that was read.
    pub(super) stamp: u64,
}

/// A bus that is larger than asked for.
#[derive(Debug)]
pub(super) struct BusFact {
    pub(super) project: usize,
    pub(super) task: Option<usize>,
    pub(super) bytes: u64,
    /// Why a rotation would do nothing.
    pub(super) refusal: Option<Rotation>,
}

/// An archive that is old enough to go.
#[derive(Debug)]
pub(super) struct ArchiveFact {
    pub(super) project: usize,
    pub(super) task: Option<usize>,
    pub(super) name: OsString,
    pub(super) bytes: u64,
    pub(super) ended: Timestamp,
}

/// What kind of stray something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StrayKind {
    Temporary,
    /// A run's folder whose starter died before the folder had its name.
    Unnamed,
    Trash,
    Lock,
    Entry,
}

/// Something that nobody needs, unless somebody uses it just now.
#[derive(Debug)]
pub(super) struct StrayFact {
    pub(super) kind: StrayKind,
    /// Where it is, below the root.
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) modified: Timestamp,
    /// Whether somebody uses it.
    pub(super) held: bool,
}
