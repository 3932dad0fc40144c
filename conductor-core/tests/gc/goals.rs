//! How many bytes a root shall hold or a disk have free, and what is told where that is not reached.

use crate::hooked;
use crate::kit::*;
use conductor_core::{
    Cancel, Conductor, ErrorKind, GcGoal, GcHolding, GcPolicy, GcReason, GcResult, Post,
    ReadOptions, Wait,
};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const RUN: usize = 100_000;

/// A root of a run of an hour, one of three hours, and a large bus of the project.
fn root() -> Root {
    let root = Root::new();
    for (run, hours) in [("r1", 3), ("r2", 1)] {
        let folder = root.run("p/t", run, &RunSpec::new("completed", hours));
        fs::write(folder.join("output.md"), vec![b'x'; RUN]).unwrap();
    }
    root.file("p/PROJECT-MESSAGE-BUS.md", &"b".repeat(300_000), 1);
    root
}

fn held(goal: &GcGoal, what: GcHolding) -> u64 {
    goal.held.iter().filter(|held| held.what == what).map(|held| held.bytes).sum()
}

#[test]
fn all_that_the_root_holds_counts() {
    let root = root();
    root.file("p/notes/large", &"n".repeat(50_000), 1);
    root.file("p/t/TASK.md", &"t".repeat(20_000), 1);
    root.file("p/t/TASK-MESSAGE-BUS.md.20250101-000000.archived", &"a".repeat(30_000), 1);
    root.file(".conductor/trash/p-t-0123456789abcdef/runs/r/file", &"x".repeat(10_000), 1);
    root.file("_audit/form-submissions.jsonl", &"y".repeat(40_000), 1);
    // 650,000 and two records: all but the runs and what is in the trash stays.
    let plan = root.plan(GcPolicy::default().max_bytes(560_000u64));
    assert_eq!(reason(&plan, "r1"), ("delete", "max_bytes"));
    assert_eq!(reason(&plan, "r2"), ("keep", "young"));
    let goal = &plan.goals()[0];
    assert!((650_000..653_000).contains(&goal.now), "{goal:?}");
    assert_eq!((goal.short, goal.held.len()), (0, 0));
    let report = root.collect(GcPolicy::default().max_bytes(560_000u64));
    let goal = &report.goals[0];
    assert!(goal.now <= 560_000 && goal.short == 0 && report.runs == 1, "{report:?}");
    // A project alone is measured alone.
    let project = conductor_core::ProjectId::new("p").unwrap();
    let plan = root.plan(GcPolicy::default().max_bytes(1u64).project(project));
    let goal = &plan.goals()[0];
    assert!((500_000..503_000).contains(&goal.now), "{goal:?}");
}

#[test]
fn a_limit_that_cannot_be_kept_is_told_with_what_stays() {
    let root = root();
    let alive = root.run("p/t", "r3", &RunSpec::alive());
    fs::write(alive.join("agent-stdout.txt"), vec![b'x'; RUN]).unwrap();
    let policy = GcPolicy::default().max_bytes(50_000u64);
    let plan = root.plan(policy.clone());
    assert_eq!(reason(&plan, "r2"), ("delete", "max_bytes"));
    let goal = plan.goals()[0].clone();
    assert_eq!((goal.goal, goal.wanted), (GcReason::MaxBytes, 50_000));
    assert!((350_000..353_000).contains(&goal.short), "{goal:?}");
    assert_eq!(held(&goal, GcHolding::Buses), 300_000);
    assert_eq!(goal.held[0].what, GcHolding::Buses, "most bytes first");
    let run = &goal.held[1];
    assert_eq!((run.what, run.reason, run.count), (GcHolding::Runs, Some(GcReason::Alive), 1));
    let report = root.collect(policy);
    assert_eq!(report.runs, 2);
    assert_eq!(report.goals[0].short, report.goals[0].now - 50_000);
    assert_eq!(report.goals[0].held, goal.held);
    // The same from a plan that is made again from its text.
    let again = root.conductor().gc().plan_again(&plan.token(), Wait::FOREVER).unwrap();
    assert_eq!(again.goals()[0].held[..2], goal.held[..2]);
}

/// A root that is opened on a machine whose looks at names are counted; `before` is asked at each.
fn counted(root: &Root, before: impl Fn(usize) + Send + Sync + 'static) -> (Conductor, Looks) {
    let looks = Looks::default();
    let conductor = hooked::open(root.path(), {
        let looks = looks.clone();
        move |call| {
            if call.name == "stat_at" {
                before(looks.fetch_add(1, Ordering::Relaxed) + 1);
            }
            Ok(())
        }
    });
    (conductor, looks)
}

type Looks = Arc<AtomicUsize>;

/// A folder of a project with so many files in it.
fn notes(root: &Root, files: usize) {
    for number in 0..files {
        root.file(&format!("p/notes/{number}"), "x", 1);
    }
}

#[test]
fn a_plan_that_is_made_again_tells_what_was_counted_and_counts_nothing() {
    let root = root();
    notes(&root, 200);
    // 500,000 and a little.
    let plan = root.plan(GcPolicy::default().max_bytes(460_000u64).min_free(1u64));
    assert_eq!(reason(&plan, "r1"), ("delete", "max_bytes"));
    assert_eq!(plan.goals().iter().map(|goal| goal.short).collect::<Vec<_>>(), [0, 0]);
    root.file("p/grown", &"g".repeat(200_000), 1);
    let (conductor, looks) = counted(&root, |_| {});
    let again = conductor.gc().plan_again(&plan.token(), Wait::FOREVER).unwrap();
    assert_eq!(again.goals(), plan.goals());
    assert_eq!(again.token(), plan.token());
    assert!(looks.load(Ordering::Relaxed) < 50, "{looks:?}");
    // Carrying it out looks at what goes, and at nothing else.
    let report = conductor.gc().apply(&again, Wait::FOREVER).unwrap();
    assert_eq!((report.runs, report.goals[0].now), (1, plan.goals()[0].now - report.freed));
    assert!(looks.load(Ordering::Relaxed) < 150, "{looks:?}");
}

#[test]
fn counting_ends_with_the_wait_in_the_middle_of_a_large_folder() {
    let root = root();
    notes(&root, 2000);
    let cancel = Cancel::new();
    let switch = cancel.clone();
    let (conductor, looks) = counted(&root, move |looks| {
        if looks == 300 {
            switch.set();
        }
    });
    let policy = GcPolicy::default().max_bytes(1u64);
    let planned = conductor.gc().plan_telling(policy, &cancel, |_, _| {});
    assert_eq!(planned.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(looks.load(Ordering::Relaxed) < 1000, "{looks:?}");
}

#[test]
fn a_list_ends_with_the_wait_in_the_middle_of_a_large_run() {
    let root = root();
    let run = root.path().join("p/t/runs/r2/deep");
    fs::create_dir(&run).unwrap();
    for number in 0..2000 {
        fs::write(run.join(number.to_string()), "").unwrap();
    }
    let cancel = Cancel::new();
    let switch = cancel.clone();
    let (conductor, looks) = counted(&root, move |looks| {
        if looks == 300 {
            switch.set();
        }
    });
    let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
    let items: Vec<_> = plan.items(&cancel).collect();
    let (last, before) = items.split_last().unwrap();
    assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(before.iter().all(Result::is_ok), "{before:?}");
    assert!(looks.load(Ordering::Relaxed) < 1000, "{looks:?}");
}

#[test]
fn what_shall_stay_does_however_much_there_is() {
    let root = root();
    let plan = root.plan(GcPolicy::default().max_bytes(1u64).keep_last(1usize));
    assert_eq!(reason(&plan, "r1"), ("delete", "max_bytes"));
    assert_eq!(reason(&plan, "r2"), ("keep", "newest"));
    assert!(plan.goals()[0].short > 400_000, "{:?}", plan.goals());
}

#[test]
fn free_space_that_is_not_to_be_had_is_told() {
    let root = root();
    let report = root.collect(GcPolicy::default().min_free(u64::MAX));
    let [goal] = &report.goals[..] else { panic!("{report:?}") };
    assert_eq!((goal.goal, goal.short), (GcReason::MinFree, u64::MAX - goal.now));
    assert_eq!((report.runs, held(goal, GcHolding::Buses)), (2, 300_000));
    assert!(root.plan(GcPolicy::default()).goals().is_empty());
}

#[test]
fn no_bytes_is_no_limit() {
    let root = root();
    let plan = root.plan(GcPolicy::default().max_bytes(0u64).min_free(0u64));
    assert_eq!((actions(&plan), plan.goals().len()), (0, 0));
}

#[test]
fn what_goes_anyway_spares_young_runs() {
    let root = root();
    let week = RunSpec::new("completed", 200);
    let folder = root.run("p/t", "r0", &week);
    fs::write(folder.join("output.md"), vec![b'x'; RUN]).unwrap();
    root.file(".conductor/trash/p-t-0123456789abcdef/runs/r/file", &"x".repeat(RUN), 1);
    // 700,000: the old run and the trash are enough.
    let plan = root.plan(GcPolicy::default().max_bytes(510_000u64));
    assert_eq!(reason(&plan, "r0"), ("delete", "age"));
    assert_eq!(reason(&plan, "r1"), ("keep", "young"));
}

#[test]
fn an_archive_that_a_cursor_has_yet_to_read_stays_and_so_does_a_bus_of_an_older_program() {
    let root = Root::new();
    fs::create_dir_all(root.path().join("p/t")).unwrap();
    let conductor = root.conductor();
    let bus = conductor.bus(("p", "t")).unwrap();
    for number in 0..10 {
        bus.post(Post::new("INFO", format!("{number} {}", "x".repeat(1000))), Wait::FOREVER)
            .unwrap();
    }
    let first = bus.read(ReadOptions::default()).unwrap().next().unwrap().unwrap();
    let conductor_core::Event::Message(first) = first else { panic!("a message") };
    root.collect(GcPolicy::default().rotate_bus(true).bus_max_size(5000u64));
    let archive = fs::read_dir(root.path().join("p/t"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".archived"))
        .unwrap();
    age(&archive, 200);
    root.file(".conductor/cursors/p~t~nightly", &format!("{}\n", first.cursor), 1);
    root.file(".conductor/root.yaml", "allow_legacy_writers: true\n", 1);
    for number in 0..10 {
        bus.post(Post::new("INFO", format!("{number} {}", "x".repeat(1000))), Wait::FOREVER)
            .unwrap();
    }
    let policy = GcPolicy::default()
        .rotate_bus(true)
        .bus_max_size(5000u64)
        .prune_archives(Duration::from_secs(3600));
    let plan = root.plan(policy);
    assert_eq!(actions(&plan), 0);
    let mut asked: Vec<_> = plan.asked(Wait::FOREVER).map(Result::unwrap).collect();
    asked.sort_by_key(|item| item.reason);
    let told: Vec<_> = asked.iter().map(|item| (item.reason, item.cursor.as_deref())).collect();
    assert_eq!(told, [(GcReason::OlderWriter, None), (GcReason::Cursor, Some("nightly"))]);
    let mut kept = Vec::new();
    let report = conductor
        .gc()
        .apply_telling(&plan, Wait::FOREVER, |done| {
            let GcResult::Kept(reason) = done.result else { panic!("{done:?}") };
            kept.push(reason);
        })
        .unwrap();
    kept.sort();
    assert_eq!(kept, [GcReason::OlderWriter, GcReason::Cursor]);
    assert_eq!((report.kept, report.archives, report.buses), (2, 0, 0));
    assert!(archive.exists());
}

#[test]
fn temporary_files_of_crashes_go_and_none_that_a_living_process_may_write() {
    let root = Root::new();
    root.run("p/t", "r1", &RunSpec::new("completed", 1));
    let old = [
        format!("p/.home-folders.md.{DEAD}-0.next"),
        format!("p/t/.TASK.md.{DEAD}-3.next"),
        format!("p/t/runs/r1/..stop.{DEAD}-0.next"),
        format!(".conductor/outbox/..receiver.json.{DEAD}-0.next"),
        ".conductor/outbox/.20260101-0000000000000-run_stop-0123456789abcdef.next".to_owned(),
        ".conductor/served/.p-t.next".to_owned(),
        // Its number is had by a process that began long after it was written.
        format!("p/.home-folders.md.{}-8.next", std::process::id()),
    ];
    // A process of that number was there when it was written: the first one of the machine.
    let written = "p/.home-folders.md.1-0.next";
    let young = format!("p/.home-folders.md.{DEAD}-9.next");
    let foreign = format!("p/.notes.md.{DEAD}-0.next");
    for path in &old {
        root.file(path, "half", 24 * 365 * 20);
    }
    root.file(&young, "half", 1);
    root.file(&foreign, "of a person", 24 * 365);
    root.file(written, "half", 0);
    let plan = root.plan(GcPolicy::default());
    assert_eq!(reason(&plan, written), ("keep", "busy"));
    assert_eq!(reason(&plan, &young), ("keep", "young"));
    let report = root.collect(GcPolicy::default());
    assert_eq!((report.strays, report.errors.len()), (old.len(), 0));
    for path in &old {
        assert!(!root.path().join(path).exists(), "{path}");
    }
    assert!(root.path().join(&foreign).exists() && root.path().join(written).exists());
}
