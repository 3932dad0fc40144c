//! Tasks with real processes: attempts, drivers that die, stops, dependencies.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod support;

use conductor_core::sys::Fd;
use conductor_core::{ErrorKind, Event, Outcome, Stop, TaskOutcome, TaskSpec, Wait};
use std::ffi::OsStr;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use support::hooked::{Hook, open_hooked};
use support::*;

/// Counts its attempts in a file, and is done with the second.
const TWO: &str = "echo x >>count; [ $(wc -l <count) -lt 2 ] || touch DONE";

#[test]
fn attempts_follow_until_done_stands() {
    let root = root();
    let task = root.conductor.tasks().start(task(TWO), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
    let told = root.told();
    let expected = [
        "INFO starting root agent (restart #0)",
        "RUN_START run started",
        "RUN_STOP run stopped with code 0",
        "INFO starting root agent (restart #1)",
        "RUN_START run started",
        "RUN_STOP run stopped with code 0",
        "INFO task completed (DONE marker present, no active children)",
    ];
    assert_eq!(told[..7], expected);
    assert!(told[7].starts_with("INFO task completion facts propagated to project bus (msg_id="));
    assert_eq!(told.len(), 8);
    let (project, id) = ids();
    let runs = root.conductor.runs().list(&project, &id).unwrap();
    let runs: Vec<_> = runs.into_iter().map(|run| run.unwrap()).collect();
    assert_eq!(runs[1].record.previous_run_id.as_deref(), Some(runs[0].id.as_str()));
    let facts = messages(&root.conductor.bus("shop").unwrap());
    assert_eq!(facts.len(), 1);
    assert_eq!(facts[0].meta("run_count"), Some("2"));
    assert_eq!(facts[0].task_id, "fix");
}

#[test]
fn following_drives_and_ends_with_the_task() {
    let root = root();
    root.job("echo before");
    let task = root.conductor.tasks().start(task(TWO), LONG).unwrap();
    let kinds: Vec<String> = task
        .follow(LONG)
        .unwrap()
        .map(|event| match event.unwrap() {
            Event::Message(message) => message.msg_type,
            other => panic!("{other:?}"),
        })
        .collect();
    // Messages from before the loop are not its own.
    assert_eq!(kinds.first().map(String::as_str), Some("INFO"));
    assert_eq!(kinds.iter().filter(|kind| *kind == "RUN_START").count(), 2);
    assert_eq!(kinds.len(), 8);
    assert_eq!(task.wait(Wait::NONE).unwrap().outcome, TaskOutcome::Done);
}

#[test]
fn the_limit_of_attempts_ends_a_task() {
    let root = root();
    let spec = task("exit 1").max_attempts(2);
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 2));
    assert_eq!(result.reason.as_deref(), Some("max attempts (2) exceeded"));
    assert!(
        root.told()
            .contains(&"WARNING root agent failed on restart #1: agent reported failure".into())
    );
    // Asked again it begins a new series, and goes on with what it was asked for.
    fs::write(root.task_folder().join("DONE"), "").unwrap();
    let again = TaskSpec::new("shop").task("fix");
    let result = root.conductor.tasks().start(again, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 0));
}

#[test]
fn a_program_that_cannot_be_started_ends_a_task_at_once() {
    let root = root();
    let program = root.dir.path().join("agent");
    support::program::script(&program, "#!/no/such/interpreter\n");
    let spec = task("x").agent("command").command([&program]);
    let result = root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 1));
    assert!(result.reason.unwrap().contains("could not be started"));
}

#[test]
fn stopping_ends_the_loop_and_not_only_the_attempt() {
    let root = root();
    let task = root.conductor.tasks().start(task("echo $$ >pid; sleep 1000"), LONG).unwrap();
    let pid = number_in(&root.task_folder().join("pid"));
    let report = task.stop(Stop::because("enough"), LONG).unwrap();
    assert_eq!(report.signalled.len(), 1);
    assert!(!lives(pid));
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Stopped, 1));
    assert_eq!(result.reason.as_deref(), Some("enough"));
    assert!(!root.task_folder().join("STOP-REQUESTED").exists(), "the wish was carried out");
}

#[test]
fn a_stop_from_elsewhere_is_seen_by_the_driver() {
    let root = root();
    let task = root.conductor.tasks().start(task("echo $$ >pid; sleep 1000"), LONG).unwrap();
    number_in(&root.task_folder().join("pid"));
    let (project, id) = ids();
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| task.wait(LONG).unwrap());
        let other = open(&root.path());
        let stopped = other.tasks().get(&project, &id).unwrap();
        let report = stopped.stop(Stop::because("enough"), LONG).unwrap();
        // Also where the driver was faster.
        assert_eq!(report.signalled.len(), 1);
        assert_eq!(driver.join().unwrap().outcome, TaskOutcome::Stopped);
    });
    let (_, runs) = (0, root.conductor.runs().list(&project, &id).unwrap());
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].as_ref().unwrap().outcome(), Some(Outcome::Stopped));
}

#[test]
fn an_end_that_a_driver_died_on_is_brought_to_its_end_once() {
    let root = root();
    root.conductor.tasks().start(task("touch DONE"), LONG).unwrap().wait(LONG).unwrap();
    let told = root.told();
    let facts = messages(&root.conductor.bus("shop").unwrap()).len();
    // As of a driver that was killed right before it wrote that the loop is over.
    let path = root.task_folder().join(".loop.yaml");
    let state = fs::read_to_string(&path).unwrap();
    let ends = ["outcome: ", "ended_at: "];
    let open: String = state
        .lines()
        .filter(|line| !ends.iter().any(|end| line.starts_with(end)))
        .map(|line| line.replace("state: ended", "state: running") + "\n")
        .collect();
    fs::write(&path, open).unwrap();
    let (project, id) = ids();
    let result = root.conductor.tasks().attach(&project, &id).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 1));
    assert_eq!(root.told(), told);
    assert_eq!(messages(&root.conductor.bus("shop").unwrap()).len(), facts);
}

/// Whether this process runs this test alone; else lets another one do so. The watches of a process
/// share their notifiers, so that other tests in it wake who is to rest.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "CONDUCTOR_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    assert!(command.args([test, "--exact"]).env(ALONE, "1").status().unwrap().success());
    false
}

#[test]
fn a_stand_by_rests() {
    if !is_alone("a_stand_by_rests") {
        return;
    }
    let root = root();
    let mut host = host("host_drives_a_task", &root.path());
    host.says("started");
    let (project, id) = ids();
    let stand_by = root.conductor.tasks().attach(&project, &id).unwrap();
    until("the agent", || root.task_folder().join("count").exists());
    becomes_quiet(&stand_by);
    let mut looks = 0;
    let wait = Wait::from(Duration::from_millis(500));
    // A foreign loop: look, then wait for the descriptor.
    while wait.check().is_ok() {
        stand_by.step().unwrap();
        looks += 1;
        let left = wait.remaining().unwrap();
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let mut fds =
            [rustix::event::PollFd::from_borrowed_fd(stand_by.fd(), rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&timeout)).unwrap();
    }
    assert!(looks < 10, "looked {looks} times in half a second without news");
    fs::write(root.task_folder().join("go"), "").unwrap();
    stand_by.wait(LONG).unwrap();
}

/// A host that drives a task until it is killed.
#[test]
fn host_drives_a_task() {
    let Some(path) = std::env::var_os(HOST) else { return };
    let conductor = open(path.as_ref());
    let script = "echo x >>count; while [ ! -e go ]; do sleep 0.01; done; \
                  [ $(wc -l <count) -lt 3 ] || touch DONE";
    let task = conductor.tasks().start(task(script), LONG).unwrap();
    println!("started");
    task.wait(LONG).unwrap();
}

#[test]
fn a_task_goes_on_after_its_driver_died() {
    let root = root();
    let mut host = host("host_drives_a_task", &root.path());
    host.says("started");
    let (project, id) = ids();
    let info = || root.conductor.tasks().get(&project, &id).unwrap().info().unwrap();
    assert_eq!(info().driver, Some(host.child.id()));
    host.kill();
    assert_eq!((info().driver, info().is_unfinished()), (None, true));
    assert_eq!(info().attempts, Some(1));
    // The attempt in flight runs on; whoever attaches counts it, and goes on in the same series.
    let task = root.conductor.tasks().attach(&project, &id).unwrap();
    fs::write(root.task_folder().join("go"), "").unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 3));
    let starts = root.told().iter().filter(|line| line.starts_with("RUN_START")).count();
    let ends = root.told().iter().filter(|line| line.starts_with("RUN_STOP")).count();
    assert_eq!((starts, ends), (3, 3));
}

#[test]
fn a_stand_by_takes_over_when_the_driver_dies() {
    let root = root();
    let mut host = host("host_drives_a_task", &root.path());
    host.says("started");
    let (project, id) = ids();
    let stand_by = root.conductor.tasks().attach(&project, &id).unwrap();
    assert_eq!(stand_by.wait(Wait::NONE).unwrap_err().kind(), ErrorKind::Timeout);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| stand_by.wait(LONG).unwrap());
        host.kill();
        fs::write(root.task_folder().join("go"), "").unwrap();
        assert_eq!(waiting.join().unwrap().outcome, TaskOutcome::Done);
    });
}

#[test]
fn a_stop_that_the_dead_driver_missed_is_honoured_by_the_next() {
    let root = root();
    let mut host = host("host_drives_a_task", &root.path());
    host.says("started");
    let count = root.task_folder().join("count");
    until("the agent", || fs::read_to_string(&count).is_ok_and(|text| text == "x\n"));
    // The wish alone, as of a stopper that was killed right after it wrote it.
    host.kill();
    fs::write(root.task_folder().join("STOP-REQUESTED"), "2026-01-01T00:00:00Z\n").unwrap();
    let (project, id) = ids();
    let task = root.conductor.tasks().attach(&project, &id).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Stopped, 1));
    assert_eq!(fs::read_to_string(count).unwrap(), "x\n");
}

#[test]
fn other_parameters_than_the_drivers_are_a_conflict() {
    let root = root();
    let first = root.conductor.tasks().start(task("sleep 1000"), LONG).unwrap();
    let error = root.conductor.tasks().start(task("sleep 1000").max_attempts(7), LONG).unwrap_err();
    assert_eq!((error.code(), error.field()), ("task.driven_elsewhere", Some("max_attempts")));
    let error = root.conductor.tasks().start(task("other"), LONG).unwrap_err();
    assert_eq!(error.field(), Some("prompt"));
    // The same, or nothing but the name, attaches.
    root.conductor.tasks().start(task("sleep 1000"), LONG).unwrap();
    root.conductor.tasks().start(TaskSpec::new("shop").task("fix"), LONG).unwrap();
    first.stop(Stop::because("end of the test"), LONG).unwrap();
}

#[test]
fn what_is_done_is_not_done_again_unless_resumed() {
    let root = root();
    let once = "echo x >>count; touch DONE";
    let start = |spec| root.conductor.tasks().start(spec, LONG);
    start(task(once)).unwrap().wait(LONG).unwrap();
    let told = root.told().len();
    let result = start(task(once)).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 1));
    assert_eq!(root.told().len(), told, "nothing was begun, nothing told");
    let error = start(task("something else")).unwrap_err();
    assert_eq!((error.code(), error.field()), ("task.already_done", Some("prompt")));
    let again = root.conductor.tasks().resume(TaskSpec::new("shop").task("fix"), LONG).unwrap();
    assert_eq!(again.wait(LONG).unwrap().attempts, 1);
    assert_eq!(fs::read_to_string(root.task_folder().join("count")).unwrap(), "x\nx\n");
    // The completion is told once for each state of the task's facts.
    assert_eq!(messages(&root.conductor.bus("shop").unwrap()).len(), 2);
}

/// A disk on which no state of a loop can be written.
#[derive(Default)]
struct NoLoop;

impl Hook for NoLoop {
    fn renames(&self, _: (&Fd, &OsStr), (_, name): (&Fd, &OsStr)) -> std::io::Result<()> {
        match name == ".loop.yaml" {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

#[test]
fn a_refused_resume_changes_nothing() {
    let root = root();
    root.conductor.tasks().start(task("touch DONE"), LONG).unwrap().wait(LONG).unwrap();
    let read = |name| fs::read(root.task_folder().join(name)).unwrap();
    let before = (read("DONE"), read(".loop.yaml"), root.told());
    let long = TaskSpec::new("shop").task("fix").prompt("x".repeat(5 << 20));
    let error = root.conductor.tasks().resume(long, LONG).unwrap_err();
    assert_eq!(error.code(), "loop.too_large");
    assert_eq!((read("DONE"), read(".loop.yaml"), root.told()), before);

    let full = open_hooked(&root.path(), &Arc::new(NoLoop));
    let error = full.tasks().resume(TaskSpec::new("shop").task("fix"), LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!((read("DONE"), read(".loop.yaml"), root.told()), before);
    let (project, id) = ids();
    full.tasks().set_back(&project, &id, LONG).unwrap_err();
    assert_eq!((read("DONE"), read(".loop.yaml"), root.told()), before);
}

#[test]
fn a_cancelled_task_starts_only_when_resumed() {
    let root = root();
    let task_handle = root.conductor.tasks().start(task("sleep 1000"), LONG).unwrap();
    let (project, id) = ids();
    drop(task_handle);
    root.conductor.tasks().cancel(&project, &id, Stop::because("no more"), LONG).unwrap();
    let note = fs::read_to_string(root.task_folder().join("CANCELLED")).unwrap();
    assert!(note.starts_with("cancelled_at: ") && note.ends_with("reason: no more\n"), "{note}");
    let error = root.conductor.tasks().start(task("sleep 1000"), LONG).unwrap_err();
    assert_eq!(error.code(), "task.cancelled");
    let again = root.conductor.tasks().resume(task("touch DONE"), LONG).unwrap();
    assert_eq!(again.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert!(!root.task_folder().join("CANCELLED").exists());
}

#[test]
fn a_task_waits_for_those_it_depends_on() {
    let root = root();
    let second = TaskSpec::new("shop").task("second").agent("shell").prompt("touch DONE");
    let second = root.conductor.tasks().start(second.depends_on(["fix"]), LONG).unwrap();
    let info = second.info().unwrap();
    assert_eq!(info.blocked_by, [ids().1]);
    assert_eq!(info.waiting.unwrap().what, "dependencies: fix");
    assert_eq!(info.runs, 0);
    root.conductor.tasks().start(task("touch DONE"), LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(second.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    let bus = root.conductor.bus(("shop", "second")).unwrap();
    let told: Vec<_> = messages(&bus).into_iter().map(|m| m.body).collect();
    assert_eq!(told[0].trim_end(), "task blocked by dependencies: fix");
    assert_eq!(told[1].trim_end(), "dependencies satisfied; starting task");
    let spec = TaskSpec::new("shop").task("fix").agent("shell").prompt("x").depends_on(["second"]);
    let error = root.conductor.tasks().start(spec, LONG).unwrap_err();
    assert_eq!(error.code(), "task.dependency_cycle");
    assert!(error.to_string().contains("fix -> second -> fix"), "{error}");
}

#[test]
fn a_finished_task_waits_for_its_children() {
    let root = root();
    let script = "echo $JRUN_ID >parent; while [ ! -e go ]; do sleep 0.01; done; touch DONE";
    let task_handle = root.conductor.tasks().start(task(script), LONG).unwrap();
    let parent_file = root.task_folder().join("parent");
    until("the parent's id", || {
        fs::read_to_string(&parent_file).is_ok_and(|id| id.ends_with('\n'))
    });
    let parent = fs::read_to_string(parent_file).unwrap();
    let child = job("while [ ! -e end ]; do sleep 0.01; done").parent_run_id(parent.trim());
    let child = root.conductor.jobs().start(child, LONG).unwrap();
    fs::write(root.task_folder().join("go"), "").unwrap();
    until("the wait for children", || {
        assert!(task_handle.wait(Wait::NONE).is_err(), "ended before its child");
        task_handle.info().unwrap().waiting.is_some_and(|w| w.what.starts_with("children: "))
    });
    fs::write(root.task_folder().join("end"), "").unwrap();
    assert_eq!(task_handle.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert_eq!(child.info().unwrap().outcome(), Some(Outcome::Completed));
    assert!(root.told().contains(&"INFO task completed (all children finished)".into()));
}

#[test]
fn a_stopped_parent_takes_its_children_along() {
    let root = root();
    let task_handle =
        root.conductor.tasks().start(task("echo $JRUN_ID >parent; sleep 1000"), LONG).unwrap();
    let parent_file = root.task_folder().join("parent");
    until("the parent's id", || {
        fs::read_to_string(&parent_file).is_ok_and(|id| id.ends_with('\n'))
    });
    let parent = fs::read_to_string(parent_file).unwrap();
    let child =
        conductor_core::JobSpec::new("shop").task("other").agent("shell").prompt("sleep 1000");
    let child = root.conductor.jobs().start(child.parent_run_id(parent.trim()), LONG).unwrap();
    let report = task_handle.stop(Stop::because("enough"), LONG).unwrap();
    assert_eq!(report.signalled.len(), 2);
    assert_eq!(child.info().unwrap().outcome(), Some(Outcome::Stopped));
}

#[test]
fn deleting_a_task_needs_it_to_be_over() {
    let root = root();
    let (project, id) = ids();
    let handle = root.conductor.tasks().start(task("echo $$ >pid; sleep 1000"), LONG).unwrap();
    let pid = number_in(&root.task_folder().join("pid"));
    let tasks = root.conductor.tasks();
    let error = tasks.delete(&project, &id, None, Duration::from_secs(1)).unwrap_err();
    assert_eq!((error.code(), error.field()), ("task.running", Some("task")));
    drop(handle);
    tasks.delete(&project, &id, Some(Stop::because("deleted")), LONG).unwrap();
    assert!(!lives(pid) && !root.task_folder().exists());
    assert_eq!(fs::read_dir(root.path().join(".conductor/trash")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(root.path().join(".conductor/open")).unwrap().count(), 0);
    let error = tasks.delete(&project, &id, None, LONG).unwrap_err();
    assert_eq!(error.code(), "task.not_found");
}

#[test]
fn a_folder_in_place_of_done_is_named() {
    let root = root();
    let started = root.conductor.tasks().start(task("mkdir DONE; sleep 0.1"), LONG);
    let error = started.and_then(|task| task.wait(LONG)).unwrap_err();
    assert_eq!((error.code(), error.field()), ("path.not_a_file", Some("DONE")));
    assert!(error.hint().contains("DONE"));
}

#[test]
fn a_variable_whose_value_is_not_kept_must_be_given_again() {
    let root = root();
    let spec = task("[ \"$SECRET\" = s3 ] && touch DONE").env("SECRET", "s3").max_attempts(1);
    root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    let state = fs::read_to_string(root.task_folder().join(".loop.yaml")).unwrap();
    assert!(state.contains("SECRET") && !state.contains("s3"), "{state}");
    let error = root.conductor.tasks().resume(TaskSpec::new("shop").task("fix"), LONG).unwrap_err();
    assert_eq!((error.code(), error.field()), ("env.missing", Some("env")));
}

/// Steps until the descriptor is quiet; a wait that never is would spin.
fn becomes_quiet(task: &conductor_core::Task) {
    until("a step that does not wake the next", || {
        assert_eq!(task.step().unwrap(), conductor_core::Step::Pending);
        // Long enough for a wake-up that the step itself caused, far shorter than the safety poll.
        sleeps(task.fd(), Duration::from_millis(100))
    });
}

#[test]
fn an_idle_driver_and_an_idle_stand_by_are_quiet() {
    if !is_alone("an_idle_driver_and_an_idle_stand_by_are_quiet") {
        return;
    }
    let root = root();
    let driver = root.conductor.tasks().start(task("sleep 1000"), LONG).unwrap();
    let (project, id) = ids();
    becomes_quiet(&driver);
    let stand_by = open(&root.path()).tasks().attach(&project, &id).unwrap();
    let onlooker = root.conductor.tasks().get(&project, &id).unwrap();
    becomes_quiet(&stand_by);
    becomes_quiet(&onlooker);
    becomes_quiet(&driver);
    driver.stop(Stop::because("end of the test"), LONG).unwrap();
}

#[test]
fn an_agent_that_deletes_its_own_run_is_waited_for_and_its_end_is_lost() {
    let root = root();
    let script = "echo x >>count; rm -rf $JRUN_RUN_FOLDER; touch gone; \
                  while [ ! -e go ]; do sleep 0.01; done; [ $(wc -l <count) -lt 2 ] || touch DONE";
    let task = root.conductor.tasks().start(task(script), LONG).unwrap();
    let count = root.task_folder().join("count");
    until("the agent", || root.task_folder().join("gone").exists());
    // Nobody starts a second one beside it.
    assert_eq!(task.wait(Duration::from_millis(100)).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");
    fs::write(root.task_folder().join("go"), "").unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
    let told = root.told();
    let ends = told.iter().filter(|line| line.starts_with("RUN_CRASH run lost: its folder"));
    assert_eq!(ends.count(), 2, "{told:?}");
    assert_eq!(fs::read_dir(root.path().join(".conductor/open")).unwrap().count(), 0);
}

#[test]
fn a_task_whose_loop_file_is_damaged_can_be_stopped() {
    let root = root();
    let script = "echo '{' >.loop.yaml; echo $$ >pid; sleep 1000";
    let handle = root.conductor.tasks().start(task(script), LONG).unwrap();
    let pid = number_in(&root.task_folder().join("pid"));
    let (project, id) = ids();
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| handle.wait(LONG).unwrap());
        let other = open(&root.path()).tasks().get(&project, &id).unwrap();
        other.stop(Stop::because("enough"), LONG).unwrap();
        assert!(!lives(pid));
        assert_eq!(driver.join().unwrap().outcome, TaskOutcome::Stopped);
    });
    assert!(!handle.info().unwrap().is_unfinished(), "the driver wrote the file anew");
    // With nobody to write it anew, all that lives ends, and then the damage is told.
    let run = root.conductor.jobs().start(job("sleep 1000"), LONG).unwrap();
    fs::write(root.task_folder().join(".loop.yaml"), "{").unwrap();
    let error = handle.stop(Stop::because("enough"), LONG).unwrap_err();
    assert_eq!(error.path(), Some(&*root.task_folder().join(".loop.yaml")));
    assert_eq!(run.info().unwrap().outcome(), Some(Outcome::Stopped));
}

#[test]
fn a_prompt_that_no_loop_file_can_keep_is_refused_before_anything_changes() {
    let root = root();
    root.conductor.tasks().start(task("touch DONE"), LONG).unwrap().wait(LONG).unwrap();
    fs::remove_file(root.task_folder().join("DONE")).unwrap();
    let before = fs::read(root.task_folder().join(".loop.yaml")).unwrap();
    let long = format!("touch DONE #{}", "x".repeat(5 << 20));
    let error = root.conductor.tasks().start(task(&long), LONG).unwrap_err();
    assert_eq!((error.code(), error.field()), ("loop.too_large", Some("prompt")));
    assert_eq!(fs::read(root.task_folder().join(".loop.yaml")).unwrap(), before);
    // The first prompt of a task may be as long as a prompt may be.
    let fresh = task(&long).task("fresh");
    let result = root.conductor.tasks().start(fresh, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(result.outcome, TaskOutcome::Done);
}
