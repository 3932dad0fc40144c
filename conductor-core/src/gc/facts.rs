//! What was found of one thing: plain data, held no longer than that thing is judged.

use crate::bus::Rotation;
use crate::id::{ProjectId, RunId, TaskId};
use crate::run::Outcome;
use crate::time::Timestamp;
use std::ffi::OsString;
use std::path::PathBuf;

/// A run id as a number, to compare without keeping the text. Two ids with one number keep more than
/// they must, never less.
pub(super) type IdHash = u64;

/// Whose something is: a project's, or a task's in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) project: ProjectId,
    pub(super) task: Option<TaskId>,
}

/// A task, its runs left out.
#[derive(Clone, Debug)]
pub(super) struct TaskFact {
    pub(super) project: ProjectId,
    pub(super) id: TaskId,
    /// Whether `DONE` stands.
    pub(super) done: bool,
    /// Whether a process holds its lease.
    pub(super) driven: bool,
    /// The series of its loop, while that has not ended at the moment that is judged at.
    pub(super) open_series: Option<u64>,
    /// Whether it has a loop of conductor's at all.
    pub(super) has_loop: bool,
    /// Whether another task waits for it, or may.
    pub(super) awaited: bool,
    /// Whether its dependencies or its loop cannot be read.
    pub(super) unreadable: bool,
    /// Whether `runs` holds something that is no run, or that could not be looked at.
    pub(super) foreign: bool,
    /// What lies in it beside its runs; looked at for tasks that may go.
    pub(super) bytes: u64,
    /// When the newest thing in it changed, its runs left out; as `bytes`.
    pub(super) newest: Timestamp,
    /// Whether something came into its folder or that of its runs, or went, since the moment that is
    /// judged at.
    pub(super) changed: bool,
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
#[derive(Clone, Debug)]
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
    /// When its record was last written.
    pub(super) written: Timestamp,
    pub(super) bytes: u64,
    pub(super) series: Option<u64>,
}

/// A bus that is larger than asked for.
#[derive(Debug)]
pub(super) struct BusFact {
    pub(super) bytes: u64,
    /// Why a rotation would do nothing.
    pub(super) refusal: Option<Rotation>,
}

/// An archive that is old enough to go.
#[derive(Debug)]
pub(super) struct ArchiveFact {
    pub(super) name: OsString,
    pub(super) bytes: u64,
    pub(super) ended: Timestamp,
    /// The name of the cursor that has yet to read it: it stays.
    pub(super) cursor: Option<String>,
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
            written: Timestamp::ZERO,
            bytes: 0,
            series: None,
        }
    }
}

impl TaskFact {
    /// A task of which nothing is known yet.
    pub(super) fn of(project: &ProjectId, id: TaskId) -> TaskFact {
        TaskFact {
            project: project.clone(),
            id,
            done: false,
            driven: false,
            open_series: None,
            has_loop: false,
            awaited: false,
            unreadable: false,
            foreign: false,
            bytes: 0,
            newest: Timestamp::ZERO,
            changed: false,
            whole: true,
            mounted: false,
        }
    }
}
