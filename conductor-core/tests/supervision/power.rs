//! What a power cut may leave of files that are replaced.

use crate::support::hooked::{Hook, open_hooked};
use crate::support::*;
use conductor_core::TaskOutcome;
use conductor_core::sys::{Fd, Os as _, RealOs};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

/// Which files are not on the disk yet, and which took the place of others all the same.
#[derive(Default)]
struct Disk {
    unsynced: Mutex<HashSet<u64>>,
    at_risk: Mutex<Vec<String>>,
    /// Which got a new name before they were on the disk.
    new_at_risk: Mutex<Vec<String>>,
}

fn inode(file: &Fd) -> u64 {
    RealOs.stat(file).unwrap().inode
}

impl Hook for Disk {
    fn wrote(&self, file: &Fd) {
        self.unsynced.lock().insert(inode(file));
    }

    fn synced(&self, file: &Fd) {
        self.unsynced.lock().remove(&inode(file));
    }

    fn renames(&self, (from, old): (&Fd, &OsStr), (to, new): (&Fd, &OsStr)) -> io::Result<()> {
        let content = RealOs.stat_at(from, old)?.inode;
        let takes_a_place = RealOs.stat_at(to, new).is_ok();
        if self.unsynced.lock().contains(&content) {
            let at_risk = if takes_a_place { &self.at_risk } else { &self.new_at_risk };
            at_risk.lock().push(new.to_string_lossy().into_owned());
        }
        Ok(())
    }
}

/// Some file systems, as XFS, write the new name long before the new content: a power cut in between
/// leaves an empty file.
#[test]
fn no_file_gives_way_to_one_that_is_not_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let conductor = open_hooked(&dir.path().join("root"), &disk);
    let script = "echo x >>count; [ $(wc -l <count) -lt 3 ] || touch DONE";
    let task = conductor.tasks().start(task(script), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 3));
    assert_eq!(*disk.at_risk.lock(), Vec::<String>::new());
}

/// `.loop.yaml` leaves the prompt to `TASK.md`: without that the loop could not go on.
#[test]
fn the_prompt_of_a_loop_is_on_the_disk_before_the_loop_is() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let conductor = open_hooked(&dir.path().join("root"), &disk);
    let result = conductor.tasks().start(task("touch DONE"), LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(result.outcome, TaskOutcome::Done);
    let at_risk = disk.new_at_risk.lock();
    assert!(!at_risk.iter().any(|name| name == "TASK.md"), "{at_risk:?}");
}
