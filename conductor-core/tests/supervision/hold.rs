//! What the classes of an end lead to.

use crate::kit::*;
use crate::support::*;
use conductor_core::{ErrorKind, JobSpec, Outcome, TaskOutcome, TaskSpec, Timestamp};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn spec(task: &str, agent: &str) -> TaskSpec {
    let delay = Duration::from_millis(10);
    TaskSpec::new("shop").task(task).agent(agent).prompt("Do it.").restart_delay(delay)
}

fn in_seconds(seconds: u64) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds
}

/// A process that drives a task with an account that has a usage limit.
#[test]
fn host_waits_for_the_limit() {
    let Some((_, conductor)) = hosted() else { return };
    let task = std::env::var("TASK").unwrap();
    let task = conductor.tasks().start(spec(&task, "claude"), LONG).unwrap();
    loop {
        task.step().unwrap();
        if let Some(waiting) = task.info().unwrap().waiting
            && waiting.what.starts_with("the usage limit")
        {
            println!("waits");
            // Driven on, until the test lifts the hold.
            task.wait(LONG).unwrap();
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_usage_limit_is_one_waiting_state_in_two_processes() {
    let shop = Shop::new("agents: {claude: {account: work}}\n");
    let reset = in_seconds(3600);
    fs::write(shop.dir().join("stream"), limited_until(reset)).unwrap();
    shop.agent("claude", &format!("cat {}/stream; exit 1", shop.dir().display()));
    let mut one = shop.host("hold::host_waits_for_the_limit", &[("TASK", "one")]);
    one.says("waits");
    let mut two = shop.host("hold::host_waits_for_the_limit", &[("TASK", "two")]);
    two.says("waits");
    // The second one did not even try.
    assert_eq!((shop.runs("one").len(), shop.runs("two").len()), (1, 0));
    let holds = shop.conductor().holds().unwrap();
    let end = Timestamp::from_unix_nanos(i128::from(reset) * 1_000_000_000);
    assert_eq!(holds.len(), 1);
    assert_eq!((holds[0].account.as_str(), holds[0].known, holds[0].until), ("work", true, end));
    for task in ["one", "two"] {
        let (project, id) = of(task);
        let waiting = shop.conductor().tasks().info(&project, &id).unwrap().waiting.unwrap();
        assert_eq!((waiting.what.as_str(), waiting.until), ("the usage limit of work", Some(end)));
        let told = shop.messages(task);
        let told = told.iter().filter(|m| m.body.starts_with("the task waits for the usage limit"));
        assert_eq!(told.count(), 1, "{task}");
    }
    let doctor = shop.conductor().doctor().unwrap();
    assert!(doctor.iter().any(|finding| finding.kind.as_str() == "on_hold"), "{doctor:?}");
    // A single run of the account waits as well, and says so.
    let job = JobSpec::new("shop").task("job").agent("claude").prompt("x");
    let waiting = shop.conductor().jobs().would_wait(&job).unwrap().unwrap();
    assert_eq!(waiting.until, Some(end));
    let error = shop.conductor().jobs().start(job, Duration::from_millis(100)).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Busy, "start.on_hold"));
    let run = &shop.runs("job")[0];
    assert_eq!(run.outcome(), Some(Outcome::Refused));
    // Another account is not held.
    shop.agent("codex", "touch $JRUN_TASK_FOLDER/DONE");
    let other = shop.conductor().tasks().start(spec("other", "codex"), LONG).unwrap();
    assert_eq!(other.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    // Whoever removes the file lets both try again.
    shop.agent("claude", "touch $JRUN_TASK_FOLDER/DONE");
    fs::remove_file(shop.root.path().join(".conductor/holds/work.yaml")).unwrap();
    until("both are done", || {
        ["one", "two"].iter().all(|task| {
            let (project, id) = of(task);
            shop.conductor().tasks().info(&project, &id).unwrap().result.is_some()
        })
    });
    assert_eq!((shop.runs("one").len(), shop.runs("two").len()), (2, 1));
}

#[test]
fn a_limit_without_an_end_is_probed_by_one_and_lifted_by_success() {
    let shop = Shop::new("");
    let stream = stream("claude-ratelimit");
    shop.agent("claude", &format!("cat {}; exit 1", stream.display()));
    let start = |task: &str| shop.conductor().tasks().start(spec(task, "claude"), LONG).unwrap();
    let one = start("one");
    let waits = || one.info().unwrap().waiting.filter(|waiting| waiting.what != "delay");
    drive_until(&one, "it waits", || waits().is_some());
    let hold = shop.conductor().holds().unwrap().remove(0);
    assert_eq!((hold.account.as_str(), hold.known, hold.probes), ("claude-login", false, 0));
    let waiting = waits().unwrap();
    assert_eq!(waiting.until, Some(hold.until));
    assert!(waiting.what.contains("next probe"), "{waiting:?}");
    let ended = shop.runs("one")[0].record.end_time;
    assert_eq!(hold.until.since(ended), Duration::from_secs(300));
    let two = start("two");
    // The time for a probe has come, and one of both makes it.
    let file = shop.root.path().join(".conductor/holds/claude-login.yaml");
    let due = || {
        let text = fs::read_to_string(&file).unwrap();
        let until = text.lines().find(|line| line.starts_with("until: ")).unwrap();
        fs::write(&file, text.replace(until, "until: 2026-01-01T00:00:00Z")).unwrap();
    };
    due();
    drive_until(&two, "it probes", || shop.runs("two").len() == 1);
    for _ in 0..20 {
        one.step().unwrap();
    }
    assert_eq!(shop.runs("one").len(), 1, "the other one waits for what comes of it");
    drive_until(&two, "the probe failed", || {
        shop.conductor().holds().unwrap().first().is_some_and(|hold| hold.probes == 1)
    });
    assert!(shop.runs("two").len() == 1 && two.info().unwrap().result.is_none());
    // The next one comes to a good end: the account works, and nothing holds it any more.
    shop.agent("claude", "touch $JRUN_TASK_FOLDER/DONE");
    due();
    assert_eq!(one.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert!(shop.conductor().holds().unwrap().is_empty());
    assert_eq!(two.wait(LONG).unwrap().outcome, TaskOutcome::Done);
}

#[test]
fn bad_credentials_end_the_loop_after_one_attempt() {
    let shop = Shop::new("");
    let stream = stream("codex-error");
    shop.agent("codex", &format!("cat {}; exit 1", stream.display()));
    let task = shop.conductor().tasks().start(spec("fix", "codex"), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 1));
    let reason = result.reason.unwrap();
    assert!(reason.starts_with("bad credentials: "), "{reason}");
}

#[test]
fn an_exit_with_0_without_done_is_followed_by_another_attempt() {
    let shop = Shop::new("");
    let stream = stream("claude-text");
    let script = "echo x >>$JRUN_TASK_FOLDER/count; \
        [ $(wc -l <$JRUN_TASK_FOLDER/count) -lt 3 ] || touch $JRUN_TASK_FOLDER/DONE";
    shop.agent("claude", &format!("cat {}; {script}", stream.display()));
    let task = shop.conductor().tasks().start(spec("fix", "claude"), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 3));
}

#[test]
fn accounts_are_told_apart_by_name_token_or_login() {
    let shop = Shop::new(
        "agents:\n  named: {type: claude, account: work}\n  other: {type: claude, token: secret}\n  \
         mine: {type: command, command: [claude], parser: codex}\n",
    );
    shop.agent("claude", "true");
    let plain = Shop::new("");
    plain.agent("claude", "true");
    let account_in = |shop: &Shop, job: JobSpec| {
        let run = shop.conductor().jobs().start(job.prompt("x"), LONG).unwrap();
        run.wait(LONG).unwrap().record.account
    };
    let account = |job: JobSpec| account_in(&shop, job);
    let job = |agent: &str| JobSpec::new("shop").task("fix").agent(agent);
    assert_eq!(account(job("named")).as_deref(), Some("work"));
    assert_eq!(account(job("mine")).as_deref(), Some("codex-login"));
    assert_eq!(account(job("shell")), None);
    let secret = account(job("other")).unwrap();
    assert!(secret.starts_with("claude-") && !secret.contains("secret"), "{secret}");
    // The same token by another way is the same account.
    let given = job("claude").env("ANTHROPIC_API_KEY", "secret");
    assert_eq!(account_in(&plain, given), Some(secret));
    assert_eq!(account_in(&plain, job("claude")).as_deref(), Some("claude-login"));
}

#[test]
fn a_hold_that_cannot_be_read_is_told_with_its_file() {
    let shop = Shop::new("");
    let holds = shop.root.path().join(".conductor/holds");
    fs::create_dir_all(&holds).unwrap();
    fs::write(holds.join("claude-login.yaml"), "account: x\n").unwrap();
    let error = shop.conductor().holds().unwrap_err();
    assert_eq!(error.code(), "hold.corrupt");
    assert!(error.hint().contains("remove"), "{}", error.hint());
    shop.agent("claude", "true");
    let job = JobSpec::new("shop").task("job").agent("claude").prompt("x");
    assert_eq!(shop.conductor().jobs().start(job, LONG).unwrap_err().code(), "hold.corrupt");
    let doctor = shop.conductor().doctor().unwrap();
    assert!(doctor.iter().any(|finding| finding.kind.as_str() == "damaged"), "{doctor:?}");
}

#[test]
fn a_limit_that_a_running_agent_waits_out_holds_its_account_until_it_goes_on() {
    let shop = Shop::new("");
    let quota = "Attempt 1 failed: You exceeded your current quota. Retrying after 5006ms...";
    let piece = r#"{"type":"message","role":"assistant","content":"I go on.","delta":true}"#;
    let result = r#"{"type":"result","status":"success"}"#;
    let wait = |name: &str| format!("until [ -e {name} ]; do sleep 0.01; done");
    let script = format!(
        "cd $JRUN_TASK_FOLDER; echo '{{\"type\":\"init\",\"session_id\":\"s\"}}'; echo '{quota}' >&2; {}; \
         echo '{piece}'; {}; echo '{result}'; touch DONE",
        wait("go"),
        wait("end")
    );
    shop.agent("gemini", &script);
    let task = shop.conductor().tasks().start(spec("one", "gemini"), LONG).unwrap();
    let holds = || shop.conductor().holds().unwrap();
    drive_until(&task, "its account is held", || !holds().is_empty());
    let hold = holds().remove(0);
    assert_eq!((hold.account.as_str(), hold.known, hold.probes), ("gemini-login", false, 0));
    let run = shop.runs("one").remove(0);
    assert_eq!((hold.run.as_str(), run.outcome()), (run.id.as_str(), None));
    // Another task of the account waits, and says what for.
    let other = shop.conductor().tasks().start(spec("two", "gemini"), LONG).unwrap();
    other.step().unwrap();
    let waiting = other.info().unwrap().waiting.unwrap();
    assert!(waiting.what.starts_with("the usage limit of gemini-login"), "{waiting:?}");
    assert!(shop.runs("two").is_empty());
    // Whoever takes over knows which of both was told last.
    drop(task);
    let task = shop.conductor().tasks().start(spec("one", "gemini"), LONG).unwrap();
    assert!(task.wait(Duration::from_secs(2)).is_err());
    assert_eq!(holds(), [hold]);
    // The agent goes on: the account works.
    let file = |name: &str| shop.root.path().join("shop/one").join(name);
    fs::write(file("go"), "").unwrap();
    drive_until(&task, "nothing is held", || holds().is_empty());
    assert_eq!(shop.runs("one")[0].outcome(), None);
    fs::write(file("end"), "").unwrap();
    assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert!(holds().is_empty());
}
