//! Everything that can be wrong: one clear error that names it, its exit code, and an untouched disk.

use crate::support::*;
use conductor_tests::process::{Finished, Program};
use conductor_tests::sandbox::Sandbox;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;

/// A sandbox with one task that is over.
fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    cli(&sandbox, "task -q --project p --task t --agent shell --prompt-file -")
        .stdin("touch \"$JRUN_TASK_FOLDER/DONE\"")
        .succeed();
    sandbox
}

/// Runs what must be refused, with the words that name why.
fn refuse(sandbox: &Sandbox, program: Program, code: i32, part: &str, what: &str) {
    let refused: Finished = look(sandbox, program, code);
    let stderr = &refused.stderr;
    assert!(stderr.starts_with("Error: "), "{what}: {stderr}");
    assert_eq!(stderr.matches("Error: ").count(), 1, "{what}: {stderr}");
    assert!(stderr.contains(part), "{what}: {stderr}");
    assert_eq!(refused.stdout, "", "{what}");
}

#[test]
fn wrong_flags_and_values_are_refused() {
    let sandbox = small();
    for (line, part) in [
        ("task --project p --agent shell --prompt x --idle-timeout 20", "--idle-timeout"),
        ("task --project p --agent shell --prompt x --timeout soon", "a duration looks like 500ms"),
        ("task --project p --agent shell --prompt x --grace=-1s", "--grace"),
        ("task --project p --agent shell --prompt x --max-attempts=-1", "--max-attempts"),
        ("task --project p --agent shell --prompt x --max-attempts 4294967296", "--max-attempts"),
        ("task --project p --agent shell --prompt x --max-restarts many", "'many'"),
        ("task --project p --agent shell --prompt x --restart-delay 1", "--restart-delay"),
        ("task --project p --agent shell --prompt x --child-wait-timeout x", "--child-wait"),
        ("task --project p --agent shell --prompt x --wait x", "--wait"),
        ("task --project p --agent shell --prompt x -d --wait 1s", "cannot be used with"),
        ("task --project p --agent shell --prompt x --env novalue", "NAME=value is wanted"),
        ("task --project p --agent shell --prompt x --env =x", "NAME=value is wanted"),
        ("task --project p --agent shell --prompt x --nope", "'--nope'"),
        ("task --project p --agent shell", "there is no prompt"),
        ("task --project p --agent nobody --prompt x", "unknown agent \"nobody\""),
        ("task --project p --prompt x", "no agent is named"),
        ("task --project p --agent shell --prompt x --cwd /no/such", "/no/such does not exist"),
        ("task --project p --agent command --prompt x", "needs a command"),
        ("task --project p --agent shell --prompt x -- ls", "a command of its own"),
        ("task --project p --agent shell --prompt x --command ls -- ls", "cannot be used with"),
        ("task --agent shell --prompt x", "--project"),
        ("task resume --all --task t", "cannot be used with"),
        ("task resume --project p", "--task"),
        ("task delete --project p", "--task"),
        ("task cancel --project p", "--task"),
        ("attach --timeout never", "--timeout"),
        ("job --project p --agent shell", "there is no prompt"),
        ("job --agent shell --prompt x", "--project"),
        ("job --project p --prompt x", "no agent is named"),
        ("job --project p --agent shell --prompt x --follow --json", "cannot be used with"),
        ("job --project p --agent shell --prompt x -d -f", "cannot be used with"),
        ("job --project p --agent shell --prompt x --max-attempts 1", "--max-attempts"),
        ("job --project p --agent shell --prompt x --first-byte-timeout x", "--first-byte"),
        ("job --project p --agent shell --prompt x --total-timeout x", "--total-timeout"),
        ("job batch --project p --agent shell", "there is no prompt"),
        ("job batch --project p --agent shell --prompt x --parallel 0", "--parallel"),
        (
            "job batch --project p --agent shell --prompt x --prompt y --task a",
            "--task count (1) must match prompt count (2)",
        ),
        ("stop --project p", "--task"),
        ("stop --run-dir /x --task t", "cannot be used with"),
        ("stop --project p --task t --attempt --run r", "cannot be used with"),
        ("resume --project p", "--task"),
    ] {
        refuse(&sandbox, cli(&sandbox, line), 2, part, line);
    }
}

#[test]
fn ids_that_are_none_are_refused_wherever_they_are_given() {
    let sandbox = small();
    let long = "x".repeat(300);
    let ids =
        ["..", "../p", "/etc", ".", "", "a/b", "a\nb", "-a", ".conductor", &long, "caf\u{e9}"];
    let commands: &[&[&str]] = &[
        &["task", "--agent=shell", "--prompt=x", "--project=ID"],
        &["task", "--agent=shell", "--prompt=x", "--project=p", "--task=ID"],
        &["task", "--agent=shell", "--prompt=x", "--project=p", "--parent-run-id=ID"],
        &["task", "--agent=shell", "--prompt=x", "--project=p", "--task=n", "--depends-on=ID"],
        &["task", "resume", "--project=ID", "--task=t"],
        &["task", "resume", "--project=p", "--task=ID"],
        &["task", "resume", "--all", "--project=ID"],
        &["task", "delete", "--project=p", "--task=ID"],
        &["task", "delete", "--project=ID", "--task=t"],
        &["task", "cancel", "--project=p", "--task=ID"],
        &["attach", "--project=ID"],
        &["attach", "--project=p", "--task=ID"],
        &["job", "--agent=shell", "--prompt=x", "--project=ID"],
        &["job", "--agent=shell", "--prompt=x", "--project=p", "--task=ID"],
        &["job", "--agent=shell", "--prompt=x", "--project=p", "--previous-run-id=ID"],
        &["job", "--agent=shell", "--prompt=x", "--project=p", "--parent-run-id=ID"],
        &["job", "batch", "--agent=shell", "--prompt=x", "--project=p", "--task=ID"],
        &["stop", "--project=ID", "--task=t"],
        &["stop", "--project=p", "--task=ID"],
        &["stop", "--project=p", "--task=t", "--run=ID"],
        &["resume", "--project=p", "--task=ID"],
    ];
    for command in commands {
        for id in ids {
            // An empty list of dependencies is one: it takes the stored ones away. No parent is one, too.
            let flag = command.last().unwrap();
            let may_be_empty = ["--depends-on", "--parent-run-id"];
            if id.is_empty() && may_be_empty.iter().any(|name| flag.starts_with(name)) {
                continue;
            }
            let args: Vec<String> = command.iter().map(|arg| arg.replace("ID", id)).collect();
            refuse(&sandbox, run_agent(&sandbox, &args), 2, "hint: ", &format!("{args:?}"));
        }
        let args: Vec<OsString> = command
            .iter()
            .map(|arg| match arg.split_once("ID") {
                Some((before, _)) => OsString::from_vec([before.as_bytes(), b"\xff"].concat()),
                None => OsString::from(arg),
            })
            .collect();
        refuse(&sandbox, run_agent(&sandbox, &args), 2, "UTF-8", &format!("{args:?}"));
    }
}

#[test]
fn what_does_not_exist_is_not_found_and_not_made() {
    let sandbox = small();
    for (line, part) in [
        ("task resume --project p --task none", "there is no task p/none"),
        ("task resume --project none --task t", "there is no task none/t"),
        ("task delete --project p --task none", "there is no task p/none"),
        ("task delete --project p --task none --force", "there is no task p/none"),
        ("task cancel --project p --task none", "there is no task p/none"),
        ("attach --project p --task none", "there is no task p/none"),
        ("attach", "no task in "),
        ("stop --project p --task none", "there is no task p/none"),
        ("stop --project p --task t --run none", "none"),
        ("stop --project p --task t --attempt", "no attempt of p/t runs"),
        ("stop --run-dir /no/such/folder", "/no/such/folder"),
        ("resume --project p --task none", "there is no task p/none"),
        ("resume --project p --task none --agent shell", "there is no task p/none"),
        ("task --project p --agent shell --prompt-file /no/such/file", "/no/such/file"),
        ("job --project p --agent shell --prompt-file /no/such/file", "/no/such/file"),
    ] {
        refuse(&sandbox, cli(&sandbox, line), 10, part, line);
    }
}

#[test]
fn a_root_that_does_not_exist_is_not_made_by_what_is_refused() {
    let sandbox = Sandbox::new();
    for (line, code) in [
        ("task --project p --agent claude --prompt x", 25),
        ("task --project p --prompt x", 2),
        ("task --project .. --agent shell --prompt x", 2),
        ("task --project p --agent shell --prompt x --task ..", 2),
        ("task --project p --agent shell --prompt x --cwd /no/such", 2),
        ("job --project p --agent claude --prompt x", 25),
        ("job --project p --agent shell", 2),
        ("job batch --project p --agent shell --prompt x --task ..", 2),
        ("task resume --project p --task t", 10),
        ("task delete --project p --task t", 10),
        ("task cancel --project p --task t", 10),
        ("attach --project p --task t", 10),
        ("stop --project p --task t", 10),
        ("resume --project p --task t", 10),
        ("attach", 10),
        ("task resume --all", 10),
    ] {
        let refused = cli(&sandbox, line).exits(code);
        assert!(refused.stderr.starts_with("Error: "), "{line}: {}", refused.stderr);
        assert!(!sandbox.root().exists(), "{line}");
    }
}

#[test]
fn prompts_that_are_none_are_refused() {
    let sandbox = small();
    let odd = sandbox.work().join("odd");
    let file = odd.to_str().unwrap().to_owned();
    for (bytes, part) in [
        (b"".as_slice(), "is empty"),
        (b" \n\t", "is empty"),
        (b"a\0b", "NUL"),
        (b"a\xffb", "not UTF-8"),
    ] {
        fs::write(&odd, bytes).unwrap();
        for noun in ["task", "job"] {
            let by_file = format!("{noun} --project p --agent shell --prompt-file {file}");
            refuse(&sandbox, cli(&sandbox, &by_file), 2, part, &by_file);
            let by_input = format!("{noun} --project p --agent shell --prompt-file -");
            refuse(&sandbox, cli(&sandbox, &by_input).stdin(bytes), 2, part, &by_input);
        }
    }
    let big = cli(&sandbox, "job --project p --agent shell --prompt-file -");
    let bytes = vec![b'x'; (64 << 20) + 1];
    refuse(&sandbox, big.stdin(bytes), 2, "larger than 64 MiB", "a big prompt");
    let blank = run_agent(&sandbox, ["job", "--project", "p", "--agent", "shell", "--prompt", " "]);
    refuse(&sandbox, blank, 2, "is empty", "a blank prompt");
    let folder = run_agent(&sandbox, ["job", "--project", "p", "--agent", "shell"]);
    let folder = folder.arg("--prompt-file").arg(sandbox.work());
    refuse(&sandbox, folder, 24, "cannot read the prompt", "a folder");
}

#[test]
fn an_agent_that_is_not_there_says_what_is() {
    let sandbox = small();
    let agents = sandbox.folder("agents");
    for name in ["codex", "gemini"] {
        fs::write(agents.join(name), "#!/bin/sh\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(agents.join(name), mode).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", agents.display());
    let none = cli(&sandbox, "task --project p --prompt x").env("PATH", &path);
    refuse(&sandbox, none, 2, "codex, gemini; for example --agent codex", "no agent");
    let missing = cli(&sandbox, "task --project p --agent claude --prompt x").env("PATH", &path);
    refuse(&sandbox, missing, 25, "codex, gemini; for example --agent codex", "another agent");
    let none = cli(&sandbox, "job --project p --agent claude --prompt x").env("PATH", "/none");
    refuse(
        &sandbox,
        none,
        25,
        "--agent shell runs the prompt as a shell script",
        "no agent at all",
    );
}

#[test]
fn what_stands_in_the_way_is_named() {
    let sandbox = small();
    let root = sandbox.root();
    symlink("p", root.join("link")).unwrap();
    fs::write(root.join("file"), "").unwrap();
    fs::create_dir_all(root.join("odd/linked")).unwrap();
    symlink("/etc", root.join("odd/linked/runs")).unwrap();
    fs::create_dir_all(root.join("odd/done/DONE")).unwrap();
    fs::create_dir_all(root.join("odd/bus/TASK-MESSAGE-BUS.md")).unwrap();
    for (line, part) in [
        ("job --project link --task x --agent shell --prompt x", "link is a symbolic link"),
        ("job --project file --task x --agent shell --prompt x", "file is not a folder"),
        ("task --project link --task x --agent shell --prompt x", "link is a symbolic link"),
        ("task --project file --task x --agent shell --prompt x", "file is not a folder"),
        ("task delete --project link --task t", "link is a symbolic link"),
        ("stop --project link --task t", "link is a symbolic link"),
    ] {
        refuse(&sandbox, cli(&sandbox, line), 2, part, line);
    }
    // A task's own locks may be made before what stands in the way is met; nothing else is.
    for (line, part) in [
        ("job --project odd --task linked --agent shell --prompt x", "runs is a symbolic link"),
        ("task --project odd --task done --agent shell --prompt x", "DONE"),
        ("task --project odd --task bus --agent shell --prompt x", "TASK-MESSAGE-BUS.md"),
    ] {
        let refused = cli(&sandbox, line).run();
        assert_ne!(refused.status.code(), Some(0), "{line}");
        assert!(refused.stderr.contains(part), "{line}: {}", refused.stderr);
    }
}

#[test]
fn a_cycle_of_dependencies_is_refused() {
    let sandbox = small();
    for (task, on) in [("a", "b"), ("b", "c")] {
        let line = format!("task --project p --task {task} --depends-on {on} --wait 1ms");
        cli(&sandbox, &format!("{line} --agent shell --prompt x")).exits(124);
    }
    let line = "task --project p --task c --depends-on a --agent shell --prompt x";
    refuse(&sandbox, cli(&sandbox, line), 2, "lead back: c -> a -> b -> c", line);
    let line = "task --project p --task c --depends-on c --agent shell --prompt x";
    refuse(&sandbox, cli(&sandbox, line), 2, "lead back: c -> c", line);
}
