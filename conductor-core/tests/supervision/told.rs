//! Agents that tell their result and do not exit.

use crate::kit::*;
use crate::support::*;
use conductor_core::{ErrorKind, JobSpec, Outcome, Stop, TaskOutcome, TaskSpec};
use std::fs;
use std::time::Duration;

const GRACE: Duration = Duration::from_millis(300);
/// Long enough for a driver to look, find the grace over, and act: it looks once a second.
const LONGER: Duration = Duration::from_secs(3);

fn spec(task: &str) -> TaskSpec {
    let spec = TaskSpec::new("shop").task(task).agent("claude").prompt("x");
    spec.restart_delay(Duration::from_millis(10)).grace(Duration::from_millis(100))
}

/// Drives for so long, in which nothing happens.
fn drive_for(task: &conductor_core::Task, length: Duration) {
    let over = task.wait(length).unwrap_err();
    assert_eq!(over.kind(), ErrorKind::Timeout);
}

#[test]
fn an_agent_that_told_its_result_and_hangs_is_ended_and_its_word_stands() {
    let shop = Shop::new("");
    // It ignores the polite signal, and so does what it started.
    let hang = "trap '' TERM; sleep 1000 & while :; do sleep 1; done";
    let script = format!(
        "cd $JRUN_TASK_FOLDER; test -e again && touch DONE; touch again; cat {}; {hang}",
        stream("claude-tool").display()
    );
    shop.agent("claude", &script);
    let task = shop.conductor().tasks().start(spec("fix").result_grace(GRACE), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
    let runs = shop.runs("fix");
    let why = "it told its result and did not exit within 300ms";
    for info in &runs {
        let record = &info.record;
        assert_eq!((info.outcome(), record.exit_code), (Some(Outcome::Completed), 0));
        assert_eq!((record.signal, record.error_summary.as_deref()), (None, None));
        assert_eq!(record.stop_reason.as_deref(), Some(why));
        assert_eq!(record.usage.map(|usage| usage.total()), Some(21088));
        let (project, id) = of("fix");
        let run = shop.conductor().runs().get(&project, &id, &info.id).unwrap();
        let told = run.why().unwrap();
        assert!(told.because.contains("succeeded") && told.because.contains(why), "{told:?}");
        assert!(told.next.contains("--result-grace"), "{told:?}");
    }
    let told = shop.messages("fix");
    let ends: Vec<_> = told.iter().filter(|m| m.msg_type == "RUN_STOP").collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|m| m.body.contains(why)));
    assert!(told.iter().all(|m| m.msg_type != "RUN_CRASH" && m.msg_type != "WARNING"));
}

#[test]
fn one_that_told_a_failure_and_hangs_failed() {
    let shop = Shop::new("");
    let script = format!("cat {}; exec sleep 1000", stream("claude-ratelimit").display());
    shop.agent("claude", &script);
    let task = shop.conductor().tasks().start(spec("fix").result_grace(GRACE), LONG).unwrap();
    // It may be held while the agent lives.
    drive_until(&task, "its account is held, and it ended", || {
        let held = !shop.conductor().holds().unwrap().is_empty();
        held && shop.runs("fix")[0].record.outcome.is_some()
    });
    let run = &shop.runs("fix")[0];
    assert_eq!((run.outcome(), run.record.exit_code), (Some(Outcome::Failed), 1));
    assert!(run.record.stop_reason.as_deref().unwrap().contains("did not exit"));
}

#[test]
fn one_that_begins_another_turn_goes_on_and_so_does_one_without_a_limit() {
    let shop = Shop::new("");
    let more = r#"{"type":"assistant","message":{"content":[]}}"#;
    let told = fs::read_to_string(stream("claude-tool")).unwrap();
    // In one piece: it never stands as if the turn were over.
    fs::write(shop.dir().join("turns"), format!("{told}{more}\n")).unwrap();
    fs::write(shop.dir().join("endless"), told).unwrap();
    let script = format!(
        "cd $JRUN_TASK_FOLDER; cat {}/$(basename $PWD); touch told; \
         until [ -e go ]; do sleep 0.01; done; touch DONE",
        shop.dir().display()
    );
    shop.agent("claude", &script);
    let folder = |task: &str| shop.root.path().join("shop").join(task);
    for (name, grace) in [("turns", GRACE), ("endless", Duration::ZERO)] {
        let task = shop.conductor().tasks().start(spec(name).result_grace(grace), LONG).unwrap();
        drive_until(&task, "it told", || folder(name).join("told").exists());
        drive_for(&task, LONGER);
        assert_eq!(shop.runs(name)[0].outcome(), None, "{name}");
        fs::write(folder(name).join("go"), "").unwrap();
        let result = task.wait(LONG).unwrap();
        assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 1), "{name}");
        assert_eq!(shop.runs(name)[0].record.stop_reason, None, "{name}");
    }
}

#[test]
fn one_whose_run_still_works_for_it_is_not_ended() {
    let shop = Shop::new("limits: {result_grace: 300ms}\n");
    let script = format!(
        "cat {}; touch $JRUN_TASK_FOLDER/DONE; exec sleep 1000",
        stream("claude-tool").display()
    );
    shop.agent("claude", &script);
    // The child stands before the result can be old.
    let task = shop.conductor().tasks().start(spec("fix"), LONG).unwrap();
    let attempt = shop.runs("fix")[0].id.to_string();
    let child = JobSpec::new("shop").task("child").agent("shell").prompt("exec sleep 1000");
    let child = child.parent_run_id(attempt);
    let child = shop.conductor().jobs().start(child, LONG).unwrap();
    drive_for(&task, LONGER);
    assert_eq!(shop.runs("fix")[0].outcome(), None);
    child.stop(Stop::because("enough").force(true), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 1));
    assert_eq!(shop.runs("fix")[0].outcome(), Some(Outcome::Completed));
}

#[test]
fn a_stop_wins_over_the_word_of_the_agent() {
    let shop = Shop::new("");
    let script = format!("cat {}; exec sleep 1000", stream("claude-tool").display());
    shop.agent("claude", &script);
    let task = shop.conductor().tasks().start(spec("fix"), LONG).unwrap();
    let output = shop.runs("fix")[0].folder.join("agent-stdout.txt");
    drive_until(&task, "it told", || fs::metadata(&output).unwrap().len() > 0);
    // As an earlier driver left it, which had begun to end it.
    let note = "stdout: 0\nasked: true\nwhy: it did not exit\n";
    fs::write(shop.runs("fix")[0].folder.join(".told"), note).unwrap();
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| task.wait(LONG).unwrap());
        task.stop(Stop::because("lunch"), LONG).unwrap();
        assert_eq!(driver.join().unwrap().outcome, TaskOutcome::Stopped);
    });
    let run = &shop.runs("fix")[0];
    assert_eq!(run.outcome(), Some(Outcome::Stopped));
    assert_eq!(run.record.stop_reason.as_deref(), Some("lunch"));
}
