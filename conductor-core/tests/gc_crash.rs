//! A collection that dies at any of its calls leaves each run whole or gone; the next one finishes.
//!
//! A test program of its own: a process that another test starts would for a moment hold the locks of
//! the collection that died here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

#[allow(dead_code, reason = "shared with another test program")]
#[path = "gc/kit.rs"]
mod kit;

use conductor_core::sys::{Entry, Fd, FileKind, FileSystem, LockKind, Open, Os, RealOs, Stat};
use conductor_core::{Conductor, GcPolicy, Options, Timestamp, Wait};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kit::*;

/// A machine whose calls that change something work a number of times; then it is dead.
#[derive(Debug)]
struct Mortal {
    left: AtomicI64,
}

impl Mortal {
    fn change<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 { call() } else { Err(dead()) }
    }

    fn look<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.left.load(Ordering::SeqCst) > 0 { call() } else { Err(dead()) }
    }
}

fn dead() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl Os for Mortal {
    fn open_root(&self, path: &Path) -> io::Result<Fd> {
        self.look(|| RealOs.open_root(path))
    }
    fn make_root(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.change(|| RealOs.make_root(path, mode))
    }
    fn open_at(&self, folder: &Fd, path: &Path, how: Open) -> io::Result<Fd> {
        match how {
            Open::Read | Open::Folder | Open::FolderHere => {
                self.look(|| RealOs.open_at(folder, path, how))
            }
            _ => self.change(|| RealOs.open_at(folder, path, how)),
        }
    }
    fn stat_at(&self, folder: &Fd, name: &OsStr) -> io::Result<Stat> {
        self.look(|| RealOs.stat_at(folder, name))
    }
    fn mkdir_at(&self, folder: &Fd, name: &OsStr, mode: u32) -> io::Result<()> {
        self.change(|| RealOs.mkdir_at(folder, name, mode))
    }
    fn unlink_at(&self, folder: &Fd, name: &OsStr) -> io::Result<()> {
        self.change(|| RealOs.unlink_at(folder, name))
    }
    fn rmdir_at(&self, folder: &Fd, name: &OsStr) -> io::Result<()> {
        self.change(|| RealOs.rmdir_at(folder, name))
    }
    fn rename_at(
        &self,
        from: &Fd,
        old: &OsStr,
        to: &Fd,
        new: &OsStr,
        replace: bool,
    ) -> io::Result<()> {
        self.change(|| RealOs.rename_at(from, old, to, new, replace))
    }
    fn link_at(&self, from: &Fd, old: &OsStr, to: &Fd, new: &OsStr) -> io::Result<()> {
        self.change(|| RealOs.link_at(from, old, to, new))
    }
    fn list(&self, folder: &Fd) -> io::Result<Vec<Entry>> {
        self.look(|| RealOs.list(folder))
    }
    fn visit(&self, folder: &Fd, each: &mut dyn FnMut(&OsStr, FileKind) -> bool) -> io::Result<()> {
        self.look(|| RealOs.visit(folder, each))
    }
    fn open_up(&self, folder: &Fd, name: &OsStr) -> io::Result<()> {
        self.change(|| RealOs.open_up(folder, name))
    }
    fn stat(&self, file: &Fd) -> io::Result<Stat> {
        self.look(|| RealOs.stat(file))
    }
    fn read_at(&self, file: &Fd, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.look(|| RealOs.read_at(file, buffer, offset))
    }
    fn write_at(&self, file: &Fd, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.change(|| RealOs.write_at(file, bytes, offset))
    }
    fn write(&self, file: &Fd, bytes: &[u8]) -> io::Result<usize> {
        self.change(|| RealOs.write(file, bytes))
    }
    fn position(&self, file: &Fd) -> io::Result<u64> {
        self.look(|| RealOs.position(file))
    }
    fn truncate(&self, file: &Fd, length: u64) -> io::Result<()> {
        self.change(|| RealOs.truncate(file, length))
    }
    fn allocate(&self, file: &Fd, length: u64) -> io::Result<()> {
        self.change(|| RealOs.allocate(file, length))
    }
    // What is synced is not tested here: each sync is one more place to die.
    fn sync_data(&self, _: &Fd) -> io::Result<()> {
        self.change(|| Ok(()))
    }
    fn sync(&self, _: &Fd) -> io::Result<()> {
        self.change(|| Ok(()))
    }
    fn try_lock(&self, file: &Fd, kind: LockKind) -> io::Result<bool> {
        self.change(|| RealOs.try_lock(file, kind))
    }
    fn unlock(&self, file: &Fd) -> io::Result<()> {
        // The kernel gives back what a dead process held.
        RealOs.unlock(file)
    }
    fn file_system(&self, folder: &Fd) -> io::Result<FileSystem> {
        RealOs.file_system(folder)
    }
    fn available_space(&self, path: &Path) -> io::Result<u64> {
        RealOs.available_space(path)
    }
    fn now(&self) -> Timestamp {
        RealOs.now()
    }
    fn monotonic(&self) -> Duration {
        RealOs.monotonic()
    }
    fn since_boot(&self) -> Duration {
        RealOs.since_boot()
    }
    fn sleep(&self, length: Duration) {
        RealOs.sleep(length);
    }
    fn process_id(&self) -> u32 {
        std::process::id()
    }
}

/// A root in which everything happens that a collection does but the bus's own rotation.
fn root() -> Root {
    let root = Root::new();
    for run in ["r1", "r2"] {
        root.run("p/t", run, &RunSpec::new("completed", 200));
        root.file(&format!("p/t/runs/{run}/work/a/file"), "x", 200);
    }
    root.run("p/t", "r3", &RunSpec::new("completed", 1));
    root.file("p/done/DONE", "", 200);
    root.run("p/done", "r1", &RunSpec::new("failed", 200));
    root.file(".conductor/trash/gc-0/0-r/file", "x", 1);
    root.file("p/t/.CANCELLED.1-1.next", "half", 30);
    root
}

fn policy() -> GcPolicy {
    GcPolicy::default().delete_done_tasks(true)
}

/// Every folder of a run that is listed is whole.
fn assert_whole(root: &Root, call: i64) {
    for task in ["p/t", "p/done"] {
        let Ok(runs) = fs::read_dir(root.path().join(task).join("runs")) else { continue };
        for run in runs {
            let run = run.unwrap().path();
            let has = |file: &str| run.join(file).exists();
            assert!(has("run-info.yaml") && has("agent-stdout.txt"), "call {call}: {run:?}");
            assert!(task == "p/done" || run.ends_with("r3") || has("work/a/file"), "call {call}");
        }
    }
    let task = root.path().join("p/done");
    assert!(!task.exists() || task.join("DONE").exists(), "call {call}: half a task");
    let receipts = |path: &str| {
        let text = fs::read_to_string(root.path().join(path)).unwrap_or_default();
        text.lines().any(|line| line.starts_with("{\"run\":\"r1\""))
    };
    let told = receipts("p/.receipts.jsonl")
        || receipts("p/done/.receipts.jsonl")
        || task.join("runs/r1").exists();
    assert!(told, "call {call}: a run is forgotten");
}

#[test]
fn a_death_at_any_call_leaves_nothing_half_done_and_the_next_one_finishes() {
    let wanted = {
        let root = root();
        root.collect(policy());
        root.left()
    };
    assert!(!wanted.iter().any(|path| path.starts_with("p/done")));
    let mut call = 0;
    loop {
        let root = root();
        let mortal = Arc::new(Mortal { left: AtomicI64::new(call) });
        let mut options = Options::default();
        options.os = mortal.clone();
        let conductor = Conductor::open(root.path(), options).unwrap();
        if let Ok(plan) = conductor.gc().plan(policy()) {
            // It dies on the way, or it does not.
            let _dies = conductor.gc().apply(&plan, Wait::FOREVER);
        }
        let survived = mortal.left.load(Ordering::SeqCst) > 0;
        assert_whole(&root, call);
        let report = root.collect(policy());
        assert!(report.errors.is_empty(), "call {call}: {:?}", report.errors);
        assert_eq!(root.left(), wanted, "call {call}");
        assert!(root.trash_is_empty(), "call {call}");
        assert!(root.path().join("p/t/runs/r3/run-info.yaml").exists());
        if survived {
            break;
        }
        call += 1;
    }
    assert!(call > 40, "only {call} calls change something");
}
