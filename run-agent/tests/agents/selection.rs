//! Who gets the work: named agents, the default, agents that share it, and those that stand in.

use super::config;
use crate::support::run_agent;
use crate::workshop::{info, runs};
use conductor_core::Outcome;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;

/// Agents that only say who they are; `bad` fails, `gone` has no program.
const AGENTS: &str = "agents:
  one: {command: [/bin/sh, -c, 'echo one']}
  two: {command: [/bin/sh, -c, 'echo two']}
  bad: {command: [/bin/sh, -c, 'echo bad; exit 3']}
  gone: {command: [no-such-program-here]}
";

fn job(sandbox: &Sandbox, defaults: &str) -> Program {
    let config = config(sandbox, &format!("{AGENTS}defaults:\n{defaults}"));
    run_agent(sandbox, ["--config".as_ref(), config.as_os_str()]).args([
        "job",
        "--project",
        "p",
        "--task",
        "t",
        "-q",
        "--prompt",
        "x",
    ])
}

fn said(sandbox: &Sandbox, defaults: &str) -> String {
    job(sandbox, defaults).run().stdout.trim().to_owned()
}

#[test]
fn the_default_is_used_where_none_is_named() {
    let sandbox = Sandbox::new();
    assert_eq!(said(&sandbox, "  agent: two\n"), "two");
    assert_eq!(job(&sandbox, "  agent: two\n").args(["--agent", "ONE"]).succeed().stdout, "one\n");
    let refused = job(&sandbox, "  agent: two\n").args(["--agent", "tow"]).exits(2);
    assert!(refused.stderr.contains("did you mean \"two\"?"), "{}", refused.stderr);
    let none = job(&sandbox, "  {}\n").exits(2);
    assert!(none.stderr.contains("no agent is named"), "{}", none.stderr);
}

const TURNS: &str = "  diversification:\n    enabled: true\n    agents: [one, two]\n";

#[test]
fn agents_take_turns_also_from_one_process_to_the_next() {
    let sandbox = Sandbox::new();
    let order: Vec<String> = (0..4).map(|_| said(&sandbox, TURNS)).collect();
    assert_eq!(order, ["one", "two", "one", "two"]);
    let named = job(&sandbox, TURNS).args(["--agent", "two"]).succeed();
    assert_eq!(named.stdout, "two\n");
    assert_eq!(said(&sandbox, TURNS), "one", "work with a named agent is no turn");
    // What is refused is no turn either.
    job(&sandbox, TURNS).args(["--cwd", "/no/such/folder"]).exits(2);
    assert_eq!(said(&sandbox, TURNS), "two");
    let record = &runs(&sandbox)[0].record;
    assert_eq!(record.agent, "one");
}

#[test]
fn agents_take_turns_also_where_many_start_at_the_same_moment() {
    let sandbox = Sandbox::new();
    // The configuration is written before anybody reads it.
    let jobs: Vec<_> = (0..12).map(|_| job(&sandbox, TURNS)).collect();
    let started: Vec<_> = jobs.into_iter().map(Program::start).collect();
    let said: Vec<String> = started.into_iter().map(|one| one.finish().stdout).collect();
    let ones = said.iter().filter(|text| *text == "one\n").count();
    assert_eq!((ones, said.len()), (6, 12), "{said:?}");
}

#[test]
fn weights_share_the_work_out() {
    let sandbox = Sandbox::new();
    let weighted = format!("{TURNS}    strategy: weighted\n    weights: [1, 3]\n");
    let order: Vec<String> = (0..8).map(|_| said(&sandbox, &weighted)).collect();
    assert_eq!(order.iter().filter(|agent| *agent == "one").count(), 2, "{order:?}");
    let config = config(&sandbox, "defaults: {diversification: {enabled: true}}\n");
    let nobody = run_agent(&sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["job", "--project", "p", "--prompt", "x"])
        .exits(2);
    assert!(nobody.stderr.contains("no agent has a share"), "{}", nobody.stderr);
}

const FALLS_BACK: &str =
    "  diversification: {enabled: true, agents: [bad, two], fallback_on_failure: true}\n";

#[test]
fn another_agent_stands_in_for_a_job_that_failed_once() {
    let sandbox = Sandbox::new();
    assert_eq!(job(&sandbox, FALLS_BACK).succeed().stdout, "two\n");
    let [failed, other] = &runs(&sandbox)[..] else { panic!("two runs") };
    assert_eq!(failed.outcome(), Some(Outcome::Failed));
    assert_eq!(other.record.previous_run_id.as_deref(), Some(failed.id.as_str()));

    let stays = "  diversification: {enabled: true, agents: [bad, two]}\n";
    let sandbox = Sandbox::new();
    assert_eq!(job(&sandbox, stays).exits(1).stdout, "bad\n");
    let both =
        "  diversification: {enabled: true, agents: [bad, bad], fallback_on_failure: true}\n";
    let sandbox = Sandbox::new();
    job(&sandbox, both).exits(1);
    assert_eq!(runs(&sandbox).len(), 2, "once, and no more");
    let sandbox = Sandbox::new();
    job(&sandbox, FALLS_BACK).args(["--agent", "bad"]).exits(1);
    assert_eq!(runs(&sandbox).len(), 1, "a named agent is not replaced");
}

#[test]
fn an_agent_that_is_not_there_is_passed_over_where_others_stand_in() {
    let sandbox = Sandbox::new();
    let gone =
        "  diversification: {enabled: true, agents: [gone, one], fallback_on_failure: true}\n";
    assert_eq!(said(&sandbox, gone), "one");
    let sandbox = Sandbox::new();
    let stays = "  diversification: {enabled: true, agents: [gone, one]}\n";
    let refused = job(&sandbox, stays).exits(25);
    assert!(refused.stderr.contains("no-such-program-here"), "{}", refused.stderr);
    assert!(!sandbox.root().exists());
}

#[test]
fn a_batch_shares_its_items_out_and_stands_in_for_what_failed() {
    let sandbox = Sandbox::new();
    let config = config(&sandbox, &format!("{AGENTS}defaults:\n{FALLS_BACK}"));
    let finished = run_agent(&sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["job", "batch", "--project", "p", "--prompt", "a", "--prompt", "b"])
        .args(["--task", "a", "--task", "b"])
        .succeed();
    assert!(finished.stdout.contains("batch item 2/2 completed"), "{}", finished.stdout);
    assert!(finished.stderr.contains("another agent stands in"), "{}", finished.stderr);
}

/// The agent that succeeds also finishes the task.
const TASKS: &str = "agents:
  bad: {command: [/bin/sh, -c, 'exit 3']}
  good: {command: [/bin/sh, -c, 'touch \"$JRUN_TASK_FOLDER/DONE\"']}
  idle: {command: [/bin/sh, -c, 'true']}
";

fn task(sandbox: &Sandbox, defaults: &str) -> Program {
    let config = config(sandbox, &format!("{TASKS}defaults:\n{defaults}"));
    run_agent(sandbox, ["--config".as_ref(), config.as_os_str()]).args([
        "task",
        "--project",
        "p",
        "--task",
        "t",
        "--prompt",
        "x",
        "--restart-delay",
        "10ms",
    ])
}

fn agents(sandbox: &Sandbox) -> Vec<String> {
    runs(sandbox).into_iter().map(|run| run.record.agent).collect()
}

#[test]
fn a_task_takes_a_turn_and_the_next_attempt_is_by_another_agent_after_a_failure() {
    let sandbox = Sandbox::new();
    let shared =
        "  diversification: {enabled: true, agents: [bad, good], fallback_on_failure: true}\n";
    task(&sandbox, shared).succeed();
    assert_eq!(agents(&sandbox), ["bad", "good"]);
    assert!(info(&sandbox).done);

    let sandbox = Sandbox::new();
    let stays = "  diversification: {enabled: true, agents: [bad, good]}\n";
    task(&sandbox, stays).args(["--max-attempts", "2"]).exits(1);
    assert_eq!(agents(&sandbox), ["bad", "bad"]);
    // The same task goes on with the agent that it has, and its turn is not taken again.
    task(&sandbox, stays).args(["--max-attempts", "1"]).exits(1);
    assert_eq!(agents(&sandbox), ["bad", "bad", "bad"]);

    let sandbox = Sandbox::new();
    let idle =
        "  diversification: {enabled: true, agents: [idle, good], fallback_on_failure: true}\n";
    task(&sandbox, idle).args(["--max-attempts", "2"]).exits(1);
    assert_eq!(agents(&sandbox), ["idle", "idle"], "no DONE is no failure of the agent");
}

#[test]
fn a_task_that_is_gone_on_with_still_has_its_stand_ins() {
    let sandbox = Sandbox::new();
    let shared =
        "  diversification: {enabled: true, agents: [bad, good], fallback_on_failure: true}\n";
    task(&sandbox, shared).args(["--max-attempts", "1"]).exits(1);
    assert_eq!(agents(&sandbox), ["bad"]);
    task(&sandbox, shared).args(["--max-attempts", "3"]).succeed();
    assert_eq!(agents(&sandbox).last().map(String::as_str), Some("good"));
}
