//! Hosts killed before each of their system calls: what they leave behind needs no repair.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]
#![allow(unsafe_code, reason = "a host is traced to be killed at a chosen system call")]

mod support;

use conductor_core::{Conductor, Stop, TaskOutcome, TaskSpec, UpdateRequest, UpdateState};
use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use support::program::Does;
use support::*;

/// Each agent notes that it began.
const BEGAN: &str = "echo $JRUN_ID >>began; ";
/// Two attempts.
const TWO: &str = "echo $JRUN_ID >>began; [ $(wc -l <began) -lt 2 ] || touch DONE";

/// The variable that says what the host does.
const SCENE: &str = "CONDUCTOR_TEST_SCENE";

/// Plays a scene, traced by the test that started it.
#[test]
fn host_is_killed_somewhere() {
    let Some(root) = std::env::var_os(HOST) else { return };
    // SAFETY: system calls about this thread alone.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0), 0);
        println!("thread {}", libc::gettid());
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGSTOP);
    }
    play(&std::env::var(SCENE).unwrap(), root.as_ref());
    // SAFETY: ends the process; nothing of the harness is to be traced.
    unsafe { libc::_exit(0) }
}

fn play(scene: &str, root: &Path) {
    let conductor = open(root);
    let (project, id) = ids();
    match scene {
        "job" => {
            conductor.jobs().start(job(BEGAN), LONG).unwrap().wait(LONG).unwrap();
        }
        "refused" => {
            let program = root.parent().unwrap().join("agent");
            let spec = job("x").agent("command").command([program]);
            conductor.jobs().start(spec, LONG).unwrap_err();
        }
        "task" => {
            conductor.tasks().start(task(TWO), LONG).unwrap().wait(LONG).unwrap();
        }
        "stop" => {
            let stop = Stop::because("enough").force(true);
            conductor.tasks().get(&project, &id).unwrap().stop(stop, LONG).unwrap();
        }
        "delete" => {
            let stop = Stop::because("gone").force(true);
            conductor.tasks().delete(&project, &id, Some(stop), LONG).unwrap();
        }
        "update" => {
            let program = served_program(root);
            let updater = conductor.update().serve(&program).unwrap().unwrap();
            let installed = updater.install(updater.wait(LONG).unwrap()).unwrap();
            updater.finish(installed).unwrap();
        }
        _ => panic!("no scene {scene}"),
    }
}

/// Lets a host play a scene and kills it before its system call `number`; `false` where it ended first.
fn killed_at(number: usize, scene: &str, root: &Path) -> bool {
    let mut host = host_with("host_is_killed_somewhere", root, &[(SCENE, scene)]);
    let mut line = String::new();
    let thread: i32 = loop {
        line.clear();
        assert!(host.lines.read_line(&mut line).unwrap() > 0, "the host ended early");
        if let Some(thread) = line.trim().rsplit("thread ").next().and_then(|n| n.parse().ok()) {
            break thread;
        }
    };
    let step = |request, data: i64| {
        // SAFETY: a request about a thread of our own child, without memory of ours.
        unsafe { libc::ptrace(request, thread, 0, data) }
    };
    let stopped = || {
        let mut status = 0;
        // SAFETY: waits for that thread into a local.
        let waited = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        (waited == thread && libc::WIFSTOPPED(status)).then(|| libc::WSTOPSIG(status))
    };
    assert_eq!(stopped(), Some(libc::SIGSTOP));
    step(libc::PTRACE_SETOPTIONS, i64::from(libc::PTRACE_O_TRACESYSGOOD));
    let (mut calls, mut entering) = (0, true);
    let mut signal = 0;
    loop {
        step(libc::PTRACE_SYSCALL, signal);
        signal = 0;
        match stopped() {
            None => return false,
            Some(at) if at == libc::SIGTRAP | 0x80 => {
                calls += usize::from(entering);
                if entering && calls == number {
                    host.child.kill().unwrap();
                    // The traced thread is ours to reap before the process is.
                    while stopped().is_some() {}
                    return true;
                }
                entering = !entering;
            }
            Some(other) => signal = i64::from(other),
        }
    }
}

/// What must hold after any crash, without a repair.
fn check(conductor: &Conductor, number: usize, scene: &str) {
    let (project, id) = ids();
    let at = || format!("{scene} killed before call {number}");
    // Keepers and agents that were alone take moments to end.
    let open_entries = conductor.root().join(".conductor/open");
    until(&format!("all runs closed: {}", at()), || {
        conductor.reconcile(LONG).unwrap_or_else(|error| panic!("{}: {error:?}", at()));
        let names = fs::read_dir(&open_entries).into_iter().flatten();
        !names
            .into_iter()
            .any(|name| !name.unwrap().file_name().as_encoded_bytes().starts_with(b"."))
    });
    let task_folder = conductor.root().join("shop/fix");
    if !task_folder.exists() {
        return;
    }
    let began = fs::read_to_string(task_folder.join("began")).unwrap_or_default();
    let began: Vec<&str> = began.lines().collect();
    let mut told: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    if task_folder.join("TASK-MESSAGE-BUS.md").exists() {
        for message in messages(&conductor.bus(("shop", "fix")).unwrap()) {
            let (starts, ends) = told.entry(message.run_id.clone()).or_default();
            match message.msg_type.as_str() {
                "RUN_START" => *starts += 1,
                "RUN_STOP" | "RUN_CRASH" => *ends += 1,
                _ => {}
            }
        }
    }
    told.remove("");
    for run in &began {
        assert_eq!(told.get(*run), Some(&(1, 1)), "{}: {run}", at());
    }
    for run in conductor.runs().list(&project, &id).unwrap() {
        let run = run.unwrap_or_else(|error| panic!("{}: {error}", at()));
        let outcome = run.record.outcome.unwrap_or_else(|| panic!("{}: open {}", at(), run.id));
        let told = told.get(run.id.as_str()).copied().unwrap_or_default();
        assert!(told.0 <= 1 && told.1 == 1, "{}: {told:?} {outcome:?}", at());
        let ran = began.contains(&run.id.as_str());
        let allowed: &[&str] = match (scene, ran) {
            ("job" | "task", true) => &["completed"],
            ("stop", _) => &["stopped"],
            // That of the task which took the free name.
            ("delete", _) => &["completed"],
            _ => &["refused"],
        };
        assert!(
            allowed.contains(&outcome.as_str()),
            "{}: ran {ran}, {outcome:?} {:?}",
            at(),
            run.record.error_summary
        );
    }
}

/// How many system calls lie between two deaths.
fn stride() -> usize {
    std::env::var("CONDUCTOR_TEST_STRIDE").map_or(37, |stride| stride.parse().unwrap())
}

/// Kills a host before some of its system calls; with `CONDUCTOR_TEST_STRIDE=1` before each.
fn every_call(scene: &str, prepare: impl Fn(&Root), next: impl Fn(&Root)) {
    // What was to be stopped may live on where the stopper died.
    let check_first = !matches!(scene, "stop" | "delete");
    for number in (1..).step_by(stride()) {
        let root = root();
        prepare(&root);
        if !killed_at(number, scene, &root.path()) {
            println!("{scene}: {number} calls");
            return;
        }
        if check_first {
            check(&root.conductor, number, scene);
        }
        next(&root);
        check(&root.conductor, number, scene);
    }
}

fn nothing(_: &Root) {}

fn another_job(root: &Root) {
    root.conductor.jobs().start(job(BEGAN), LONG).unwrap().wait(LONG).unwrap();
}

#[test]
fn a_job_whose_host_dies_anywhere_is_whole() {
    every_call("job", nothing, another_job);
}

#[test]
fn a_refused_job_whose_host_dies_anywhere_is_whole() {
    let prepare = |root: &Root| {
        let program = root.dir.path().join("agent");
        support::program::script(&program, "#!/no/such/interpreter\n");
    };
    every_call("refused", prepare, nothing);
}

#[test]
fn a_task_whose_driver_dies_anywhere_goes_on() {
    every_call("task", nothing, |root| {
        let task = root.conductor.tasks().start(task(TWO), LONG).unwrap();
        assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    });
}

fn sleeping(root: &Root) {
    let task = root.conductor.tasks().start(task("echo $JRUN_ID >>began; sleep 1000"), LONG);
    drop(task.unwrap());
    until("the agent runs", || root.task_folder().join("began").exists());
}

#[test]
fn a_stop_that_dies_anywhere_can_be_repeated() {
    every_call("stop", sleeping, |root| {
        let (project, id) = ids();
        let task = root.conductor.tasks().get(&project, &id).unwrap();
        task.stop(Stop::because("enough").force(true), LONG).unwrap();
        assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Stopped);
    });
}

#[test]
fn a_delete_that_dies_anywhere_can_be_repeated() {
    every_call("delete", sleeping, |root| {
        let (project, id) = ids();
        let stop = Stop::because("gone").force(true);
        if let Err(error) = root.conductor.tasks().delete(&project, &id, Some(stop), LONG) {
            assert_eq!(error.code(), "task.not_found");
        }
        assert!(!root.task_folder().exists());
        // The name is free again.
        let spec = TaskSpec::new("shop").task("fix").agent("shell").prompt("touch DONE");
        root.conductor.tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    });
}

/// The program of the server that serves `root`.
fn served_program(root: &Path) -> PathBuf {
    root.parent().unwrap().join("bin/run-agent")
}

/// What must hold after a server died while it exchanged its program: a whole program stands, and the
/// next server knows where it is, clears up and can go on.
fn check_update(root: &Root, old: &[u8], new: &[u8], number: usize) {
    let program = served_program(&root.path());
    let at = || format!("update killed before call {number}");
    let stands = fs::read(&program).unwrap_or_else(|error| panic!("{}: {error}", at()));
    assert!(stands == old || stands == new, "{}: neither program", at());
    let update = root.conductor.update();
    // A child that the dead server had just forked has a copy of its lock until it is another program.
    let lock = fs::File::open(root.path().join(".conductor/self-update.lock")).unwrap();
    lock.lock().unwrap();
    drop(lock);
    root.job("true");
    let mut updater = None;
    // What the dead one was starting just then has a copy of its lock for a moment.
    until(&at(), || {
        updater = update.serve(&program).unwrap();
        updater.is_some()
    });
    let updater = updater.unwrap();
    let status = update.status().unwrap();
    assert_ne!(status.state, UpdateState::Applying, "{}: {status:?}", at());
    // The new program stands where it got the place, and only there.
    let expected = if status.state == UpdateState::Idle { new } else { old };
    assert!(fs::read(&program).unwrap() == expected, "{}: {status:?}", at());
    let names = fs::read_dir(program.parent().unwrap()).unwrap();
    for name in names.map(|name| name.unwrap().file_name()) {
        assert!(!name.as_encoded_bytes().starts_with(b"."), "{}: {name:?} was left", at());
    }
    update.start(UpdateRequest::new(root.dir.path().join("candidate"))).unwrap();
    let installed = updater.install(updater.wait(LONG).unwrap()).unwrap();
    updater.finish(installed).unwrap();
    assert!(fs::read(&program).unwrap() == new, "{}", at());
}

#[test]
fn an_update_whose_server_dies_anywhere_leaves_a_program() {
    for number in (1..).step_by(stride()) {
        let root = root();
        let (program, candidate) =
            (served_program(&root.path()), root.dir.path().join("candidate"));
        support::program::folder(program.parent().unwrap());
        support::program::program(&program, "0.1.0", Does::Works);
        support::program::program(&candidate, "0.2.0", Does::Works);
        let (old, new) = (fs::read(&program).unwrap(), fs::read(&candidate).unwrap());
        let update = root.conductor.update();
        let updater = update.serve(&program).unwrap().unwrap();
        update.start(UpdateRequest::new(candidate)).unwrap();
        drop(updater);
        let killed = killed_at(number, "update", &root.path());
        check_update(&root, &old, &new, number);
        if !killed {
            println!("update: {number} calls");
            return;
        }
    }
}
