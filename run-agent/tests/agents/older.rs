//! The older program looks at a run that lives, and drops what it does not know.

use super::config;
use crate::support::run_agent;
use crate::workshop::{gate, runs, wait_at};
use conductor_tests::agents::open_gate;
use conductor_tests::sandbox::Sandbox;
use std::fs;

/// The keys that the older program keeps.
const ITS_OWN: [&str; 22] = [
    "version",
    "run_id",
    "parent_run_id",
    "previous_run_id",
    "project_id",
    "task_id",
    "agent",
    "process_ownership",
    "pid",
    "pgid",
    "start_time",
    "end_time",
    "exit_code",
    "status",
    "cwd",
    "prompt_path",
    "output_path",
    "stdout_path",
    "stderr_path",
    "commandline",
    "error_summary",
    "agent_version",
];

#[test]
fn what_is_needed_at_the_end_outlives_its_rewriting_of_the_record() {
    let sandbox = Sandbox::new();
    let gate = gate(&sandbox, "gate");
    let script = sandbox.folder("config").join("script");
    let answer =
        "{\"type\":\"result\",\"is_error\":false,\"result\":\"parsed\",\"session_id\":\"s-1\"}";
    fs::write(&script, format!("echo '{answer}'; {}", wait_at(&gate))).unwrap();
    let text = format!(
        "agents:\n  own:\n    type: codex\n    command: [/bin/sh, {}]\n    parser: claude\n    model: m-1\n",
        script.display()
    );
    let config = config(&sandbox, &text);
    let mut running = run_agent(&sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["job", "--project", "p", "--task", "t", "--agent", "own", "--prompt", "x"])
        .arg("--follow")
        .start();
    running.wait_for("its answer", |text| text.contains("parsed"));
    let path = runs(&sandbox)[0].folder.join("run-info.yaml");
    let record = fs::read_to_string(&path).unwrap();
    assert!(
        record.contains("parser: claude\n") && record.contains("agent_name: own\n"),
        "{record}"
    );
    let kept = record
        .lines()
        .filter(|line| line.split_once(':').is_some_and(|(key, _)| ITS_OWN.contains(&key)));
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    fs::write(&path, kept).unwrap();
    open_gate(&gate);
    let finished = running.finish();
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    let run = &runs(&sandbox)[0];
    assert_eq!(fs::read_to_string(run.folder.join("output.md")).unwrap(), "parsed");
    let record = &run.record;
    assert_eq!(record.session_id.as_deref(), Some("s-1"));
    assert_eq!((record.model.as_deref(), record.agent_name.as_deref()), (Some("m-1"), Some("own")));
    assert_eq!(record.parser.as_deref(), Some("claude"));
}
