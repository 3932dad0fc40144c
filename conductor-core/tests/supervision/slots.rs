//! Slots across processes.

use crate::kit::*;
use crate::support::*;
use conductor_core::{JobSpec, Outcome, Phase, RunInfo, Stop, TaskOutcome, TaskSpec};
use std::fs;
use std::path::Path;
use std::time::Duration;

fn job(script: &str) -> JobSpec {
    JobSpec::new("shop").task("crowd").agent("shell").prompt(script)
}

/// Counts who is in a folder while it is there itself; the most that it saw goes to a file. Nobody leaves
/// before `go` stands.
fn counting(dir: &Path) -> String {
    let alive = dir.join("alive");
    fs::create_dir_all(&alive).unwrap();
    format!(
        "touch {alive}/$$; n=$(ls {alive} | wc -l); echo $n >>{dir}/seen; \
         until [ -e {dir}/go ]; do sleep 0.01; done; sleep 0.05; n=$(ls {alive} | wc -l); echo $n >>{dir}/seen; rm {alive}/$$",
        alive = alive.display(),
        dir = dir.display()
    )
}

/// A process that starts one run, and goes away.
#[test]
fn host_starts_one_of_many() {
    let Some((dir, conductor)) = hosted() else { return };
    let script = fs::read_to_string(dir.join("script")).unwrap();
    // Longer than all before it in line may take.
    conductor.jobs().start(job(&script), 10 * LONG).unwrap();
}

#[test]
fn fifty_starters_and_four_slots() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 4}\n");
    fs::write(shop.dir().join("script"), counting(shop.dir())).unwrap();
    // Processes, so that nothing but the disk is shared. A starter ends when its run runs: the slot is
    // its keeper's by then.
    let mut hosts: Vec<Host> =
        (0..50).map(|_| shop.host("slots::host_starts_one_of_many", &[])).collect();
    until("one waits", || {
        shop.runs("crowd").iter().any(|run| run.record.phase == Some(Phase::Queued))
    });
    fs::write(shop.dir().join("go"), "").unwrap();
    for host in &mut hosts {
        assert!(host.child.wait().unwrap().success());
    }
    until("all are over", || {
        shop.conductor().reconcile(LONG).unwrap();
        shop.runs("crowd").iter().all(|run| run.record.outcome.is_some())
    });
    let runs = shop.runs("crowd");
    assert_eq!(runs.len(), 50);
    assert!(runs.iter().all(|run| run.outcome() == Some(Outcome::Completed)));
    let seen = fs::read_to_string(shop.dir().join("seen")).unwrap();
    let most = seen.lines().map(|line| line.parse::<u32>().unwrap()).max().unwrap();
    println!("at most {most} of 4 at a time");
    assert!(most <= 4, "{most} at a time");
    let told = shop.messages("crowd");
    assert!(told.iter().any(|m| m.body.starts_with("the run waits for a slot: 4 runs at a time")));
    // No ticket is left, and no place is taken.
    let queue = shop.root.path().join(".conductor/queue/run");
    assert_eq!(fs::read_dir(queue).unwrap().count(), 0);
}

#[test]
fn who_waits_for_a_run_that_waits_in_line_sleeps() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 1}\n");
    let first = shop.conductor().jobs().start(job("sleep 1000"), LONG).unwrap();
    fs::write(shop.dir().join("script"), "true").unwrap();
    let mut host = shop.host("slots::host_starts_one_of_many", &[]);
    let in_line = || shop.runs("crowd").into_iter().find(|r| r.record.phase == Some(Phase::Queued));
    until("one waits in line", || in_line().is_some());
    let (project, task) = of("crowd");
    let run = shop.conductor().runs().get(&project, &task, &in_line().unwrap().id).unwrap();
    quiet(&run);
    first.stop(Stop::because("enough").force(true), LONG).unwrap();
    assert!(host.child.wait().unwrap().success());
    assert_eq!(run.wait(LONG).unwrap().outcome(), Some(Outcome::Completed));
}

#[test]
fn a_slot_is_free_when_the_run_is_over_however_it_ended() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 1}\n");
    let jobs = shop.conductor().jobs();
    for force in [false, true] {
        let run = jobs.start(job("sleep 1000"), LONG).unwrap();
        assert!(jobs.would_wait(&job("true")).unwrap().is_some());
        let error = jobs.start(job("true"), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.code(), "start.no_slot");
        run.stop(Stop::because("enough").force(force), LONG).unwrap();
        // What another test forks just then has a copy of it for a moment.
        until("the slot is free", || jobs.would_wait(&job("true")).unwrap().is_none());
    }
    // The keeper is killed: as long as the agent lives on alone, it counts no more.
    let run = jobs.start(job("sleep 1000"), LONG).unwrap();
    let keeper = run.info().unwrap().record.keeper_pid.unwrap();
    kill(keeper);
    until("the slot is free", || jobs.would_wait(&job("true")).unwrap().is_none());
    run.stop(Stop::because("enough").force(true), LONG).unwrap();
}

#[test]
fn a_run_that_waits_can_be_seen_and_stopped() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 1}\n");
    let jobs = shop.conductor().jobs();
    let first = jobs.start(job("sleep 1000"), LONG).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| jobs.start(job("echo ran"), LONG).unwrap());
        let queued = |run: &RunInfo| run.record.phase == Some(Phase::Queued);
        until("it waits", || shop.runs("crowd").get(1).is_some_and(queued));
        let waiting = &shop.runs("crowd")[1];
        assert_eq!(waiting.record.waiting_for.as_deref(), Some("a slot: 1 runs at a time"));
        let (project, id) = of("crowd");
        let task = shop.conductor().tasks().info(&project, &id).unwrap();
        assert_eq!(task.waiting.unwrap().what, "a slot: 1 runs at a time");
        let run = shop.conductor().runs().get(&project, &id, &waiting.id).unwrap();
        run.stop(Stop::because("not needed"), LONG).unwrap();
        let started = second.join().unwrap();
        let info = started.wait(LONG).unwrap();
        assert_eq!(info.outcome(), Some(Outcome::Stopped));
        assert_eq!(info.record.stop_reason.as_deref(), Some("not needed"));
    });
    first.stop(Stop::because("enough").force(true), LONG).unwrap();
}

#[test]
fn a_starter_that_is_killed_in_line_leaves_no_place_behind() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 1}\n");
    fs::write(shop.dir().join("script"), "true").unwrap();
    let jobs = shop.conductor().jobs();
    let first = jobs.start(job("sleep 1000"), LONG).unwrap();
    let mut host = shop.host("slots::host_starts_one_of_many", &[]);
    until("it waits", || shop.runs("crowd").len() == 2);
    host.kill();
    first.stop(Stop::because("enough").force(true), LONG).unwrap();
    let info = jobs.start(job("true"), LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(info.outcome(), Some(Outcome::Completed));
    let dead = &shop.runs("crowd")[1];
    assert_eq!(dead.record.outcome, Some(Outcome::Refused), "closed by the start after it");
}

#[test]
fn children_stay_within_the_slot_of_their_root() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 1}\n");
    let jobs = shop.conductor().jobs();
    let parent = jobs.start(job("sleep 1000"), LONG).unwrap();
    let child = job("true").parent_run_id(parent.id().as_str());
    let child = jobs.start(child, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(child.outcome(), Some(Outcome::Completed));
    // A shell that names a run which is over is no child.
    parent.stop(Stop::because("enough").force(true), LONG).unwrap();
    let next = jobs.start(job("sleep 1000"), LONG).unwrap();
    let stale = job("true").parent_run_id(parent.id().as_str());
    assert_eq!(jobs.start(stale, Duration::from_millis(50)).unwrap_err().code(), "start.no_slot");
    next.stop(Stop::because("enough").force(true), LONG).unwrap();
}

#[test]
fn attempts_of_tasks_wait_for_slots_too_and_root_tasks_for_theirs() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 1, max_concurrent_root_tasks: 2}\n");
    let spec = |task: &str, script: &str| {
        let delay = Duration::from_millis(10);
        TaskSpec::new("shop").task(task).agent("shell").prompt(script).restart_delay(delay)
    };
    let tasks = shop.conductor().tasks();
    let waits = |task: &conductor_core::Task| task.info().unwrap().waiting.map(|w| w.what);
    let one = tasks.start(spec("one", "while [ ! -e go ]; do sleep 0.01; done; touch DONE"), LONG);
    let one = one.unwrap();
    let two = tasks.start(spec("two", "touch DONE"), LONG).unwrap();
    let three = tasks.start(spec("three", "touch DONE"), LONG).unwrap();
    assert_eq!(waits(&two).as_deref(), Some("a slot: 1 runs at a time"));
    assert_eq!(waits(&three).as_deref(), Some("a slot: 2 root tasks at a time"));
    assert!(shop.runs("two").is_empty());
    fs::write(shop.root.path().join("shop/one/go"), "").unwrap();
    for task in [one, two, three] {
        assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    }
    let told = shop.messages("two");
    let told = told.iter().filter(|m| m.body.starts_with("the task waits for a slot"));
    assert_eq!(told.count(), 1);
}

#[test]
fn who_asks_and_then_does_nothing_holds_nobody_up_and_keeps_its_place() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 1}\n");
    let running = shop.conductor().jobs().start(job("sleep 1000"), LONG).unwrap();
    let tasks = shop.conductor().tasks();
    let spec =
        |task: &str, script: &str| TaskSpec::new("shop").task(task).agent("shell").prompt(script);
    // Nobody steps it for now.
    let idle = tasks.start(spec("idle", "touch DONE"), LONG).unwrap();
    let busy = tasks.start(spec("busy", "touch DONE"), LONG).unwrap();
    let place = |task: &conductor_core::Task| task.info().unwrap().waiting.unwrap().position;
    assert_eq!([place(&idle), place(&busy)], [Some(1), Some(2)]);
    running.stop(Stop::because("enough").force(true), LONG).unwrap();
    assert_eq!(busy.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert_eq!(place(&idle), Some(1));
    // It moves again, and is the first in line still.
    let after = tasks.start(spec("after", "sleep 1000"), LONG).unwrap();
    assert_eq!(place(&after), Some(2));
    assert_eq!(idle.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    after.stop(Stop::because("enough").force(true), LONG).unwrap();
}

/// A task whose first attempt ends when `one` is there, and whose second one, when `two` is, is the last.
fn in_two_parts(task: &str) -> TaskSpec {
    let script = "if [ -e again ]; then until [ -e two ]; do sleep 0.01; done; touch DONE; exit; fi; \
         touch again; until [ -e one ]; do sleep 0.01; done";
    let delay = Duration::from_millis(10);
    TaskSpec::new("shop").task(task).agent("shell").prompt(script).restart_delay(delay)
}

#[test]
fn host_drives_a_task_in_two_parts() {
    let Some((_, conductor)) = hosted() else { return };
    let task = conductor.tasks().start(in_two_parts("first"), LONG).unwrap();
    println!("drives");
    task.wait(Duration::from_secs(1000)).unwrap();
}

#[test]
fn the_slot_of_a_task_outlives_its_driver_and_is_that_of_whoever_drives_on() {
    let shop = Shop::new("defaults: {max_concurrent_root_tasks: 1}\n");
    let mut host = shop.host("slots::host_drives_a_task_in_two_parts", &[]);
    host.says("drives");
    let tasks = shop.conductor().tasks();
    let short = TaskSpec::new("shop").task("second").agent("shell").prompt("touch DONE");
    let second = tasks.start(short, LONG).unwrap();
    let waits = || {
        second.step().unwrap();
        second.info().unwrap().waiting.map(|waiting| waiting.what)
    };
    assert_eq!(waits().as_deref(), Some("a slot: 1 root tasks at a time"));
    host.kill();
    assert_eq!(waits().as_deref(), Some("a slot: 1 root tasks at a time"), "its attempt lives");

    let first = tasks.start(in_two_parts("first"), LONG).unwrap();
    let folder = shop.root.path().join("shop/first");
    fs::write(folder.join("one"), "").unwrap();
    await_keeper(&shop.runs("first")[0].folder);
    // The keeper is gone. The line is asked before the driver of the first moves a hand.
    assert_eq!(waits().as_deref(), Some("a slot: 1 root tasks at a time"), "it has a driver");
    drive_until(&first, "the first goes on", || {
        assert!(waits().is_some());
        shop.runs("first").len() == 2
    });
    assert!(shop.runs("second").is_empty());
    fs::write(folder.join("two"), "").unwrap();
    assert_eq!(first.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert_eq!(second.wait(LONG).unwrap().outcome, TaskOutcome::Done);
}

#[test]
fn a_slot_is_kept_for_no_task_that_nobody_drives() {
    let shop = Shop::new("defaults: {max_concurrent_root_tasks: 1}\n");
    let mut host = shop.host("slots::host_drives_a_task_in_two_parts", &[]);
    host.says("drives");
    host.kill();
    let tasks = shop.conductor().tasks();
    let short = TaskSpec::new("shop").task("second").agent("shell").prompt("touch DONE");
    let second = tasks.start(short, LONG).unwrap();
    assert!(second.info().unwrap().waiting.is_some());
    fs::write(shop.root.path().join("shop/first/one"), "").unwrap();
    assert_eq!(second.wait(LONG).unwrap().outcome, TaskOutcome::Done);
}

/// Waits until the keeper of a run is gone.
pub(crate) fn await_keeper(run: &Path) {
    let lock = fs::File::open(run.join(".run.lock")).unwrap();
    lock.lock().unwrap();
    // Closing is not enough where another test forks just then.
    lock.unlock().unwrap();
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
