//! `doctor`, `reconcile` and `why`: what is wrong, what was left open, and what ended a run.

use crate::support::*;
use conductor_core::{JobSpec, Stop, TaskSpec, Wait};
use conductor_tests::sandbox::Sandbox;

#[test]
fn a_root_in_order_has_nothing_to_tell() {
    let sandbox = reference();
    let told = see(&sandbox, "doctor");
    assert!(told.starts_with("0 runs live, 0 tasks wait\ndisk: "), "{told}");
    assert!(told.contains(" are free\nnothing is wrong with /"), "{told}");
    assert_eq!(see(&sandbox, "doctor --json"), "");
}

#[test]
fn what_is_wrong_is_told_with_the_way_out() {
    let sandbox = reference();
    std::fs::create_dir(sandbox.root().join("with space")).unwrap();
    let told = look(&sandbox, cli(&sandbox, "doctor"), 1).stdout;
    assert!(told.contains("\nforeign  "), "{told}");
    assert!(told.contains("\n  way out: rename it"), "{told}");
    let line = look(&sandbox, cli(&sandbox, "doctor --json"), 1).stdout;
    let finding: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(finding["kind"], "foreign");
}

#[test]
fn what_runs_and_what_waits_stands_at_its_head() {
    let sandbox = Sandbox::new();
    let conductor = conductor(&sandbox);
    let spec = JobSpec::new("shop").task("fix").agent("shell").prompt("exec sleep 1000");
    let run = conductor.jobs().start(spec, Wait::FOREVER).unwrap();
    let spec = TaskSpec::new("shop").task("next").agent("shell").prompt("touch DONE");
    let next = conductor.tasks().start(spec.depends_on(["fix"]), Wait::FOREVER).unwrap();
    let told = look(&sandbox, cli(&sandbox, "doctor"), 0).stdout;
    assert!(told.starts_with("1 run lives, 1 task waits\n"), "{told}");
    assert!(told.contains(&format!("\n  shop/fix  {} has lived for ", run.id())), "{told}");
    assert!(told.contains("\n  shop/next  waits for dependencies: fix\n"), "{told}");
    assert!(told.contains(" of it in the project shop; "), "{told}");
    next.stop(Stop::because("end of the test"), Wait::FOREVER).unwrap();
    run.stop(Stop::because("end of the test"), Wait::FOREVER).unwrap();
}

#[test]
fn why_names_the_evidence_and_the_next_step() {
    let sandbox = Sandbox::new();
    let conductor = conductor(&sandbox);
    let spec = JobSpec::new("shop").task("fix").agent("shell").prompt("echo oops >&2; exit 3");
    let run = conductor.jobs().start(spec, Wait::FOREVER).unwrap().wait(Wait::FOREVER).unwrap();
    let told = see(&sandbox, "why --project shop --task fix");
    assert!(told.starts_with(&format!("{}: failed: the agent exited with code 3\n", run.id)));
    assert!(told.contains("\n  .keeper: ended: code 3\n"), "{told}");
    assert!(told.contains("\n  agent-stderr.txt: its end: oops\n"), "{told}");
    assert!(told.contains("\nnext: `run-agent output --file stderr "), "{told}");
    let json = see(&sandbox, &format!("why {} --project shop --task fix --json", run.id));
    let why: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&why["exit_code"], &why["evidence"][".keeper: ended"]),
        (&3.into(), &"code 3".into())
    );
}

#[test]
fn reconcile_tells_what_it_closed() {
    let sandbox = Sandbox::new();
    let conductor = conductor(&sandbox);
    let spec = JobSpec::new("shop").task("fix").agent("shell").prompt("exit 3");
    let run = conductor.jobs().start(spec, Wait::FOREVER).unwrap();
    // Nobody waits for its end.
    while run.info().unwrap().outcome().is_none() {
        std::thread::yield_now();
    }
    let told = look(&sandbox, cli(&sandbox, "doctor"), 1).stdout;
    assert!(told.contains("\nnot_closed  "), "{told}");
    let closed = run_agent(&sandbox, ["reconcile"]).succeed().stdout;
    assert!(closed.contains(run.id().as_str()) && closed.contains("failed"), "{closed}");
    assert_eq!(run_agent(&sandbox, ["reconcile"]).succeed().stdout, "nothing was left open\n");
}
