//! `usage`: sums over receipts and records, with what is not known told apart from zero.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::json;

const PAID: &str = r#"{"run":"20260301-0800000000-9-1","agent":"claude","start":"2026-03-01T08:00:00Z","outcome":"completed","end":"2026-03-01T08:01:00Z","usage":{"input_tokens":1200,"output_tokens":31,"cache_read_tokens":9000,"cache_creation_tokens":300},"cost_usd":0.01315}"#;
const FREE: &str = r#"{"run":"20260302-0800000000-9-1","agent":"codex","start":"2026-03-02T08:00:00Z","outcome":"failed","end":"2026-03-02T08:01:00Z","usage":{"input_tokens":300,"output_tokens":9,"cache_read_tokens":0,"cache_creation_tokens":0}}"#;

/// Two runs whose folders are gone, and one of the older program.
fn root() -> Sandbox {
    let sandbox = Sandbox::new();
    write(&sandbox, "p/t/.receipts.jsonl", format!("{PAID}\n{FREE}\n{PAID}\n"));
    write(&sandbox, "q/u/runs/20260301-0800000000-9-9/run-info.yaml", record("completed", 1));
    sandbox
}

#[test]
fn what_is_not_known_is_no_zero() {
    let sandbox = root();
    assert_eq!(
        see(&sandbox, "usage"),
        "\
PROJECT  RUNS  INPUT  OUTPUT  CACHE_READ  CACHE_WRITE  NO_TOKENS  COST_USD  NO_COST
p        2     1500   40      9000        300          -          0.0132    1
q        1     -      -       -           -            1          -         1
total    3     1500   40      9000        300          1          0.0132    2
"
    );
    let answer = see_json(&sandbox, "usage --by agent --json");
    assert_eq!(answer["by"], "agent");
    let codex = json!({
        "name": "codex",
        "runs": 1,
        "usage": {
            "input_tokens": 300,
            "output_tokens": 9,
            "cache_read_tokens": 0,
            "cache_creation_tokens": 0,
        },
        "unknown_usage": 0,
        "unknown_cost": 1,
    });
    assert_eq!(answer["sums"][1], codex);
    assert_eq!((&answer["sums"][0]["runs"], &answer["total"]["runs"]), (&json!(2), &json!(3)));
    assert_eq!(answer["total"]["cost_usd"], json!(0.01315));
}

#[test]
fn the_groups_follow_what_is_named_unless_one_is_asked_for() {
    let sandbox = root();
    let first = |line: &str| {
        let text = see(&sandbox, line);
        let names = text.lines().map(|line| line.split_whitespace().next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(first("usage --project p"), ["TASK", "p/t"]);
    assert_eq!(
        first("usage --project p --task t"),
        ["RUN", "p/t/20260301-0800000000-9-1", "p/t/20260302-0800000000-9-1", "total"]
    );
    assert_eq!(first("usage --by day"), ["DAY", "2026-03-01", "2026-03-02", "total"]);
    look(&sandbox, cli(&sandbox, "usage --project none"), 10);
    look(&sandbox, cli(&sandbox, "usage --by moon"), 2);
}

#[test]
fn a_torn_receipt_is_told_and_a_record_that_is_missing_in_the_sums_fails() {
    let sandbox = root();
    write(&sandbox, "p/t/.receipts.jsonl", format!("{PAID}\n{}", &FREE[..40]));
    let told = look(&sandbox, cli(&sandbox, "usage --project p"), 0);
    assert!(told.stderr.contains("damaged or torn"), "{}", told.stderr);
    assert!(told.stdout.contains("p/t   1 "), "{}", told.stdout);
    write(&sandbox, "q/u/runs/20260301-0800000000-9-9/run-info.yaml", "");
    look(&sandbox, cli(&sandbox, "usage"), 20);
}
