//! Whether anything of a run may live, seen from another pid namespace.
//!
//! There the numbers of its processes mean nothing, and the run's lock tells of its keeper alone. But its
//! output files were locked before its agent began, by the open files that the agent and most of what it
//! starts have as standard output and error, and that its keeper has too. The kernel gives such a lock
//! back when the last process that has the open file is gone.

use super::note::Note;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::{STDERR, STDOUT};
use crate::sys::{Fd, Listed, LockKind, Open, Processes};

/// The output files of a run whose open files are locked, by their inodes: an agent may have put others in
/// their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutputLocks {
    pub(super) stdout: u64,
    pub(super) stderr: u64,
}

/// What the starter has of them: no forked child of it holds them by a copy.
#[derive(Debug)]
pub(super) struct StarterCopy {
    _listed: [Listed; 2],
}

impl OutputLocks {
    /// Locks both; `None` where the file system has no locks, so that nobody is told of any.
    pub(super) fn take(
        folder: &Folder,
        stdout: &Fd,
        stderr: &Fd,
    ) -> Result<Option<(OutputLocks, StarterCopy)>> {
        let os = folder.os();
        let listed = [Listed::new(stdout), Listed::new(stderr)];
        for fd in [stdout, stderr] {
            if !matches!(os.try_lock(fd, LockKind::Exclusive), Ok(true)) {
                return Ok(None);
            }
        }
        let inode = |fd, name| match os.stat(fd) {
            Ok(stat) => Ok(stat.inode),
            Err(error) => Err(folder.error("look at", name, error)),
        };
        let locks = OutputLocks { stdout: inode(stdout, STDOUT)?, stderr: inode(stderr, STDERR)? };
        Ok(Some((locks, StarterCopy { _listed: listed })))
    }

    /// Whether nobody has them any more. Reads only; `false` also where that cannot be told.
    fn are_free(self, folder: &Folder) -> Result<bool> {
        for (name, inode) in [(STDOUT, self.stdout), (STDERR, self.stderr)] {
            let fd = match folder.open_if_exists(name, Open::Read) {
                Err(error) if error.kind() == ErrorKind::InvalidInput => None,
                fd => fd?,
            };
            let Some(fd) = fd else { return Ok(false) };
            let failed = |e| folder.error("look at the lock of", name, e);
            if folder.os().stat(&fd).map_err(failed)?.inode != inode {
                return Ok(false);
            }
            // For an instant, so that two who look do not see each other.
            if !folder.os().try_lock(&fd, LockKind::Shared).map_err(failed)? {
                return Ok(false);
            }
            folder.os().unlock(&fd).map_err(failed)?;
        }
        Ok(true)
    }
}

/// Whether nothing lives of a run of another pid namespace whose keeper gave its lock back: nobody has its
/// output, and no process that can be seen from here names it. `false` where that cannot be told: the
/// run's starter noted no locks, or an agent put other files in their places.
pub(super) fn is_gone(folder: &Folder) -> Result<bool> {
    let Some(locks) = Note::read(folder)?.output_locks else { return Ok(false) };
    if !locks.are_free(folder)? {
        return Ok(false);
    }
    // Of a namespace below this one all processes are seen. One that closed its output may still be known by its
    // environment; its folder may have another name there.
    let Some(run) = folder.path().file_name().and_then(|name| name.to_str()) else {
        return Ok(false);
    };
    let Ok(run) = RunId::new(run) else { return Ok(false) };
    let mark = format!("JRUN_ID={run}");
    let named = Processes.marked(&[mark.as_bytes()]);
    Ok(named.map_err(|e| folder.error("look for the processes of", "", e))?.is_empty())
}
