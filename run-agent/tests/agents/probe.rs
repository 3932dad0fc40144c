//! What an agent's program is asked about itself before it is started.

use crate::support::run_agent;
use crate::workshop::{LONG, runs};
use conductor_core::Outcome;
use conductor_tests::agents::put;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use std::fs;
use std::path::PathBuf;

const HELP: &str = "echo ' --screen-reader --approval-mode --output-format <x>'";

/// A `gemini` that notes each start in `calls`, and answers to `--help` with what `help` does.
fn gemini(sandbox: &Sandbox, help: &str, work: &str) -> PathBuf {
    let path = sandbox.folder("bin").join("gemini");
    let calls = sandbox.work().join("calls");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>{}\ncase \"$*\" in --help) {help}; exit;;\n\
         --version) echo 0.61.0; exit;; esac\ncat >/dev/null\n{work}\n",
        calls.display()
    );
    put(&path, text);
    path
}

fn job(sandbox: &Sandbox) -> Program {
    run_agent(sandbox, ["job", "--project", "p", "--task", "t", "--agent", "gemini", "-q"])
        .args(["--prompt", "x"])
        .path_first(sandbox.folder("bin"))
}

fn asked(sandbox: &Sandbox) -> usize {
    let calls = fs::read_to_string(sandbox.work().join("calls")).unwrap();
    calls.lines().filter(|line| line.starts_with("--help") || line.starts_with("--version")).count()
}

/// Where it is kept what the only program said.
fn known(sandbox: &Sandbox) -> PathBuf {
    let probes = sandbox.root().join(".conductor/probes");
    fs::read_dir(probes).unwrap().next().unwrap().unwrap().path().join("program.yaml")
}

#[test]
fn a_program_is_asked_once_until_its_file_changes() {
    let sandbox = Sandbox::new();
    let path = gemini(&sandbox, HELP, "echo '{\"type\":\"result\",\"result\":\"ok\"}'");
    for _ in 0..3 {
        assert_eq!(job(&sandbox).succeed().stdout, "ok");
    }
    assert_eq!(asked(&sandbox), 2, "for its version, and for its options");
    assert_eq!(runs(&sandbox)[2].record.agent_version, "0.61.0");
    fs::File::open(&path).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    job(&sandbox).succeed();
    assert_eq!(asked(&sandbox), 4);
    let left = fs::read_dir(sandbox.root().join(".conductor/probes")).unwrap().count();
    assert_eq!(left, 1);
    sandbox.wait_until_empty(LONG);
}

#[test]
fn a_program_that_lacks_an_option_is_refused_before_there_is_a_run() {
    let sandbox = Sandbox::new();
    let path = gemini(&sandbox, "echo ' --screen-reader --approval-mode'", "true");
    let refused = job(&sandbox).exits(25);
    let what = format!("{} 0.61.0 has no option --output-format", path.display());
    assert!(refused.stderr.contains(&what), "{}", refused.stderr);
    assert!(refused.stderr.contains("agents.gemini.command"), "{}", refused.stderr);
    assert!(!sandbox.root().join("p").exists(), "no project, no task, no run");
    job(&sandbox).exits(25);
    assert_eq!(asked(&sandbox), 2, "the answer is known the second time");
}

#[test]
fn a_program_that_does_not_answer_is_taken_as_it_is() {
    let sandbox = Sandbox::new();
    gemini(&sandbox, "exit 1", "echo '{\"type\":\"result\",\"result\":\"ok\"}'");
    job(&sandbox).succeed();
}

#[test]
fn a_program_that_tells_without_end_is_ended_soon() {
    let sandbox = Sandbox::new();
    let told = sandbox.work().join("told");
    // A MiB every twentieth of a second, for as long as it may.
    let help = format!(
        "n=0; while [ $n -lt 400 ]; do head -c 1048576 /dev/zero; n=$((n+1)); echo $n >>{}; \
         sleep 0.05; done",
        told.display()
    );
    gemini(&sandbox, &help, "echo '{\"type\":\"result\",\"result\":\"ok\"}'");
    job(&sandbox).succeed();
    // It may have been ended at any moment, also within its first MiB.
    let told = fs::read_to_string(&told).unwrap_or_default().lines().count();
    assert!(told < 400, "it told {told} MiB, and was not ended");
    // Nor was it ended by its time, behind which nothing would be known of it for an hour.
    let known = fs::read_to_string(known(&sandbox)).unwrap();
    assert!(!known.contains("silent_until"), "{known}");
}

#[test]
fn a_program_that_did_not_answer_is_asked_again_later() {
    let sandbox = Sandbox::new();
    // Longer than it may take, the first time.
    let help = "[ $(grep -c help \"$0.calls\") -gt 1 ] || sleep 600; echo --no-such-option";
    let path = gemini(&sandbox, help, "echo '{\"type\":\"result\",\"result\":\"ok\"}'");
    std::os::unix::fs::symlink(sandbox.work().join("calls"), format!("{}.calls", path.display()))
        .unwrap();
    job(&sandbox).succeed();
    job(&sandbox).succeed();
    assert_eq!(asked(&sandbox), 2, "not at once");
    let known = known(&sandbox);
    let text = fs::read_to_string(&known).unwrap();
    let line = text.lines().find(|line| line.starts_with("silent_until:")).unwrap();
    fs::write(&known, text.replace(line, "silent_until: 2020-01-01T00:00:00Z")).unwrap();
    let refused = job(&sandbox).exits(25);
    assert!(refused.stderr.contains("has no option"), "{}", refused.stderr);
    assert_eq!(asked(&sandbox), 4);
}

#[test]
fn a_gemini_that_refuses_its_output_format_is_told_and_has_failed() {
    let sandbox = Sandbox::new();
    gemini(&sandbox, "exit 1", "echo 'Unknown argument: output-format' >&2");
    job(&sandbox).exits(1);
    let run = &runs(&sandbox)[0];
    assert_eq!((run.outcome(), run.record.exit_code), (Some(Outcome::Failed), 1));
    let why = "gemini CLI rejected --output-format stream-json";
    assert_eq!(run.record.error_summary.as_deref(), Some(why));
}

#[test]
fn another_program_called_run_agent_calls_no_service() {
    let sandbox = Sandbox::new();
    let path = sandbox.folder("other").join("run-agent");
    put(&path, "#!/bin/sh\necho 'usage: run-agent [--root DIR] COMMAND'\n");
    let mut options = conductor_core::Options::default().run_agent(&path);
    let mut environment = sandbox.environment();
    environment.push(("XAI_API_KEY".into(), "x-key".into()));
    options.environment = Some(environment);
    let conductor = conductor_core::Conductor::open(sandbox.root(), options).unwrap();
    let spec = conductor_core::JobSpec::new("p").agent("xai").prompt("x");
    let error = conductor.jobs().start(spec, conductor_core::Wait::FOREVER).unwrap_err();
    assert_eq!(error.code(), "agent.too_old");
    assert!(error.hint().contains("run-agent"), "{}", error.hint());
}
