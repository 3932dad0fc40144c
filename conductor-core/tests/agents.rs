//! Runs of coding agents whose stream is understood: what of it stands on disk in the end.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod support;

use conductor_core::{
    Conductor, ErrorClass, JobSpec, LoadedConfig, Options, Outcome, Record, RunInfo, Usage,
    Variables,
};
use std::fs;
use std::path::{Path, PathBuf};
use support::LONG;

/// A root, and agents that print what is recorded of real ones.
struct Agents {
    dir: tempfile::TempDir,
    conductor: Conductor,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/agent-streams").join(name)
}

impl Agents {
    fn new() -> Agents {
        Agents::with("")
    }

    /// With this configuration.
    fn with(config: &str) -> Agents {
        let dir = tempfile::tempdir().unwrap();
        let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
        let mut options = Options::default();
        options.environment = Some(vec![("PATH".into(), path.into())]);
        let file = dir.path().join("config.yaml");
        if !config.is_empty() {
            fs::write(&file, config).unwrap();
            options = options.config(LoadedConfig::read(&file, &Variables::default()).unwrap());
        }
        let conductor = Conductor::open(dir.path().join("root"), options).unwrap();
        Agents { dir, conductor }
    }

    /// Runs the agent `name`, a shell script, to its end.
    fn run(&self, name: &str, script: &str) -> RunInfo {
        let program = self.dir.path().join(name);
        support::program::script(&program, &format!("#!/bin/sh\ncat > /dev/null\n{script}\n"));
        let spec = JobSpec::new("shop").task("fix").agent(name).prompt("Do it.");
        self.conductor.jobs().start(spec, LONG).unwrap().wait(LONG).unwrap()
    }

    /// Runs the agent that a fixture was recorded of.
    fn replay(&self, fixture_name: &str, code: i32) -> RunInfo {
        let agent = fixture_name.trim_start_matches("synthetic-").split('-').next().unwrap();
        let stdout = fixture(&format!("{fixture_name}.stdout"));
        let stderr = fixture(&format!("{fixture_name}.stderr"));
        let (stdout, stderr) = (stdout.display(), stderr.display());
        self.run(agent, &format!("cat '{stdout}'; cat '{stderr}' >&2; exit {code}"))
    }
}

fn output(run: &RunInfo) -> String {
    fs::read_to_string(run.folder.join("output.md")).unwrap()
}

#[test]
fn a_runs_record_tells_what_its_stream_said() {
    let agents = Agents::new();
    let run = agents.replay("claude-tool", 0);
    let record = &run.record;
    assert_eq!(run.outcome(), Some(Outcome::Completed));
    assert_eq!(output(&run), "# Report\n\nAll done: 42 tests green.\n---\nend of report");
    assert_eq!(record.session_id.as_deref(), Some("4b40affa-207a-4c21-a591-3f87ae849d23"));
    assert_eq!(record.model.as_deref(), Some("claude-opus-4-8"));
    let parts = record.usage.as_ref().map(Usage::parts).unwrap().map(|(_, tokens)| tokens);
    assert_eq!(parts, [2400, 88, 18000, 600]);
    assert_eq!(record.cost_usd, Some(0.026949999999999998));
    assert_eq!((record.error_class, &record.error_summary), (None, &None));
    let raw = fs::read(run.folder.join("agent-stdout.txt")).unwrap();
    assert_eq!(raw, fs::read(fixture("claude-tool.stdout")).unwrap());

    let fields = Record::from(&run);
    assert_eq!(fields.int("usage.cache_read_tokens"), Some(18000));
    assert_eq!(fields.text("cost_usd").as_deref(), Some("0.026949999999999998"));
    let text = fs::read_to_string(run.folder.join("run-info.yaml")).unwrap();
    assert!(text.contains("\nusage:\n    input_tokens: 2400\n"), "{text}");
}

#[test]
fn why_a_run_failed_is_told_with_the_end_of_the_limit() {
    for (name, class, reset, words) in [
        ("claude-ratelimit", ErrorClass::UsageLimit, None, "usage limit"),
        (
            "synthetic-claude-limit",
            ErrorClass::UsageLimit,
            Some("2026-05-12T06:00:00Z"),
            "usage limit until 2026-05-12T06:00:00Z",
        ),
        ("codex-error", ErrorClass::BadCredentials, None, "bad credentials"),
        (
            "synthetic-gemini-overload",
            ErrorClass::Transient,
            None,
            "service overloaded or out of reach",
        ),
    ] {
        // A root of its own: after a usage limit no other run of the account starts for now.
        let run = Agents::new().replay(name, 1);
        assert_eq!(run.record.error_class, Some(class), "{name}");
        let until = run.record.limit_reset.map(|time| time.to_string());
        assert_eq!(until.as_deref(), reset, "{name}");
        let summary = format!("agent reported failure: {words}");
        assert_eq!(run.record.error_summary.as_deref(), Some(summary.as_str()), "{name}");
    }
    // Nothing known is nothing written: no zero, and no word.
    let agents = Agents::new();
    let run = agents.replay("codex-error", 1);
    assert_eq!((run.record.usage, run.record.cost_usd), (None, None));
    let text = fs::read_to_string(run.folder.join("run-info.yaml")).unwrap();
    assert!(!text.contains("usage") && !text.contains("cost_usd"), "{text}");
}

#[test]
fn what_the_agent_wrote_and_what_is_no_stream_stay_as_they_are() {
    let agents = Agents::new();
    let stdout = fixture("claude-text.stdout");
    let script = format!("echo mine > \"$JRUN_RUN_FOLDER/output.md\"; cat '{}'", stdout.display());
    let run = agents.run("claude", &script);
    assert_eq!(output(&run), "mine\n");
    assert_eq!(run.record.cost_usd, Some(0.01315));

    let run = agents.run("claude", "echo I hit my usage limit, 401 Unauthorized");
    assert_eq!(output(&run), "I hit my usage limit, 401 Unauthorized\n");
    assert_eq!((run.record.error_class, run.record.session_id.as_ref()), (None, None));

    // A stream without a final text: all of it is the output, as it was printed.
    let run = agents.replay("codex-error", 1);
    let raw = fs::read_to_string(fixture("codex-error.stdout")).unwrap();
    assert_eq!(output(&run), raw);
}

#[test]
fn a_configured_agent_is_read_with_the_parser_it_names() {
    let agents = Agents::with(
        "agents:\n  mine: {type: command, command: [mine], parser: codex}\n  \
         claude: {type: claude, parser: text}\n",
    );
    let stream = fixture("codex-text.stdout");
    let run = agents.run("mine", &format!("cat '{}'", stream.display()));
    assert_eq!(output(&run), "# Report\n\nAll done: 42 tests green.\n---\nend of report");
    assert_eq!((run.record.agent.as_str(), run.record.parser.as_deref()), ("mine", Some("codex")));
    assert!(run.record.session_id.is_some());

    let run = agents.replay("claude-text", 0);
    assert_eq!(run.record.parser.as_deref(), Some("text"));
    assert!(output(&run).starts_with("{\"type\":\"system\"") && run.record.usage.is_none());
}
