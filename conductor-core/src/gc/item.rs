//! The words for what is planned about one thing, and why.

use crate::id::{ProjectId, RunId, TaskId};
use crate::time::Timestamp;
use std::path::PathBuf;

/// What has a word in every surface.
pub(super) trait Word: Sized {
    /// What has this word; `None` where nothing has it.
    fn of_word(word: &str) -> Option<Self>;
}

/// Declares an enum whose variants are words in every surface.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Its word in every surface.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }

        impl Word for $name {
            fn of_word(word: &str) -> Option<$name> {
                [$($name::$variant),*].into_iter().find(|known| known.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What is done with something.
    GcAction {
        /// It stays as it is.
        Keep "keep",
        /// It is deleted.
        Delete "delete",
        /// It is moved into an archive beside it, which is read as before.
        Rotate "rotate",
    }
}

words! {
    /// What something is.
    GcKind {
        /// A run.
        Run "run",
        /// A task with all that is in it.
        Task "task",
        /// The bus of a project or a task.
        Bus "bus",
        /// An archive of a bus.
        Archive "archive",
        /// The folder of a run that has no record.
        Orphan "orphan",
        /// A file that was to replace another.
        Temporary "temporary",
        /// What a deletion that was cut short left.
        Trash "trash",
        /// A lock or a ticket that nobody holds.
        Lock "lock",
        /// The entry of an open run that is gone.
        Entry "entry",
    }
}

words! {
    /// Why something goes or stays.
    GcReason {
        /// Goes: it is older than asked for.
        Age "age",
        /// Goes: the root holds more bytes than asked for.
        MaxBytes "max_bytes",
        /// Goes: less of the disk is free than asked for.
        MinFree "min_free",
        /// Goes: the task is done and old, and has no runs left.
        Done "done",
        /// Goes: it is larger than asked for.
        Size "size",
        /// Goes: nobody needs it.
        Stale "stale",
        /// Stays: it is not old enough.
        Young "young",
        /// Stays: it lives, or may.
        Alive "alive",
        /// Stays: a living run came from it.
        Ancestor "ancestor",
        /// Stays: it did not complete.
        Failed "failed",
        /// Stays: it is among the newest runs of its task.
        Newest "newest",
        /// Stays: the unfinished loop of the task counts it.
        Attempt "attempt",
        /// Stays: another task waits for the task.
        Dependents "dependents",
        /// Stays: a process drives the task, or starts something in it.
        Busy "busy",
        /// Stays: the task still has runs.
        Runs "runs",
        /// Stays: its record cannot be read.
        Unreadable "unreadable",
        /// Stays: not all of it can be seen.
        Hidden "hidden",
        /// Stays: its status is none that is known here.
        UnknownStatus "unknown_status",
        /// Stays: something is mounted in it.
        Mounted "mounted",
        /// Stays: a program writes to it that would not notice its rotation.
        OlderWriter "older_writer",
        /// Stays: a named cursor has yet to read it.
        Cursor "cursor",
        /// Stays: it changed since it was judged.
        Changed "changed",
    }
}

words! {
    /// What holds bytes of a root.
    GcHolding {
        /// Runs.
        Runs "runs",
        /// The buses of projects and tasks.
        Buses "buses",
        /// Archives of buses.
        Archives "archives",
        /// What else lies in tasks.
        Tasks "tasks",
        /// What else lies in projects.
        Projects "projects",
        /// What lies in no project: `.conductor`, files of others.
        Root "root",
    }
}

/// What is planned about one thing, and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GcItem {
    /// What is done with it.
    pub action: GcAction,
    /// What it is.
    pub kind: GcKind,
    /// Why.
    pub reason: GcReason,
    /// Where it is.
    pub path: PathBuf,
    /// How much it holds, in bytes.
    pub bytes: u64,
    /// The project that it belongs to.
    pub project: Option<ProjectId>,
    /// The task that it belongs to.
    pub task: Option<TaskId>,
    /// The run that it is.
    pub run: Option<RunId>,
    /// The status of the run, in the older program's words.
    pub status: Option<String>,
    /// When the run began.
    pub start_time: Option<Timestamp>,
    /// When the run ended; of other things, when they last changed.
    pub end_time: Option<Timestamp>,
    /// The name of the cursor for which an archive stays.
    pub cursor: Option<String>,
}
