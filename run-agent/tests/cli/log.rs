//! What the commands say of their own work, on the standard error.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

/// A sandbox whose configuration says this, which is doubtful.
fn doubtful(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let folder = sandbox.home().join(".config/conductor");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(sandbox.root()).unwrap();
    let path = folder.join("config.yaml");
    fs::write(&path, format!("defaults: {{timeout: 300}}\n{more}")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    sandbox
}

fn stderr(sandbox: &Sandbox, line: &str) -> String {
    cli(sandbox, line).succeed().stderr
}

#[test]
fn lines_are_pairs_where_no_person_reads_and_json_where_that_is_asked_for() {
    let sandbox = doubtful("");
    let pairs = stderr(&sandbox, "list");
    assert!(pairs.starts_with("ts=20"), "{pairs}");
    let expected = " level=WARN subsystem=startup event=config_doubtful message=\"";
    assert!(pairs.contains(expected), "{pairs}");
    assert!(pairs.contains("no effect") && pairs.ends_with(" code=config.no_effect\n"), "{pairs}");
    let json = stderr(&sandbox, "list --log-format json");
    let line: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&line["level"], &line["event"]), (&"WARN".into(), &"config_doubtful".into()));
    let human = stderr(&sandbox, "list --log-format human");
    assert!(human.contains(" warn startup: "), "{human}");
    assert_eq!(human.lines().count(), 1);
}

#[test]
fn levels_come_from_the_flag_then_the_variable_then_the_file() {
    let sandbox = doubtful("");
    assert_eq!(stderr(&sandbox, "list --log off"), "");
    assert_eq!(stderr(&sandbox, "list --log warn,startup=error"), "");
    let variable = |level: &str| cli(&sandbox, "list").env("CONDUCTOR_LOG", level).succeed().stderr;
    assert_eq!(variable("error"), "");
    let flag = cli(&sandbox, "list --log warn").env("CONDUCTOR_LOG", "off").succeed().stderr;
    assert!(flag.contains("config_doubtful"), "{flag}");
    let quiet = doubtful("log: {levels: error, format: json}\n");
    assert_eq!(stderr(&quiet, "list"), "");
    let loud = stderr(&quiet, "list --log warn");
    assert!(loud.starts_with("{\"ts\":"), "the form of the file: {loud}");
}

#[test]
fn a_level_that_does_not_exist_is_refused_with_the_way_out() {
    let sandbox = Sandbox::new();
    let refused = cli(&sandbox, "list --log runer=debug").exits(2).stderr;
    assert!(refused.contains("did you mean \"runner\"?"), "{refused}");
    let refused = cli(&sandbox, "list").env("CONDUCTOR_LOG", "loud").exits(2).stderr;
    assert!(refused.contains("off, error, warn, info, debug"), "{refused}");
    let file = doubtful("log: {levels: loud}\n");
    let refused = cli(&file, "list").exits(2).stderr;
    assert!(refused.contains("log.levels") && refused.contains("there is no level"), "{refused}");
}
