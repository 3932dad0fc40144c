//! The examples, built and run as they stand.

use conductor_core::Wait;
use conductor_core::bus::{Bus, BusOptions, Event, Post, ReadOptions, Scope};
use conductor_core::fsx::Folder;
use conductor_core::sys::RealOs;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, tools, workspace};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

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
    sandbox.wait_until_empty(Duration::from_secs(10));
}

/// Whoever is new here types this first.
#[test]
fn the_readmes_first_command_works_as_it_stands() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let line = readme.lines().map(str::trim).find(|line| line.starts_with("cargo run ")).unwrap();
    let mut words = line.split_whitespace();
    let cargo = words.next().map(|_| artifacts::cargo()).unwrap();
    let sandbox = Sandbox::new();
    // The home is a new one, where cargo would have nothing.
    let cargo_home = std::env::var_os("CARGO_HOME")
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo").into()))
        .unwrap();
    let program = sandbox.program(cargo.get_program()).args(words).cwd(workspace());
    let program = program.env_remove("CONDUCTOR_ROOT").env("CARGO_HOME", cargo_home);
    let told = program.limit(Duration::from_secs(900)).succeed().stdout;
    assert!(told.contains(": done after 3 attempts, "), "{told}");
    assert!(told.contains("  # Index of "), "{told}");
    assert!(sandbox.home().join("run-agent/demo").is_dir(), "in ~/run-agent: {told}");
}

/// A reader that was written from the description of the format alone agrees with the library.
#[test]
fn the_python_reader_of_a_bus_reads_what_was_posted() {
    let Some(python) = tools::find("python3") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
    let scope = Scope::try_from(("shop", "fix-login")).unwrap();
    let name = "TASK-MESSAGE-BUS.md";
    let bus = Bus::open(folder, name, scope, BusOptions::default().max_size(2000)).unwrap();
    for body in
        ["plain", "", "---\n\\---\n--- \t\r\nend\n", "no line feed", "\u{e4}\u{1f600}\u{2028}"]
    {
        let post = Post::new("null", body)
            .meta("k\"\n", "\u{0}\\ \u{85}\u{ffff}")
            .link("https://x", "label", "")
            .parent(&"MSG-1".parse().unwrap());
        for _ in 0..5 {
            bus.post(post.clone(), Wait::NONE).unwrap();
        }
    }
    let path = dir.path().join(name);
    let read = || {
        let script = workspace().join("examples/python/read_bus.py");
        let output = tools::check(Command::new(&python).arg(script).arg(&path));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.collect::<Vec<_>>()
    };
    let posted: Vec<_> = bus
        .read(ReadOptions::default())
        .unwrap()
        .map(|event| match event.unwrap() {
            Event::Message(message) => message,
            other => panic!("{other:?}"),
        })
        .collect();
    let found = read();
    assert_eq!(found.len(), posted.len());
    assert!(fs::read_dir(dir.path()).unwrap().count() > 3, "there are archives");
    for (found, posted) in found.iter().zip(&posted) {
        assert_eq!(found["seq"], posted.seq.unwrap());
        assert_eq!(found["msg_id"], posted.msg_id.as_str());
        assert_eq!(found["ts"], posted.time.rfc3339_fixed());
        assert_eq!(
            (&found["type"], &found["body"]),
            (&"NULL".into(), &posted.body.as_str().into())
        );
        assert_eq!(
            (&found["project_id"], &found["task_id"]),
            (&"shop".into(), &"fix-login".into())
        );
        assert_eq!(found["meta"]["k\"\n"], posted.meta("k\"\n").unwrap());
        assert_eq!(found["links"][0]["label"], "label");
        assert_eq!(found["parents"][0]["msg_id"], "MSG-1");
    }
    // A flipped bit is damage, and hides nothing else.
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let damaged = read();
    assert_eq!(damaged.len(), posted.len());
    assert!(damaged.last().unwrap()["damage"]["len"].as_u64().unwrap() > 100);
    assert_eq!(damaged[..posted.len() - 1], found[..posted.len() - 1]);
}
