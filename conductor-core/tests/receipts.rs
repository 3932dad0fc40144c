//! Receipts: what is known of runs that are gone, or whose record another program rewrote.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod support;

use conductor_core::{Outcome, RunId, TaskOutcome, TaskSpec, UsageBy, Wait};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use support::*;

fn lines(root: &Root) -> Vec<String> {
    let text = fs::read_to_string(root.task_folder().join(".receipts.jsonl")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_finished_run_has_one_receipt_whoever_finishes_it() {
    let root = root();
    let gate = root.dir.path().join("gate");
    let script = format!("until [ -e '{}' ]; do sleep 0.01; done", gate.display());
    let runs: Vec<_> =
        (0..4).map(|_| root.conductor.jobs().start(job(&script), LONG).unwrap()).collect();
    let ids: Vec<RunId> = runs.iter().map(|run| run.id().clone()).collect();
    std::thread::scope(|scope| {
        for id in &ids {
            // Several handles wait for each run, each ready to finish it.
            for _ in 0..3 {
                let (project, task) = support::ids();
                let other = open(&root.path());
                scope.spawn(move || {
                    other.runs().get(&project, &task, id).unwrap().wait(LONG).unwrap();
                });
            }
        }
        fs::write(&gate, "").unwrap();
    });
    for run in runs {
        assert_eq!(run.wait(LONG).unwrap().outcome(), Some(Outcome::Completed));
    }
    let lines = lines(&root);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for id in &ids {
        let mine: Vec<_> = lines.iter().filter(|line| line.contains(id.as_str())).collect();
        assert!(mine.len() == 1 && mine[0].contains(r#""outcome":"completed""#), "{lines:#?}");
    }
    let report = root.conductor.usage(None, None).unwrap();
    assert_eq!((report.runs.len(), report.total().unknown_cost), (4, 4));
}

#[test]
fn a_finisher_that_died_at_the_receipt_is_made_up_for_once() {
    let root = root();
    let run = root.job("true");
    let receipts = root.task_folder().join(".receipts.jsonl");
    let entry = root.path().join(".conductor/open").join(format!("{}-0", run.id));
    for before in ["", "{\"run\":\"torn"] {
        fs::write(&receipts, before).unwrap();
        for _ in 0..2 {
            // The entry among the open runs goes last.
            fs::write(&entry, format!("shop/fix/runs/{}\n", run.id)).unwrap();
            root.conductor.reconcile(LONG).unwrap();
            assert!(!entry.exists());
        }
        let lines = lines(&root);
        let mine = lines.iter().filter(|line| line.contains(run.id.as_str())).count();
        assert_eq!(mine, 1, "{lines:#?}");
        let report = root.conductor.usage(None, None).unwrap();
        assert_eq!((report.runs.len(), report.damage.len()), (1, usize::from(!before.is_empty())));
    }
}

/// A task of which one attempt failed, and which nobody drives.
fn after_one_attempt() -> (Root, PathBuf) {
    let root = root();
    let slow = failing().restart_delay(Duration::from_secs(3600));
    let task = root.conductor.tasks().start(slow, LONG).unwrap();
    let run = task.info().unwrap().latest.unwrap();
    let (project, id) = ids();
    root.conductor.runs().get(&project, &id, &run.id).unwrap().wait(LONG).unwrap();
    (root, run.folder)
}

fn failing() -> TaskSpec {
    task("exit 1").max_attempts(3)
}

/// How many attempts were made in all, once the task is driven on.
fn attempts_in_all(root: &Root) -> (u32, usize) {
    let task = root.conductor.tasks().start(failing(), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!(result.outcome, TaskOutcome::GaveUp);
    let (project, id) = ids();
    (result.attempts, root.conductor.runs().ids(&project, &id).unwrap().len())
}

#[test]
fn an_attempt_counts_although_another_program_took_its_series_away() {
    let (root, folder) = after_one_attempt();
    let record = folder.join("run-info.yaml");
    let text = fs::read_to_string(&record).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("series:")).collect();
    assert!(kept.len() < text.lines().count());
    fs::write(&record, kept.join("\n") + "\n").unwrap();
    assert_eq!(attempts_in_all(&root), (3, 3));
}

#[test]
fn an_attempt_counts_although_its_folder_is_gone() {
    let (root, folder) = after_one_attempt();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(attempts_in_all(&root), (3, 2));
    let report = root.conductor.usage(None, None).unwrap();
    assert!(report.damage.is_empty(), "{:?}", report.damage);
    assert_eq!(report.runs.len(), 3);
}

#[test]
fn runs_without_a_receipt_count_by_their_records() {
    let root = root();
    root.job("true");
    fs::remove_file(root.task_folder().join(".receipts.jsonl")).unwrap();
    let older = root.task_folder().join("runs/20260101-0101010000-9-1");
    fs::create_dir(&older).unwrap();
    let record = "version: 1\nagent: claude\nstart_time: 2026-01-01T01:01:01Z\n\
                  end_time: 2026-01-02T01:01:01Z\nstatus: completed\nexit_code: 0\n";
    fs::write(older.join("run-info.yaml"), record).unwrap();
    let damaged = root.task_folder().join("runs/20260101-0101010000-9-2");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("run-info.yaml"), "").unwrap();
    let living = root.conductor.jobs().start(job("sleep 60"), LONG).unwrap();

    let (project, task) = ids();
    let report = root.conductor.usage(Some(&project), Some(&task)).unwrap();
    let codes: Vec<_> = report.damage.iter().map(|error| error.code()).collect();
    assert_eq!(codes, ["yaml.empty"]);
    let names = |by| report.by(by).into_iter().map(|sum| sum.name).collect::<Vec<_>>();
    assert_eq!(names(UsageBy::Agent), ["claude", "shell"]);
    assert_eq!(names(UsageBy::Project), ["shop"]);
    assert_eq!(names(UsageBy::Day)[0], "2026-01-02");
    assert_eq!((report.total().runs, report.total().unknown_usage), (2, 2));
    assert_eq!(report.total().cost_usd, None);
    assert!(!root.task_folder().join(".receipts.jsonl").exists(), "a look writes nothing");
    living.stop(conductor_core::Stop::because("test over"), Wait::FOREVER).unwrap();
}
