//! Usage limits that an agent waits out by itself, and what its end is made of once it went on.

use crate::kit::*;
use crate::support::*;
use conductor_core::{ErrorClass, JobSpec, Outcome, TaskOutcome, TaskSpec};
use std::fs;
use std::time::Duration;

const INIT: &str = r#"{"type":"init","session_id":"s"}"#;
const PIECE: &str = r#"{"type":"message","role":"assistant","content":"I go on.","delta":true}"#;
const QUOTA: &str = "Attempt 1 failed: You exceeded your current quota. Retrying after 5006ms...";

#[test]
fn where_nobody_watched_the_file_that_was_written_to_last_tells() {
    let shop = Shop::new("");
    for (older, class) in
        [("agent-stderr.txt", None), ("agent-stdout.txt", Some(ErrorClass::UsageLimit))]
    {
        let script = format!(
            "echo '{INIT}'; echo '{QUOTA}' >&2; echo '{PIECE}'; \
             touch -d @1000000000 \"$JRUN_RUN_FOLDER/{older}\"; exit 3"
        );
        shop.agent("gemini", &script);
        let job = JobSpec::new("shop").task("job").agent("gemini").prompt("x");
        let run = shop.conductor().jobs().start(job, LONG).unwrap().wait(LONG).unwrap();
        assert_eq!((run.outcome(), run.record.error_class), (Some(Outcome::Failed), class));
        assert_eq!(shop.conductor().holds().unwrap().len(), usize::from(class.is_some()));
    }
}

#[test]
fn what_its_driver_saw_to_be_over_is_over_whatever_it_says_when_it_dies() {
    let shop = Shop::new("");
    let wait = |name: &str| format!("until [ -e {name} ]; do sleep 0.01; done");
    let script = format!(
        "cd $JRUN_TASK_FOLDER; [ -e die ] && {{ touch DONE; exit; }}; \
         echo '{INIT}'; echo '{QUOTA}' >&2; {}; echo '{PIECE}'; {}; echo 'Error: read ECONNRESET' >&2; exit 3",
        wait("go"),
        wait("die")
    );
    shop.agent("gemini", &script);
    let spec = TaskSpec::new("shop").task("one").agent("gemini").prompt("x");
    let spec = spec.restart_delay(Duration::from_millis(10));
    let task = shop.conductor().tasks().start(spec, LONG).unwrap();
    let holds = || shop.conductor().holds().unwrap();
    let file = |name: &str| shop.root.path().join("shop/one").join(name);
    drive_until(&task, "its account is held", || !holds().is_empty());
    fs::write(file("go"), "").unwrap();
    drive_until(&task, "nothing is held", || holds().is_empty());
    // The hold is lifted before that is noted, in one step of the driver.
    assert!(shop.runs("one")[0].folder.join(".limit").exists());
    fs::write(file("die"), "").unwrap();
    drive_until(&task, "it died", || shop.runs("one")[0].outcome().is_some());
    let died = shop.runs("one").remove(0);
    assert_eq!((died.outcome(), died.record.error_class), (Some(Outcome::Failed), None));
    assert!(holds().is_empty());
    assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
}
