//! The webhook: events that no command loses, told to receivers that are slow, rude or gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod events;
mod lost;
mod receiver;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "the tests of the other commands use the rest")]
mod support;

use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

/// The key that signs the calls.
const SECRET: &str = "shared with the receiver";

/// Writes the usual configuration, with a webhook at `url` and what else its section says.
fn configure(sandbox: &Sandbox, url: &str, more: &str) {
    let folder = sandbox.home().join(".config/conductor");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("config.yaml");
    let text = format!("webhook:\n  url: {url}\n  secret: {SECRET}\n{more}");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

/// A job of the task p/t that runs this script.
fn job(sandbox: &Sandbox, script: &str) -> Program {
    support::run_agent(sandbox, ["job", "-q", "--project", "p", "--task", "t", "--agent", "shell"])
        .args(["--prompt", script])
}
