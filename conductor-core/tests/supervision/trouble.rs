//! What may pass ends no task: a machine that is short of something, an agent that is being replaced, a
//! lock that somebody holds.

use crate::kit::*;
use crate::support::hooked::{Hook, open_hooked};
use crate::support::*;
use conductor_core::sys::Fd;
use conductor_core::{Cancel, Conductor, ErrorKind, Outcome, TaskOutcome, TaskSpec, Wait};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn spec(agent: &str) -> TaskSpec {
    let delay = Duration::from_millis(10);
    TaskSpec::new("shop").task("fix").agent(agent).prompt("x").restart_delay(delay)
}

#[test]
fn an_agent_that_is_being_written_is_tried_again() {
    let shop = Shop::new("");
    shop.agent("claude", "touch $JRUN_TASK_FOLDER/DONE");
    let program = shop.dir().join("bin/claude");
    // Open to be written: the kernel does not execute it (ETXTBSY).
    let writer = fs::OpenOptions::new().append(true).open(&program).unwrap();
    let task = shop.conductor().tasks().start(spec("claude"), LONG).unwrap();
    drive_until(&task, "it was refused", || shop.runs("fix").len() >= 2);
    assert_eq!(task.info().unwrap().result, None, "it is not given up");
    assert_eq!(shop.runs("fix")[0].outcome(), Some(Outcome::Refused));
    drop(writer);
    let result = task.wait(LONG).unwrap();
    assert_eq!(result.outcome, TaskOutcome::Done);
}

/// A process that has no descriptors left when it wants to start an attempt, and gets them later.
#[test]
fn host_runs_out_of_descriptors() {
    let Some((dir, conductor)) = hosted() else { return };
    let task = conductor.tasks().start(spec("claude").max_attempts(1), LONG).unwrap();
    let limit = |soft: u64| {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum }).unwrap();
    };
    let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    // Enough to look at the files, and too few for the sockets and pipes of a start.
    limit(open + 5);
    fs::remove_file(dir.join("root/shop/dep/hold")).unwrap();
    fs::write(dir.join("root/shop/dep/DONE"), "").unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        match task.step() {
            Ok(_) => {}
            Err(error) => println!("{error:?}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    limit(1024);
    let result = task.wait(LONG).unwrap();
    println!("{} after {} attempts", result.outcome.as_str(), result.attempts);
}

#[test]
fn a_process_without_descriptors_gives_no_task_up() {
    let shop = Shop::new("");
    shop.agent("claude", "touch $JRUN_TASK_FOLDER/DONE");
    let dependency = shop.root.path().join("shop/dep");
    fs::create_dir_all(&dependency).unwrap();
    fs::write(dependency.join("hold"), "").unwrap();
    let folder = shop.root.path().join("shop/fix");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("TASK-CONFIG.yaml"), "depends_on: [dep]\n").unwrap();
    let mut host = shop.host("trouble::host_runs_out_of_descriptors", &[]);
    host.says("attempts");
    let (project, id) = of("fix");
    let result = shop.conductor().tasks().info(&project, &id).unwrap().result.unwrap();
    assert_eq!(result.outcome, TaskOutcome::Done, "{result:?}");
}

#[test]
fn a_wait_that_meets_a_held_lock_sees_its_cancel() {
    let shop = Shop::new("");
    shop.agent("claude", "exit 1");
    let task = shop.conductor().tasks().start(spec("claude"), LONG).unwrap();
    drive_until(&task, "it ended once", || {
        shop.runs("fix").iter().any(|run| run.record.outcome.is_some())
    });
    // Somebody holds the bus, and does not let go of it.
    let bus = shop.root.path().join("shop/fix/TASK-MESSAGE-BUS.md");
    let holder = fs::File::open(bus).unwrap();
    holder.lock().unwrap();
    let cancel = Cancel::new();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| task.wait(Wait::from(&cancel)));
        std::thread::sleep(Duration::from_millis(300));
        cancel.set();
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
    });
    // The lock is held still: it did not wait for that, and one that gives up says that it is busy.
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    holder.unlock().unwrap();
    task.stop(conductor_core::Stop::because("enough"), LONG).unwrap();
}

#[test]
fn a_starter_that_died_before_its_agent_ran_costs_no_attempt() {
    let shop = Shop::new("");
    shop.agent("claude", "touch $JRUN_TASK_FOLDER/DONE");
    let task = shop.conductor().tasks().start(spec("claude").max_attempts(1), LONG).unwrap();
    task.wait(LONG).unwrap();
    // As of a driver that was killed between the record of its attempt and the keeper.
    let run = shop.runs("fix").remove(0);
    let record = fs::read_to_string(run.folder.join("run-info.yaml")).unwrap();
    let series = record.lines().find(|line| line.starts_with("series: ")).unwrap().to_owned();
    fs::remove_dir_all(&run.folder).unwrap();
    let folder = shop.root.path().join("shop/fix");
    for name in [".receipts.jsonl", ".loop.yaml", "DONE"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let task = shop.conductor().tasks().start(spec("claude").max_attempts(1), LONG).unwrap();
    let again = shop.runs("fix").remove(0);
    task.wait(LONG).unwrap();
    assert!(fs::read_to_string(again.folder.join("run-info.yaml")).unwrap().contains(&series));
    let text = fs::read_to_string(again.folder.join("run-info.yaml")).unwrap();
    let refused = text
        .replace("outcome: completed", "outcome: refused")
        .replace("status: completed", "status: failed")
        .replace("exit_code: 0", "exit_code: -1");
    fs::write(again.folder.join("run-info.yaml"), refused).unwrap();
    fs::remove_file(folder.join(".receipts.jsonl")).unwrap();
    fs::remove_file(folder.join("DONE")).unwrap();
    let path = folder.join(".loop.yaml");
    let state = fs::read_to_string(&path).unwrap();
    let open: String = state
        .lines()
        .filter(|line| !line.starts_with("outcome: ") && !line.starts_with("ended_at: "))
        .map(|line| line.replace("state: ended", "state: running") + "\n")
        .collect();
    fs::write(&path, open).unwrap();
    let (project, id) = of("fix");
    let result = shop.conductor().tasks().attach(&project, &id).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, shop.runs("fix").len()), (TaskOutcome::Done, 2));
}

/// A process that drives a task with a variable that nobody else has.
#[test]
fn host_drives_with_a_variable() {
    let Some((_, conductor)) = hosted() else { return };
    let spec = spec("shell").prompt("sleep 0.1").env("SECRET", "x");
    let task = conductor.tasks().start(spec, LONG).unwrap();
    println!("drives");
    task.wait(LONG).unwrap();
}

#[test]
fn a_stand_by_that_cannot_take_over_says_what_it_lacks() {
    let shop = Shop::new("");
    let mut host = shop.host("trouble::host_drives_with_a_variable", &[]);
    host.says("drives");
    let (project, id) = of("fix");
    let stand_by = shop.conductor().tasks().attach(&project, &id).unwrap();
    assert_eq!(stand_by.missing_env().unwrap(), ["SECRET"]);
    let told = || {
        let all = shop.messages("fix");
        all.into_iter().filter(|m| m.body.starts_with("nobody drives the task")).collect::<Vec<_>>()
    };
    stand_by.step().unwrap();
    assert!(told().is_empty(), "somebody drives it");
    host.kill();
    drive_until(&stand_by, "it says why", || !told().is_empty());
    let again = shop.conductor().tasks().attach(&project, &id).unwrap();
    for _ in 0..5 {
        stand_by.step().unwrap();
        again.step().unwrap();
    }
    let told = told();
    assert_eq!(told.len(), 1, "once for all who stand by");
    assert!(told[0].body.contains("lacks the value of SECRET"), "{}", told[0].body);
    let doctor = shop.conductor().doctor().unwrap();
    assert!(doctor.iter().any(|finding| finding.way_out.contains("SECRET")), "{doctor:?}");
    shop.conductor()
        .tasks()
        .get(&project, &id)
        .unwrap()
        .stop(conductor_core::Stop::because("enough"), LONG)
        .unwrap();
}

/// A process that drives a task of a configured agent.
#[test]
fn host_drives_a_worker() {
    let Some((_, conductor)) = hosted() else { return };
    let spec = spec("worker").prompt("x").env("MODE", "fast");
    let task = conductor.tasks().start(spec, LONG).unwrap();
    println!("drives");
    task.wait(LONG).unwrap();
}

#[test]
fn a_stand_by_with_another_agent_does_not_take_over_and_says_why() {
    let config = |token: &str, more: &str| {
        format!(
            "agents:\n  worker:\n    type: command\n    command: [worker]\n    env: \
             {{WORKER_TOKEN: {token}}}\n{more}"
        )
    };
    let first = config("sesame-1", "");
    let shop = Shop::new(&first);
    let script = "cd $JRUN_TASK_FOLDER; test -e second && touch DONE; touch began; \
                  until test -e second; do sleep 0.05; done";
    shop.agent("worker", script);
    let mut host = shop.host("trouble::host_drives_a_worker", &[]);
    host.says("drives");
    until("the agent", || shop.root.path().join("shop/fix/began").exists());
    let (project, id) = of("fix");
    let opened = |config: &str, mode: &str| {
        fs::write(shop.dir().join("other.yaml"), config).unwrap();
        open_shop_with(shop.dir(), "other.yaml", &[("MODE", mode)])
    };
    let attached = |conductor: &Conductor| conductor.tasks().attach(&project, &id).unwrap();
    let token = opened(&config("sesame-2", ""), "fast");
    let resuming = opened(&config("sesame-1", "    resume_session: true\n"), "slow");
    let unrelated = opened(&format!("{first}  other:\n    type: claude\n"), "fast");
    let (token, resuming) = (attached(&token), attached(&resuming));
    assert_eq!(token.other_config().unwrap(), ["agents.worker.env"]);
    assert_eq!(resuming.other_config().unwrap(), ["agents.worker.resume_session", "env.MODE"]);
    host.kill();
    let told = || {
        let all = shop.messages("fix");
        all.into_iter().filter(|m| m.body.starts_with("nobody drives the task")).collect::<Vec<_>>()
    };
    let folder = shop.root.dir.path().join("root/shop/fix");
    drive_until(&token, "one says why", || !told().is_empty());
    assert!(told()[0].body.contains("has another agents.worker.env"), "{}", told()[0].body);
    let info = shop.conductor().tasks().info(&project, &id).unwrap();
    assert_eq!(info.waiting.unwrap().what, "a driver with the same agents.worker.env");
    drive_until(&resuming, "the other says why", || told().len() == 2);
    for _ in 0..5 {
        token.step().unwrap();
        resuming.step().unwrap();
    }
    assert_eq!((told().len(), shop.runs("fix").len()), (2, 1));
    let text = fs::read_to_string(folder.join(".loop.yaml")).unwrap();
    assert!(text.contains("driven_with") && !text.contains("sesame"), "{text}");
    fs::write(folder.join("second"), "").unwrap();
    // One whose configuration differs in what the task does not use goes on.
    let result = attached(&unrelated).wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
}

#[test]
fn who_starts_a_task_again_goes_on_with_what_is_configured_now() {
    let config = |token: &str| {
        format!(
            "agents:\n  worker:\n    type: command\n    command: [worker]\n    env: \
             {{WORKER_TOKEN: {token}}}\n"
        )
    };
    let shop = Shop::new(&config("expired"));
    shop.agent("worker", "test $WORKER_TOKEN = renewed && touch $JRUN_TASK_FOLDER/DONE");
    let mut host = shop.host("trouble::host_drives_a_worker", &[]);
    host.says("drives");
    host.kill();
    fs::write(shop.dir().join("config.yaml"), config("renewed")).unwrap();
    let conductor = open_shop_with(shop.dir(), "config.yaml", &[("MODE", "fast")]);
    let spec = TaskSpec::new("shop").task("fix");
    let task = conductor.tasks().start(spec, LONG).unwrap();
    assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
}

#[test]
fn a_task_whose_last_run_was_deleted_is_judged_all_the_same() {
    let shop = Shop::new("");
    shop.agent("claude", "touch $JRUN_TASK_FOLDER/DONE; rm -rf $JRUN_RUN_FOLDER");
    let spec = spec("claude").verify("test -e DONE").max_attempts(3);
    let result = shop.conductor().tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 1));
}

/// A disk that cannot be written at the n-th try to write down how the loop stands.
struct ReadOnlyOnce(AtomicU32);

impl Hook for ReadOnlyOnce {
    fn renames(&self, _: (&Fd, &OsStr), (_, new): (&Fd, &OsStr)) -> io::Result<()> {
        match new == ".loop.yaml" && self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            true => Err(io::Error::from_raw_os_error(libc::EROFS)),
            false => Ok(()),
        }
    }
}

#[test]
fn no_attempt_is_started_beside_one_that_could_not_be_noted() {
    // The second attempt finds the first one gone, and a third one beside it finds it there.
    let script = "echo x >>count; [ $(wc -l <count) -gt 1 ] || exit 1
        mkdir alive || touch twice
        while [ ! -e go ]; do sleep 0.01; done; touch DONE";
    for tries in 2..10 {
        let dir = tempfile::tempdir().unwrap();
        let conductor =
            open_hooked(&dir.path().join("root"), &Arc::new(ReadOnlyOnce(tries.into())));
        let start = || conductor.tasks().start(task(script), LONG);
        // Once: the disk was read-only.
        let task = start().or_else(|_| start()).unwrap();
        let folder = dir.path().join("root/shop/fix");
        until("the second attempt", || {
            let _the_disk_was_read_only = task.step();
            folder.join("alive").exists()
        });
        for _ in 0..30 {
            let _the_disk_was_read_only = task.step();
            std::thread::sleep(Duration::from_millis(2));
        }
        fs::write(folder.join("go"), "").unwrap();
        let result = task.wait(LONG).or_else(|_| task.wait(LONG));
        assert!(!folder.join("twice").exists(), "two attempts at a time, {tries}");
        assert_eq!(result.unwrap().outcome, TaskOutcome::Done, "{tries}");
    }
}

#[test]
fn a_bus_that_is_removed_ends_no_loop() {
    let shop = Shop::new("");
    shop.agent("claude", "touch $JRUN_TASK_FOLDER/DONE");
    let start = |spec| shop.conductor().tasks().start(spec, LONG).unwrap();
    start(spec("claude")).wait(LONG).unwrap();
    let script = "cd $JRUN_TASK_FOLDER; echo x >>count; rm TASK-MESSAGE-BUS.md
        [ $(wc -l <count) -lt 3 ] || touch DONE";
    shop.agent("claude", script);
    // Its loop begins behind a message that is gone by its second attempt.
    let resumed = shop.conductor().tasks().resume(spec("claude"), LONG).unwrap();
    let result = resumed.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 3));
}
