//! The test kit itself: what other tests lean on must hold.

use conductor_tests::agents::{FakeAgents, Step, open_gate};
use conductor_tests::sandbox::Sandbox;
use conductor_tests::snapshot::snapshot;
use conductor_tests::{artifacts, fixture};
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);

fn panic_text(body: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_program_that_takes_too_long_is_ended_and_its_output_told() {
    let sandbox = Sandbox::new();
    let agents = FakeAgents::new(sandbox.folder("bin"));
    let steps = [Step::Print("half way".into()), Step::Linger(LONG), Step::Sleep(LONG)];
    let agent = agents.add_stubborn("agent", &steps);
    let program = sandbox.program(agent).limit(Duration::from_millis(500));
    let text = panic_text(|| drop(program.run()));
    assert!(text.contains("did not end in time"), "{text}");
    sandbox.wait_until_empty(Duration::from_secs(60));
}

#[test]
fn an_end_is_not_held_up_by_a_child_that_holds_the_output() {
    let sandbox = Sandbox::new();
    let agents = FakeAgents::new(sandbox.folder("bin"));
    let steps = [Step::Linger(LONG), Step::Fill(300_000), Step::Exit(3)];
    let finished = sandbox.program(agents.add("agent", &steps)).run().expect_code(3);
    assert_eq!(finished.stdout.len(), 300_000);
    assert_eq!(sandbox.living().len(), 1);
}

#[test]
fn a_sandbox_ends_what_left_the_session_and_only_that() {
    let (sandbox, other) = (Sandbox::new(), Sandbox::new());
    let start = |sandbox: &Sandbox| {
        let agents = FakeAgents::new(sandbox.folder("bin"));
        let pid = sandbox.work().join("pid");
        let agent = agents.add_stubborn("agent", &[Step::Daemon(LONG, pid.clone())]);
        sandbox.program(agent).succeed();
        fs::read_to_string(pid).unwrap().parse::<u32>().unwrap()
    };
    let (here, there) = (start(&sandbox), start(&other));
    assert_eq!(sandbox.living(), [here]);
    drop(sandbox);
    assert_eq!(other.living(), [there]);
    // What has ended may be there until somebody has reaped it.
    let alive = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| ![") Z ", ") X "].iter().any(|over| stat.contains(over)))
    };
    assert!(!alive(here) && alive(there));
}

#[test]
fn an_agent_waits_at_its_gate_and_reports_what_it_was_given() {
    let sandbox = Sandbox::new();
    let agents = FakeAgents::new(sandbox.folder("bin"));
    let saved = |name: &str| sandbox.work().join(name);
    let gate = agents.gate("gate");
    agents.add(
        "claude",
        &[
            Step::SaveInput(saved("input")),
            Step::SaveArguments(saved("arguments")),
            Step::SaveEnvironment(saved("environment")),
            Step::Print("ready".into()),
            Step::WaitAt(gate.clone()),
            Step::TouchIn("CONDUCTOR_ROOT", "DONE"),
            Step::Emit("claude-text".into()),
        ],
    );
    fs::create_dir(sandbox.root()).unwrap();
    let shell = sandbox.program("/bin/sh").path_first(agents.folder());
    let mut running = shell.args(["-c", "exec claude -p 'it''s'"]).stdin("a prompt").start();
    running.wait_for("the line", |out| out.contains("ready\n"));
    assert_eq!(fs::read_to_string(saved("input")).unwrap(), "a prompt");
    assert_eq!(fs::read_to_string(saved("arguments")).unwrap(), "-p\nits\n");
    let environment = fs::read_to_string(saved("environment")).unwrap();
    let home = format!("HOME={}", sandbox.home().display());
    assert!(environment.lines().any(|line| line == home), "{environment}");
    assert!(!environment.contains("\nJRUN_"), "{environment}");
    assert!(!sandbox.root().join("DONE").exists());
    open_gate(&gate);
    let finished = running.finish().expect_code(0);
    let stream = fs::read_to_string(fixture("agent-streams/claude-text.stdout")).unwrap();
    assert_eq!(finished.stdout, format!("ready\n{stream}"));
    assert!(sandbox.root().join("DONE").exists());
}

/// What is open for writing is not executed, and a child that was just forked has a copy of all that is open.
#[test]
fn agents_are_made_while_other_threads_fork() {
    let sandbox = Sandbox::new();
    let agents = FakeAgents::new(sandbox.folder("bin"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    sandbox.program("/bin/true").succeed();
                }
            });
        }
        for round in 0..50 {
            let agent = agents.add(&format!("agent-{round}"), &[Step::Exit(3)]);
            let ended = catch_unwind(AssertUnwindSafe(|| sandbox.program(agent).exits(3)));
            // The others end before the failure is told.
            over.store(ended.is_err() || round == 49, Ordering::Relaxed);
            drop(ended.unwrap_or_else(|panic| resume_unwind(panic)));
        }
    });
}

#[test]
fn agents_answer_with_a_version_and_end_as_they_are_told() {
    let sandbox = Sandbox::new();
    let agents = FakeAgents::new(sandbox.folder("bin"));
    let agent = agents.add("codex", &[Step::Complain("bye".into()), Step::Die(9)]);
    let version = sandbox.program(&agent).arg("--version").succeed();
    assert_eq!(version.stdout, "1.0.0 (fake)\n");
    let finished = sandbox.program(&agent).run();
    assert_eq!((finished.status.signal(), &*finished.stderr), (Some(9), "bye\n"));

    let polite = agents.add("polite", &[Step::Print("up".into()), Step::Sleep(LONG)]);
    let mut running = sandbox.program(polite).start();
    running.wait_for("the line", |out| out == "up\n");
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status.signal(), Some(15));
}

#[test]
fn a_snapshot_names_each_difference() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let before = snapshot(&sandbox.root());
    assert!(before.paths().any(|path| path.ends_with("PROJECT-MESSAGE-BUS.md")));
    before.assert_same(&snapshot(&sandbox.root()));
    fs::write(sandbox.root().join("shop/new"), "").unwrap();
    fs::write(sandbox.root().join("shop/PROJECT-MESSAGE-BUS.md"), "").unwrap();
    let text = panic_text(|| before.assert_same(&snapshot(&sandbox.root())));
    assert!(text.contains("new: shop/new"), "{text}");
    assert!(text.contains("changed: shop/PROJECT-MESSAGE-BUS.md"), "{text}");
}

#[test]
fn make_root_makes_one_and_refuses_nonsense() {
    let sandbox = Sandbox::new();
    let make_root = || sandbox.program(artifacts::binary("conductor-tests", "make-root"));
    let made = make_root().arg("big").args(["tasks=3", "runs=5", "projects=2"]).succeed();
    assert_eq!(made.stdout, "big: 3 tasks, 5 runs\n");
    let again = make_root().arg("big").run().expect_code(1);
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
    for bad in ["tasks=0", "runs=x", "colour=3", "runs"] {
        let refused = make_root().args(["other", bad]).run().expect_code(2);
        assert!(refused.stderr.contains(bad), "{}", refused.stderr);
        assert!(!sandbox.work().join("other").exists());
    }
}

#[test]
fn run_agent_is_built_and_given_the_sandbox_as_its_root() {
    let sandbox = Sandbox::new();
    let version = sandbox.run_agent(["--version"]).succeed();
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", version.stdout);
    let sandbox = Sandbox::with_fixture("reference-root");
    let before = snapshot(&sandbox.root());
    let list = sandbox.run_agent(["list"]).succeed();
    assert!(list.stdout.contains("shop"), "{}", list.stdout);
    before.assert_same(&snapshot(&sandbox.root()));
}
