//! `update`: the exchange of a server's program, seen from the root.

use crate::support::*;
use conductor_core::UpdateRequest;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::tools;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// The program itself as another file, which a server could run. Another process copies it: what other tests
/// fork meanwhile would hold the file open, and the kernel executes none that is open for writing.
fn program(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.folder("bin").join(name);
    tools::check(Command::new("cp").arg(env!("CARGO_BIN_EXE_run-agent")).arg(&path));
    path
}

#[test]
fn an_update_is_asked_for_looked_at_and_taken_back() {
    let sandbox = Sandbox::new();
    assert_eq!(see(&sandbox, "update status"), "State:             idle\nActive root runs:  0\n");
    let new = program(&sandbox, "new");
    let start = format!("update start --binary {}", new.display());
    let refused = cli(&sandbox, &start).exits(10);
    assert!(refused.stderr.contains("there is no root"), "{}", refused.stderr);

    fs::create_dir_all(sandbox.root()).unwrap();
    let refused = cli(&sandbox, &start).exits(12);
    assert!(refused.stderr.contains("hint: nothing is served by it"), "{}", refused.stderr);
    let conductor = conductor(&sandbox);
    let server = conductor.update().serve(&program(&sandbox, "run-agent")).unwrap().unwrap();
    let told = cli(&sandbox, &start).succeed().stdout;
    assert!(told.starts_with("State:             deferred\nActive root runs:  0\n"), "{told}");
    assert!(told.ends_with("new ones are refused.\n"), "{told}");
    let refused = cli(&sandbox, "job --project p --agent shell --prompt true").exits(27);
    assert!(refused.stderr.contains("run-agent update cancel"), "{}", refused.stderr);

    let json = cli(&sandbox, "update cancel --reason later --json").succeed().stdout;
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&status["state"], &status["last_note"]),
        (&"idle".into(), &"cancelled: later".into())
    );
    cli(&sandbox, "job --project p --agent shell --prompt true").succeed();
    drop(server);
}

#[test]
fn this_very_program_can_take_a_servers_place() {
    let sandbox = Sandbox::new();
    let conductor = conductor(&sandbox);
    fs::create_dir_all(sandbox.root()).unwrap();
    let old = program(&sandbox, "run-agent");
    let server = conductor.update().serve(&old).unwrap().unwrap();
    let new = program(&sandbox, "new");
    // Another file of the same version.
    fs::File::options().append(true).open(&new).unwrap().write_all(&[0]).unwrap();
    conductor.update().start(UpdateRequest::new(&new)).unwrap();
    let tried = server.wait(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(tried.version, env!("CARGO_PKG_VERSION"));
    let installed = server.install(tried).unwrap();
    server.finish(installed).unwrap();
    assert_eq!(fs::read(old).unwrap(), fs::read(new).unwrap());
}
