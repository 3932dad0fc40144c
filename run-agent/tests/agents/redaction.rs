//! Tokens that the configuration knows: found nowhere they must not be.

use super::config;
use crate::support::run_agent;
use crate::workshop::{LONG, gate, messages, runs, wait_at};
use conductor_core::Outcome;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};

/// From the configuration, from a file of its own, from the environment, of another agent, of the server.
const SECRETS: [&str; 5] = [
    "sk-config-0123456789",
    "sk-file-0123456789",
    "sk-environment-0123456789",
    "sk-other-agent-0123456789",
    "key-of-the-server-0123456789",
];

/// What may hold a secret: what programs themselves printed, where nobody asked for it to be masked.
const CAPTURED: [&str; 5] =
    ["agent-stdout.txt", "agent-stderr.txt", "output.md", "verify-1.txt", "verify-2.txt"];

/// `run-agent` with a configuration that knows all the secrets; its agent `talker` runs `script`.
fn talk(sandbox: &Sandbox, redact: bool, script: &str, args: &[&str]) -> Program {
    let token_file = sandbox.folder("config").join("token");
    fs::write(&token_file, SECRETS[1]).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&token_file, fs::Permissions::from_mode(0o600)).unwrap();
    let script_file = sandbox.folder("config").join("script");
    fs::write(&script_file, script).unwrap();
    let text = format!(
        "agents:\n  talker:\n    command: [/bin/sh, {}]\n    token: {}\n    token_env: TALKER_TOKEN\n    \
         redact: {redact}\n  filed: {{command: [\"true\"], token_file: {}, token_env: X}}\n  \
         other: {{type: codex, token: {}}}\napi: {{api_key: {}}}\n",
        script_file.display(),
        SECRETS[0],
        token_file.display(),
        SECRETS[3],
        SECRETS[4],
    );
    let config = config(sandbox, &text);
    run_agent(sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(args)
        .args(["--agent", "talker"])
        .env("GEMINI_API_KEY", SECRETS[2])
}

/// The files below a folder that hold one of the secrets.
fn holders(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holders(&path));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            let holds = |secret: &str| bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            found.extend(SECRETS.iter().any(|secret| holds(secret)).then_some(path));
        }
    }
    found
}

fn only_captured(found: &[PathBuf]) {
    for path in found {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(CAPTURED.contains(&name), "{}", path.display());
    }
}

/// Says every secret to everybody, in pieces that cut each in two, and fails.
fn tells_all() -> String {
    let mut script = String::new();
    for secret in SECRETS {
        let (one, two) = secret.split_at(5);
        script.push_str(&format!("printf 'out {one}'; sleep 0.05; echo '{two}.'\n"));
        script.push_str(&format!("printf 'err {one}' >&2; sleep 0.05; echo '{two}.' >&2\n"));
        // The key of another vendor is not in the agent's environment: nobody there knows it.
        if secret != SECRETS[2] {
            script.push_str(&format!(
                "run-agent bus post --type FACT --body 'told {secret}' >/dev/null\n"
            ));
        }
    }
    script.push_str("echo \"own $TALKER_TOKEN.\"\nexit 3\n");
    script
}

#[test]
fn no_file_of_the_root_holds_a_secret_where_masking_is_asked_for() {
    let sandbox = Sandbox::new();
    let prompt = format!("Use {} and {}.", SECRETS[0], SECRETS[2]);
    let args = ["job", "--project", "p", "--task", "t", "--prompt", &prompt];
    let finished = talk(&sandbox, true, &tells_all(), &args).exits(1);
    assert_eq!(holders(&sandbox.root()), Vec::<PathBuf>::new());
    for text in [&finished.stdout, &finished.stderr] {
        assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "{text}");
    }
    let run = &runs(&sandbox)[0];
    assert_eq!((run.outcome(), run.record.exit_code), (Some(Outcome::Failed), 3));
    let read = |name: &str| fs::read_to_string(run.folder.join(name)).unwrap();
    assert_eq!(read("agent-stdout.txt"), "out (secret).\n".repeat(5) + "own (secret).\n");
    assert_eq!(read("agent-stderr.txt"), "err (secret).\n".repeat(5));
    assert!(read("prompt.md").ends_with("Use (secret) and (secret).\n"), "{}", read("prompt.md"));
    let told = messages(&sandbox).iter().filter(|m| m.body == "told (secret)").count();
    assert_eq!(told, 4, "the agent's own messages arrive, masked");
}

#[test]
fn without_it_only_what_the_agent_printed_holds_one() {
    let sandbox = Sandbox::new();
    let prompt = format!("Use {}.", SECRETS[0]);
    let args = ["job", "--project", "p", "--task", "t", "--prompt", &prompt];
    talk(&sandbox, false, &tells_all(), &args).exits(1);
    let found = holders(&sandbox.root());
    assert!(!found.is_empty());
    only_captured(&found);
    let crash = messages(&sandbox).pop().unwrap();
    assert!(crash.body.contains("err (secret)."), "{}", crash.body);
}

#[test]
fn a_task_keeps_no_secret_either_and_a_command_may_not_hold_one() {
    let sandbox = Sandbox::new();
    let prompt = format!("Use {}.", SECRETS[3]);
    let args = ["task", "--project", "p", "--task", "t", "--prompt", &prompt];
    let script = format!("echo {}; touch \"$JRUN_TASK_FOLDER/DONE\"", SECRETS[1]);
    talk(&sandbox, true, &script, &args).succeed();
    assert_eq!(holders(&sandbox.root()), Vec::<PathBuf>::new());

    let config = sandbox.folder("config").join("config.yaml");
    let refused = run_agent(&sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["job", "--project", "q", "--agent", "command", "--prompt", "x"])
        .args(["--", "echo", SECRETS[0]])
        .exits(2);
    assert!(refused.stderr.contains("the command holds a token"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(SECRETS[0]));
    assert!(!sandbox.root().join("q").exists());
}

/// A task whose completion check prints a token, and fails once.
fn checked(sandbox: &Sandbox, redact: bool) {
    let token = sandbox.folder("config").join("token");
    let verify = format!(
        "cat; cat {}; [ -e \"$JRUN_TASK_FOLDER/again\" ] || {{ touch \"$JRUN_TASK_FOLDER/again\"; exit 1; }}",
        token.display()
    );
    let args = ["task", "--project", "p", "--task", "t", "--prompt", "x", "--verify", &verify];
    let script = "touch \"$JRUN_TASK_FOLDER/DONE\"";
    talk(sandbox, redact, script, &args).args(["--restart-delay", "10ms"]).succeed();
}

#[test]
fn what_a_completion_check_prints_goes_on_without_the_tokens_in_it() {
    let sandbox = Sandbox::new();
    checked(&sandbox, false);
    only_captured(&holders(&sandbox.root()));
    let [first, second] = &runs(&sandbox)[..] else { panic!("two attempts") };
    let read = |run: &conductor_core::RunInfo, name: &str| {
        fs::read_to_string(run.folder.join(name)).unwrap()
    };
    assert_eq!(read(first, "verify-1.txt"), SECRETS[1]);
    assert!(read(second, "prompt.md").contains("what it printed:\n\n(secret)\n"));

    let sandbox = Sandbox::new();
    checked(&sandbox, true);
    assert_eq!(holders(&sandbox.root()), Vec::<PathBuf>::new());
    let [first, second] = &runs(&sandbox)[..] else { panic!("two attempts") };
    assert_eq!(read(first, "verify-1.txt"), "(secret)", "and it had nothing to read");
    assert!(read(second, "prompt.md").contains("what it printed:\n\n(secret)\n"));
}

#[test]
fn a_completion_check_that_holds_a_token_is_refused_before_anything_is_made() {
    let sandbox = Sandbox::new();
    let verify = format!("check {}", SECRETS[0]);
    let args = ["task", "--project", "p", "--task", "t", "--prompt", "x", "--verify", &verify];
    let refused = talk(&sandbox, false, "true", &args).exits(2);
    assert!(refused.stderr.contains("the completion check holds a token"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(SECRETS[0]));
    assert!(!sandbox.root().join("p").exists());
    // Nor is it taken from the task's own file.
    let task = sandbox.root().join("p/t");
    fs::create_dir_all(&task).unwrap();
    fs::write(task.join("TASK-CONFIG.yaml"), format!("verify: check {}\n", SECRETS[3])).unwrap();
    let args = ["task", "--project", "p", "--task", "t", "--prompt", "x"];
    talk(&sandbox, false, "true", &args).exits(2);
    assert!(!task.join(".loop.yaml").exists());
}

/// A run that says a token and fails, whose end is written down by somebody without its configuration;
/// the message that tells of it.
fn ended_by_a_stranger(redact: bool) -> String {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = format!("{}; echo 'err {}.' >&2; exit 3", wait_at(&gate), SECRETS[0]);
    let args = ["job", "-d", "--project", "p", "--task", "t", "--prompt", "x"];
    talk(&sandbox, redact, &script, &args).succeed();
    fs::write(&gate, "go\n").unwrap();
    sandbox.wait_until_empty(LONG);
    run_agent(&sandbox, ["reconcile"]).succeed();
    only_captured(&holders(&sandbox.root()));
    messages(&sandbox).pop().unwrap().body
}

#[test]
fn who_does_not_know_the_tokens_of_a_run_passes_none_of_its_errors_on() {
    let told = ended_by_a_stranger(false);
    assert!(told.contains("run stopped with code 3"), "{told}");
    assert!(told.contains("agent-stderr.txt alone") && !told.contains("err sk-"), "{told}");
    let told = ended_by_a_stranger(true);
    assert!(told.contains("err (secret)."), "what is masked already may go: {told}");
}

#[test]
fn the_secrets_themselves_cannot_be_read_by_the_agent() {
    let sandbox = Sandbox::new();
    // Looks into its own environment, into that of what started it, and into what that has open.
    let script = "tr '\\0' '\\n' </proc/$PPID/environ; tr '\\0' ' ' </proc/$PPID/cmdline
        for fd in /proc/$PPID/fd/*; do timeout 1 head -c 4096 $fd 2>/dev/null; done; env; cat";
    let args = ["job", "--project", "p", "--task", "t", "--prompt", "x"];
    // Masked output would hide what is looked for, so it goes to a file of the agent's own.
    let script = format!("{{ {script}; }} >\"$JRUN_TASK_FOLDER/seen\"");
    talk(&sandbox, true, &script, &args).run();
    let seen = fs::read_to_string(sandbox.root().join("p/t/seen")).unwrap();
    for secret in [SECRETS[1], SECRETS[2], SECRETS[3], SECRETS[4]] {
        assert!(!seen.contains(secret), "it saw {secret}");
    }
    assert!(seen.contains(SECRETS[0]), "its own token it has");
}

#[test]
fn a_masked_agent_ends_as_it_would_without() {
    let args = ["job", "--project", "p", "--task", "t", "--prompt", "x", "-q"];
    for (script, outcome, code, signal) in [
        ("exit 7", Outcome::Failed, 7, None),
        ("kill -KILL $$", Outcome::Killed, 137, Some(9)),
        ("kill -TERM $$", Outcome::Killed, 143, Some(15)),
        ("echo last; exit 0", Outcome::Completed, 0, None),
        // Whoever holds the output open is not waited for.
        ("sleep 600 & echo last", Outcome::Completed, 0, None),
    ] {
        let sandbox = Sandbox::new();
        talk(&sandbox, true, script, &args).run();
        let run = &runs(&sandbox)[0];
        let record = &run.record;
        let ended = (run.outcome(), record.exit_code, record.signal);
        assert_eq!(ended, (Some(outcome), code, signal), "{script}");
        sandbox.wait_until_empty(LONG);
    }
}

#[test]
fn a_masked_agent_is_followed_and_stopped_as_any_other() {
    let sandbox = Sandbox::new();
    let args = ["job", "--project", "p", "--task", "t", "--prompt", "x", "--follow"];
    let script = "trap 'echo late sk-config-0123456789; exit 1' TERM; printf 'sk-con begun'; \
        sleep 600 & wait";
    let mut running = talk(&sandbox, true, script, &args).start();
    running.wait_for("the beginning", |text| text == "sk-con begun");
    running.signal(Signal::INT);
    let finished = running.finish();
    assert_eq!(runs(&sandbox)[0].outcome(), Some(Outcome::Stopped), "{}", finished.stderr);
    let stdout = fs::read_to_string(runs(&sandbox)[0].folder.join("agent-stdout.txt")).unwrap();
    assert_eq!(stdout, "sk-con begunlate (secret)\n", "what it says at its end is not lost");
    sandbox.wait_until_empty(LONG);
}
