//! The command line itself: help, version, completion, colour, and everything that can be wrong.

use crate::support::*;
use conductor_tests::process::Finished;
use conductor_tests::sandbox::Sandbox;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::symlink;

/// One error, in the form that all have: its line, and the ways out.
fn assert_one_error(finished: &Finished, what: &str) {
    let stderr = &finished.stderr;
    assert!(stderr.starts_with("Error: "), "{what}: {stderr}");
    assert_eq!(stderr.matches("Error: ").count(), 1, "{what}: {stderr}");
    assert_eq!(finished.stdout, "", "{what}");
}

#[test]
fn the_version_is_one_line_and_help_lists_the_commands() {
    let sandbox = Sandbox::new();
    let version = format!("run-agent {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["--version", "-v", "-V"] {
        assert_eq!(see(&sandbox, flag), version);
    }
    let help = see(&sandbox, "--help");
    assert_eq!(see(&sandbox, ""), help);
    for word in ["list", "status", "watch", "output", "bus", "completion", "Exit codes:"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(!sandbox.root().exists(), "nothing is made");
}

#[test]
fn every_shell_can_be_taught() {
    let sandbox = Sandbox::new();
    for (shell, mark) in [
        ("bash", "_run__agent()"),
        ("zsh", "#compdef run-agent"),
        ("fish", "complete -c run-agent"),
    ] {
        assert!(see(&sandbox, &format!("completion {shell}")).contains(mark), "{shell}");
    }
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let sandbox = reference();
    let list = || cli(&sandbox, "list --project shop");
    assert!(!list().succeed().stdout.contains('\x1b'));
    let forced = list().env("CLICOLOR_FORCE", "1").succeed().stdout;
    assert!(forced.contains("\x1b["), "{forced:?}");
    let plain = list().env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").succeed().stdout;
    assert!(!plain.contains('\x1b'));
}

#[test]
fn a_wrong_command_line_is_one_error_with_the_way_out() {
    let sandbox = reference();
    for (line, part) in [
        ("lst", "unrecognized subcommand 'lst'"),
        ("list --nope", "unexpected argument '--nope'"),
        ("list extra", "unexpected argument 'extra'"),
        ("list --project", "a value is required"),
        ("list --status sideways", "[possible values: running, done"),
        ("list --drift-after 5", "a duration looks like 500ms"),
        ("list --drift-after -1s", "--drift-after"),
        ("list --all --project shop", "cannot be used with"),
        ("status --concise --json", "cannot be used with"),
        ("status --status sideways", "[possible values: running, done"),
        ("watch --timeout soon", "a duration looks like 500ms"),
        ("output --file nothing", "[possible values: output, stdout, stderr, prompt]"),
        ("output --tail -1", "--tail"),
        ("output --tail many", "invalid value 'many'"),
        ("output --run-dir /x --task t", "cannot be used with"),
        ("bus read --tail x", "invalid value 'x'"),
        ("bus post --meta novalue --body x", "NAME=value is wanted"),
        ("bus post --meta =x --body x", "NAME=value is wanted"),
        ("bus post --wait never --body x", "a duration looks like 500ms"),
        ("completion tcsh", "invalid value 'tcsh'"),
        ("list --root=", "a value is required"),
    ] {
        let refused = look(&sandbox, cli(&sandbox, line), 2);
        assert_one_error(&refused, line);
        assert!(refused.stderr.contains(part), "{line}: {}", refused.stderr);
    }
}

#[test]
fn an_id_that_is_none_is_refused_wherever_it_is_given() {
    let sandbox = reference();
    let long = "x".repeat(300);
    let ids =
        ["..", "../shop", "/etc", ".", "", "a/b", "a\nb", "-a", ".conductor", &long, "caf\u{e9}"];
    let commands: &[&[&str]] = &[
        &["list", "--project=ID"],
        &["list", "--project=shop", "--task=ID"],
        &["status", "--project=ID"],
        &["status", "--project=shop", "--task=ID"],
        &["watch", "--project=ID", "--task=t"],
        &["watch", "--project=shop", "--task=ID"],
        &["watch", "--project=shop", "--task=t", "--task=ID"],
        &["output", "--project=ID"],
        &["output", "--project=shop", "--task=ID"],
        &["output", "--project=shop", "--task=t", "--run=ID"],
        &["bus", "read", "--project=ID"],
        &["bus", "read", "--project=shop", "--task=ID"],
        &["bus", "read", "--project=shop", "--run=ID"],
        &["bus", "post", "--body=x", "--project=ID"],
        &["bus", "post", "--body=x", "--project=shop", "--task=ID"],
        &["bus", "post", "--body=x", "--project=shop", "--run=ID"],
        &["bus", "post", "--body=x", "--project=shop", "--parent=ID"],
    ];
    for command in commands {
        for id in ids {
            let args: Vec<String> = command.iter().map(|arg| arg.replace("ID", id)).collect();
            let refused = look(&sandbox, run_agent(&sandbox, &args), 2);
            assert_one_error(&refused, &format!("{args:?}"));
            assert!(refused.stderr.contains("hint: "), "{args:?}: {}", refused.stderr);
        }
        let args: Vec<OsString> = command
            .iter()
            .map(|arg| match arg.split_once("ID") {
                Some((before, _)) => OsString::from_vec([before.as_bytes(), b"\xff"].concat()),
                None => OsString::from(arg),
            })
            .collect();
        let refused = look(&sandbox, run_agent(&sandbox, &args), 2);
        assert_one_error(&refused, &format!("{args:?}"));
        assert!(refused.stderr.contains("UTF-8"), "{}", refused.stderr);
    }
}

#[test]
fn what_does_not_exist_is_not_found_and_not_made() {
    let sandbox = reference();
    for (line, part) in [
        ("list --project none", "there is no project none"),
        ("list --project shop --task none", "there is no task shop/none"),
        ("status --project none", "there is no project none"),
        ("status --project shop --task none", "there is no task shop/none"),
        ("watch --project none --task t", "there is no project none"),
        ("output --project none", "there is no project none"),
        ("output --project shop --task none", "there is no task shop/none"),
        ("output --run-dir /no/such/folder", "/no/such/folder"),
        ("bus read --project none", "there is no project none"),
        ("bus read --project shop --task none", "there is no task shop/none"),
        ("bus post --body x --project none", "there is no project none"),
        ("bus post --body x --project shop --task none", "there is no task shop/none"),
        ("bus discover --from /no/such/folder", "/no/such/folder"),
        ("list --root /no/such/root", "there is no root at /no/such/root"),
        ("status --root /no/such/root", "there is no root at /no/such/root"),
    ] {
        let missing = look(&sandbox, cli(&sandbox, line), 10);
        assert_one_error(&missing, line);
        assert!(missing.stderr.contains(part), "{line}: {}", missing.stderr);
    }
    let run = format!("output --project shop --task {CART} --run none");
    assert_one_error(&look(&sandbox, cli(&sandbox, &run), 10), &run);
}

#[test]
fn what_is_not_named_is_asked_for() {
    let sandbox = reference();
    for (line, part) in [
        ("watch", "--project"),
        ("output", "--project"),
        ("list --task x", "--project"),
        ("status --task x", "--project"),
        ("bus read --task x", "--project"),
    ] {
        let refused = look(&sandbox, cli(&sandbox, line), 2);
        assert_one_error(&refused, line);
        assert!(refused.stderr.contains(part), "{line}: {}", refused.stderr);
    }
    for line in ["bus read", "bus post --body x"] {
        assert_one_error(&look(&sandbox, cli(&sandbox, line), 10), line);
    }
}

#[test]
fn wrong_messages_and_cursors_are_refused() {
    let sandbox = reference();
    for (line, part) in [
        ("bus read --project shop --after sideways/", "invalid cursor"),
        ("bus read --project shop --after c1:x:MSG-1", "invalid cursor"),
        ("bus post --project shop --type a\u{e9} --body x", "type"),
        ("bus post --project shop --parent end --body x", "names no message"),
    ] {
        let refused = look(&sandbox, cli(&sandbox, line), 2);
        assert_one_error(&refused, line);
        assert!(refused.stderr.contains(part), "{line}: {}", refused.stderr);
    }
    let unknown = look(&sandbox, cli(&sandbox, "bus read --project shop --after MSG-none"), 10);
    assert_one_error(&unknown, "an unknown message");
    let big = cli(&sandbox, "bus post --project shop").stdin(vec![b'x'; (1 << 20) + 1]);
    assert_one_error(&look(&sandbox, big, 2), "a big body");
    let odd = cli(&sandbox, "bus post --project shop").stdin(b"\xff".as_slice());
    assert_one_error(&look(&sandbox, odd, 2), "a body of odd bytes");
    let nul = cli(&sandbox, "bus post --project shop").stdin(b"a\0b".as_slice());
    let posted = look(&sandbox, nul, 2);
    assert_one_error(&posted, "a body with a NUL");
}

#[test]
fn what_stands_in_the_way_is_named() {
    let sandbox = reference();
    let root = sandbox.root();
    symlink("shop", root.join("link")).unwrap();
    fs::write(root.join("file"), "").unwrap();
    fs::create_dir_all(root.join("odd/linked")).unwrap();
    symlink("/etc", root.join("odd/linked/runs")).unwrap();
    fs::create_dir_all(root.join("odd/buses/TASK-MESSAGE-BUS.md")).unwrap();
    fs::create_dir_all(root.join("odd/links")).unwrap();
    symlink("/etc/passwd", root.join("odd/links/TASK-MESSAGE-BUS.md")).unwrap();
    for (line, part) in [
        ("list --project link", "link is a symbolic link"),
        ("list --project file", "file is not a folder"),
        ("list --project odd --task linked", "linked/runs is a symbolic link"),
        ("output --project odd --task linked", "linked/runs is a symbolic link"),
        ("bus read --project odd --task buses", "TASK-MESSAGE-BUS.md is not a regular file"),
        (
            "bus post --project odd --task buses --body x",
            "TASK-MESSAGE-BUS.md is not a regular file",
        ),
        ("bus read --project odd --task links", "TASK-MESSAGE-BUS.md is a symbolic link"),
        ("bus post --project odd --task links --body x", "TASK-MESSAGE-BUS.md is a symbolic link"),
    ] {
        let refused = look(&sandbox, cli(&sandbox, line), 2);
        assert_one_error(&refused, line);
        assert!(refused.stderr.contains(part), "{line}: {}", refused.stderr);
    }
}

#[test]
fn a_folder_name_of_odd_bytes_is_told_and_harms_nothing() {
    let sandbox = reference();
    fs::create_dir(sandbox.root().join(OsStr::from_bytes(b"odd\xff\x1b[31m"))).unwrap();
    let list = look(&sandbox, cli(&sandbox, "list"), 0);
    assert_eq!(list.stdout, "shop\n");
    assert!(!list.stderr.contains('\x1b') && list.stderr.contains("odd"), "{:?}", list.stderr);
}
