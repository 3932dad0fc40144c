//! What happens while a collection works: others collect, people delete, runs begin.

use crate::hooked;
use crate::kit::*;
use conductor_core::{Conductor, GcPolicy, GcResult, JobSpec, Wait};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

#[test]
fn ten_collectors_and_a_person_with_rm_do_the_work_once() {
    let root = Root::new();
    for task in 0..5 {
        for run in 0..40 {
            let ended = if run % 2 == 0 { 200 } else { 1 };
            root.run(
                &format!("p/t{task}"),
                &format!("r{run:02}"),
                &RunSpec::new("completed", ended),
            );
        }
    }
    let (start, deleted, gone) = (Barrier::new(11), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let conductor = root.conductor();
                start.wait();
                let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
                let report = conductor.gc().apply(&plan, Wait::FOREVER).unwrap();
                assert!(report.errors.is_empty(), "{:?}", report.errors);
                deleted.fetch_add(report.runs, Ordering::SeqCst);
            });
        }
        scope.spawn(|| {
            start.wait();
            for run in 0..40 {
                let path = root.path().join(format!("p/t0/runs/r{run:02}"));
                gone.fetch_add(usize::from(fs::remove_dir_all(path).is_ok()), Ordering::SeqCst);
            }
        });
    });
    let report = root.collect(GcPolicy::default());
    assert!(report.errors.is_empty());
    for task in 1..5 {
        let runs = fs::read_dir(root.path().join(format!("p/t{task}/runs"))).unwrap();
        let mut names: Vec<_> = runs.map(|run| run.unwrap().file_name()).collect();
        names.sort();
        let wanted: Vec<_> = (0..40).filter(|n| n % 2 == 1).map(|n| format!("r{n:02}")).collect();
        assert_eq!(names, wanted.iter().map(std::ffi::OsString::from).collect::<Vec<_>>());
    }
    assert!(root.trash_is_empty());
    // Each is deleted by one of them.
    let by_collectors = deleted.load(Ordering::SeqCst) + report.runs;
    assert!((80..=100).contains(&by_collectors), "{by_collectors}");
}

#[test]
fn what_changed_since_the_plan_stays() {
    let root = Root::new();
    let old = RunSpec::new("completed", 200);
    for run in ["r1", "r2", "r3"] {
        root.run("p/t", run, &old);
    }
    root.file("p/done/DONE", "", 200);
    root.file("p/again/DONE", "", 200);
    let conductor = root.conductor();
    let plan = conductor.gc().plan(GcPolicy::default().delete_done_tasks(true)).unwrap();
    assert_eq!(deleted(&root, &plan).len(), 5);
    // Its record is written anew, a person deletes one, tasks go on.
    let info = root.path().join("p/t/runs/r1/run-info.yaml");
    fs::write(&info, fs::read_to_string(&info).unwrap() + "note: x\n").unwrap();
    age(&info, -1);
    fs::remove_dir_all(root.path().join("p/t/runs/r2")).unwrap();
    root.file("p/done/notes.md", "new", -1);
    fs::remove_file(root.path().join("p/again/DONE")).unwrap();
    let mut told = Vec::new();
    let report = conductor
        .gc()
        .apply_telling(&plan, Wait::FOREVER, |done| {
            let name = done.item.path.file_name().unwrap().to_str().unwrap().to_owned();
            told.push((name, matches!(done.result, GcResult::Done)));
        })
        .unwrap();
    assert_eq!(told, [("r3".to_owned(), true)]);
    assert_eq!((report.runs, report.kept, report.failed), (1, 0, 0));
    assert_eq!(reason(&plan, "runs/r1"), ("keep", "changed"));
    assert_eq!(reason(&plan, "p/done"), ("keep", "young"));
    assert!(root.path().join("p/again").exists());
}

#[test]
fn a_run_that_began_since_the_plan_keeps_what_it_came_from() {
    let root = Root::new();
    root.run("p/t", "r1", &RunSpec::new("completed", 200));
    root.run("p/u", "r2", &RunSpec::new("completed", 200).with("previous_run_id: r0"));
    root.run("q/w", "r0", &RunSpec::new("completed", 200));
    root.run("p/v", "r3", &RunSpec::new("completed", 200));
    let conductor = root.conductor();
    let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
    let spec = JobSpec::new("p").task("t").agent("command").command(["sleep", "600"]).prompt("x");
    let run = conductor.jobs().start(spec.parent_run_id("r2"), Wait::FOREVER).unwrap();
    let report = conductor.gc().apply(&plan, Wait::FOREVER).unwrap();
    assert_eq!((report.runs, report.kept, report.failed), (2, 0, 0));
    assert!(root.path().join("p/u/runs/r2").exists());
    assert!(root.path().join("q/w/runs/r0").exists(), "not only the run right before it");
    assert!(!root.path().join("p/t/runs/r1").exists());
    assert!(!root.path().join("p/v/runs/r3").exists());
    run.stop(conductor_core::Stop::because("over").force(true), Wait::FOREVER).unwrap();
}

#[test]
fn a_task_in_which_something_is_started_is_left_alone() {
    let root = Root::new();
    root.run("p/t", "r1", &RunSpec::new("completed", 200));
    let conductor = root.conductor();
    let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
    let lock = root.file("p/t/.task.lock", "", 1);
    let lock = fs::File::open(lock).unwrap();
    lock.lock_shared().unwrap();
    let report = conductor.gc().apply(&plan, Wait::FOREVER).unwrap();
    assert_eq!((report.runs, report.kept), (0, 1));
    lock.unlock().unwrap();
    assert_eq!(conductor.gc().apply(&plan, Wait::FOREVER).unwrap().runs, 1);
}

#[test]
fn a_cancelled_collection_stops_between_two_things() {
    let root = Root::new();
    for task in 0..20 {
        root.run(&format!("p/t{task}"), "r1", &RunSpec::new("completed", 200));
    }
    let conductor = root.conductor();
    let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
    let cancel = conductor_core::Cancel::new();
    cancel.set();
    let error = conductor.gc().apply(&plan, &cancel).unwrap_err();
    assert_eq!(error.code(), "wait.cancelled");
    assert_eq!(root.left().iter().filter(|path| path.ends_with("run-info.yaml")).count(), 20);
    assert!(root.trash_is_empty());
}

/// A machine on which a person deletes the task `p/a` before the call that makes `left` nothing.
fn deleting(root: &Root, left: &Arc<AtomicUsize>) -> Conductor {
    let (left, task) = (left.clone(), root.path().join("p/a"));
    hooked::open(root.path(), move |_| {
        if left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // It may have gone already.
            let _gone = fs::remove_dir_all(&task);
        }
        Ok(())
    })
}

/// Calls that nothing here comes to.
const NEVER: usize = usize::MAX / 2;

#[test]
fn a_task_that_goes_at_any_call_of_a_plan_hides_no_living_run() {
    for at in 1.. {
        let root = Root::new();
        root.run("p/a", "r0", &RunSpec::new("completed", 200));
        root.run("p/b", "r1", &RunSpec::new("completed", 200));
        root.run("p/c", "r2", &RunSpec::alive().with("previous_run_id: r1"));
        let left = Arc::new(AtomicUsize::new(at));
        let plan = deleting(&root, &left).gc().plan(GcPolicy::default()).unwrap();
        assert_eq!(reason(&plan, "r1"), ("keep", "ancestor"), "before call {at}");
        if (1..NEVER).contains(&left.load(Ordering::SeqCst)) {
            assert!(at > 20, "only {at} calls");
            return;
        }
    }
}

#[test]
fn a_task_that_goes_at_any_call_while_a_new_run_is_followed_is_no_error() {
    for at in 1.. {
        let root = Root::new();
        for (task, run) in [("p/a", "r0"), ("p/b", "r1"), ("p/d", "r3")] {
            root.run(task, run, &RunSpec::new("completed", 200));
        }
        let left = Arc::new(AtomicUsize::new(NEVER));
        let conductor = deleting(&root, &left);
        let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
        // As its starter does it.
        root.file(".conductor/open/s1-0a1b2c3d", "p/c/runs/s1\n", 0);
        root.run("p/c", "s1", &RunSpec::alive().with("parent_run_id: r1"));
        left.store(at, Ordering::SeqCst);
        let report = conductor.gc().apply(&plan, Wait::FOREVER).unwrap();
        let over = (1..NEVER).contains(&left.load(Ordering::SeqCst));
        assert!(report.errors.is_empty(), "before call {at}: {:?}", report.errors);
        assert!(root.path().join("p/b/runs/r1").exists(), "before call {at}");
        if over {
            assert!(at > 40, "only {at} calls");
            return;
        }
    }
}
