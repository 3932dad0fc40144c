//! `-d/--detach`: the work is left to a process of its own.

use crate::support::{cli, conductor, run_agent};
use crate::terminal::await_end;
use crate::workshop::*;
use conductor_core::{Outcome, TaskOutcome, TaskSpec};
use conductor_tests::agents::{open_gate, put};
use conductor_tests::sandbox::Sandbox;
use rustix::process::{Pid, PidfdFlags, Signal, getsid, kill_process, pidfd_open};
use std::fs;
use std::time::Duration;

fn driver(sandbox: &Sandbox) -> Pid {
    let driver = info(sandbox).driver.expect("somebody drives");
    Pid::from_raw(driver.try_into().unwrap()).unwrap()
}

#[test]
fn a_detached_task_is_driven_in_a_session_of_its_own() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO);
    let script = format!(
        "echo \"$SECRET\" >>\"$JRUN_TASK_FOLDER/seen\"
{script}"
    );
    let started = task(&sandbox, &script).args(["-d", "--env", "SECRET=sesame"]).succeed();
    assert_eq!(started.stdout, "t\n", "a script reads the name alone");
    for part in [
        "agent: shell, without permission prompts",
        "run-agent attach --project p --task t",
        "run-agent stop --project p --task t",
    ] {
        assert!(started.stderr.contains(part), "{}", started.stderr);
    }
    assert_eq!(runs(&sandbox)[0].alive, Some(true), "the first attempt runs by then");
    let pid = driver(&sandbox);
    assert_eq!(getsid(Some(pid)).unwrap(), pid);
    let end = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let shown = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(!shown.contains("sesame") && !shown.contains("SECRET"), "{shown}");
    for fd in 0..3 {
        let target = fs::read_link(format!("/proc/{}/fd/{fd}", pid.as_raw_nonzero())).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }

    // Asked for again, the same work is attached to, and another one is refused.
    let again = task(&sandbox, &script).args(["-d", "--env", "SECRET=sesame"]).succeed();
    let told = format!("driven in the background by process {}", pid.as_raw_nonzero());
    assert!(again.stderr.contains(&told), "{}", again.stderr);
    let line = "task -d --project p --task t --max-attempts 3 --env SECRET=sesame";
    let other = cli(&sandbox, line).run();
    assert!(other.expect_code(12).stderr.contains("max_attempts"));

    open_gate(&gate);
    await_end(&end);
    let result = info(&sandbox).result.unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
    let seen = fs::read_to_string(sandbox.root().join("p/t/seen")).unwrap();
    assert_eq!(seen, "sesame\nsesame\n", "also in the attempt that the one behind started");
}

#[test]
fn the_start_of_a_detached_task_is_told_truthfully() {
    let sandbox = Sandbox::new();
    let refused = run_agent(&sandbox, ["task", "-d", "--project", "p", "--agent", "claude"])
        .args(["--prompt", "x"])
        .exits(25);
    assert!(refused.stderr.contains("claude"), "{}", refused.stderr);
    assert!(!sandbox.root().exists());

    let bad = sandbox.work().join("agent");
    put(&bad, "#!/no/such/interpreter\n");
    let program = run_agent(&sandbox, ["task", "-d", "--project", "p", "--task", "t"]);
    let failed = program.args(["--prompt", "x", "--"]).arg(&bad).exits(1);
    assert!(failed.stdout.contains("p/t: gave up after 1 attempt"), "{}", failed.stdout);

    // What is done within the first attempt leaves nobody behind.
    let done = cli(&sandbox, "task -d --project p --task d --agent shell --prompt-file -");
    done.stdin("touch \"$JRUN_TASK_FOLDER/DONE\"").succeed();
    let attach = cli(&sandbox, "attach --project p --task d -q").succeed();
    assert!(attach.stdout.starts_with("p/d: done after 1 attempt"), "{}", attach.stdout);
}

#[test]
fn a_detached_task_is_stopped_for_good() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    task(&sandbox, &wait_at(&gate)).arg("--detach").succeed();
    let end = pidfd_open(driver(&sandbox), PidfdFlags::empty()).unwrap();
    let mut attached = cli(&sandbox, "attach").start();
    attached.wait_for("the attempt", |text| text.contains("RUN_START"));
    cli(&sandbox, "stop --project p --task t").succeed();
    // Whoever follows it is told so, with a code of its own.
    let text = attached.finish().expect_code(3).stdout;
    assert!(text.contains("p/t: stopped after 1 attempt"), "{text}");
    await_end(&end);
    assert_eq!(runs(&sandbox).len(), 1);
}

#[test]
fn a_task_that_an_agent_detaches_is_driven_on_when_the_agent_has_ended() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let inner = sandbox.work().join("inner.sh");
    fs::write(&inner, first_waits_at(&gate, TWO)).unwrap();
    // Its run is over once its keeper has ended all that belongs to it.
    let outer = format!(
        "run-agent task -d --project p --task t --agent shell --restart-delay 10ms --prompt-file '{}'",
        inner.display()
    );
    let job = [
        "job",
        "--project",
        "p",
        "--task",
        "outer",
        "--agent",
        "shell",
        "--prompt",
        outer.as_str(),
    ];
    run_agent(&sandbox, job).succeed();
    let pid = driver(&sandbox);
    let end = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    assert_eq!(info(&sandbox).result, None);
    open_gate(&gate);
    await_end(&end);
    let result = info(&sandbox).result.unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
}

#[test]
fn a_driver_that_is_asked_to_go_says_so_on_the_bus() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    task(&sandbox, &wait_at(&gate)).arg("--detach").succeed();
    let pid = driver(&sandbox);
    let end = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    await_end(&end);
    assert_eq!(runs(&sandbox)[0].alive, Some(true), "the attempt goes on");
    let told = cli(&sandbox, "bus read --project p --task t").succeed().stdout;
    assert!(told.contains("the task is not driven any more: SIGTERM"), "{told}");
    cli(&sandbox, "stop --project p --task t").succeed();
}

#[test]
fn a_detached_job_returns_once_the_agent_runs() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let started = job(&sandbox, &wait_at(&gate)).arg("-d").succeed();
    let run = &runs(&sandbox)[0];
    assert_eq!(started.stdout, format!("{}\n", run.id));
    assert_eq!(run.alive, Some(true));
    open_gate(&gate);
    let conductor = conductor(&sandbox);
    let run = conductor.runs().get(&run.project, &run.task, &run.id).unwrap();
    assert_eq!(run.wait(LONG).unwrap().outcome(), Some(Outcome::Completed));
}

#[test]
fn a_task_is_driven_although_who_left_it_died_on_the_way() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let conductor = conductor(&sandbox);
    let spec = TaskSpec::new("p").task("t").agent("shell").prompt(first_waits_at(&gate, TWO));
    let front = conductor.tasks().start(spec.restart_delay(Duration::ZERO), LONG).unwrap();
    // Below a shell, as it is never the leader of a process group.
    let drive = format!("{} drive --project p --task t; exit $?", env!("CARGO_BIN_EXE_run-agent"));
    let mut behind = sandbox.program("/bin/sh").args(["-c", &drive]).start();
    behind.wait_for("that it stands by", |said| said.contains("stands by"));
    // The one in front dies: nobody reads, and the lease is free.
    behind.close_stdout();
    drop(front);
    open_gate(&gate);
    let _ = behind.finish().expect_code(0);
    let result = info(&sandbox).result.unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
}
