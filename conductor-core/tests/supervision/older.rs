//! The older program beside us: it lists in a loop, and rewrites what it lists.

use crate::kit::*;
use crate::support::*;
use conductor_core::{JobSpec, Outcome, Stop, TaskOutcome, TaskSpec};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The keys that the older program knows; it drops all others when it rewrites a record.
const KNOWN: [&str; 22] = [
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

/// Lists a root as the older program does: each record that says `running` is read, judged by its process
/// group, and written back with the known keys alone; a group that is gone makes it failed.
fn list(root: &Path, rewritten: &AtomicUsize) {
    let below = |path: &Path| -> Vec<std::path::PathBuf> {
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    for project in below(root) {
        for run in below(&project).iter().flat_map(|task| below(&task.join("runs"))) {
            let path = run.join("run-info.yaml");
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let value = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
                line.map(str::to_owned)
            };
            let pid = value("pid").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
            let Some(pid) = pid.filter(|_| value("status").as_deref() == Some("running")) else {
                continue;
            };
            let lives = lives(pid);
            let mut out = String::new();
            for key in KNOWN {
                let given = match key {
                    "status" if !lives => Some("failed".to_owned()),
                    _ => value(key),
                };
                if let Some(given) = given {
                    out.push_str(&format!("{key}: {given}\n"));
                }
            }
            let next = run.join("run-info.123.yaml.tmp");
            if fs::write(&next, out).is_ok() && fs::rename(&next, &path).is_ok() {
                rewritten.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[test]
fn a_listing_that_drops_our_keys_harms_nothing() {
    let shop = Shop::new("defaults: {max_concurrent_runs: 3}\n");
    let (root, stop) = (shop.root.path(), AtomicBool::new(false));
    let rewritten = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                list(&root, &rewritten);
            }
        });
        // Whatever fails here must not leave the lister running.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let jobs = shop.conductor().jobs();
            let job = |task: &str, script: &str| {
                JobSpec::new("shop").task(task).agent("shell").prompt(script)
            };
            for round in 0..10 {
                let task = format!("job{round}");
                let long = jobs.start(job(&task, "sleep 1000"), LONG).unwrap();
                let before = rewritten.load(Ordering::Relaxed);
                until("it was listed", || rewritten.load(Ordering::Relaxed) > before + 3);
                assert_eq!(long.info().unwrap().alive, Some(true));
                // Garbage collection keeps what lives, and counts do too.
                assert_eq!(shop.conductor().tasks().living().unwrap().tasks.len(), 1);
                let policy = conductor_core::GcPolicy::default().older_than(Duration::ZERO);
                let gc = shop.conductor().gc();
                gc.apply(&gc.plan(policy).unwrap(), LONG).unwrap();
                assert!(long.folder().exists());
                long.stop(Stop::because("enough").force(true), LONG).unwrap();
                let info = long.info().unwrap();
                assert_eq!(info.outcome(), Some(Outcome::Stopped), "{round}");
                let short = jobs.start(job("short", "sleep 0.05; exit 7"), LONG).unwrap();
                let info = short.wait(LONG).unwrap();
                assert_eq!((info.outcome(), info.record.exit_code), (Some(Outcome::Failed), 7));
            }
            let script =
                "echo x >>count; [ $(wc -l <count) -lt 3 ] || touch DONE; sleep 0.05; exit 1";
            let delay = Duration::from_millis(10);
            let spec = TaskSpec::new("shop").task("loop").agent("shell").prompt(script);
            let task = shop.conductor().tasks().start(spec.restart_delay(delay), LONG).unwrap();
            let result = task.wait(LONG).unwrap();
            assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 3));
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
    println!("the older program rewrote {} records", rewritten.load(Ordering::Relaxed));
    assert_eq!(shop.conductor().tasks().living().unwrap().tasks.len(), 0);
    for message in ["RUN_STOP", "RUN_CRASH"] {
        for task in ["short", "loop"] {
            let told = shop.messages(task);
            for run in shop.runs(task) {
                let count = told
                    .iter()
                    .filter(|m| m.run_id == run.id.as_str() && m.msg_type == message)
                    .count();
                assert!(count <= 1, "{task} {} {message} {count}", run.id);
            }
        }
    }
}
