//! `gc` while everything else goes on: ten collectors, runners, posters, followers, and a person with
//! `rm`, each a process of its own.

use crate::support::*;
use conductor_tests::process::Finished;
use conductor_tests::sandbox::Sandbox;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Barrier;

const COLLECTORS: usize = 10;
const ROUNDS: usize = 3;
const TASKS: usize = 5;
const OLD_RUNS: usize = 30;
const JOBS: usize = 6;
const POSTS: usize = 40;
const LINES: usize = 500;
/// What a collector does: all that there is to do.
const GC: &str = "gc --older-than 1000h --delete-done-tasks --rotate-bus --bus-max-size 4KB";

/// Runs that ended long ago, in tasks in which new ones are started meanwhile.
fn fill(sandbox: &Sandbox) {
    let day = 1_772_352_000;
    for task in 0..TASKS {
        for run in 0..OLD_RUNS {
            let path = format!("p/t{task}/runs/old-{run:02}");
            write(sandbox, &format!("{path}/agent-stdout.txt"), vec![b'x'; 2000]);
            let info = write(sandbox, &format!("{path}/run-info.yaml"), record("completed", 0));
            set_time(&info, day);
        }
        // Tasks that go as a whole.
        set_time(&write(sandbox, &format!("p/done{task}/DONE"), ""), day);
        for folder in ["p/done", "p/done/runs"] {
            let folder = folder.replace("done", &format!("done{task}"));
            fs::create_dir_all(sandbox.root().join(&folder)).unwrap();
            set_time(&sandbox.root().join(folder), day);
        }
    }
}

fn records(sandbox: &Sandbox, task: &str) -> Vec<PathBuf> {
    let runs = fs::read_dir(sandbox.root().join("p").join(task).join("runs")).unwrap();
    runs.map(|run| run.unwrap().path().join("run-info.yaml")).collect()
}

/// Nothing went wrong. A collector may say that it keeps what another one has in hand.
fn assert_well(finished: &Finished) {
    assert!(finished.status.success(), "{finished:?}");
    let bad = |line: &&str| !line.starts_with("keeping ");
    assert_eq!(finished.stderr.lines().find(bad), None, "{finished:?}");
}

#[test]
fn ten_collectors_runners_posters_followers_and_a_person_with_rm_get_on() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let pipe = sandbox.root().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());

    // A run whose output is followed until it ends, and a bus that is followed to its last message.
    let script = format!(
        "i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done; read x < {}; echo end",
        pipe.display()
    );
    let long = ["job", "--project", "p", "--task", "long", "--agent", "command", "--prompt", "x"];
    let mut long = run_agent(&sandbox, long).args(["--follow", "--", "sh", "-c", &script]).start();
    long.wait_for("a line", |text| text.contains("line 1\n"));
    fs::create_dir_all(sandbox.root().join("p/talk")).unwrap();
    cli(&sandbox, "bus post --project p --task talk --body first").succeed();
    let line = "bus read --project p --task talk --follow --json --after start";
    let mut bus = cli(&sandbox, line).start();
    bus.wait_for("the first message", |text| text.contains("first"));
    let mut output = cli(&sandbox, "output --project p --task long --file stdout --follow").start();
    output.wait_for("a line", |text| text.contains("line 1\n"));

    let start = Barrier::new(COLLECTORS + TASKS + 3);
    std::thread::scope(|scope| {
        let (sandbox, start) = (&sandbox, &start);
        for _ in 0..COLLECTORS {
            scope.spawn(move || {
                start.wait();
                (0..ROUNDS).for_each(|_| assert_well(&cli(sandbox, GC).run()));
            });
        }
        for task in 0..TASKS {
            scope.spawn(move || {
                start.wait();
                for _ in 0..JOBS {
                    let line = format!(
                        "job --project p --task t{task} --agent command --prompt x --parent-run-id \
                         old-29 -- true"
                    );
                    cli(sandbox, &line).succeed();
                }
            });
        }
        for poster in 0..2 {
            scope.spawn(move || {
                start.wait();
                for number in 0..POSTS {
                    let body = format!("body {poster}-{number} {}", "x".repeat(200));
                    let post = ["bus", "post", "--project", "p", "--task", "talk", "--body"];
                    run_agent(sandbox, post).arg(body).succeed();
                }
            });
        }
        scope.spawn(move || {
            start.wait();
            for run in 0..OLD_RUNS {
                let path = sandbox.root().join(format!("p/t0/runs/old-{run:02}"));
                let _gone_already = fs::remove_dir_all(path);
            }
        });
    });

    // Those who collected may all have been faster than those who posted.
    assert_well(&cli(&sandbox, GC).run());
    // The followers saw everything, once.
    cli(&sandbox, "bus post --project p --task talk --body last").succeed();
    let text = bus.wait_for("the last message", |text| text.contains("\"last\""));
    drop(bus);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let body = message["body"].as_str().unwrap();
        *seen
            .entry(body.split_once(" x").map_or(body, |(name, _)| name).to_owned())
            .or_default() += 1;
    }
    assert_eq!(seen.len(), 2 * POSTS + 2, "{seen:?}");
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    let archives = fs::read_dir(sandbox.root().join("p/talk")).unwrap();
    let archives = archives.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".archived")
    });
    assert!(archives.count() > 0, "the bus was rotated under its followers");
    fs::write(&pipe, "go\n").unwrap();
    let followed = output.finish().expect_code(0);
    assert_eq!(followed.stdout.lines().count(), LINES + 1, "{}", followed.stdout);
    drop(long.finish().expect_code(0));

    // What was to go is gone, what was started is there.
    assert_well(&cli(&sandbox, GC).run());
    for task in 0..TASKS {
        let records = records(&sandbox, &format!("t{task}"));
        assert_eq!(records.len(), JOBS, "{records:?}");
        for info in records {
            assert!(fs::read_to_string(&info).unwrap().contains("outcome: completed"), "{info:?}");
        }
        assert!(!sandbox.root().join(format!("p/done{task}")).exists());
    }
    let trash = sandbox.root().join(".conductor/trash");
    assert_eq!(fs::read_dir(trash).unwrap().count(), 0);
    let sums = see_json(&sandbox, "usage --json --all --by run");
    assert!(sums.to_string().contains("old-"), "receipts outlive their runs: {sums}");
}
