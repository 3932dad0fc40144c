//! `list`, against the root that the older program left and against roots with damage.

use crate::support::*;
use serde_json::json;

#[test]
fn projects_are_one_a_line() {
    let sandbox = reference();
    write(&sandbox, "bank/t/TASK.md", "x");
    write(&sandbox, ".conductor/x", "");
    write(&sandbox, "_audit/x", "");
    assert_eq!(see(&sandbox, "list"), "bank\nshop\n");
    assert_eq!(see_json(&sandbox, "list --json"), json!({"projects": ["bank", "shop"]}));
}

#[test]
fn tasks_are_rows() {
    let sandbox = reference();
    for task in [FIX_BUG, CART] {
        set_time(&sandbox.root().join("shop").join(task), 1_795_446_216);
    }
    assert_eq!(
        see(&sandbox, "list --project shop"),
        "\
TASK_ID                       RUNS  LATEST_STATUS  DONE  BLOCKED_BY  LAST_ACTIVITY
task-20260301-111500-fix-bug  2     completed      -     -           2026-11-23 15:03
task-20261123-150121-lis7rv   2     completed      DONE  -           2026-11-23 15:03
"
    );
    assert_eq!(
        see(&sandbox, "list --project shop --json"),
        r#"{
  "tasks": [
    {
      "task_id": "task-20260301-111500-fix-bug",
      "runs": 2,
      "latest_status": "completed",
      "done": false,
      "last_activity": "2026-11-23T15:03:36Z"
    },
    {
      "task_id": "task-20261123-150121-lis7rv",
      "runs": 2,
      "latest_status": "completed",
      "done": true,
      "last_activity": "2026-11-23T15:03:36Z"
    }
  ]
}
"#
    );
}

#[test]
fn runs_are_rows() {
    let sandbox = reference();
    assert_eq!(
        see(&sandbox, &format!("list --project shop --task {FIX_BUG}")),
        "\
RUN_ID                       STATUS     EXIT_CODE  STARTED              DURATION
20261123-1501210000-10257-1  failed     3          2026-11-23 15:01:21  0s
20261123-1501210000-10270-1  completed  0          2026-11-23 15:01:21  0s
"
    );
    let runs = see_json(&sandbox, &format!("list --project shop --task {FIX_BUG} --json"));
    assert_eq!(
        runs["runs"][0],
        json!({
            "run_id": "20261123-1501210000-10257-1",
            "status": "failed",
            "exit_code": 3,
            "started": "2026-11-23 15:01:21",
            "duration": "0s",
            "outcome": "failed",
            "agent": "claude",
        })
    );
}

#[test]
fn activity_adds_columns_and_fields() {
    let sandbox = reference();
    for name in ["output.md", "agent-stdout.txt"] {
        set_time(
            &sandbox.root().join(format!("shop/{CART}/runs/{CART_RUN}/{name}")),
            1_795_446_000,
        );
    }
    let table = see(&sandbox, "list --project shop --activity");
    let heading = table.lines().next().unwrap();
    assert!(
        heading.split_whitespace().collect::<Vec<_>>().ends_with(&[
            "LAST_BUS",
            "LAST_OUTPUT",
            "MEANINGFUL_AGE",
            "DRIFT_RISK",
            "DRIFT_REASON"
        ]),
        "{heading}"
    );
    let mut tasks = see_json(&sandbox, "list --project shop --json --activity --drift-after 90s");
    let activity = &mut tasks["tasks"][1]["activity"];
    assert!(activity["meaningful_signal_age_seconds"].take().is_u64());
    assert_eq!(
        *activity,
        json!({
            "latest_bus_message": {
                "timestamp": "2026-11-23T15:01:21Z",
                "type": "FACT",
                "body_preview": "task completion facts propagated to project bus \
                    (msg_id=MSG-20261123-150121-526179023-PID1022...",
            },
            "latest_output_activity_at": "2026-11-23T15:00:00Z",
            "last_meaningful_signal_at": "2026-11-23T15:01:21Z",
            "meaningful_signal_age_seconds": null,
            "analysis_drift_risk": false,
            "drift_threshold_seconds": 90,
            "drift_reason": "task is not running",
        })
    );
    let fix_bug = &tasks["tasks"][0]["activity"];
    assert_eq!(fix_bug["last_meaningful_signal_at"], json!(null), "no fact was ever posted");
}

#[test]
fn a_filter_chooses_and_finding_nothing_is_the_answer_no() {
    let sandbox = reference();
    let done = see(&sandbox, "list --project shop --status done");
    assert_eq!(done.lines().count(), 2);
    assert!(done.contains(CART) && !done.contains(FIX_BUG));
    assert_eq!(see(&sandbox, "list --project shop --status ALL_FINISHED"), done);
    let none = look(&sandbox, cli(&sandbox, "list --project shop --status failed --json"), 1);
    assert_eq!(none.stdout, "{\n  \"tasks\": []\n}\n");
}

#[test]
fn dependencies_are_shown_and_what_is_not_ready_blocks() {
    let sandbox = reference();
    write(
        &sandbox,
        &format!("shop/{FIX_BUG}/TASK-CONFIG.yaml"),
        format!("depends_on:\n    - {CART}\n    - other\n"),
    );
    let tasks = see_json(&sandbox, "list --project shop --json");
    let blocked = &tasks["tasks"][0];
    assert_eq!(blocked["latest_status"], "blocked");
    assert_eq!(blocked["depends_on"], json!([CART, "other"]));
    assert_eq!(blocked["blocked_by"], json!(["other"]));
}

/// A damaged record is a row with its error named, hides no other row, and the exit code says it.
#[test]
fn damage_is_a_row_and_hides_no_other() {
    let sandbox = reference();
    let runs = format!("shop/{FIX_BUG}/runs");
    write(&sandbox, &format!("{runs}/20261123-1501220000-1-1/run-info.yaml"), "");
    write(&sandbox, &format!("{runs}/20261123-1501230000-1-1/run-info.yaml"), "pid: [\n");
    write(&sandbox, &format!("{runs}/20261123-1501240000-1-1/prompt.md"), "no record");

    let list = look(&sandbox, cli(&sandbox, &format!("list --project shop --task {FIX_BUG}")), 20);
    let states: Vec<_> =
        list.stdout.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(states, ["failed", "completed", "damaged", "damaged", "unknown"]);
    let complaints: Vec<_> =
        list.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(complaints.len(), 3, "{}", list.stderr);
    assert!(complaints[0].contains("20261123-1501220000-1-1/run-info.yaml is empty"));

    let json = look(&sandbox, cli(&sandbox, "list --project shop --json"), 20);
    let tasks: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(tasks["tasks"][0]["latest_status"], "completed", "of the newest that can be read");
    assert_eq!(tasks["tasks"][0]["runs"], 5);
    assert!(tasks["tasks"][0]["error"].as_str().unwrap().contains("run-info.yaml"));
    assert_eq!(tasks["tasks"][1]["task_id"], CART);
}

#[test]
fn a_task_that_cannot_be_read_is_a_row_too() {
    let sandbox = reference();
    let done = sandbox.root().join(format!("shop/{FIX_BUG}/DONE"));
    std::fs::create_dir(&done).unwrap();
    let list = look(&sandbox, cli(&sandbox, "list --project shop"), 2);
    assert!(list.stderr.contains(&format!("{} is not a regular file", done.display())));
    assert_eq!(list.stdout.lines().count(), 3);
    assert!(list.stdout.lines().nth(1).unwrap().contains("damaged"), "{}", list.stdout);
}

#[test]
fn names_that_are_no_ids_are_told_and_not_followed() {
    let sandbox = reference();
    std::fs::create_dir(sandbox.root().join("with space")).unwrap();
    std::os::unix::fs::symlink("shop", sandbox.root().join("link")).unwrap();
    let list = look(&sandbox, cli(&sandbox, "list"), 0);
    assert_eq!(list.stdout, "shop\n");
    assert!(list.stderr.contains("\"link\"") && list.stderr.contains("\"with space\""));
}

#[test]
fn the_records_of_old_runs_are_not_read() {
    let sandbox = reference();
    // Were it read, it would be told.
    let old = format!("shop/{CART}/runs/20261123-1501210000-10229-1/run-info.yaml");
    write(&sandbox, &old, "");
    let list = look(&sandbox, cli(&sandbox, "list --project shop"), 0);
    assert_eq!(list.stderr, "");
}
