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

/// Long enough for calls to a receiver on a machine that is busy: a command tells all that happened before it
/// ends, and takes no slow answer for none.
const PATIENT: &str = "  at_exit: 100s\n  timeout: 100s\n";

/// Writes the usual configuration, with a webhook at `url` and what else its section says; patient.
fn configure(sandbox: &Sandbox, url: &str, more: &str) {
    configure_section(sandbox, url, &format!("{PATIENT}{more}"));
}

/// The same, with nothing in its section but this.
fn configure_section(sandbox: &Sandbox, url: &str, more: &str) {
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
