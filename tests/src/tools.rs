//! Tools of other languages: found, or the test says plainly that it was skipped.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Whether a missing tool fails the test instead of skipping it: `CONDUCTOR_TEST_STRICT=1`, as CI sets.
pub fn strict() -> bool {
    std::env::var_os("CONDUCTOR_TEST_STRICT").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Says that a test was skipped for want of something; where that is not allowed, fails.
pub fn skip(why: &str) {
    assert!(!strict(), "{why}, and CONDUCTOR_TEST_STRICT is set: nothing may be skipped");
    // Past the capture of test output, which a passing test would keep to itself.
    let _closed =
        std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED: {why}\n").as_bytes());
}

/// The program `name` on the PATH; without it the test is to end, and has said so.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file());
    if found.is_none() {
        skip(&format!("no {name}"));
    }
    found
}

/// Runs `command` to its end; a failure is a panic with all that it said.
pub fn check(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    assert!(output.status.success(), "{}", report(command, &output));
    output
}

/// A command, its status and what it wrote.
pub fn report(command: &Command, output: &Output) -> String {
    format!(
        "{command:?}\n{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
