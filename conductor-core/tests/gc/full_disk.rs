//! A disk that is full: there is no room for the trash and none for a receipt.

use crate::kit::*;
use conductor_core::{Conductor, GcPolicy, Options, Wait};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Runs a part of this file in a mount namespace of its own, on a small file system.
fn on_a_small_disk(options: &str, part: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && \
                  exec \"$3\" --exact \"$4\" --ignored --nocapture";
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh", options])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .arg(part)
        .env("GC_TEST_ROOT", dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Fills what is left, byte by byte at the end.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        let bytes = vec![b'x'; size];
        while file.write_all(&bytes).is_ok() {}
    }
}

/// Makes empty files until there is no inode left.
fn fill_inodes(folder: &Path) {
    for number in 0.. {
        if fs::File::create(folder.join(format!("f{number}"))).is_err() {
            return;
        }
    }
}

fn root() -> Option<Root> {
    std::env::var_os("GC_TEST_ROOT").map(|path| Root::at(Path::new(&path)))
}

fn old_run(root: &Root, task: &str, run: &str) {
    let spec = RunSpec::new("completed", 200).with("model: m").with("cost_usd: 0.25");
    let folder = root.run(task, run, &spec);
    fs::write(folder.join("output.md"), vec![b'x'; 300_000]).unwrap();
    fs::create_dir(folder.join("work")).unwrap();
    fs::write(folder.join("work/file"), vec![b'x'; 10_000]).unwrap();
    age(&folder.join("work/file"), 200);
}

fn used(root: &Root) -> Vec<(String, Option<f64>)> {
    let report = root.conductor().usage(None, None).unwrap();
    assert!(report.damage.is_empty(), "{:?}", report.damage);
    let mut runs: Vec<_> =
        report.runs.iter().map(|run| (run.run.to_string(), run.cost_usd)).collect();
    runs.sort_by(|a, b| a.0.cmp(&b.0));
    runs
}

#[test]
fn runs_go_although_no_byte_is_free_and_none_is_forgotten() {
    on_a_small_disk("size=4m", "full_disk::no_byte_is_free");
}

#[test]
#[ignore = "a part of another test, which runs it on a small disk"]
fn no_byte_is_free() {
    let Some(root) = root() else { return };
    for run in ["r1", "r2", "r3"] {
        old_run(&root, "p/t", run);
    }
    old_run(&root, "p/done", "r4");
    root.file("p/done/DONE", "", 200);
    root.file("p/done/big", &"x".repeat(100_000), 200);
    let before = used(&root);
    assert_eq!(before.len(), 4);
    fill(&root.path().join("filler"));
    assert!(fs::write(root.path().join("more"), "x").is_err(), "the disk is full");
    let report = root.collect(GcPolicy::default().delete_done_tasks(true));
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!((report.runs, report.tasks), (4, 1));
    assert_eq!(used(&root), before, "receipts are kept");
    assert!(root.trash_is_empty() && hidden(&root).is_empty(), "{:?}", hidden(&root));
}

#[test]
fn runs_go_although_no_file_can_be_made() {
    on_a_small_disk("size=8m,nr_inodes=200", "full_disk::no_inode_is_free");
}

#[test]
#[ignore = "a part of another test, which runs it on a small disk"]
fn no_inode_is_free() {
    let Some(root) = root() else { return };
    for run in ["r1", "r2"] {
        old_run(&root, "p/t", run);
    }
    root.file("p/t/.task.lock", "", 1);
    let before = used(&root);
    fs::create_dir(root.path().join("filler")).unwrap();
    fill_inodes(&root.path().join("filler"));
    let report = root.collect(GcPolicy::default());
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.runs, 2);
    assert_eq!(used(&root), before);
    assert!(hidden(&root).is_empty());
}

/// What is left of things that were being deleted where they stood.
fn hidden(root: &Root) -> Vec<std::path::PathBuf> {
    let name = |path: &std::path::PathBuf| path.to_string_lossy().contains("/.conductor-gc-");
    root.left().into_iter().filter(name).collect()
}

/// A death in the middle of it leaves a hidden folder with the record: the next one goes on.
#[test]
fn what_a_death_leaves_on_a_full_disk_is_finished_with_its_receipt() {
    let root = Root::new();
    old_run(&root, "p/t", "r1");
    old_run(&root, "p/done", "r2");
    root.collect(
        GcPolicy::default()
            .project(conductor_core::ProjectId::new("p").unwrap())
            .older_than(WEEK * 9),
    );
    let before = used(&root);
    let runs = root.path().join("p/t/runs");
    fs::rename(runs.join("r1"), runs.join(".conductor-gc-r1")).unwrap();
    fs::remove_file(runs.join(".conductor-gc-r1/output.md")).unwrap();
    // Of a task, the receipts are what is kept to the end.
    root.collect(GcPolicy::default());
    assert!(!runs.join(".conductor-gc-r1").exists());
    assert_eq!(used(&root), before);
    let project = root.path().join("p");
    fs::rename(project.join("done"), project.join(".conductor-gc-done")).unwrap();
    fs::write(project.join(".conductor-gc-done/big"), "x").unwrap();
    let plan = root.plan(GcPolicy::default());
    assert_eq!(reason(&plan, ".conductor-gc-done"), ("delete", "stale"));
    root.collect(GcPolicy::default());
    assert!(!project.join(".conductor-gc-done").exists());
    assert_eq!(used(&root), before);
    // One that a living collection has in hand is left alone.
    fs::create_dir_all(runs.join(".conductor-gc-r9")).unwrap();
    let held = fs::File::open(runs.join(".conductor-gc-r9")).unwrap();
    held.lock().unwrap();
    let conductor = Conductor::open(root.path(), Options::default()).unwrap();
    let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
    assert_eq!(reason(&plan, ".conductor-gc-r9"), ("keep", "busy"));
    conductor.gc().apply(&plan, Wait::FOREVER).unwrap();
    assert!(runs.join(".conductor-gc-r9").exists());
}
