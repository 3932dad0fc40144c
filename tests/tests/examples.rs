//! The examples, built and run as they stand.

use conductor_tests::artifacts;
use conductor_tests::sandbox::Sandbox;

#[test]
fn the_rust_example_runs_to_its_end() {
    let sandbox = Sandbox::new();
    let example = artifacts::binary("conductor-example", "conductor-example");
    let output = sandbox.program(example).arg(sandbox.root()).succeed().stdout;
    let lines = |wanted: &str| output.lines().filter(|line| line.contains(wanted)).count();
    assert_eq!(lines("done after 3 attempts"), 1, "{output}");
    assert_eq!(lines("RUN_START"), 3, "{output}");
    assert_eq!(lines("completed"), 4, "three parts and the task's own message: {output}");
    assert!(output.trim_end().lines().last().is_some_and(|line| line.starts_with("c1:")));
    sandbox.wait_until_empty(std::time::Duration::from_secs(10));
}
