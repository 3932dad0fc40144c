//! Where each package that the design names belongs, and that it is there.

use conductor_tests::{artifacts, tools, workspace};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Who else may depend on a package directly.
#[derive(PartialEq)]
enum Others {
    May,
    MayNot,
}
use Others::{May, MayNot};

/// The packages that the design names, each with the member it belongs to.
const HOMES: &[(&str, &str, Others)] = &[
    ("serde", "conductor-core", May),
    ("serde_yaml", "conductor-core", MayNot),
    ("hcl-rs", "conductor-core", MayNot),
    ("thiserror", "conductor-core", May),
    ("parking_lot", "conductor-core", May),
    ("fs2", "conductor-core", MayNot),
    ("tracing", "conductor-core", May),
    ("cbindgen", "conductor-ffi", MayNot),
    ("pyo3", "conductor-py", MayNot),
    ("clap", "run-agent", MayNot),
    ("axum", "run-agent", MayNot),
    ("tokio", "run-agent", MayNot),
];

/// Those that are not there yet, with the reason. A row that is no longer true fails the test.
const NOT_YET: &[(&str, &str)] = &[];

/// Each member's direct dependencies of every kind.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut cargo = artifacts::cargo();
    let output = tools::check(cargo.args(["metadata", "--no-deps", "--format-version", "1"]));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            (name(package), dependencies.iter().map(name).collect())
        })
        .collect()
}

#[test]
fn each_package_is_where_the_design_puts_it_and_nowhere_else() {
    let members = dependencies();
    for (package, home, others) in HOMES {
        let users: Vec<&str> = members
            .iter()
            .filter(|(_, dependencies)| dependencies.contains(*package))
            .map(|(member, _)| member.as_str())
            .collect();
        if let Some((_, reason)) = NOT_YET.iter().find(|(name, _)| name == package) {
            assert!(
                users.is_empty(),
                "{users:?} depends on {package} now: take its row out of NOT_YET (\"{reason}\")"
            );
            continue;
        }
        assert!(users.contains(home), "{package} should be a direct dependency of {home}");
        for user in users {
            assert!(
                user == *home || *others == May,
                "{user} depends on {package}, which belongs to {home} alone: offer what is needed there"
            );
        }
    }
    for (package, _) in NOT_YET {
        assert!(HOMES.iter().any(|(name, ..)| name == package), "{package} has no row in HOMES");
    }
}

#[test]
fn the_wheel_is_built_by_a_pinned_maturin_and_the_header_by_a_pinned_cbindgen() {
    let read = |path: &str| std::fs::read_to_string(workspace().join(path)).unwrap();
    let pyproject = read("conductor-py/pyproject.toml");
    let pin = pyproject.lines().find_map(|line| line.strip_prefix("requires = [\"")).unwrap();
    let pin = pin.trim_end_matches("\"]");
    assert!(pin.starts_with("maturin=="), "conductor-py/pyproject.toml requires {pin}: pin it");
    assert!(
        read("conductor-py/requirements-dev.txt").lines().any(|line| line == pin),
        "conductor-py/requirements-dev.txt should name {pin}, as pyproject.toml does"
    );
    assert!(
        read("Cargo.toml").contains("cbindgen = { version = \"="),
        "Cargo.toml should pin cbindgen: another version writes another header"
    );
}

#[test]
fn the_core_the_libraries_and_the_commands_share_one_version() {
    let mut cargo = artifacts::cargo();
    let output = tools::check(cargo.args(["metadata", "--no-deps", "--format-version", "1"]));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let versions: BTreeSet<&str> =
        packages.iter().map(|package| package["version"].as_str().unwrap()).collect();
    assert_eq!(versions.len(), 1, "each member should say version.workspace = true: {versions:?}");
}

#[test]
fn the_members_are_those_of_the_design() {
    let members: BTreeSet<String> = dependencies().into_keys().collect();
    let known = ["conductor-core", "conductor-ffi", "conductor-py", "conductor-tests", "run-agent"];
    for member in &members {
        let examples = member.starts_with("conductor-example");
        assert!(
            known.contains(&member.as_str()) || examples,
            "the workspace has a member {member}: say in docs/ARCHITECTURE.md what it is for, and here"
        );
    }
}
