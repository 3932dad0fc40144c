//! Runs of another pid namespace, as of a container, seen from the next one.

use crate::idle::files;
use crate::kit::*;
use crate::slots::kill;
use crate::support::*;
use conductor_core::{JobSpec, Outcome, RunInfo, TaskOutcome, TaskSpec};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a container is here: its processes have numbers of their own, and end with its first one.
const CONTAINER: [&str; 4] = ["--pid", "--fork", "--kill-child", "--mount-proc"];
/// What the hosts are told: the script of the agent.
const SCRIPT: &str = "CONDUCTOR_TEST_SCRIPT";

/// Whether containers can be made here; says so where not.
fn can_be_made() -> bool {
    let mut command = Command::new("unshare");
    let made = command.args(CONTAINER).arg("true").stderr(Stdio::null()).status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        eprintln!("SKIPPED: no pid namespace can be made here (that needs root, and unshare)");
        assert!(std::env::var_os("CONDUCTOR_TEST_STRICT").is_none(), "pid namespaces are missing");
    }
    made
}

/// A process of the shop in a container of its own.
fn container(shop: &Shop, name: &str, script: &str) -> Host {
    let mut command = Command::new("unshare");
    command.args(CONTAINER).arg(std::env::current_exe().unwrap());
    host_by(command, name, shop.dir(), &[(SCRIPT, script)])
}

/// Ends a container, and waits until nothing of it lives: its first process ends last, and can be waited
/// for when its last thread has ended all others. (One of which only the first thread ended looks like a
/// zombie before that.)
fn end(mut host: Host) {
    kill(first_of(&host));
    host.child.wait().unwrap();
}

/// The first process of a container, by its number here.
fn first_of(host: &Host) -> u32 {
    let path = format!("/proc/{pid}/task/{pid}/children", pid = host.child.id());
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

fn script() -> String {
    std::env::var(SCRIPT).unwrap()
}

fn spec(script: &str) -> TaskSpec {
    let delay = Duration::from_millis(10);
    TaskSpec::new("shop").task("fix").agent("shell").prompt(script).restart_delay(delay)
}

#[test]
fn host_drives_in_a_container() {
    let Some((_, conductor)) = hosted() else { return };
    let task = conductor.tasks().start(spec(&script()), LONG).unwrap();
    println!("drives");
    println!("{}", task.wait(LONG).unwrap().outcome.as_str());
}

/// Starts a run, and kills its keeper once its agent says so.
#[test]
fn host_loses_a_keeper() {
    let Some((dir, conductor)) = hosted() else { return };
    let job = JobSpec::new("shop").task("fix").agent("shell").prompt(script());
    let run = conductor.jobs().start(job, LONG).unwrap();
    until("the agent is ready", || dir.join("ready").exists());
    let keeper = run.info().unwrap().record.keeper_pid.unwrap();
    kill(keeper);
    until("the keeper is gone", || !lives(keeper));
    println!("alone");
    std::thread::sleep(Duration::from_secs(1000));
}

/// Closes what is over, from a container of its own.
#[test]
fn host_looks_from_a_container() {
    let Some((_, conductor)) = hosted() else { return };
    conductor.reconcile(LONG).unwrap();
}

fn looks_from_a_container(shop: &Shop) -> RunInfo {
    let mut host = container(shop, "containers::host_looks_from_a_container", "");
    assert!(host.child.wait().unwrap().success());
    shop.runs("fix").remove(0)
}

#[test]
fn a_task_goes_on_in_the_next_container() {
    if !can_be_made() {
        return;
    }
    let shop = Shop::new("");
    let script = "if [ -e again ]; then touch DONE; exit; fi; touch again; exec sleep 1000";
    let mut first = container(&shop, "containers::host_drives_in_a_container", script);
    first.says("drives");
    until("its agent works", || shop.root.path().join("shop/fix/again").exists());
    // A namespace beside it: as long as the run lives, nobody there takes it for dead.
    assert_eq!(looks_from_a_container(&shop).record.outcome, None);
    let mut second = container(&shop, "containers::host_drives_in_a_container", script);
    second.says("drives");
    end(first);
    second.says(TaskOutcome::Done.as_str());
    assert!(second.child.wait().unwrap().success());
    let runs = shop.runs("fix");
    let outcomes: Vec<_> = runs.iter().map(|run| run.outcome()).collect();
    assert_eq!(outcomes, [Some(Outcome::Lost), Some(Outcome::Completed)]);
    let why = runs[0].record.error_summary.as_deref().unwrap();
    assert!(why.contains("its container is gone"), "{why}");
}

#[test]
fn who_stands_by_for_a_driver_in_another_container_rests_between_two_looks() {
    if !can_be_made() {
        return;
    }
    let shop = Shop::new("");
    let script = "if [ -e again ]; then touch DONE; exit; fi; touch again; exec sleep 1000";
    let mut first = container(&shop, "containers::host_drives_in_a_container", script);
    first.says("drives");
    let task = shop.conductor().tasks().start(spec(script), LONG).unwrap();
    until("it rests for three short looks", || {
        task.step().unwrap();
        sleeps(task.fd(), Duration::from_millis(60))
    });
    end(first);
    assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
}

/// Runs the script in a container, kills its keeper alone, and looks from beside it and from here.
fn alone(script: &str, look: impl FnOnce(&Shop)) -> Option<RunInfo> {
    if !can_be_made() {
        return None;
    }
    let shop = Shop::new("");
    let ready = shop.dir().join("ready");
    let script = format!("{script}; touch {}; sleep 1000; :", ready.display());
    let mut host = container(&shop, "containers::host_loses_a_keeper", &script);
    host.says("alone");
    look(&shop);
    // As long as it is open, the next container does not get the number of this one's namespace: to that the
    // numbers of this one's processes would be its own.
    let _namespace = fs::File::open(format!("/proc/{}/ns/pid", first_of(&host))).unwrap();
    end(host);
    Some(looks_from_a_container(&shop))
}

/// Neither from beside the container nor from the machine that it is on.
fn is_left_alone(shop: &Shop) {
    assert_eq!(looks_from_a_container(shop).record.outcome, None);
    shop.conductor().reconcile(LONG).unwrap();
    let info = shop.runs("fix").remove(0);
    assert_eq!((info.record.outcome, info.alive), (None, None));
}

#[test]
fn an_agent_without_its_keeper_is_not_taken_for_dead_and_is_once_its_container_is_gone() {
    let Some(end) = alone("true", is_left_alone) else { return };
    assert_eq!(end.record.outcome, Some(Outcome::Lost));
}

#[test]
fn one_of_its_streams_is_enough() {
    let Some(end) = alone("exec >/dev/null", is_left_alone) else { return };
    assert_eq!(end.record.outcome, Some(Outcome::Lost));
    let Some(end) = alone("exec 2>&-", is_left_alone) else { return };
    assert_eq!(end.record.outcome, Some(Outcome::Lost));
}

#[test]
fn an_agent_that_closed_its_output_is_seen_from_the_machine_that_its_container_is_on() {
    let script = "exec </dev/null >/dev/null 2>&1";
    let looked = alone(script, |shop| {
        shop.conductor().reconcile(LONG).unwrap();
        let info = shop.runs("fix").remove(0);
        assert_eq!((info.record.outcome, info.alive), (None, None));
    });
    let Some(end) = looked else { return };
    assert_eq!(end.record.outcome, Some(Outcome::Lost));
}

#[test]
fn output_that_the_agent_put_in_the_place_of_its_own_proves_nothing() {
    let script = "cd \"$JRUN_RUN_FOLDER\"; mv agent-stdout.txt old; touch agent-stdout.txt; cd /";
    let Some(end) = alone(script, is_left_alone) else { return };
    assert_eq!((end.record.outcome, end.alive), (None, None), "nor does it when all are gone");
}

#[test]
fn a_run_whose_starter_noted_no_locks_is_left_alone() {
    let look = |shop: &Shop| {
        let folder = &shop.runs("fix")[0].folder;
        let keeper = fs::File::options().write(true).open(folder.join(".keeper")).unwrap();
        // As an earlier version has it: no note of the starter.
        keeper.write_all_at(&[0; 3072], 1024).unwrap();
        is_left_alone(shop);
    };
    let Some(end) = alone("true", look) else { return };
    assert_eq!((end.record.outcome, end.alive), (None, None));
}

/// Files are all that was made: who looked has written nothing.
#[test]
fn a_look_writes_nothing() {
    let look = |folder: &Path| {
        let mut found = BTreeMap::new();
        files(folder, &mut found);
        found
    };
    alone("true", |shop| {
        let folder = shop.runs("fix")[0].folder.clone();
        let before = look(&folder);
        let info = shop.runs("fix").remove(0);
        assert_eq!((info.alive, look(&folder)), (None, before));
    });
}
