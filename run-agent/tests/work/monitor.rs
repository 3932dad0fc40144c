//! `monitor`: tasks on a list. What the older program got wrong here has a test each.

use crate::support::{cli, conductor, look, run_agent};
use crate::terminal::{Terminal, await_end};
use crate::workshop::*;
use conductor_core::{Outcome, TaskInfo, TaskOutcome, Wait};
use conductor_tests::agents::open_gate;
use conductor_tests::process::{Program, Running};
use conductor_tests::sandbox::Sandbox;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

const DONE: &str = "touch \"$JRUN_TASK_FOLDER/DONE\"";

fn list(sandbox: &Sandbox, text: &str) -> PathBuf {
    let path = sandbox.work().join("TODOs.md");
    fs::write(&path, text).unwrap();
    path
}

fn monitor(sandbox: &Sandbox, more: &str) -> Program {
    let line = format!("monitor --project p --agent shell --rate-limit 0s {more}");
    run_agent(sandbox, line.split_whitespace())
}

fn once(sandbox: &Sandbox) -> String {
    monitor(sandbox, "--once").succeed().stdout
}

fn task_info(sandbox: &Sandbox, task: &str) -> TaskInfo {
    conductor(sandbox).tasks().info(&"p".parse().unwrap(), &task.parse().unwrap()).unwrap()
}

/// Waits for the end of a task's loop.
fn await_over(sandbox: &Sandbox, task: &str) -> TaskOutcome {
    let conductor = conductor(sandbox);
    let task = conductor.tasks().get(&"p".parse().unwrap(), &task.parse().unwrap()).unwrap();
    task.wait(Wait::from(LONG)).unwrap().outcome
}

fn says(monitor: &mut Running, words: &str) {
    monitor.wait_for(words, |text| text.contains(words));
}

#[test]
fn a_task_of_the_list_is_started_with_its_prompt_and_ticked_when_it_is_done() {
    let sandbox = Sandbox::new();
    let path = list(&sandbox, &format!("# To do\n- [ ] `t`: {DONE}\n- [ ] no name\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let said = once(&sandbox);
    assert!(said.contains("looking after 1 task of TODOs.md"), "{said}");
    assert!(said.contains("line 3 names no task"), "{said}");
    assert!(said.contains("[start]  t: it has no runs yet"), "{said}");
    assert!(said.contains("[ok]     t: started, driven by process"), "{said}");
    assert_eq!(await_over(&sandbox, "t"), TaskOutcome::Done);
    assert_eq!(
        fs::read_to_string(sandbox.root().join("p/t/TASK.md")).unwrap(),
        format!("{DONE}\n")
    );
    let said = once(&sandbox);
    assert!(said.contains("[tick]   t: DONE stands"), "{said}");
    let after = format!("# To do\n- [x] `t`: {DONE}\n- [ ] no name\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(once(&sandbox).contains("no open line of TODOs.md names a task"));
}

#[test]
fn the_configuration_names_the_list_and_a_flag_wins() {
    let sandbox = Sandbox::new();
    let folder = sandbox.home().join(".config/conductor");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.yaml"), "monitor: {todo: ./list.md}\n").unwrap();
    fs::write(folder.join("list.md"), "- [ ] `configured` x\n").unwrap();
    list(&sandbox, "- [ ] `usual` x\n");
    let said = monitor(&sandbox, "--dry-run").succeed().stdout;
    assert!(said.contains("configured") && !said.contains("usual"), "{said}");
    let said = monitor(&sandbox, "--dry-run --todo TODOs.md").succeed().stdout;
    assert!(said.contains("usual") && !said.contains("configured"), "{said}");
}

#[test]
fn a_task_with_a_prompt_of_its_own_keeps_it() {
    let sandbox = Sandbox::new();
    crate::support::write(&sandbox, "p/t/TASK.md", DONE);
    list(&sandbox, "- [ ] `t` exit 1\n- [ ] `empty`\n");
    let said = once(&sandbox);
    assert!(said.contains("[leave]  empty: nothing says what to do"), "{said}");
    assert_eq!(await_over(&sandbox, "t"), TaskOutcome::Done);
}

#[test]
fn what_a_person_decided_is_never_undone() {
    let sandbox = Sandbox::new();
    let path = list(&sandbox, "- [ ] `t` x\n- [ ] `gone` y\n- [ ] `asked` z\n- [ ] `up` u\n");
    for name in ["t", "gone", "up"] {
        let most = if name == "up" { "1" } else { "9" };
        let line = format!("task -d --project p --task {name} --agent shell --max-attempts {most}");
        let script = if name == "up" { "exit 1" } else { "sleep 1000" };
        // Whether that one has given up when it is left to itself is a matter of luck.
        let program = run_agent(&sandbox, line.split_whitespace()).args(["--prompt", script]);
        let _left = program.run();
    }
    await_over(&sandbox, "up");
    cli(&sandbox, "stop --project p --task t --reason lunch").succeed();
    cli(&sandbox, "task cancel --project p --task gone --reason never").succeed();
    // Their drivers have nothing left to write then.
    sandbox.wait_until_empty(LONG);
    // The marker of the older program, on a task that never had a loop of ours.
    let marker = crate::support::write(&sandbox, "p/asked/STOP-REQUESTED", "permanent: true\n");
    let before = fs::read_to_string(&path).unwrap();
    let said = look(&sandbox, monitor(&sandbox, "--dry-run"), 0).stdout;
    for words in [
        "[leave]  t: it was stopped: lunch",
        "[leave]  gone: it was cancelled",
        "[leave]  asked: somebody asked it to stop",
        "[leave]  up: it gave up: ",
    ] {
        assert!(said.contains(words), "{said}");
    }
    once(&sandbox);
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert!(marker.exists() && sandbox.root().join("p/gone/CANCELLED").exists());
    assert!(sandbox.living().is_empty());
}

#[test]
fn a_look_reads_and_changes_nothing() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    list(&sandbox, "- [ ] `t` x\n- [ ] `new` y\n");
    task(&sandbox, &wait_at(&gate)).args(["--wait", "1ms"]).exits(124);
    let said = look(&sandbox, monitor(&sandbox, "--dry-run"), 0).stdout;
    assert!(said.contains("[go_on]  t: nobody drives it any more"), "{said}");
    assert!(said.contains("[start]  new: it has no runs yet"), "{said}");
    assert!(!said.contains("[ok]"), "{said}");
}

#[test]
fn a_task_whose_driver_died_is_gone_on_with_and_its_count_too() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = first_waits_at(&gate, TWO);
    list(&sandbox, "- [ ] `t` x\n");
    task(&sandbox, &script).args(["--wait", "1ms"]).exits(124);
    let said = once(&sandbox);
    assert!(said.contains("[ok]     t: gone on with, driven by process"), "{said}");
    assert!(once(&sandbox).contains("[leave]  t: it runs"));
    open_gate(&gate);
    assert_eq!(await_over(&sandbox, "t"), TaskOutcome::Done);
    assert_eq!(task_info(&sandbox, "t").result.unwrap().attempts, 2);
}

#[test]
fn a_silent_attempt_is_ended_without_holding_up_the_others() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    list(&sandbox, &format!("- [ ] `t` x\n- [ ] `next` {DONE}\n"));
    // It does not listen, and its grace is longer than any test.
    let deaf = format!(
        "[ -e \"$JRUN_TASK_FOLDER/again\" ] && exec {DONE}\n\
         touch \"$JRUN_TASK_FOLDER/again\"; trap '' TERM\n{}\nwhile :; do sleep 1000; done",
        wait_at(&gate)
    );
    task(&sandbox, &deaf).args(["--grace", "1h", "-d"]).succeed();
    open_gate(&gate);
    let mut monitor = monitor(&sandbox, "--stale-after 1ms --interval 1h").start();
    says(&mut monitor, "[end]    t: its attempt has been silent for ");
    says(&mut monitor, "[ok]     next: started");
    let attempt = task_info(&sandbox, "t").latest.unwrap();
    assert_eq!(attempt.alive, Some(true), "nobody waited for its end");
    // A person loses patience; the loop goes on, as it was only the attempt that was ended.
    cli(&sandbox, "stop --attempt --force --project p --task t").succeed();
    assert_eq!(await_over(&sandbox, "t"), TaskOutcome::Done);
    let first = runs(&sandbox).remove(0);
    assert_eq!(first.outcome(), Some(Outcome::Stopped));
    assert!(first.record.stop_reason.unwrap().starts_with("monitor: silent for more than"));
    monitor.signal(Signal::TERM);
    let _finished = monitor.finish().expect_code(143);
}

#[test]
fn what_is_looked_after_is_said_once() {
    let sandbox = Sandbox::new();
    let path = list(&sandbox, "nothing to do\n");
    let mut monitor = monitor(&sandbox, "--interval 1h").start();
    says(&mut monitor, "no open line of");
    // An editor saves it, and saves it again.
    fs::write(&path, "- [ ] later\n").unwrap();
    fs::write(&path, "- [ ] `t` x\n- [ ] `u` x\n").unwrap();
    says(&mut monitor, "[ok]     u: ");
    monitor.signal(Signal::TERM);
    let said = monitor.finish().expect_code(143).stdout;
    assert_eq!(said.matches("monitor: ").count(), 1, "{said}");
    for task in ["t", "u"] {
        cli(&sandbox, &format!("stop --project p --task {task}")).succeed();
    }
}

#[test]
fn one_monitor_at_a_time_and_none_in_the_way_when_it_is_killed() {
    let sandbox = Sandbox::new();
    list(&sandbox, "");
    let mut first = monitor(&sandbox, "--interval 1h").start();
    says(&mut first, "no open line");
    let second = monitor(&sandbox, "--once").run().expect_code(13);
    assert!(second.stderr.contains(&format!("by process {}", first.id())), "{}", second.stderr);
    first.signal(Signal::KILL);
    assert_eq!(first.finish().status.code(), None);
    once(&sandbox);
}

#[test]
fn it_hears_of_a_new_line_and_of_done_at_once_and_leaves_its_tasks_running() {
    let sandbox = Sandbox::new();
    let (one, two) = (gate(&sandbox, "one"), gate(&sandbox, "two"));
    let path = list(&sandbox, "");
    let mut monitor = monitor(&sandbox, "--interval 1h").start();
    says(&mut monitor, "no open line");
    let line =
        |name: &str, gate: &std::path::Path| format!("- [ ] `{name}` {}; {DONE}\n", wait_at(gate));
    fs::write(&path, line("a", &one) + &line("b", &two)).unwrap();
    says(&mut monitor, "[ok]     b: started");
    open_gate(&one);
    says(&mut monitor, "[ok]     a: ticked");
    assert!(fs::read_to_string(&path).unwrap().starts_with("- [x] `a`"));
    monitor.signal(Signal::TERM);
    let _finished = monitor.finish().expect_code(143);
    let info = task_info(&sandbox, "b");
    assert_eq!(info.latest.unwrap().alive, Some(true));
    let driver = Pid::from_raw(i32::try_from(info.driver.unwrap()).unwrap()).unwrap();
    let held = pidfd_open(driver, PidfdFlags::empty()).unwrap();
    kill_process(driver, Signal::TERM).unwrap();
    await_end(&held);
    open_gate(&two);
    once(&sandbox);
    assert_eq!(await_over(&sandbox, "b"), TaskOutcome::Done);
}

#[test]
fn it_lives_on_without_its_list_and_without_its_terminal() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let path = list(&sandbox, "- [ ] `t` x\n");
    crate::support::write(&sandbox, "p/t/CANCELLED", "");
    let line = "monitor --project p --agent shell --rate-limit 0s --interval 1h";
    let mut terminal = Terminal::start(&sandbox, line.split_whitespace());
    terminal.wait_for("its first look", |text| text.contains("[leave]"));
    fs::remove_file(&path).unwrap();
    terminal.wait_for("the loss", |text| text.contains("looking again"));
    terminal.hang_up();
    let script = format!("echo x >'{}'; {DONE}", gate.display());
    list(&sandbox, &format!("- [ ] `new` {script}\n"));
    assert_eq!(fs::read_to_string(&gate).unwrap(), "x\n", "it started the new task");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.finish().0.code(), Some(143));
}

#[test]
fn a_list_behind_a_link_stays_one_and_trouble_with_a_task_hides_no_other() {
    let sandbox = Sandbox::new();
    let real = sandbox.folder("notes").join("todo.md");
    fs::write(&real, format!("- [ ] `bad` x\n- [ ] `t` {DONE}\n")).unwrap();
    symlink(&real, sandbox.work().join("TODOs.md")).unwrap();
    crate::support::write(&sandbox, "p/bad/.loop.yaml", "no: [mapping");
    let finished = monitor(&sandbox, "--once").run();
    assert!(finished.stdout.contains("[ok]     t: started"), "{}", finished.stdout);
    assert!(finished.stdout.contains("[leave]  bad: "), "{}", finished.stdout);
    let _damaged = finished.expect_code(20);
    await_over(&sandbox, "t");
    let _damaged = monitor(&sandbox, "--once").run().expect_code(20);
    assert!(fs::read_to_string(&real).unwrap().contains("- [x] `t`"));
    assert!(fs::read_link(sandbox.work().join("TODOs.md")).is_ok());
}

#[test]
fn a_missing_list_or_agent_is_said_and_nothing_is_made() {
    let sandbox = Sandbox::new();
    let finished = monitor(&sandbox, "--once").run().expect_code(10);
    assert!(finished.stderr.contains("there is no list TODOs.md"), "{}", finished.stderr);
    assert!(!sandbox.root().exists());
    list(&sandbox, "- [ ] `t` x\n");
    let line = "monitor --project p --once --rate-limit 0s";
    let finished = cli(&sandbox, line).run().expect_code(1);
    assert!(finished.stdout.contains("[error]  t: no agent is named"), "{}", finished.stdout);
    assert!(!sandbox.root().join("p/t").exists());
}
