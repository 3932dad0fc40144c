//! Programs in the terminal of their starter, through the library alone: what a host in any language
//! would do. Real terminals and shells are in the tests of the command.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use conductor_core::{
    Change, ErrorKind, JobSpec, Outcome, Passed, ProgramEnd, RunInfo, Step, Stop, Wait, Wrapped,
};
use std::fs;
use std::time::{Duration, Instant};
use support::*;

fn spec(script: &str) -> JobSpec {
    JobSpec::new("shop").task("fix").command(["sh", "-c", script])
}

fn wrapped(root: &Root, script: &str) -> Wrapped {
    root.conductor.jobs().wrap(spec(script), LONG).unwrap()
}

/// What happens next, looked for as a host with no handler for SIGCHLD would.
fn next(wrapped: &mut Wrapped) -> Change {
    loop {
        if let Step::Ready(change) = wrapped.step().unwrap() {
            return change;
        }
        std::thread::yield_now();
    }
}

fn end(wrapped: &mut Wrapped) -> RunInfo {
    match next(wrapped) {
        Change::Ended(info) => *info,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrapped_program_is_a_run_that_its_host_keeps() {
    let root = root();
    let gate = root.dir.path().join("gate");
    let mut wrapped =
        wrapped(&root, &format!("until [ -e '{}' ]; do :; done; exit 3", gate.display()));
    let living = wrapped.run().info().unwrap();
    assert_eq!((living.alive, wrapped.end()), (Some(true), None));
    assert_eq!(living.record.keeper_pid, Some(std::process::id()));
    assert!(living.record.attached);
    // Nobody else finishes it while it lives.
    assert!(root.conductor.reconcile(Wait::NONE).unwrap().is_empty());
    fs::write(&gate, "").unwrap();
    let info = end(&mut wrapped);
    assert_eq!((info.outcome(), info.record.exit_code), (Some(Outcome::Failed), 3));
    assert_eq!(wrapped.end(), Some(ProgramEnd::Code(3)));
    // Asked again, it says the same.
    assert_eq!(end(&mut wrapped).record, info.record);
    let told = root.told();
    assert_eq!(told.len(), 2, "{told:?}");
    let why = wrapped.run().why().unwrap();
    assert!(why.because.contains("exited with 3") || why.because.contains("code 3"), "{why:?}");
}

#[test]
fn whoever_stops_the_run_is_heard_by_its_host_and_signals_nobody_else() {
    let root = root();
    for force in [false, true] {
        let begun = Instant::now();
        let mut wrapped = wrapped(&root, "exec sleep 1000");
        let run = wrapped.run().clone();
        let stopper = std::thread::spawn(move || {
            run.stop(Stop::because("enough").force(force), LONG).unwrap()
        });
        let info = end(&mut wrapped);
        let report = stopper.join().unwrap();
        assert_eq!(report.signalled, std::slice::from_ref(&info.id));
        assert_eq!(info.outcome(), Some(Outcome::Stopped));
        assert_eq!(info.record.stop_reason.as_deref(), Some("enough"));
        let signal = if force { 9 } else { 15 };
        assert_eq!(wrapped.end(), Some(ProgramEnd::Signal(signal)));
        // Who stops it by force looks after it himself when its host lets him wait for a second.
        let slow = force && begun.elapsed() > Duration::from_secs(1);
        assert!(report.killed == u32::from(force) || slow, "{report:?}");
    }
}

#[test]
fn a_stop_is_told_and_the_program_goes_on() {
    let root = root();
    let mut wrapped = wrapped(&root, "kill -STOP $$; exit 5");
    assert!(matches!(next(&mut wrapped), Change::Paused(_)));
    wrapped.go_on().unwrap();
    assert_eq!(end(&mut wrapped).record.exit_code, 5);
    wrapped.go_on().unwrap();
    wrapped.pass_on(Passed::Interrupt).unwrap();
    wrapped.stop(true).unwrap();
    assert_eq!(wrapped.run().info().unwrap().outcome(), Some(Outcome::Failed));
}

#[test]
fn signals_are_passed_on_as_they_are() {
    let root = root();
    let ready = root.path().join("ready");
    // What this process ignores, as one in the background of a shell does, the program does not.
    let script = format!(
        "exec env --default-signal=INT,QUIT,HUP sh -c 'touch \"{}\"; exec sleep 1000'",
        ready.display()
    );
    for (signal, number) in [(Passed::Interrupt, 2), (Passed::Quit, 3), (Passed::HangUp, 1)] {
        let _before = std::fs::remove_file(&ready);
        let mut wrapped = wrapped(&root, &script);
        until("it runs", || ready.exists());
        wrapped.pass_on(signal).unwrap();
        assert_eq!(end(&mut wrapped).record.signal, Some(number));
    }
}

#[test]
fn what_is_wrong_is_told_before_anything_is_made() {
    let root = root();
    let refused = |spec: JobSpec| root.conductor.jobs().wrap(spec, LONG).unwrap_err();
    let limit = refused(spec("true").idle_timeout(Duration::from_secs(1)));
    assert_eq!((limit.code(), limit.field()), ("limit.unused", Some("idle_timeout")));
    assert_eq!(refused(JobSpec::new("shop")).code(), "agent.command_missing");
    assert_eq!(refused(spec("true").cwd("/nonexistent")).code(), "cwd.not_a_folder");
    assert_eq!(refused(spec("true").env("JRUN_ID", "x")).code(), "env.reserved");
    assert_eq!(refused(spec("true").task("../x")).kind(), ErrorKind::InvalidInput);
    assert!(!root.path().exists());
}

#[test]
fn a_host_that_waits_for_all_its_children_loses_the_end_and_nothing_else() {
    let root = root();
    let mut wrapped = wrapped(&root, "exit 3");
    let pid = i32::try_from(wrapped.run().info().unwrap().record.pid).unwrap();
    let pid = rustix::process::Pid::from_raw(pid);
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
    assert_eq!(end(&mut wrapped).outcome(), Some(Outcome::Lost));
    assert_eq!(wrapped.end(), Some(ProgramEnd::Unseen));
}

#[test]
fn the_group_of_a_program_that_somebody_else_waited_for_is_not_signalled() {
    let root = root();
    let left = root.dir.path().join("left");
    // Only its group tells that it is of the run, and the number may be that of strangers by then.
    let mut wrapped = wrapped(&root, &format!("env -i sleep 1000 & echo $! >'{}'", left.display()));
    let sleeper = number_in(&left);
    until("nothing marks it", || {
        fs::read_to_string(format!("/proc/{sleeper}/comm")).unwrap() == "sleep\n"
    });
    let pid = i32::try_from(wrapped.run().info().unwrap().record.pid).unwrap();
    let pid = rustix::process::Pid::from_raw(pid);
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
    wrapped.stop(true).unwrap();
    end(&mut wrapped);
    assert_eq!(wrapped.end(), Some(ProgramEnd::Unseen));
    assert!(lives(sleeper));
    let pid = rustix::process::Pid::from_raw(i32::try_from(sleeper).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_host_that_drops_it_loses_no_end_that_it_could_have_known() {
    let root = root();
    let id = {
        let wrapped = wrapped(&root, "exit 0");
        wrapped.run().id().clone()
    };
    // The child of this process is a zombie: it has ended, and nobody saw how.
    loop {
        let closed = root.conductor.reconcile(Wait::NONE).unwrap();
        if let Some(run) = closed.first() {
            assert_eq!((&run.id, run.outcome()), (&id, Some(Outcome::Lost)));
            break;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_run_whose_host_lives_on_is_over_for_everybody() {
    let root = root();
    let mut wrapped = wrapped(&root, "exit 0");
    end(&mut wrapped);
    let (project, task) = ids();
    root.conductor.tasks().delete(&project, &task, None, LONG).unwrap();
    assert!(!root.task_folder().exists());
}

#[test]
fn what_a_program_leaves_behind_lives_on_although_nobody_saw_it_end() {
    let root = root();
    let left = root.dir.path().join("left");
    drop(wrapped(&root, &format!("sleep 1000 & echo $! >'{}'", left.display())));
    let pid = number_in(&left);
    until("it is closed", || !root.conductor.reconcile(Wait::NONE).unwrap().is_empty());
    assert!(lives(pid), "an editor, say, is its user's");
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
