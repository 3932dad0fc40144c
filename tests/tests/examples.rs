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
    sandbox.wait_until_empty(Duration::from_secs(60));
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

/// What the reader in Python tells of a bus.
fn read_by_python(python: &Path, bus: &Path) -> Vec<Value> {
    let script = workspace().join("examples/python/read_bus.py");
    let output = tools::check(Command::new(python).arg(script).arg(bus));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_python_reader_reads_what_a_crash_or_an_older_program_left() {
    let Some(python) = tools::find("python3") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
    let name = "BUS.md";
    let scope = Scope::try_from("shop").unwrap();
    let bus = Bus::open(folder, name, scope, BusOptions::default()).unwrap();
    for n in 0..6 {
        bus.post(Post::new("FACT", n.to_string()), Wait::NONE).unwrap();
        if n % 2 == 1 && n < 5 {
            bus.rotate(Wait::NONE).unwrap();
        }
    }
    let path = |name: &str| dir.path().join(name);
    let (live, next) = (path(name), path(&format!(".{name}.next")));
    let bodies = |told: &[Value]| -> Vec<String> {
        told.iter().map(|told| told["body"].as_str().unwrap_or("?").to_owned()).collect()
    };
    let read = || read_by_python(&python, &live);
    let all: Vec<String> = (0..6).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&read()), all);
    let archives: Vec<_> = [
        "s00000000000000000001-00000000000000000004",
        "s00000000000000000005-00000000000000000008",
    ]
    .map(|numbers| path(&format!("{name}.{numbers}.archived")))
    .into();
    // A power cut took the publication back.
    fs::rename(&live, &next).unwrap();
    assert_eq!(bodies(&read()), all, "the live name is gone");
    fs::hard_link(&archives[1], &live).unwrap();
    assert_eq!(bodies(&read()), all, "the sealed file has its name still");
    fs::rename(&next, &live).unwrap();
    // A record that is being written.
    let whole = fs::read(&live).unwrap();
    for cut in [1, 3, 40, 150] {
        let begun = whole[..whole.len() - cut].to_vec();
        fs::write(&live, [&whole[..], b"\n", &whole[..60]].concat()).unwrap();
        assert_eq!(bodies(&read()), all, "the beginning of a header");
        fs::write(&live, begun).unwrap();
        assert_eq!(bodies(&read()), all[..5], "{cut} bytes are lacking");
    }
    fs::write(&live, &whole).unwrap();
    // An older program archived it.
    let dated = path(&format!("{name}.20010101-000000.archived"));
    fs::rename(&archives[0], &dated).unwrap();
    assert_eq!(bodies(&read()), all);
    let older = b"---\nmsg_id: MSG-1\nts: 2001-01-01T00:00:00Z\ntype: A\nproject_id: p\n---\nold\n";
    fs::write(path(&format!("{name}.20000101-000000.archived")), older).unwrap();
    let told = read();
    assert_eq!(told[0]["older"]["len"], older.len());
    assert_eq!(bodies(&told[1..]), all);
    fs::remove_file(path(&format!("{name}.20000101-000000.archived"))).unwrap();
    // Numbers that are missing.
    fs::remove_file(&archives[1]).unwrap();
    let told = read();
    assert_eq!(told[2]["gap"], serde_json::json!({"from": 5, "to": 8}));
    assert_eq!(told.len(), 5);
    // The very first file, unpublished.
    fs::rename(&dated, &next).unwrap();
    fs::remove_file(&live).unwrap();
    assert_eq!(bodies(&read()), all[..2]);
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
    let read = || read_by_python(&python, &path);
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

/// Writes what no writer of ours writes: records whose checksums fit and whose headers are none, then such
/// as begin like one.
const STRANGE: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
from read_bus import crc32c
number = 1
def put(lines, body=b"x", length=None):
    global number
    number += 1
    length = len(body) if length is None else length
    head = b'---\nmsg_id: MSG-%d\nseq: %d\n%slen: %d\n' % (number, number, lines, length)
    crc = b'crc32c: "%08x"\n' % crc32c(head + body)
    file.write(b"\n" + head + crc + b"---\n" + body + b"\n")
with open(sys.argv[2], "ab") as file:
    usual = b'ts: 2026-11-23T14:20:55.123456789Z\ntype: FACT\n'
    put(usual + b'colour: [blue\nno field\na:b: c\n')
    put(usual + b'meta: {"a"\n')
    put(usual + b'meta: {"a": "\\ud800"}\n')
    put(usual + b'links: ' + b'[' * 20000 + b'\n')
    put(usual + b'project_id: p\n')
    put(usual + b'run_id: "\\UFFFFFFFF"\n')
    put(usual + b'run_id: "\xff"\n')
    put(usual, b"\xff")
    put(usual + b'task_id: "a" b\n')
    put(usual + b'colour: \0\n')
    number -= 1
    put(usual, length=99999999)
    number -= 1
    put(b"colour: " + b"a" * 65536 + b"\n")
    number -= 1
    put(usual, b"the last that is whole")
    put(usual, bytes(40))
    file.truncate(file.tell() - 20)
"#;

#[test]
fn the_python_reader_stops_at_nothing_and_finds_what_the_library_finds() {
    let Some(python) = tools::find("python3") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
    let scope = Scope::try_from("shop").unwrap();
    let bus = Bus::open(folder, "BUS.md", scope, BusOptions::default()).unwrap();
    bus.post(Post::new("FACT", "first"), Wait::NONE).unwrap();
    let (live, examples) = (dir.path().join("BUS.md"), workspace().join("examples/python"));
    // One record of ours is the first, which begins the file.
    let strange = STRANGE.replacen("number = 1", "number = 2", 1);
    tools::check(Command::new(&python).args(["-c", &strange]).arg(examples).arg(&live));
    let damage = |offset: u64, len: u64| format!("damage at {offset}, {len} bytes");
    let ours: Vec<String> = bus
        .read(ReadOptions::default())
        .unwrap()
        .map(|event| match event.unwrap() {
            Event::Message(message) => format!("{}: {}", message.seq.unwrap(), message.body),
            Event::Corrupt(found) | Event::Foreign(found) => damage(found.offset, found.len),
            Event::Gap { from, to } => format!("gap {from} to {to}"),
            other => panic!("{other:?}"),
        })
        .collect();
    let theirs: Vec<String> = read_by_python(&python, &live)
        .iter()
        .map(|told| match (&told["damage"], &told["gap"]) {
            (Value::Object(found), _) => {
                damage(found["offset"].as_u64().unwrap(), found["len"].as_u64().unwrap())
            }
            (_, Value::Object(gap)) => format!("gap {} to {}", gap["from"], gap["to"]),
            _ => format!("{}: {}", told["seq"], told["body"].as_str().unwrap()),
        })
        .collect();
    assert_eq!(theirs, ours);
    assert_eq!(ours.iter().filter(|told| told.contains("damage")).count(), 11, "{ours:?}");
    assert!(ours.iter().any(|told| told.ends_with(": the last that is whole")), "{ours:?}");
}
