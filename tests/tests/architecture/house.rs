//! What lies where, how long a file may be, and where `unsafe` may stand.

use crate::source::{files, read_all};
use conductor_tests::workspace;
use std::fs;

/// What the root may hold. Whatever else a person needs has a folder already.
const ROOT: &[&str] = &[
    ".ci",
    ".dockerignore",
    ".git",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "conductor-core",
    "conductor-ffi",
    "conductor-py",
    "docker-compose.yml",
    "docs",
    "examples",
    "include",
    "run-agent",
    "rustfmt.toml",
    "tests",
];

/// What a build or an editor may leave in the root, and git ignores.
const IGNORED: &[&str] = &["target", "dist", ".venv", ".idea", ".vscode"];

/// The longest source file, in lines.
const LONGEST: usize = 600;

/// Made of many sources, and one file for whoever includes it.
const GENERATED: &str = "include/conductor.h";

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &[
    "conductor-core/src/sys/",
    "conductor-ffi/",
    // It includes the sources of `sys` to drive the keeper with raw descriptors.
    "conductor-core/tests/keeper/",
    // It traces hosts, to kill them at a chosen system call.
    "conductor-core/tests/supervision/disk.rs",
    "conductor-core/tests/crash.rs",
    // They fork, and trace what they forked.
    "conductor-core/tests/bus_processes/child.rs",
    "conductor-core/tests/bus_processes/trace.rs",
    // It forks, to show what a forked worker has no part in.
    "conductor-core/tests/fork.rs",
];

fn name_of(path: &std::path::Path) -> String {
    path.strip_prefix(workspace()).unwrap().to_string_lossy().into_owned()
}

#[test]
fn the_root_holds_nothing_but_what_the_house_has() {
    for entry in fs::read_dir(workspace()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(
            ROOT.contains(&name.as_str()) || IGNORED.contains(&name.as_str()),
            "{name} lies in the root: move it into the folder it belongs to, or add it to ROOT with a \
             reason that a newcomer would accept"
        );
    }
}

#[test]
fn no_source_file_is_too_long() {
    let endings = ["rs", "py", "pyi", "c", "h", "go", "sh", "js", "css", "html"];
    for path in files(workspace()) {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let name = name_of(&path);
        if !endings.contains(&ending) || name == GENERATED {
            continue;
        }
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= LONGEST,
            "{name} has {lines} lines, more than {LONGEST}: split it by what it knows"
        );
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    for source in read_all(workspace()) {
        let name = name_of(&source.path);
        let lines = source.lines_with("unsafe");
        assert!(
            lines.is_empty() || UNSAFE.iter().any(|home| name.starts_with(home)),
            "{name}:{}: unsafe code belongs to conductor-core/src/sys/ or conductor-ffi/",
            lines[0]
        );
    }
}

#[test]
fn locks_are_those_of_parking_lot() {
    for source in read_all(workspace()) {
        for path in source.paths(&["std"]) {
            let lock = match &path.segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["std", "sync", name, ..] => ["Mutex", "RwLock", "Condvar"].contains(name),
                _ => false,
            };
            let name = name_of(&source.path);
            assert!(
                !lock,
                "{name}:{}: use parking_lot instead of {}: it has no poison, and is what the clippy \
                 configuration asks for",
                path.line,
                path.segments.join("::")
            );
        }
    }
}
