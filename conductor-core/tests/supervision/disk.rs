//! A disk that is full at any moment of a run's life: a small one of its own, filled before a chosen system
//! call of the starter, or by the agent itself.
#![allow(
    unsafe_code,
    reason = "a host is traced, so that the disk is full at a chosen system call"
)]

use crate::support::*;
use conductor_core::{Conductor, ErrorKind, Outcome};
use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the small disk.
const DISK: &str = "CONDUCTOR_TEST_DISK";
/// Its size in MiB: room for what must be free before a run is started, and some.
const SIZE: u64 = 24;

/// Runs the test `name` of this binary with a small disk, in a mount namespace that goes with it.
fn on_a_small_disk(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size={SIZE}m none \"$1\" && exec \"$2\" --exact {name} --ignored --nocapture"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"]).arg(dir.path());
    let output = command.arg(std::env::current_exe().unwrap()).env(DISK, dir.path()).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && text.contains("unshare:") {
        assert!(std::env::var_os("CONDUCTOR_TEST_STRICT").is_none(), "{text}");
        return;
    }
    assert!(output.status.success(), "{text}");
    println!("{text}");
}

fn disk() -> PathBuf {
    std::env::var_os(DISK).unwrap().into()
}

#[test]
fn a_task_waits_for_space_and_goes_on() {
    on_a_small_disk("disk::waits_for_space");
}

#[test]
#[ignore = "a part of another test, which runs it on a small disk"]
fn waits_for_space() {
    let disk = disk();
    let conductor = open(&disk.join("root"));
    // Enough to write what is waited for, and too little to start.
    let most = usize::try_from((SIZE - 4) << 20).unwrap();
    fs::write(disk.join("ballast"), vec![b'x'; most]).unwrap();
    let task = conductor.tasks().start(task("touch DONE"), LONG).unwrap();
    let info = task.info().unwrap();
    assert_eq!(info.waiting.unwrap().what, "disk space: 16.0 MB must be free");
    assert_eq!(info.runs, 0);
    // Now there is nothing at all, and the loop lives on.
    fill(&disk);
    for _ in 0..20 {
        task.step().unwrap();
    }
    fs::remove_file(disk.join("ballast")).unwrap();
    assert_eq!(task.wait(LONG).unwrap().outcome, conductor_core::TaskOutcome::Done);
}

/// Takes all space that is left.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("ballast");
    let mut ballast = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        let piece = vec![b'x'; size];
        while ballast.write_all(&piece).is_ok() {}
    }
    path
}

#[test]
fn a_disk_that_is_full_at_any_step_of_a_start_leaves_nothing_half_done() {
    on_a_small_disk("disk::full_at_each_call");
}

/// Plays a job, traced by the test that started it.
#[test]
fn host_fills_up() {
    let Some(root) = std::env::var_os(HOST) else { return };
    // SAFETY: system calls about this thread alone.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0), 0);
        println!("thread {}", libc::gettid());
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGSTOP);
    }
    let conductor = open(root.as_ref());
    let run = conductor.jobs().start(job("echo $JRUN_ID >>began; echo done"), LONG);
    match run.and_then(|run| run.wait(LONG)) {
        Ok(info) => println!("outcome {}", info.outcome().unwrap().as_str()),
        Err(error) => println!("error {} {}", error.kind(), error.code()),
    }
    // SAFETY: ends the process; nothing of the harness is to be traced.
    unsafe { libc::_exit(0) }
}

/// Lets a host play, with the disk full from its system call `number` on; what it said at the end, or
/// `None` where it ended first.
fn full_from(number: usize, disk: &Path, root: &Path) -> Option<String> {
    let mut host = host("disk::host_fills_up", root);
    let mut line = String::new();
    let thread: i32 = loop {
        line.clear();
        assert!(host.lines.read_line(&mut line).unwrap() > 0, "the host ended early");
        if let Some(thread) = line.trim().rsplit("thread ").next().and_then(|n| n.parse().ok()) {
            break thread;
        }
    };
    let request = |request, data: i64| {
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
    request(libc::PTRACE_SETOPTIONS, i64::from(libc::PTRACE_O_TRACESYSGOOD));
    let (mut calls, mut entering, mut signal) = (0, true, 0);
    loop {
        request(libc::PTRACE_SYSCALL, signal);
        signal = 0;
        match stopped() {
            None => return None,
            Some(at) if at == libc::SIGTRAP | 0x80 => {
                calls += usize::from(entering);
                if entering && calls == number {
                    fill(disk);
                    request(libc::PTRACE_DETACH, 0);
                    break;
                }
                entering = !entering;
            }
            Some(other) => signal = i64::from(other),
        }
    }
    loop {
        line.clear();
        assert!(host.lines.read_line(&mut line).unwrap() > 0, "it said nothing");
        for word in ["outcome ", "error "] {
            if let Some(at) = line.find(word) {
                return Some(line[at..].trim().to_owned());
            }
        }
    }
}

#[test]
#[ignore = "a part of another test, which runs it on a small disk"]
fn full_at_each_call() {
    let disk = disk();
    let stride = std::env::var("CONDUCTOR_TEST_STRIDE").map_or(23, |text| text.parse().unwrap());
    let mut said: std::collections::BTreeMap<String, usize> = Default::default();
    for number in (1..).step_by(stride) {
        let root = disk.join("root");
        let Some(end) = full_from(number, &disk, &root) else {
            println!("{number} calls: {said:?}");
            return;
        };
        // An agent that cannot write what it has to say may well fail.
        let known =
            ["outcome completed", "outcome failed", "error storage_full", "error spawn_failed"];
        assert!(known.iter().any(|known| end.starts_with(known)), "call {number}: {end}");
        *said.entry(end.clone()).or_default() += 1;
        // While it is full everything that is there can be read.
        let conductor = open(&root);
        look(&conductor, number);
        fs::remove_file(disk.join("ballast")).unwrap();
        // Keepers and agents that were alone take moments to end.
        until("all runs closed", || {
            let closed = conductor.reconcile(LONG);
            closed.unwrap_or_else(|error| panic!("call {number}: {error:?}"));
            let open = fs::read_dir(root.join(".conductor/open")).into_iter().flatten();
            !open.into_iter().any(|e| !e.unwrap().file_name().as_encoded_bytes().starts_with(b"."))
        });
        look(&conductor, number);
        let info = conductor.jobs().start(job("echo $JRUN_ID >>began"), LONG).unwrap();
        let info = info.wait(LONG).unwrap();
        assert_eq!(info.outcome(), Some(Outcome::Completed), "call {number}");
        let report = conductor.bus(("shop", "fix")).unwrap().check().unwrap();
        assert!(report.findings.is_empty(), "call {number}: {report:?}");
        let began = fs::read_to_string(root.join("shop/fix/began")).unwrap();
        let told = messages(&conductor.bus(("shop", "fix")).unwrap());
        let runs = conductor.runs().ids(&ids().0, &ids().1).unwrap();
        // Of what an agent wrote last there may be a part.
        for run in began.lines().filter(|line| runs.iter().any(|run| run.as_str() == *line)) {
            let count = |kinds: &[&str]| {
                let of = told.iter().filter(|m| m.run_id == run);
                of.filter(|m| kinds.contains(&m.msg_type.as_str())).count()
            };
            assert_eq!(count(&["RUN_START"]), 1, "call {number}: {run}");
            assert_eq!(count(&["RUN_STOP", "RUN_CRASH"]), 1, "call {number}: {run}");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}

/// Every record that has its name can be read whole.
fn look(conductor: &Conductor, number: usize) {
    let (project, id) = ids();
    match conductor.runs().list(&project, &id) {
        Ok(runs) => runs.into_iter().for_each(|run| {
            run.unwrap_or_else(|error| panic!("call {number}: {error:?}"));
        }),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "call {number}: {error:?}"),
    }
}

#[test]
fn the_end_of_an_agent_that_filled_the_disk_is_written_down_all_the_same() {
    on_a_small_disk("disk::filled_by_the_agent");
}

#[test]
#[ignore = "a part of another test, which runs it on a small disk"]
fn filled_by_the_agent() {
    let disk = disk();
    let conductor = open(&disk.join("root"));
    // It writes until nothing more goes, and goes with a code of its own.
    let script = format!(
        "dd if=/dev/zero of={0}/ballast bs=1M 2>/dev/null; dd if=/dev/zero bs=512 >>{0}/ballast 2>/dev/null; \
         yes | head -c 100000; exit 7",
        disk.display()
    );
    let run = conductor.jobs().start(job(&script), LONG).unwrap();
    let info = run.wait(LONG).unwrap();
    assert_eq!((info.outcome(), info.record.exit_code), (Some(Outcome::Failed), 7));
    let told = messages(&conductor.bus(("shop", "fix")).unwrap());
    assert_eq!(told.iter().filter(|m| m.msg_type == "RUN_CRASH").count(), 1, "told on a full disk");
    assert!(!info.folder.join(".reserve").exists());
    // The next one is not even begun.
    let error = conductor.jobs().start(job("true"), std::time::Duration::from_millis(50));
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
    assert!(conductor.doctor().unwrap().iter().any(|f| f.kind.as_str() == "little_space"));
    fs::remove_file(disk.join("ballast")).unwrap();
    let info = conductor.jobs().start(job("true"), LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(info.outcome(), Some(Outcome::Completed));
}
