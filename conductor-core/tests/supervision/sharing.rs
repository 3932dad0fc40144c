//! Agents that share the work, some of which are not there.

use crate::kit::*;
use crate::support::*;
use conductor_core::{JobSpec, Outcome, TaskOutcome, TaskSpec};
use std::time::Duration;

fn shares(agents: &str) -> String {
    let commands = agents.split(", ").map(|name| format!("  {name}: {{command: [{name}]}}\n"));
    let commands: String = commands.collect();
    format!(
        "agents:\n{commands}defaults: {{diversification: {{enabled: true, agents: [{agents}], \
         fallback_on_failure: true}}}}\n"
    )
}

fn agents(shop: &Shop, task: &str) -> Vec<String> {
    shop.runs(task).into_iter().map(|run| run.record.agent).collect()
}

fn spec() -> TaskSpec {
    TaskSpec::new("shop").task("fix").prompt("x").restart_delay(Duration::from_millis(10))
}

#[test]
fn the_others_share_the_work_of_one_that_is_not_there() {
    let shop = Shop::new(&shares("gone, one, two"));
    let job = || JobSpec::new("shop").task("job").prompt("x");
    let refused = shop.conductor().jobs().start(job(), LONG).unwrap_err();
    assert!(refused.to_string().contains("gone"), "the first that is missing: {refused}");
    for name in ["one", "two"] {
        shop.agent(name, "true");
    }
    for _ in 0..4 {
        shop.conductor().jobs().start(job(), LONG).unwrap().wait(LONG).unwrap();
    }
    assert_eq!(agents(&shop, "job"), ["one", "two", "one", "two"]);
    // It is there again, and has nothing to catch up on.
    shop.agent("gone", "true");
    for _ in 0..6 {
        shop.conductor().jobs().start(job(), LONG).unwrap().wait(LONG).unwrap();
    }
    let turns = agents(&shop, "job").split_off(4);
    assert_eq!(turns.iter().filter(|name| *name == "gone").count(), 2, "{turns:?}");
}

/// An agent that is not there any more once it was asked.
const VANISHES: &str = "rm -- \"$0\"; exit 3";

#[test]
fn one_that_vanishes_is_tried_once_and_the_others_go_on() {
    let shop = Shop::new(&shares("vanishes, works"));
    shop.agent("vanishes", VANISHES);
    let script =
        "cd $JRUN_TASK_FOLDER; echo x >>count; [ $(wc -l <count) -lt 3 ] && exit 3; touch DONE";
    shop.agent("works", script);
    let task = shop.conductor().tasks().start(spec(), LONG).unwrap();
    let result = task.wait(LONG).unwrap();
    assert_eq!(result.outcome, TaskOutcome::Done, "{result:?}");
    assert_eq!(agents(&shop, "fix"), ["vanishes", "works", "vanishes", "works", "works"]);
    assert_eq!(shop.runs("fix")[2].outcome(), Some(Outcome::Refused));
    let told = shop.messages("fix");
    let told = told.iter().filter(|m| m.body.contains("vanishes is passed over"));
    assert_eq!(told.count(), 1);
}

#[test]
fn the_task_ends_when_none_is_there_any_more() {
    let shop = Shop::new(&shares("one, two"));
    shop.agent("one", VANISHES);
    shop.agent("two", VANISHES);
    let result = shop.conductor().tasks().start(spec(), LONG).unwrap().wait(LONG).unwrap();
    assert_eq!((result.outcome, result.attempts), (TaskOutcome::GaveUp, 4));
    let why = result.reason.unwrap();
    assert!(why.starts_with("no agent that shares the work can be started: "), "{why}");
    assert_eq!(agents(&shop, "fix"), ["one", "two", "one", "two"]);
}
