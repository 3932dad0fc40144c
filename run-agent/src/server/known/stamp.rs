//! By what is told that nothing of a task changed: the times of its folders, which are looked at and not opened.

use conductor_core::{ProjectId, TaskId, Timestamp};
use rustix::fs::{AtFlags, Mode, OFlags, Stat, open, statat};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Times of files are not told apart that lie closer together: what changed just now may change again
/// without its time telling so.
const YOUNG: Duration = Duration::from_secs(2);

/// What changes when anything in a task does that is at rest: whatever wakes it up makes, removes or renames a
/// file in its folder or in the one of its runs. Its receipts are added to where they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    folder: Changed,
    runs: Changed,
    receipts: Changed,
}

/// What is seen of a file or folder without opening it; zeros for one that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    inode: u64,
    size: u64,
    /// In nanoseconds since 1970.
    at: i128,
}

impl From<&Stat> for Changed {
    fn from(stat: &Stat) -> Changed {
        Changed {
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            at: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        }
    }
}

impl Changed {
    pub(super) fn at(self) -> Timestamp {
        Timestamp::from_unix_nanos(self.at)
    }

    /// Whether it may change again without being seen to.
    pub(super) fn is_young(self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let young = now.saturating_sub(YOUNG).as_nanos();
        u128::try_from(self.at).is_ok_and(|at| at > young)
    }
}

/// A task as it was seen at one moment, before it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(super) stamp: Stamp,
    at: i128,
}

impl Seen {
    /// When something last changed in its folder, among its runs, or on its bus.
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.at)
    }

    /// Whether what is read now can be known again: nothing that changed just now, or is not there, can.
    pub(super) fn is_firm(&self) -> bool {
        let Stamp { folder, runs, receipts } = self.stamp;
        folder != Changed::default() && ![folder, runs, receipts].into_iter().any(Changed::is_young)
    }
}

/// The folder of a project, of which what lies in it is looked at.
#[derive(Debug)]
pub(super) struct Folder(Option<OwnedFd>);

impl Folder {
    /// One that cannot be opened shows nothing, so that nothing of it is ever known.
    pub(super) fn open(root: &Path, project: &ProjectId) -> Folder {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Folder(open(root.join(project.as_str()), how, Mode::empty()).ok())
    }

    /// What is seen of what lies there.
    pub(super) fn changed(&self, path: &str) -> Changed {
        let stat = self.0.as_ref().map(|folder| statat(folder, path, AtFlags::SYMLINK_NOFOLLOW));
        stat.and_then(Result::ok).map_or(Changed::default(), |stat| Changed::from(&stat))
    }

    pub(super) fn task(&self, task: &TaskId) -> Seen {
        let of = |name: &str| self.changed(&format!("{task}/{name}"));
        let stamp = Stamp {
            folder: self.changed(task.as_str()),
            runs: of("runs"),
            receipts: of(".receipts.jsonl"),
        };
        let times = [stamp.folder, stamp.runs, stamp.receipts, of("TASK-MESSAGE-BUS.md")];
        Seen { stamp, at: times.map(|changed| changed.at).into_iter().max().unwrap_or_default() }
    }
}
