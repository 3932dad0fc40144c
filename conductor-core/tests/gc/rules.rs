//! What goes and what stays, one rule after the other.

use crate::kit::*;
use conductor_core::{GcPolicy, JobSpec, Stop, Wait};
use std::fs;

fn old() -> RunSpec {
    RunSpec::new("completed", 200)
}

#[test]
fn age_is_counted_from_the_end_and_the_future_is_young() {
    let root = Root::new();
    root.run("p/t", "r-old", &old());
    root.run("p/t", "r-young", &RunSpec::new("completed", 100));
    root.run("p/t", "r-future", &RunSpec::new("completed", -1000));
    // Began long ago, ended just now.
    let began = "start_time: 2020-01-01T00:00:00Z";
    let folder = root.run("p/t", "r-long", &RunSpec::new("failed", 1));
    let record = fs::read_to_string(folder.join("run-info.yaml")).unwrap();
    let start = record.lines().find(|line| line.starts_with("start_time")).unwrap();
    fs::write(folder.join("run-info.yaml"), record.replace(start, began)).unwrap();
    let plan = root.plan(GcPolicy::default());
    assert_eq!(reason(&plan, "r-old"), ("delete", "age"));
    for run in ["r-young", "r-future", "r-long"] {
        assert_eq!(reason(&plan, run), ("keep", "young"));
    }
    let all = root.plan(GcPolicy::default().older_than(std::time::Duration::ZERO));
    assert_eq!(reason(&all, "r-young"), ("delete", "age"));
    assert_eq!(reason(&all, "r-future"), ("keep", "young"));
}

#[test]
fn what_lives_and_what_it_came_from_stays() {
    let root = Root::new();
    root.run("p/t", "r1", &old());
    root.run("p/t", "r2", &old().with("previous_run_id: r1"));
    root.run("q/other", "r3", &old().with("parent_run_id: r2"));
    root.run("q/other", "r4", &RunSpec::alive().with("previous_run_id: r3"));
    root.run("q/other", "r5", &old());
    let plan = root.plan(GcPolicy::default());
    assert_eq!(reason(&plan, "r4"), ("keep", "alive"));
    for run in ["r1", "r2", "r3"] {
        assert_eq!(reason(&plan, run), ("keep", "ancestor"), "{run}");
    }
    assert_eq!(reason(&plan, "r5"), ("delete", "age"));
}

#[test]
fn what_cannot_be_judged_stays_and_is_told() {
    let root = Root::new();
    let torn = root.run("p/t", "r1", &old());
    fs::write(torn.join("run-info.yaml"), "status: [").unwrap();
    root.run("p/t", "r2", &RunSpec::new("paused", 300));
    root.run("p/t", "r3", &old().with("outcome: nice"));
    let newer = root.run("p/t", "r4", &old());
    let record = fs::read_to_string(newer.join("run-info.yaml")).unwrap();
    fs::write(newer.join("run-info.yaml"), record.replace("version: 1", "version: 9")).unwrap();
    let before = root.left();
    let plan = root.plan(GcPolicy::default());
    assert_eq!(reason(&plan, "r1"), ("keep", "unreadable"));
    assert_eq!(reason(&plan, "r2"), ("keep", "unknown_status"));
    assert_eq!(reason(&plan, "r3"), ("keep", "unreadable"));
    assert_eq!(reason(&plan, "r4"), ("keep", "unknown_status"));
    assert_eq!(errors(&plan).len(), 2);
    root.collect(GcPolicy::default());
    assert_eq!(root.left(), before);
}

#[test]
fn failed_ones_and_the_newest_can_be_kept() {
    let root = Root::new();
    root.run("p/t", "r1", &RunSpec::new("failed", 300));
    root.run("p/t", "r2", &old());
    root.run("p/t", "r3", &old());
    let plan = root.plan(GcPolicy::default().keep_failed(true).keep_last(1usize));
    assert_eq!(reason(&plan, "r1"), ("keep", "failed"));
    assert_eq!(reason(&plan, "r2"), ("delete", "age"));
    assert_eq!(reason(&plan, "r3"), ("keep", "newest"));
}

#[test]
fn the_oldest_go_first_until_the_root_fits() {
    let root = Root::new();
    for (run, hours) in [("r1", 3), ("r2", 1), ("r3", 2)] {
        let folder = root.run("p/t", run, &RunSpec::new("completed", hours));
        fs::write(folder.join("output.md"), vec![b'x'; 100_000]).unwrap();
    }
    let plan = root.plan(GcPolicy::default().max_bytes(250_000u64));
    assert_eq!(reason(&plan, "r1"), ("delete", "max_bytes"));
    assert_eq!(reason(&plan, "r3"), ("keep", "young"));
    let plan = root.plan(GcPolicy::default().max_bytes(150_000u64));
    assert_eq!(reason(&plan, "r3"), ("delete", "max_bytes"));
    assert_eq!(reason(&plan, "r2"), ("keep", "young"));
    let plan = root.plan(GcPolicy::default().min_free(u64::MAX));
    assert_eq!(reason(&plan, "r2"), ("delete", "min_free"));
    assert_eq!(actions(&root.plan(GcPolicy::default().min_free(1u64))), 0);
}

fn done(root: &Root, task: &str, hours: i64) {
    root.file(&format!("{task}/TASK.md"), "do it\n", 300);
    root.file(&format!("{task}/DONE"), "", hours);
}

#[test]
fn a_done_task_goes_by_its_newest_thing_and_in_the_same_pass_as_its_runs() {
    let root = Root::new();
    for task in ["p/old", "p/fresh", "p/kept", "p/open", "p/foreign", "p/deep"] {
        done(&root, task, 200);
        root.run(task, "r1", &old());
    }
    root.file("p/fresh/notes.md", "new", 1);
    root.file("p/deep/src/a/b/c", "new", 1);
    root.run("p/kept", "r2", &RunSpec::new("completed", 1));
    fs::remove_file(root.path().join("p/open/DONE")).unwrap();
    fs::create_dir(root.path().join("p/foreign/runs/with space")).unwrap();
    let policy = GcPolicy::default().delete_done_tasks(true);
    let plan = root.plan(policy.clone());
    assert_eq!(reason(&plan, "p/old"), ("delete", "done"));
    assert_eq!(reason(&plan, "p/fresh"), ("keep", "young"));
    assert_eq!(reason(&plan, "p/deep"), ("keep", "young"));
    assert_eq!(reason(&plan, "p/kept"), ("keep", "runs"));
    assert_eq!(reason(&plan, "p/foreign"), ("keep", "runs"));
    assert!(items(&plan).all(|item| !item.path.ends_with("p/open")));
    let report = root.collect(policy);
    assert_eq!((report.tasks, report.runs), (1, 6));
    assert!(!root.path().join("p/old").exists() && root.path().join("p/open").exists());
    assert!(root.trash_is_empty());
}

#[test]
fn a_task_that_others_wait_for_stays() {
    let root = Root::new();
    done(&root, "p/base", 200);
    done(&root, "p/read", 200);
    root.file("p/waits/TASK-CONFIG.yaml", "depends_on: [base]\n", 200);
    done(&root, "p/served", 200);
    root.file("p/served/TASK-CONFIG.yaml", "depends_on: [read]\n", 200);
    let policy = GcPolicy::default().delete_done_tasks(true);
    let plan = root.plan(policy.clone());
    assert_eq!(reason(&plan, "p/base"), ("keep", "dependents"));
    assert_eq!(reason(&plan, "p/read"), ("delete", "done"));
    // Without DONE, the newest run is what makes a task ready.
    root.run("p/half", "r1", &old());
    root.run("p/half", "r2", &old());
    root.file("p/waits/TASK-CONFIG.yaml", "depends_on: [half]\n", 200);
    let plan = root.plan(policy.clone());
    assert_eq!(reason(&plan, "half/runs/r1"), ("delete", "age"));
    assert_eq!(reason(&plan, "half/runs/r2"), ("keep", "dependents"));
    // Dependencies that cannot be read may be any.
    root.file("p/waits/TASK-CONFIG.yaml", "depends_on: {\n", 200);
    let plan = root.plan(policy);
    assert_eq!(reason(&plan, "p/read"), ("keep", "dependents"));
    assert_eq!(errors(&plan).len(), 1);
}

#[test]
fn orphans_go_by_an_age_of_their_own() {
    let root = Root::new();
    for (run, hours) in [("r-old", 200), ("r-young", 30)] {
        root.file(&format!("p/t/runs/{run}/prompt.md"), "x", hours);
        age(&root.path().join("p/t/runs").join(run), hours);
    }
    let plan = root.plan(GcPolicy::default());
    assert_eq!(reason(&plan, "r-old"), ("delete", "stale"));
    assert_eq!(reason(&plan, "r-young"), ("keep", "young"));
    // Not even without any age does one go that may be starting.
    let fresh = root.path().join("p/t/runs/r-new");
    fs::create_dir(&fresh).unwrap();
    let plan = root.plan(GcPolicy::default().older_than(std::time::Duration::ZERO));
    assert_eq!(reason(&plan, "r-new"), ("keep", "young"));
    assert_eq!(reason(&plan, "r-young"), ("delete", "stale"));
}

#[test]
fn leftovers_are_cleared_away() {
    let root = Root::new();
    root.run("p/t", "r1", &RunSpec::new("completed", 1));
    root.file(".conductor/trash/p-t-0123456789abcdef/runs/r/file", "x", 1);
    root.file(".conductor/open/gone-0a1b2c3d", "p/t/runs/gone\n", 1);
    root.file(".conductor/slots/run/3", "", 30);
    root.file(".conductor/slots/run/4", "", 1);
    root.file("p/t/runs/r1/run-info.4711.yaml.tmp", "half", 30);
    root.file("p/t/runs/r1/run-info.4712.yaml.tmp", "half", 1);
    root.file(&format!("p/t/.STOP-REQUESTED.{DEAD}-0.next"), "half", 30);
    // This one may hold messages.
    root.file("p/t/.TASK-MESSAGE-BUS.md.next", "half", 3000);
    let report = root.collect(GcPolicy::default());
    assert_eq!((report.strays, report.errors.len()), (5, 0));
    assert!(root.trash_is_empty());
    let left = |path: &str| root.path().join(path).exists();
    assert!(left("p/t/.TASK-MESSAGE-BUS.md.next") && left("p/t/runs/r1/run-info.4712.yaml.tmp"));
    assert!(left(".conductor/slots/run/4") && !left(".conductor/slots/run/3"));
}

#[test]
fn what_is_not_a_task_is_never_touched() {
    let root = Root::new();
    for folder in ["_audit/t/runs/r1", ".hidden/t/runs/r1", "p/_t/runs/r1", "p/t/runs/_r1"] {
        root.file(&format!("{folder}/run-info.yaml"), "status: completed\n", 300);
    }
    root.file("file", "x", 300);
    let before = root.left();
    let policy = GcPolicy::default().delete_done_tasks(true).older_than(HOUR);
    root.collect(policy);
    assert_eq!(root.left(), before);
}

#[test]
fn receipts_outlive_their_task() {
    let root = Root::new();
    done(&root, "p/t", 200);
    root.run("p/t", "r1", &old().with("model: m").with("cost_usd: 0.25"));
    root.run("p/t", "r2", &RunSpec::new("failed", 200));
    let used = || {
        let report = root.conductor().usage(None, None).unwrap();
        assert!(report.damage.is_empty(), "{:?}", report.damage);
        report.runs
    };
    let before = used();
    assert_eq!((before.len(), before[0].cost_usd), (2, Some(0.25)));
    root.collect(GcPolicy::default());
    assert_eq!(used(), before);
    root.collect(GcPolicy::default().delete_done_tasks(true));
    assert!(!root.path().join("p/t").exists());
    assert_eq!(used(), before);
    let gone = root.conductor().usage_of_gone(&"p".parse().unwrap()).unwrap();
    assert_eq!(gone.runs, before);
    // There again, with a run of its own.
    root.run("p/t", "r3", &old());
    assert_eq!(used().len(), 3);
}

#[test]
fn a_clock_that_ran_ahead_stops_it_unless_forced() {
    let root = Root::new();
    root.run("p/t", "r1", &old());
    root.collect(GcPolicy::default().older_than(WEEK * 10));
    let path = root.path().join(".conductor/gc.yaml");
    let note = fs::read_to_string(&path).unwrap();
    let line = note.lines().find(|line| line.starts_with("collected_at")).unwrap();
    fs::write(&path, note.replace(line, "collected_at: 2026-01-01T00:00:00Z")).unwrap();
    let before = root.left();
    let refused = root.conductor().gc().plan(GcPolicy::default()).unwrap_err();
    assert_eq!(refused.code(), "gc.clock_jumped");
    assert_eq!(root.left(), before);
    assert_eq!(root.collect(GcPolicy::default().force(true)).runs, 1);
    assert!(root.conductor().gc().plan(GcPolicy::default()).is_ok());
}

#[test]
fn a_plan_made_again_takes_no_more() {
    let root = Root::new();
    root.run("p/t", "r1", &old());
    root.run("p/t", "r2", &RunSpec::alive().with("previous_run_id: r1"));
    root.run("p/t", "r3", &RunSpec::new("completed", 0));
    let conductor = root.conductor();
    let policy = GcPolicy::default().older_than(std::time::Duration::from_secs(1));
    let token = conductor.gc().plan(policy).unwrap().token();
    // What lived is over now; what it came from stays all the same.
    root.run("p/t", "r2", &RunSpec::new("completed", -1).with("previous_run_id: r1"));
    let again = conductor.gc().plan_again(&token, Wait::FOREVER).unwrap();
    assert_eq!(reason(&again, "r1"), ("keep", "ancestor"));
    assert_eq!(again.token(), token);
    assert_eq!(conductor.gc().plan_again("x", Wait::FOREVER).unwrap_err().code(), "gc.token");
}

#[test]
fn a_run_of_ours_stays_while_it_lives_whatever_its_files_say() {
    let root = Root::new();
    let conductor = root.conductor();
    let spec = JobSpec::new("p").task("t").agent("command").command(["sleep", "600"]).prompt("x");
    let run = conductor.jobs().start(spec, Wait::FOREVER).unwrap();
    let folder = run.info().unwrap().folder;
    let record = fs::read_to_string(folder.join("run-info.yaml")).unwrap();
    let forged = record
        .replace("status: running", "status: completed")
        .replace("phase: running", "outcome: completed")
        .replace("end_time: 0001-", "end_time: 2001-");
    assert_ne!(forged, record);
    fs::write(folder.join("run-info.yaml"), forged).unwrap();
    let plan = root.plan(GcPolicy::default());
    assert_eq!(items(&plan).next().unwrap().reason.as_str(), "alive");
    // Without its entry and its lock, its processes still tell.
    for entry in fs::read_dir(root.path().join(".conductor/open")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::remove_file(folder.join(".run.lock")).unwrap();
    let report = root.collect(GcPolicy::default());
    assert_eq!((report.runs, report.kept), (0, 1));
    assert!(folder.join("agent-stdout.txt").exists());
    fs::write(folder.join("run-info.yaml"), record).unwrap();
    run.stop(Stop::because("over").force(true), Wait::FOREVER).unwrap();
}

#[test]
fn a_run_that_ended_unseen_is_written_down_before_it_goes() {
    let root = Root::new();
    let conductor = root.conductor();
    let spec = JobSpec::new("p").task("t").agent("command").command(["true"]).prompt("x");
    let run = conductor.jobs().start(spec, Wait::FOREVER).unwrap();
    let folder = run.info().unwrap().folder;
    // Nobody waits for it by way of the library: its record still says that it runs.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while run.info().unwrap().alive != Some(false) {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    let record = || fs::read_to_string(folder.join("run-info.yaml")).unwrap();
    assert!(record().contains("status: running"));
    // Its keeper, which has the run's lock, ends a moment later.
    let plan = loop {
        let plan = root.plan(GcPolicy::default().older_than(std::time::Duration::ZERO));
        if deleted(&root, &plan).len() == 1 {
            break plan;
        }
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    };
    assert!(record().contains("status: running"), "a plan writes nothing");
    let report = conductor.gc().apply(&plan, Wait::FOREVER).unwrap();
    assert_eq!((report.runs, report.errors.len()), (1, 0));
    assert!(!folder.exists());
    let bus = fs::read_to_string(root.path().join("p/t/TASK-MESSAGE-BUS.md")).unwrap();
    assert!(bus.contains("type: RUN_STOP"), "{bus}");
    assert_eq!(fs::read_dir(root.path().join(".conductor/open")).unwrap().count(), 0);
}

#[test]
fn buses_are_rotated_and_old_archives_go() {
    let root = Root::new();
    fs::create_dir_all(root.path().join("p/t")).unwrap();
    let conductor = root.conductor();
    let bus = conductor.bus(("p", "t")).unwrap();
    for number in 0..10 {
        let body = format!("{number} {}", "x".repeat(1000));
        bus.post(conductor_core::Post::new("INFO", body), Wait::FOREVER).unwrap();
    }
    let policy = GcPolicy::default().rotate_bus(true).bus_max_size(5000u64);
    let plan = root.plan(policy.clone());
    assert_eq!(reason(&plan, "TASK-MESSAGE-BUS.md"), ("rotate", "size"));
    let report = root.collect(policy.clone());
    assert_eq!((report.buses, report.freed), (1, 0));
    assert_eq!(bus.tail(100).unwrap().count(), 10);
    assert_eq!(actions(&root.plan(policy)), 0);
    let archive = fs::read_dir(root.path().join("p/t"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".archived"))
        .unwrap();
    let prune = GcPolicy::default().prune_archives(WEEK);
    assert_eq!(actions(&root.plan(prune.clone())), 0);
    age(&archive, 200);
    // A reader that comes back keeps what it has not read.
    let first = bus.read(conductor_core::ReadOptions::default()).unwrap().next().unwrap().unwrap();
    let conductor_core::Event::Message(first) = first else { panic!("a message") };
    root.file(".conductor/cursors/p~t~reader", &format!("{}\n", first.cursor), 1);
    assert_eq!(actions(&root.plan(prune.clone())), 0);
    age(&root.path().join(".conductor/cursors/p~t~reader"), 24 * 40);
    assert_eq!(root.collect(prune).archives, 1);
    assert!(!archive.exists());
}

#[test]
fn a_project_that_is_not_there_is_an_error_and_a_root_too() {
    let root = Root::new();
    let policy = GcPolicy::default().project(conductor_core::ProjectId::new("none").unwrap());
    let conductor = root.conductor();
    assert_eq!(conductor.gc().plan(policy).unwrap_err().code(), "project.not_found");
    let nowhere = conductor_core::Conductor::open(
        root.path().join("none"),
        conductor_core::Options::default(),
    );
    let error = nowhere.unwrap().gc().plan(GcPolicy::default()).unwrap_err();
    assert_eq!(error.code(), "root.not_found");
    assert!(!root.path().join("none").exists());
}
