//! Agents: services over the network, who gets which work, sessions that go on, tokens that stay hidden.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod older;
mod probe;
mod proxy;
mod redaction;
mod rest;
mod selection;
mod sessions;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "the tests of other commands use the rest")]
mod support;
#[path = "../work/workshop.rs"]
#[allow(dead_code, reason = "the tests of other commands use the rest")]
mod workshop;

use conductor_tests::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Writes a configuration that nobody else may read; its path.
fn config(sandbox: &Sandbox, text: &str) -> PathBuf {
    let path = sandbox.folder("config").join("config.yaml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}
