//! `gc`: what it prints, what it refuses, and that it can be killed.

use crate::support::*;
use conductor_tests::process::Finished;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::snapshot::{Snapshot, snapshot};
use conductor_tests::tools;

/// A root of one task that is done, with runs that ended long ago but for the last.
fn old_root() -> Sandbox {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    sandbox
}

fn fill(sandbox: &Sandbox) {
    let day = 1_772_352_000;
    for (run, status) in [("r1", "completed"), ("r2", "failed")] {
        let path = format!("p/t/runs/{run}");
        set_time(&write(sandbox, &format!("{path}/agent-stdout.txt"), vec![b'x'; 100_000]), day);
        set_time(&write(sandbox, &format!("{path}/work/file"), "x"), day);
        set_time(&write(sandbox, &format!("{path}/run-info.yaml"), record(status, 0)), day);
    }
    set_time(&write(sandbox, "p/done/DONE", ""), day);
    write(sandbox, "p/done/runs/r3/run-info.yaml", record("completed", 0));
}

/// The output, with the root's own path taken out.
fn shown(sandbox: &Sandbox, finished: &Finished) -> String {
    finished.stdout.replace(&*sandbox.root().to_string_lossy(), "ROOT")
}

const PLAN: &str = "\
[dry-run] would delete ROOT/p/done/runs/r3 (status=completed, started=2026-03-01 08:00:00, size=0.0 MB)
[dry-run] would delete task dir ROOT/p/done (DONE + empty)
[dry-run] would delete ROOT/p/t/runs/r1 (status=completed, started=2026-03-01 08:00:00, size=0.1 MB)
[dry-run] would delete ROOT/p/t/runs/r2 (status=failed, started=2026-03-01 08:00:00, size=0.1 MB)
Would delete 3 runs, freed 0.2 MB
Would delete 1 task directories (DONE + empty runs)
";

const DONE: &str = "\
deleting ROOT/p/done/runs/r3 (status=completed, started=2026-03-01 08:00:00, size=0.0 MB)
deleting task dir ROOT/p/done (DONE + empty)
deleting ROOT/p/t/runs/r1 (status=completed, started=2026-03-01 08:00:00, size=0.1 MB)
deleting ROOT/p/t/runs/r2 (status=failed, started=2026-03-01 08:00:00, size=0.1 MB)
Deleted 3 runs, freed 0.2 MB
Deleted 1 task directories (DONE + empty runs)
";

#[test]
fn a_dry_run_says_what_is_then_done() {
    let sandbox = old_root();
    let dry = look(&sandbox, cli(&sandbox, "gc --delete-done-tasks --dry-run"), 0);
    assert_eq!((shown(&sandbox, &dry).as_str(), dry.stderr.as_str()), (PLAN, ""));
    let done = cli(&sandbox, "gc --delete-done-tasks").run().expect_code(0);
    assert_eq!((shown(&sandbox, &done).as_str(), done.stderr.as_str()), (DONE, ""));
    assert!(!sandbox.root().join("p/done").exists());
    let again = cli(&sandbox, "gc --delete-done-tasks").run().expect_code(0);
    assert_eq!(again.stdout, "Deleted 0 runs, freed 0.0 MB\n");
}

#[test]
fn the_typical_call_works_on_what_the_older_program_left() {
    let sandbox = reference();
    let line = "gc --older-than 168h --rotate-bus --bus-max-size 10MB --dry-run";
    let dry = look(&sandbox, cli(&sandbox, line), 0);
    assert!(dry.stdout.contains("Would delete "), "{}", dry.stdout);
    let line = "gc --older-than 168h --rotate-bus --bus-max-size 10MB";
    let done = cli(&sandbox, line).run().expect_code(0);
    let said = |finished: &Finished| finished.stdout.lines().count();
    assert_eq!(said(&done), said(&dry), "{}", done.stdout);
}

#[test]
fn json_gives_everything_with_reasons_both_ways() {
    let sandbox = old_root();
    let line = "gc --keep-failed --delete-done-tasks --json --dry-run";
    let dry = see_json(&sandbox, line);
    let items = dry["items"].as_array().unwrap();
    let words = |of: &[serde_json::Value]| -> Vec<String> {
        let word = |item: &serde_json::Value| {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {} {}", text("action"), text("kind"), text("run_id"), text("reason"))
        };
        let mut words: Vec<String> = of.iter().map(word).collect();
        words.sort();
        words
    };
    let wanted =
        ["delete run r1 age", "delete run r3 age", "delete task  done", "keep run r2 failed"];
    assert_eq!(words(items), wanted);
    assert_eq!((dry["dry_run"].as_bool(), dry["totals"]["runs"].as_u64()), (Some(true), Some(2)));
    let run = cli(&sandbox, "gc --keep-failed --delete-done-tasks --json").run().expect_code(0);
    let done: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(words(done["items"].as_array().unwrap()), wanted);
    let result = |item: &serde_json::Value| item["result"].as_str().map(str::to_owned);
    let results: Vec<_> = done["items"].as_array().unwrap().iter().filter_map(result).collect();
    assert_eq!(results, ["done"; 3]);
    assert_eq!(done["totals"], dry["totals"]);
    assert_eq!(done["errors"], serde_json::json!([]));
}

#[test]
fn damage_stays_is_told_and_stops_nothing() {
    let sandbox = old_root();
    write(&sandbox, "p/t/runs/r1/run-info.yaml", "status: [");
    let done = cli(&sandbox, "gc").run().expect_code(20);
    assert!(done.stdout.ends_with("Deleted 2 runs, freed 0.1 MB\n"), "{}", done.stdout);
    assert!(done.stderr.contains("r1/run-info.yaml"), "{}", done.stderr);
    assert!(sandbox.root().join("p/t/runs/r1/agent-stdout.txt").exists());
}

#[test]
fn wrong_input_is_one_error_and_changes_nothing() {
    let sandbox = old_root();
    for (line, code, part) in [
        ("gc --bus-max-size 10xMB", 2, "--bus-max-size"),
        ("gc --bus-max-size=-1", 2, "--bus-max-size"),
        ("gc --bus-max-size=", 2, "--bus-max-size"),
        ("gc --max-bytes lots", 2, "--max-bytes"),
        ("gc --min-free 1.2.3GB", 2, "--min-free"),
        ("gc --older-than=-1h", 2, "--older-than"),
        ("gc --older-than 7d", 2, "--older-than"),
        ("gc --prune-archives soon", 2, "--prune-archives"),
        ("gc --keep-last=-1", 2, "--keep-last"),
        ("gc --project ../p", 2, "project"),
        ("gc --project none", 10, "there is no project none"),
        ("gc --root /no/such/root", 10, "there is no root at /no/such/root"),
        ("gc extra", 2, "unexpected argument"),
    ] {
        let refused = look(&sandbox, cli(&sandbox, line), code);
        assert_eq!(refused.stdout, "", "{line}");
        assert!(refused.stderr.starts_with("Error: "), "{line}: {}", refused.stderr);
        assert!(refused.stderr.contains(part), "{line}: {}", refused.stderr);
    }
}

#[test]
fn the_command_line_takes_back_what_the_configuration_turns_on() {
    let sandbox = old_root();
    let config = sandbox.work().join("gc.yaml");
    std::fs::write(
        &config,
        "gc: {keep_failed: true, delete_done_tasks: true, max_bytes: 1B, min_free: 900000GB, \
         prune_archives: 1h, rotate_bus: true}\n",
    )
    .unwrap();
    let planned = |flags: &str| {
        let line = format!("gc --dry-run --json --config {} {flags}", config.display());
        let answer = see_json(&sandbox, &line);
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let goals: Vec<_> =
            answer["goals"].as_array().unwrap().iter().map(|g| g["goal"].clone()).collect();
        (text("plan"), goals, answer["totals"]["runs"].as_u64().unwrap())
    };
    let words = ["keep_failed", "delete_done_tasks", "max_bytes", "min_free", "prune_archives"];
    let (plan, goals, runs) = planned("");
    assert!(words.iter().all(|word| plan.contains(word)), "{plan}");
    assert_eq!((goals.len(), runs), (2, 2));
    let (plan, goals, runs) = planned(
        "--keep-failed=false --delete-done-tasks=false --rotate-bus=false --max-bytes none \
         --min-free none --prune-archives none",
    );
    assert!(!words.iter().any(|word| plan.contains(word)), "{plan}");
    assert!(!plan.contains("rotate_bus"), "{plan}");
    assert_eq!((goals.len(), runs), (0, 3));
    // The flag alone says yes, as ever; 0 is no limit.
    let (plan, goals, _) =
        planned("--keep-failed --max-bytes 0 --min-free 0 --delete-done-tasks=true");
    assert!(plan.contains("keep_failed") && plan.contains("delete_done_tasks"), "{plan}");
    assert!(goals.is_empty());
}

#[test]
fn a_goal_that_is_not_reached_is_told() {
    let sandbox = old_root();
    write(&sandbox, "p/PROJECT-MESSAGE-BUS.md", "b".repeat(3 << 20));
    let wanted = "\
Not reached: --max-bytes 1.0 MB, 2.0 MB more had to go
What stays:
      3.0 MB  message buses
";
    let dry = look(&sandbox, cli(&sandbox, "gc --max-bytes 1MB --dry-run"), 0);
    assert!(dry.stdout.contains(wanted), "{}", dry.stdout);
    let line = "gc --max-bytes 1MB --dry-run --json";
    let goal = see_json(&sandbox, line)["goals"][0].clone();
    assert_eq!(
        (goal["goal"].as_str(), goal["wanted"].as_u64()),
        (Some("max_bytes"), Some(1 << 20))
    );
    assert_eq!(goal["held"][0]["what"], "buses");
    let done = cli(&sandbox, "gc --max-bytes 1MB").run().expect_code(0);
    assert!(done.stdout.contains(wanted), "{}", done.stdout);
    assert_eq!(done.stderr, "");
    let run = cli(&sandbox, "gc --min-free 900000GB --json").run().expect_code(0);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(answer["goals"][0]["short"].as_u64().unwrap() > 0, "{answer}");
    let fits = cli(&sandbox, "gc --max-bytes 10MB").run().expect_code(0);
    assert!(!fits.stdout.contains("Not reached"), "{}", fits.stdout);
}

#[test]
fn a_bus_of_an_older_program_is_told_and_does_not_stop_the_rest() {
    let sandbox = old_root();
    write(&sandbox, ".conductor/root.yaml", "allow_legacy_writers: true\n");
    let _receipt = cli(&sandbox, "bus post --project p --type INFO --body first").succeed();
    let _receipt = cli(&sandbox, "bus post --project p --type INFO --body second").succeed();
    let said = "PROJECT-MESSAGE-BUS.md (not rotated: an older program writes here)";
    let line = "gc --rotate-bus --bus-max-size 1B";
    let dry = look(&sandbox, cli(&sandbox, &format!("{line} --dry-run")), 0);
    assert!(dry.stderr.contains(said), "{}", dry.stderr);
    let done = cli(&sandbox, &format!("{line} --json")).run().expect_code(0);
    let answer: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let buses: Vec<_> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["kind"] == "bus")
        .map(|item| (item["action"].as_str(), item["reason"].as_str(), item["kept_for"].as_str()))
        .collect();
    assert_eq!(buses, [(Some("keep"), Some("older_writer"), Some("older_writer"))]);
    assert_eq!(answer["totals"]["runs"], 3);
    let again = cli(&sandbox, line).run().expect_code(0);
    assert!(again.stderr.contains(said), "{}", again.stderr);
}

#[test]
fn a_reader_who_leaves_does_not_stop_the_work() {
    let sandbox = old_root();
    let me = env!("CARGO_BIN_EXE_run-agent");
    let line = format!("{me} gc --delete-done-tasks | true");
    let ended = sandbox.program("/bin/sh").args(["-c", &line]).run().expect_code(0);
    assert_eq!(ended.stderr, "");
    assert!(!sandbox.root().join("p/done").exists());
    assert!(!sandbox.root().join("p/t/runs/r1").exists());
}

/// Every run that is listed is whole, and so is the task.
fn assert_whole(sandbox: &Sandbox, what: &str) {
    for run in ["p/t/runs/r1", "p/t/runs/r2"] {
        let folder = sandbox.root().join(run);
        if folder.exists() {
            for file in ["run-info.yaml", "agent-stdout.txt", "work/file"] {
                assert!(folder.join(file).exists(), "{what}: {run} lacks {file}");
            }
        }
    }
    let done = sandbox.root().join("p/done");
    assert!(!done.exists() || done.join("DONE").exists(), "{what}: half a task");
}

#[test]
fn killed_at_any_change_it_leaves_nothing_half_done_and_the_next_one_finishes() {
    let Some(strace) = tools::find("strace") else { return };
    let mut deaths = 0;
    for call in ["renameat2", "unlinkat", "fsync", "mkdirat", "flock"] {
        for when in 1.. {
            let sandbox = old_root();
            let what = format!("{call} {when}");
            let inject = format!("inject={call}:signal=KILL:when={when}");
            let killed = sandbox
                .program(&strace)
                .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"])
                .arg(&inject)
                .arg(env!("CARGO_BIN_EXE_run-agent"))
                .args(["gc", "--delete-done-tasks"])
                .run();
            let survived = killed.status.success();
            assert_whole(&sandbox, &what);
            let next = cli(&sandbox, "gc --delete-done-tasks").run().expect_code(0);
            assert_eq!(next.stderr, "", "{what}");
            assert_eq!(left(&sandbox), LEFT, "{what}");
            if survived {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 20, "only {deaths} calls were died at");
}

/// What a collection leaves of the root.
const LEFT: [&str; 6] =
    ["p", "p/.receipts.jsonl", "p/t", "p/t/.receipts.jsonl", "p/t/.task.lock", "p/t/runs"];

/// What is left of the projects, and that the trash is empty.
fn left(sandbox: &Sandbox) -> Vec<String> {
    let all: Snapshot = snapshot(&sandbox.root());
    let paths = all.paths().map(|path| path.to_string_lossy().into_owned());
    let (own, other): (Vec<_>, Vec<_>) = paths.partition(|path| path.starts_with(".conductor"));
    assert!(!own.iter().any(|path| path.starts_with(".conductor/trash/")), "{own:?}");
    other.into_iter().filter(|path| !path.is_empty()).collect()
}
