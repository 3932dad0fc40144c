//! Bounds of tasks, of families of runs, of output.

use crate::kit::*;
use crate::support::*;
use conductor_core::{
    ErrorKind, JobSpec, OnOutputLimit, Outcome, OutputFile, TaskOutcome, TaskSpec,
};
use std::fs;
use std::time::Duration;

fn spec(task: &str, script: &str) -> TaskSpec {
    let delay = Duration::from_millis(10);
    TaskSpec::new("shop").task(task).agent("shell").prompt(script).restart_delay(delay)
}

#[test]
fn tokens_and_cost_are_added_up_over_loops_and_drivers() {
    let shop = Shop::new("limits: {max_tokens: 50000}\n");
    // Each run uses 21088 tokens and 0.026949999999999998 dollars.
    let stream = stream("claude-tool");
    // The second attempt goes on until it was seen: one step may find it at its end, and start the third.
    let script = format!(
        "cat {}; cd $JRUN_TASK_FOLDER; test -e again && until [ -e {} ]; do sleep 0.01; done; touch again",
        stream.display(),
        shop.dir().join("go").display()
    );
    shop.agent("claude", &script);
    let spec = |task: &str| spec(task, "x").agent("claude");
    let task = shop.conductor().tasks().start(spec("tokens"), LONG).unwrap();
    // A driver that goes away in between forgets nothing.
    drive_until(&task, "one attempt", || shop.runs("tokens").len() == 2);
    drop(task);
    fs::write(shop.dir().join("go"), "").unwrap();
    let task = shop.conductor().tasks().start(spec("tokens"), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 3));
    assert_eq!(result.reason.as_deref(), Some("it used 63264 tokens; max tokens is 50000"));
    let spec = spec("cost").max_tokens(1 << 40).max_cost_usd(0.05);
    let result = shop.conductor().tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(result.reason.as_deref(), Some("it cost 0.05 USD; max cost is 0.05 USD"));
    assert_eq!(result.attempts, 2);
}

/// A line of Claude's stream: the piece of a message, and what was used for it.
fn claude_says(id: &str, tokens: u64) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"id":"{id}","model":"m","content":[],"usage":{{"input_tokens":{tokens},"output_tokens":0}}}}}}"#
    )
}

#[test]
fn an_attempt_that_runs_is_stopped_when_it_passes_the_tokens_of_its_task() {
    let shop = Shop::new("");
    // The first attempt uses 60. The second one passes the 100 with its second message, and would go on.
    let (one, two) = (claude_says("one", 60), claude_says("two", 30));
    let three = claude_says("three", 30);
    let script = format!(
        "cd $JRUN_TASK_FOLDER; if [ ! -e again ]; then touch again; echo '{one}'; echo '{one}'; exit; fi; \
         echo '{two}'; until [ -e go ]; do sleep 0.01; done; echo '{three}'; exec sleep 1000"
    );
    shop.agent("claude", &script);
    let spec = spec("greedy", "x").agent("claude").max_tokens(100);
    let task = shop.conductor().tasks().start(spec.clone(), LONG).unwrap();
    drive_until(&task, "the second attempt", || {
        let runs = shop.runs("greedy");
        runs.len() == 2 && fs::metadata(runs[1].folder.join("agent-stdout.txt")).unwrap().len() > 0
    });
    // Whoever takes over reads what was told before.
    drop(task);
    let task = shop.conductor().tasks().start(spec, LONG).unwrap();
    fs::write(shop.root.path().join("shop/greedy/go"), "").unwrap();
    let result = task.wait(LONG).unwrap();
    let why = "it used 120 tokens; max tokens is 100";
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 2));
    assert_eq!(result.reason.as_deref(), Some(why));
    let run = &shop.runs("greedy")[1];
    assert_eq!(run.outcome(), Some(Outcome::Stopped));
    assert_eq!(run.record.stop_reason.as_deref(), Some(why));
    assert_eq!(run.record.usage.map(|usage| usage.total()), Some(60));
}

#[test]
fn an_attempt_that_runs_is_stopped_when_it_passes_the_cost_of_its_task() {
    let shop = Shop::new("");
    let stream = stream("claude-tool");
    shop.agent("claude", &format!("cat {}; exec sleep 1000", stream.display()));
    let spec = spec("dear", "x").agent("claude").max_cost_usd(0.02);
    let result = shop.conductor().tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(result.reason.as_deref(), Some("it cost 0.03 USD; max cost is 0.02 USD"));
    assert_eq!(shop.runs("dear")[0].outcome(), Some(Outcome::Stopped));
}

/// A host that drives a task until it is killed: the check of its `DONE` removes the receipts, and waits.
#[test]
fn host_drives_a_check_that_removes_receipts() {
    let Some((_, conductor)) = hosted() else { return };
    conductor.tasks().start(checked("fix"), LONG).unwrap().wait(LONG).unwrap();
}

fn checked(task: &str) -> TaskSpec {
    let check = "rm -f .receipts.jsonl; touch checks; until [ -e go ]; do sleep 0.01; done; exit 1";
    spec(task, "x").agent("claude").max_tokens(21_000).verify(check)
}

#[test]
fn what_an_attempt_used_is_known_while_its_check_runs_whatever_becomes_of_driver_and_receipts() {
    let shop = Shop::new("");
    // The last tokens are those of the result: the attempt is over before a look finds them.
    let text = fs::read_to_string(stream("claude-tool")).unwrap();
    let result = text.lines().last().unwrap();
    fs::write(shop.dir().join("stream"), format!("{result}\n")).unwrap();
    let script = format!("cat {}/stream; touch $JRUN_TASK_FOLDER/DONE", shop.dir().display());
    shop.agent("claude", &script);
    let mut host = shop.host("bounds::host_drives_a_check_that_removes_receipts", &[]);
    let folder = shop.root.path().join("shop/fix");
    until("the check runs", || folder.join("checks").exists());
    host.kill();
    let (project, id) = of("fix");
    let budget = shop.conductor().tasks().info(&project, &id).unwrap().budget.unwrap();
    assert_eq!(budget.spent_tokens, 21088);
    assert!(budget.spent_cost_usd > 0.02, "{budget:?}");
    fs::write(folder.join("go"), "").unwrap();
    let task = shop.conductor().tasks().start(checked("fix"), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 1));
    assert!(result.reason.unwrap().starts_with("it used 21088 tokens"));
}

#[test]
fn the_receipts_that_an_agent_removes_stay_counted() {
    let shop = Shop::new("");
    let stream = stream("claude-tool");
    let script = "rm -f $JRUN_TASK_FOLDER/.receipts.jsonl";
    shop.agent("claude", &format!("{script}; cat {}", stream.display()));
    let spec = spec("greedy", "x").agent("claude").max_attempts(3).max_tokens(21_000);
    let result = shop.conductor().tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert!(result.reason.unwrap().starts_with("it used 21088 tokens"), "{}", result.attempts);
}

#[test]
fn wall_time_is_that_of_all_attempts_and_ends_the_one_that_uses_it_up() {
    let shop = Shop::new("");
    let spec = spec("slow", "sleep 1000").max_wall(Duration::from_millis(400));
    let result = shop.conductor().tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 1));
    assert!(result.reason.unwrap().contains("max wall time is 400ms"));
    assert_eq!(shop.runs("slow")[0].outcome(), Some(Outcome::TimedOut));
}

/// No machine can be put to sleep for a test: what a keeper wrote down of one that slept is written by
/// hand. Its limits go by a clock that stands still meanwhile.
#[test]
fn the_time_that_the_machine_sleeps_is_no_time_of_an_attempt() {
    for (slept, outcome) in [(Some("8h"), TaskOutcome::Done), (None, TaskOutcome::GaveUp)] {
        let shop = Shop::new("");
        let script = "cd $JRUN_TASK_FOLDER; test -e second && touch DONE; exit 0";
        let hour = Duration::from_secs(3600);
        let start = |pause| {
            let spec = spec("fix", script).max_wall(hour).restart_delay(pause);
            shop.conductor().tasks().start(spec, LONG).unwrap()
        };
        let task = start(hour);
        drive_until(&task, "one attempt", || {
            task.info().unwrap().waiting.is_some_and(|waiting| waiting.what == "delay")
        });
        drop(task);
        let folder = shop.root.path().join("shop/fix");
        let receipts = folder.join(".receipts.jsonl");
        let text = fs::read_to_string(&receipts).unwrap();
        let lines = text.lines().map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            let end: Option<conductor_core::Timestamp> =
                line["end"].as_str().map(|end| end.parse().unwrap());
            if let Some(end) = end {
                line["start"] = end.minus(8 * hour).to_string().into();
                if slept.is_some() {
                    line["slept_seconds"] = (8 * 3600).into();
                }
            }
            format!("{line}\n")
        });
        fs::write(&receipts, lines.collect::<String>()).unwrap();
        fs::write(folder.join("second"), "").unwrap();
        let result = start(Duration::from_millis(10)).wait(LONG).unwrap();
        assert_eq!(result.outcome, outcome, "{slept:?}: {result:?}");
    }
}

#[test]
fn task_config_bounds_a_task_and_a_flag_wins() {
    let shop = Shop::new("limits: {max_attempts: 9}\n");
    let folder = shop.root.path().join("shop/fix");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("TASK-CONFIG.yaml"), "limits: {max_attempts: 2, max_wall: 1h}\n")
        .unwrap();
    let start = |spec| shop.conductor().tasks().start(spec, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(start(spec("fix", "true")).attempts, 2);
    let state = fs::read_to_string(folder.join(".loop.yaml")).unwrap();
    assert!(state.contains("max_wall: 1h0m0s\n"), "{state}");
    assert_eq!(start(spec("fix", "true").max_attempts(1)).attempts, 1);
}

#[test]
fn an_agent_starts_no_more_and_no_deeper_than_it_may() {
    let shop = Shop::new("");
    let job = |task: &str| JobSpec::new("shop").task(task).agent("shell").prompt("sleep 1000");
    let jobs = shop.conductor().jobs();
    let top = jobs.start(job("top").max_children(2).max_depth(1), LONG).unwrap();
    let below = |parent: &conductor_core::Run, task: &str| {
        // What it asks for itself does not loosen what it was given.
        let job = job(task).max_children(100).max_depth(100);
        jobs.start(job.parent_run_id(parent.id().as_str()), LONG)
    };
    let child = below(&top, "a").unwrap();
    below(&top, "b").unwrap();
    let error = below(&top, "c").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Busy, "run.too_many_children"));
    let error = below(&child, "d").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "run.too_deep"));
    assert!(!shop.root.path().join("shop/d/runs").exists() || shop.runs("d").is_empty());
    // One that ended makes room.
    child.stop(conductor_core::Stop::because("enough").force(true), LONG).unwrap();
    below(&top, "c").unwrap();
}

#[test]
fn many_children_at_once_are_counted_one_by_one() {
    let shop = Shop::new("");
    let job = |task: &str| JobSpec::new("shop").task(task).agent("shell").prompt("sleep 1000");
    let top = shop.conductor().jobs().start(job("top").max_children(3), LONG).unwrap();
    let started: usize = std::thread::scope(|scope| {
        let start = |number: usize| {
            let (job, parent) = (job(&format!("t{number}")), top.id().to_string());
            let conductor = shop.conductor().clone();
            scope.spawn(move || conductor.jobs().start(job.parent_run_id(parent), LONG).is_ok())
        };
        let all: Vec<_> = (0..10).map(start).collect();
        all.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
    });
    assert_eq!(started, 3);
}

/// Blocks of a file on disk, in bytes.
fn on_disk(path: &std::path::Path) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap()) * 512
}

#[test]
fn the_middle_of_a_long_output_is_cut_out_and_one_line_tells() {
    const MIB: u64 = 1 << 20;
    let shop = Shop::new("");
    // 24 MiB of numbered lines, slowly enough for the keeper to look twice.
    let script = "echo first; for i in 1 2 3; do seq 1 1200000; sleep 0.3; done; echo last";
    let job = JobSpec::new("shop").task("fix").agent("shell").prompt(script).output_limit(2 * MIB);
    let run = shop.conductor().jobs().start(job, LONG).unwrap();
    let info = run.wait(LONG).unwrap();
    assert_eq!(info.outcome(), Some(Outcome::Completed));
    let stdout = info.folder.join("agent-stdout.txt");
    let size = fs::metadata(&stdout).unwrap().len();
    assert!(size > 20 * MIB, "{size}");
    assert!(on_disk(&stdout) <= 4 * MIB, "{} of {size} bytes", on_disk(&stdout));
    for file in [OutputFile::Stdout, OutputFile::Output] {
        let text = run.output(file).unwrap().read_to_string().unwrap();
        assert!(text.starts_with("first\n1\n2\n") && text.ends_with("\n1200000\nlast\n"));
        assert_eq!(text.matches("cut out here").count(), 1, "{file:?}");
        assert!(!text.contains('\0') && (text.len() as u64) < 4 * MIB, "{file:?} {}", text.len());
    }
    let mut end = run.output(OutputFile::Stdout).unwrap();
    end.tail(2).unwrap();
    assert_eq!(end.read_to_string().unwrap(), "1200000\nlast\n");
    let mut all = run.output(OutputFile::Stdout).unwrap();
    all.tail(1 << 30).unwrap();
    assert_eq!(all.offset(), 0, "the gap is one line, not millions");
}

#[test]
fn an_output_that_is_too_long_ends_the_run_where_that_is_asked_for() {
    let shop = Shop::new("limits: {on_output_limit: stop, output_limit: 64KB}\n");
    // Little, so that a keeper that is kept waiting finds no full disk.
    let script = "yes | head -c 1000000; exec sleep 1000";
    let job = JobSpec::new("shop").task("fix").agent("shell").prompt(script);
    let info = shop.conductor().jobs().start(job, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(info.outcome(), Some(Outcome::OutputLimit));
    let why = conductor_core::Record::from(&info);
    assert_eq!(why.text("error_summary").as_deref(), Some("it wrote more than it may"));
    let choice: OnOutputLimit = "stop".parse().unwrap();
    assert_eq!(choice, OnOutputLimit::Stop);
}
