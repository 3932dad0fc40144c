//! A system that watches no more files or descriptors for this user: work goes on, or the limit is named.

use crate::workshop::*;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::tools;

/// `run-agent task p/t` whose calls of `call` fail as with a full disk; `None` where there is no strace.
fn task_without(sandbox: &Sandbox, call: &str) -> Option<Program> {
    let strace = tools::find("strace")?;
    let inject = format!("inject={call}:error=ENOSPC");
    let program = sandbox
        .program(&strace)
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject])
        .arg(env!("CARGO_BIN_EXE_run-agent"))
        .args(["task", "--project", "p", "--task", "t", "--agent", "shell"])
        .args(["--restart-delay", "10ms", "--prompt", TWO]);
    Some(program)
}

#[test]
fn where_no_more_files_are_watched_work_goes_on_and_the_limit_is_named_once() {
    let sandbox = Sandbox::new();
    let Some(task) = task_without(&sandbox, "inotify_add_watch") else { return };
    let finished = task.succeed();
    assert!(finished.stdout.contains("p/t: done after 2 attempts"), "{}", finished.stdout);
    let named = finished.stderr.matches("fs.inotify.max_user_watches").count();
    assert_eq!(named, 1, "{}", finished.stderr);
    assert!(!finished.stderr.contains("storage_full"), "{}", finished.stderr);
}

#[test]
fn where_no_more_descriptors_are_watched_the_error_names_the_limit_and_no_disk() {
    let sandbox = Sandbox::new();
    let Some(task) = task_without(&sandbox, "epoll_ctl") else { return };
    let stderr = task.exits(13).stderr;
    assert!(stderr.contains("sysctl fs.epoll.max_user_watches"), "{stderr}");
    assert!(!stderr.contains("free space"), "{stderr}");
}
