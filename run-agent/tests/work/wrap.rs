//! `wrap`: a program between a person and a terminal, in front of real shells on real terminals.

use crate::support::{cli, conductor, run_agent};
use crate::terminal::{Terminal, await_end};
use crate::workshop::*;
use conductor_core::{Outcome, RunInfo, Status};
use conductor_tests::agents::{open_gate, put};
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Instant;

const CTRL_C: &[u8] = b"\x03";
const CTRL_Z: &[u8] = b"\x1a";

/// `run-agent wrap` of p/t around a script, on no terminal.
fn wrap(sandbox: &Sandbox, script: &str) -> Program {
    run_agent(sandbox, ["wrap", "--project", "p", "--task", "t", "--agent", "sh"])
        .args(["--", "-c", script])
}

/// The same on a line of a shell, around a script of this name.
fn line(sandbox: &Sandbox, name: &str, script: &str) -> String {
    let path = sandbox.work().join(name);
    fs::write(&path, script).unwrap();
    format!("$RA wrap --project p --task t --agent sh -- {name}")
}

fn only(sandbox: &Sandbox) -> RunInfo {
    let mut runs = runs(sandbox);
    assert_eq!(runs.len(), 1);
    runs.pop().unwrap()
}

/// A process, to be waited for.
fn held(pid: i64) -> OwnedFd {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

#[test]
fn without_a_terminal_streams_code_and_record_are_the_programs() {
    let sandbox = Sandbox::new();
    let program = wrap(&sandbox, "cat; echo complaint >&2; exit 7").stdin("piped").run();
    let finished = program.expect_code(7);
    assert_eq!((&*finished.stdout, &*finished.stderr), ("piped", "complaint\n"));
    let run = only(&sandbox);
    assert_eq!((run.outcome(), run.record.exit_code), (Some(Outcome::Failed), 7));
    assert_eq!(run.status(), Status::Failed);
    assert!(run.record.attached);
    assert_eq!(run.record.agent, "sh");
    assert_eq!(run.record.pgid, run.record.pid);
    assert_ne!(run.record.keeper_pid.map(i64::from), Some(run.record.pid));
    assert_eq!((count(&sandbox, "RUN_START"), count(&sandbox, "RUN_CRASH")), (1, 1));
    let output = fs::read_to_string(run.folder.join("output.md")).unwrap();
    assert!(output.contains("not recorded"), "{output}");
    assert!(fs::read_dir(sandbox.root().join(".conductor/open")).unwrap().next().is_none());
}

#[test]
fn the_program_knows_its_run_and_keeps_what_its_user_has_set() {
    let sandbox = Sandbox::new();
    let script = "echo \"$JRUN_PROJECT_ID $JRUN_TASK_ID $OPENAI_API_KEY $PWD\"; \
                  run-agent bus post --type FACT --body \"from $JRUN_ID\"";
    let finished = wrap(&sandbox, script).env("OPENAI_API_KEY", "mine").succeed();
    let first = finished.stdout.lines().next().unwrap().to_owned();
    assert_eq!(first, format!("p t mine {}", sandbox.work().display()));
    let fact = messages(&sandbox).into_iter().find(|message| message.msg_type == "FACT").unwrap();
    assert_eq!(fact.body, format!("from {}", only(&sandbox).id));
}

#[test]
fn a_program_that_a_signal_ended_ends_the_wrapper_by_the_same() {
    let sandbox = Sandbox::new();
    for signal in [Signal::TERM, Signal::KILL, Signal::INT, Signal::SEGV] {
        let script = format!("kill -{} $$", signal.as_raw());
        let status = wrap(&sandbox, &script).run().status;
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        assert!(!status.core_dumped());
        let run = runs(&sandbox).pop().unwrap();
        assert_eq!(run.outcome(), Some(Outcome::Killed));
        assert_eq!(run.record.exit_code, 128 + signal.as_raw());
    }
}

#[test]
fn it_works_anywhere_and_says_nothing_of_its_own() {
    let sandbox = Sandbox::new();
    let finished = run_agent(&sandbox, ["wrap", "--agent", "true"]).succeed();
    assert_eq!((&*finished.stdout, &*finished.stderr), ("", ""));
    let project = "terminal".parse().unwrap();
    let tasks = conductor(&sandbox).tasks().list(&project).unwrap();
    let task = tasks.into_iter().next().unwrap().unwrap();
    assert_eq!(task.latest.unwrap().outcome(), Some(Outcome::Completed));
    assert!(task.id.as_str().ends_with("-true-in-a-terminal-used-by-a-person"), "{}", task.id);
}

#[test]
fn what_cannot_be_run_is_an_error_and_is_recorded_where_it_began() {
    let sandbox = Sandbox::new();
    let finished = run_agent(&sandbox, ["wrap", "--agent", "no-such-program"]).run();
    assert!(finished.expect_code(25).stderr.contains("is not on PATH"));
    assert!(!sandbox.root().exists());

    let path = sandbox.work().join("broken");
    put(&path, "\x7fELF and nothing else");
    let program = run_agent(&sandbox, ["wrap", "--project", "p", "--task", "t", "--agent"]);
    let finished = program.arg(&path).run().expect_code(25);
    assert!(finished.stderr.contains("could not be started"), "{}", finished.stderr);
    let run = only(&sandbox);
    assert_eq!(run.outcome(), Some(Outcome::Refused));
    assert!(run.record.error_summary.unwrap().contains("could not be started"));
}

#[test]
fn the_program_is_in_front_of_the_terminal_in_a_group_of_its_own() {
    let sandbox = Sandbox::new();
    let mut shell = Terminal::shell(&sandbox);
    let line = line(
        &sandbox,
        "look",
        // It is not asked to read: a signal that comes just before is heeded behind what is read only.
        "set -- $(cat /proc/$$/stat)\n\
         [ -t 0 ] && [ -t 1 ] && [ \"$5\" = $$ ] && [ \"$8\" = $$ ] && echo alone-in-front\n\
         trap 'echo now-$(stty size)' WINCH\n\
         trap 'echo interrupted; exit 9' INT\n\
         echo begun\n\
         while :; do sleep 0.1; done",
    );
    let text = shell.answer(&line, "begun");
    assert!(text.contains("alone-in-front"), "{text}");
    shell.resize(31, 97);
    shell.wait_for("the new size", |text| text.contains("now-31 97"));
    shell.press_for(CTRL_C, "interrupted");
    shell.answer("echo code-$?", "code-9");
    let run = only(&sandbox);
    assert_eq!((run.outcome(), run.record.exit_code), (Some(Outcome::Failed), 9));
}

#[test]
fn ctrl_z_stops_the_job_and_the_shell_goes_on_with_it() {
    let sandbox = Sandbox::new();
    let mut shell = Terminal::shell(&sandbox);
    let script = "echo begun; read one; echo \"one:$one\"; read two; echo \"two:$two\"; exit 4";
    let line = line(&sandbox, "talk", script);
    shell.answer(&line, "begun");
    shell.press_for(CTRL_Z, "Stopped");
    shell.answer("jobs", "[1]+");
    let living = only(&sandbox);
    assert_eq!((living.alive, living.outcome()), (Some(true), None));
    // In front again, it reads what is typed.
    shell.answer("fg", "wrap --project p");
    shell.answer("hello", "one:hello");
    // Once more, and on in the background, where reading stops it.
    shell.press_for(CTRL_Z, "Stopped");
    shell.answer("bg; wait %1; jobs -l", "Stopped (tty input)");
    shell.answer("fg", "wrap --project p");
    shell.answer("world", "two:world");
    shell.answer("echo code-$?", "code-4");
    assert_eq!(only(&sandbox).record.exit_code, 4);
}

#[test]
fn a_job_in_the_background_that_reads_is_stopped_by_the_terminal() {
    let sandbox = Sandbox::new();
    let mut shell = Terminal::shell(&sandbox);
    let line = line(&sandbox, "reader", "read it; echo \"got:$it\"");
    shell.answer(&format!("{line} &"), "[1] ");
    shell.answer("wait %1; jobs -l", "Stopped (tty input)");
    shell.answer("fg", "wrap --project p");
    shell.answer("this", "got:this");
}

#[test]
fn ctrl_z_stops_a_script_around_it_as_a_whole() {
    let sandbox = Sandbox::new();
    let inner = line(&sandbox, "inner", "echo begun; read it; echo \"it:$it\"");
    fs::write(sandbox.work().join("outer"), format!("{inner}\necho after-$?\n")).unwrap();
    let mut shell = Terminal::shell(&sandbox);
    shell.answer("sh outer", "begun");
    shell.press_for(CTRL_Z, "Stopped");
    shell.answer("fg", "sh outer");
    let text = shell.answer("x", "after-0");
    assert!(text.contains("it:x"), "{text}");
}

#[test]
fn ctrl_c_ends_a_loop_of_the_shell_as_without_us() {
    let sandbox = Sandbox::new();
    // A shell that forks in the moment of the signal loses it without a trap of its own.
    let script = "trap 'trap - INT; kill -INT $$' INT; echo begun; while :; do sleep 0.1; done";
    let line = line(&sandbox, "endless", script);
    let mut shell = Terminal::shell(&sandbox);
    shell.answer(&format!("for n in 1 2 3; do {line}; done"), "begun");
    shell.press_for(CTRL_C, "ready> ");
    shell.answer("echo runs-$(ls $CONDUCTOR_ROOT/p/t/runs | wc -l)", "runs-1");
    let run = only(&sandbox);
    assert_eq!((run.outcome(), run.record.signal), (Some(Outcome::Killed), Some(2)));
}

#[test]
fn where_no_shell_looks_after_it_ctrl_z_does_not_strand_it() {
    let sandbox = Sandbox::new();
    // It reads when it has gone on: a signal that comes just before is heeded behind what is read only.
    let script = "trap 'on=1' CONT; echo begun; while [ -z \"$on\" ]; do sleep 0.1; done; \
                  echo went-on; read it; echo \"it:$it\"; exit 0";
    let args = ["wrap", "--project", "p", "--task", "t", "--agent", "bash", "--", "-c", script];
    let mut terminal = Terminal::start(&sandbox, args);
    terminal.wait_for("its start", |text| text.contains("begun"));
    terminal.press_for(CTRL_Z, "went-on");
    terminal.answer("x", "it:x");
    assert_eq!(terminal.finish().0.code(), Some(0));
}

#[test]
fn the_modes_of_the_terminal_come_back_from_a_program_that_died_or_is_stopped() {
    let sandbox = Sandbox::new();
    let raw = "stty -echo -icanon; echo begun";
    let killed = line(&sandbox, "killed", &format!("{raw}; kill -9 $$"));
    // dash sets no modes itself, so that what it shows is what we left.
    let modes = "stty -a | tr ' ;' '\\n\\n' | grep -x -e icanon -e echo | tr '\\n' '+'";
    let script = format!("{killed}; {modes}; echo .");
    let args = ["-c", &script];
    let terminal = Terminal::of(&sandbox, "dash", args);
    let (_, text) = terminal.finish();
    assert!(text.contains("icanon+echo+."), "{text}");

    let stopped = line(
        &sandbox,
        "stopped",
        &format!("{raw}; kill -STOP $$; stty -a | grep -q -e -icanon && echo still-raw"),
    );
    let mut shell = Terminal::shell(&sandbox);
    shell.answer(&stopped, "Stopped");
    shell.answer("fg", "still-raw");
}

#[test]
fn stop_ends_the_program_and_not_the_shell_even_where_the_job_is_stopped() {
    let sandbox = Sandbox::new();
    // Ctrl-Z stops no shell that is just starting a program: it waits for the program's first step.
    let line = line(&sandbox, "stay", "sleep 1000 & echo begun; wait; exit 0");
    let mut shell = Terminal::shell(&sandbox);
    shell.answer(&line, "begun");
    let program = held(only(&sandbox).record.pid);
    let stop = cli(&sandbox, "stop --project p --task t --reason enough").succeed();
    assert!(stop.stdout.contains("stopped"), "{}", stop.stdout);
    await_end(&program);
    shell.answer("echo code-$?", "code-143");
    let run = only(&sandbox);
    assert_eq!(run.outcome(), Some(Outcome::Stopped));
    assert_eq!(run.record.stop_reason.as_deref(), Some("enough"));

    shell.answer(&line, "begun");
    shell.press_for(CTRL_Z, "Stopped");
    cli(&sandbox, "stop --project p --task t").succeed();
    assert_eq!(runs(&sandbox).pop().unwrap().outcome(), Some(Outcome::Stopped));
    shell.answer("echo alive-$((40 + 2))", "alive-42");
}

#[test]
fn stop_reaches_what_left_the_group_and_what_does_not_listen() {
    let sandbox = Sandbox::new();
    let bystander = sandbox.program("/bin/sleep").arg("1000").start();
    let gate = gate(&sandbox, "gate");
    let script = format!(
        "trap '' TERM; setsid sh -c \"trap '' TERM; echo x >'{}'; sleep 1000; sleep 1000\" & wait",
        gate.display()
    );
    for (force, grace) in [(false, "100ms"), (true, "1h")] {
        let args = ["wrap", "--project", "p", "--task", "t", "--grace", grace, "--agent", "sh"];
        let wrapped = run_agent(&sandbox, args).args(["--", "-c", &script]).start();
        open_for_reading(&gate);
        let mut stop = cli(&sandbox, "stop --project p --task t");
        if force {
            stop = stop.arg("--force");
        }
        stop.succeed();
        assert_eq!(wrapped.finish().status.signal(), Some(9));
        let run = runs(&sandbox).pop().unwrap();
        assert_eq!(run.outcome(), Some(Outcome::Stopped));
        // Nothing else was signalled. What was killed may take its time to be gone.
        await_living(&sandbox, |living| living == [bystander.id()]);
    }
}

/// Waits until what lives of the sandbox is as wanted.
fn await_living(sandbox: &Sandbox, wanted: impl Fn(&[u32]) -> bool) {
    let deadline = Instant::now() + LONG;
    loop {
        let living = sandbox.living();
        if wanted(&living) {
            return;
        }
        assert!(Instant::now() < deadline, "{living:?} live");
        std::thread::yield_now();
    }
}

/// Waits until somebody writes to a gate.
fn open_for_reading(gate: &std::path::Path) {
    assert_eq!(fs::read_to_string(gate).unwrap(), "x\n");
}

#[test]
fn what_a_program_leaves_behind_is_left_alone_as_without_us() {
    let sandbox = Sandbox::new();
    wrap(&sandbox, "sleep 1000 >/dev/null 2>&1 & exit 0").succeed();
    assert_eq!(only(&sandbox).outcome(), Some(Outcome::Completed));
    await_living(&sandbox, |living| living.len() == 1);
}

#[test]
fn a_limit_on_the_whole_time_ends_it() {
    let sandbox = Sandbox::new();
    let args = ["wrap", "--project", "p", "--task", "t", "--timeout", "50ms", "--agent", "sleep"];
    let finished = run_agent(&sandbox, args).args(["--", "1000"]).run();
    assert_eq!(finished.status.signal(), Some(15));
    assert_eq!(only(&sandbox).outcome(), Some(Outcome::TimedOut));
}

#[test]
fn it_ends_with_its_terminal() {
    let sandbox = Sandbox::new();
    let args = ["wrap", "--project", "p", "--task", "t", "--agent", "sh", "--"];
    let args = args.into_iter().chain(["-c", "echo begun; sleep 1000; exit 0"]);
    let mut terminal = Terminal::start(&sandbox, args);
    terminal.wait_for("its start", |text| text.contains("begun"));
    let wrapper = held(only(&sandbox).record.keeper_pid.unwrap().into());
    terminal.hang_up();
    await_end(&wrapper);
    drop(terminal);
    let run = only(&sandbox);
    assert_eq!((run.outcome(), run.record.signal), (Some(Outcome::Killed), Some(1)));
    assert!(run.record.stop_msg.is_some(), "the wrapper wrote it down itself");
}

#[test]
fn nohup_means_it() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = format!("echo begun; {}; exit 6", wait_at(&gate));
    let args = [env!("CARGO_BIN_EXE_run-agent"), "wrap", "--project", "p", "--task", "t"];
    let args = args.into_iter().chain(["--agent", "sh", "--", "-c", &script]);
    let mut nohup = sandbox.program("/usr/bin/nohup").args(args).start();
    let wrapper = Pid::from_raw(i32::try_from(nohup.id()).unwrap()).unwrap();
    nohup.wait_for("its start", |text| text.contains("begun"));
    kill_process(wrapper, Signal::HUP).unwrap();
    open_gate(&gate);
    let _finished = nohup.finish().expect_code(6);
}

#[test]
fn a_wrapper_that_is_killed_leaves_a_run_that_lives_and_whose_end_is_lost() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let mut wrapped = wrap(&sandbox, &format!("echo begun; {}", wait_at(&gate))).start();
    wrapped.wait_for("its start", |text| text.contains("begun"));
    let program = held(only(&sandbox).record.pid);
    wrapped.signal(Signal::KILL);
    assert_eq!(wrapped.finish().status.signal(), Some(9));
    assert_eq!(only(&sandbox).alive, Some(true));
    open_gate(&gate);
    await_end(&program);
    cli(&sandbox, "reconcile").succeed();
    assert_eq!(only(&sandbox).outcome(), Some(Outcome::Lost));
    assert_eq!(count(&sandbox, "RUN_CRASH"), 1);
}

#[test]
fn an_agent_of_the_root_that_wraps_is_its_parent() {
    let sandbox = Sandbox::new();
    let script = "run-agent wrap --agent true";
    job(&sandbox, script).succeed();
    let parent = only(&sandbox);
    let tasks = conductor(&sandbox).tasks().list(&"p".parse().unwrap()).unwrap();
    let child = tasks.into_iter().filter_map(|task| task.unwrap().latest);
    let child = child.into_iter().find(|run| run.id != parent.id).unwrap();
    assert_eq!(child.record.parent_run_id, Some(parent.id.to_string()));
}

#[test]
fn the_alias_that_shell_setup_makes_wraps_what_a_person_types() {
    let sandbox = Sandbox::new();
    let fakes = sandbox.folder("fakes");
    for (name, script) in
        [("claude", "echo \"typed: $*\"; exit 3"), ("run-agent", "exec $RA \"$@\"")]
    {
        put(&fakes.join(name), format!("#!/bin/sh\n{script}\n"));
    }
    cli(&sandbox, "shell-setup install --shell bash").succeed();
    let mut shell = Terminal::shell(&sandbox);
    shell.answer(&format!("PATH={}:$PATH; . $HOME/.bashrc; echo set-$?", fakes.display()), "set-0");
    shell.answer("claude --resume 'two words'", "typed: --resume two words");
    shell.answer("echo code-$?", "code-3");
    let tasks = conductor(&sandbox).tasks().list(&"terminal".parse().unwrap()).unwrap();
    let run = tasks.into_iter().next().unwrap().unwrap().latest.unwrap();
    assert_eq!((&*run.record.agent, run.record.exit_code), ("claude", 3));
}

#[test]
fn a_forced_stop_needs_no_answer_from_a_wrapper_that_hangs() {
    let sandbox = Sandbox::new();
    let mut wrapped = wrap(&sandbox, "echo begun; sleep 1000; exit 0").start();
    wrapped.wait_for("its start", |text| text.contains("begun"));
    let program = held(only(&sandbox).record.pid);
    // As one that waits for a disk that does not answer: stopped again whenever it is woken.
    wrapped.signal(Signal::STOP);
    let wrapper = wrapped.id();
    let stop = cli(&sandbox, "stop --project p --task t --force").start();
    stop_again_until_ended(wrapper, &program);
    wrapped.signal(Signal::CONT);
    let _stopped = stop.finish().expect_code(0);
    assert_eq!(wrapped.finish().status.signal(), Some(9));
    assert_eq!(only(&sandbox).outcome(), Some(Outcome::Stopped));
}

/// Keeps a process stopped, whoever lets it go on, until another one has ended.
fn stop_again_until_ended(stopped: u32, until: &OwnedFd) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let pid = Pid::from_raw(i32::try_from(stopped).unwrap()).unwrap();
    let tick = Timespec { tv_sec: 0, tv_nsec: 100_000 };
    while poll(&mut [PollFd::new(until, PollFlags::IN)], Some(&tick)).unwrap() == 0 {
        kill_process(pid, Signal::STOP).unwrap();
    }
}
