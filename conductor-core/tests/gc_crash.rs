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

#[path = "gc/hooked.rs"]
mod hooked;

use conductor_core::{GcPolicy, Wait};
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use kit::*;

/// Opens a root on a machine whose calls that change something work `left` times; then it is dead.
fn mortal(root: &Root, left: &Arc<AtomicI64>) -> conductor_core::Conductor {
    let left = left.clone();
    hooked::open(root.path(), move |call| {
        let before = match call.changes {
            true => left.fetch_sub(1, Ordering::SeqCst),
            false => left.load(Ordering::SeqCst),
        };
        // As the disk of a dead machine answers.
        if before > 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(5)) }
    })
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
    root.file(&format!("p/t/.CANCELLED.{DEAD}-1.next"), "half", 30);
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
        let left = Arc::new(AtomicI64::new(call));
        let conductor = mortal(&root, &left);
        if let Ok(plan) = conductor.gc().plan(policy()) {
            // It dies on the way, or it does not.
            let _dies = conductor.gc().apply(&plan, Wait::FOREVER);
        }
        let survived = left.load(Ordering::SeqCst) > 0;
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
