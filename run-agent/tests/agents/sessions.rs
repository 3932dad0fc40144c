//! Sessions of agents that go on from one attempt to the next.

use super::config;
use crate::support::run_agent;
use crate::workshop::runs;
use conductor_tests::agents::put;
use conductor_tests::sandbox::Sandbox;
use std::fs;

/// A `claude` whose n-th start does what `script` says for `$n`; it saves its arguments in `args-$n`.
fn claude(sandbox: &Sandbox, script: &str) {
    let path = sandbox.folder("bin").join("claude");
    let work = sandbox.work();
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *--help*|*--version*) exec cat \"$0.help\";; esac\n\
         n=$(($(cat {work}/n 2>/dev/null || echo 0) + 1)); echo $n >{work}/n\n\
         echo \"$*\" >{work}/args-$n\ncat >/dev/null\n\
         answer() {{ echo '{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"'$1'\"}}'\n\
         echo '{{\"type\":\"result\",\"is_error\":false,\"result\":\"ok\",\"session_id\":\"'$1'\",\
         \"usage\":{{\"input_tokens\":5,\"output_tokens\":5}}}}'; }}\n{script}\n",
        work = work.display()
    );
    put(&path, text);
    let help = "1.0.0\n --input-format --output-format --tools --permission-mode\n";
    fs::write(path.with_extension("help"), help).unwrap();
}

fn task(sandbox: &Sandbox, resume: bool) {
    let config = config(sandbox, &format!("agents:\n  claude: {{resume_session: {resume}}}\n"));
    run_agent(sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["task", "--project", "p", "--task", "t", "--agent", "claude", "--prompt", "x"])
        .args(["--restart-delay", "10ms", "--max-attempts", "4"])
        .path_first(sandbox.folder("bin"))
        .succeed();
}

fn arguments(sandbox: &Sandbox, number: usize) -> String {
    fs::read_to_string(sandbox.work().join(format!("args-{number}"))).unwrap()
}

#[test]
fn the_next_attempt_goes_on_with_the_session() {
    let sandbox = Sandbox::new();
    claude(&sandbox, "answer s-$n; [ $n -lt 3 ] || touch \"$JRUN_TASK_FOLDER/DONE\"");
    task(&sandbox, true);
    assert!(!arguments(&sandbox, 1).contains("--resume"));
    assert!(arguments(&sandbox, 2).trim_end().ends_with("--resume s-1"));
    assert!(arguments(&sandbox, 3).trim_end().ends_with("--resume s-2"));
    let resumed: Vec<_> =
        runs(&sandbox).into_iter().map(|run| run.record.resumed_session).collect();
    assert_eq!(resumed, [None, Some("s-1".to_owned()), Some("s-2".to_owned())]);
}

#[test]
fn what_an_agent_counts_for_the_whole_session_is_counted_once() {
    let sandbox = Sandbox::new();
    let path = sandbox.folder("bin").join("codex");
    let work = sandbox.work();
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *--help*|*--version*) \
         echo --config --json --dangerously-bypass-approvals-and-sandbox; exit;; esac\n\
         n=$(($(cat {work}/n 2>/dev/null || echo 0) + 1)); echo $n >{work}/n; cat >/dev/null\n\
         echo '{{\"type\":\"thread.started\",\"thread_id\":\"t-1\"}}'\n\
         echo '{{\"type\":\"turn.completed\",\"usage\":{{\"input_tokens\":'$((n * 100))',\
         \"cached_input_tokens\":'$((n * 20))',\"output_tokens\":'$((n * 30))'}}}}'\n\
         [ $n -lt 3 ] || touch \"$JRUN_TASK_FOLDER/DONE\"\n",
        work = work.display()
    );
    put(&path, text);
    let config = config(&sandbox, "agents:\n  codex: {resume_session: true}\n");
    run_agent(&sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["task", "--project", "p", "--task", "t", "--agent", "codex", "--prompt", "x"])
        .args(["--restart-delay", "10ms", "--max-attempts", "4"])
        .path_first(sandbox.folder("bin"))
        .succeed();
    for run in runs(&sandbox) {
        let usage = run.record.usage.unwrap();
        assert_eq!(
            (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens),
            (80, 20, 30)
        );
    }
    assert_eq!(runs(&sandbox)[2].record.resumed_session.as_deref(), Some("t-1"));
}

#[test]
fn nobody_goes_on_with_a_session_unasked() {
    let sandbox = Sandbox::new();
    claude(&sandbox, "answer s-$n; [ $n -lt 2 ] || touch \"$JRUN_TASK_FOLDER/DONE\"");
    task(&sandbox, false);
    assert!(!arguments(&sandbox, 2).contains("--resume"));
}

#[test]
fn a_session_that_cannot_go_on_is_followed_by_a_fresh_one() {
    let sandbox = Sandbox::new();
    // The second start is told of a session that is gone, and says so as the real one does.
    claude(
        &sandbox,
        "case \"$*\" in *--resume*) echo 'No conversation found' >&2; exit 1;; esac\n\
         answer s-$n; [ $n -lt 3 ] || touch \"$JRUN_TASK_FOLDER/DONE\"",
    );
    task(&sandbox, true);
    assert!(arguments(&sandbox, 2).contains("--resume s-1"));
    assert!(!arguments(&sandbox, 3).contains("--resume"), "a fresh one");
    assert_eq!(runs(&sandbox).len(), 3);
}
