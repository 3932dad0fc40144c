//! One bus, written and followed at once from Rust, C, Go, Python and the command line.

use conductor_core::{Conductor, Cursor, Durability, Event, Options, Post, ReadOptions, Wait};
use conductor_tests::c::{C, Link, compile};
use conductor_tests::go::Go;
use conductor_tests::process::{Program, Running};
use conductor_tests::python;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::workspace;
use std::path::Path;
use std::time::Duration;

/// Messages of each library. `CONDUCTOR_TEST_MESSAGES` asks for more.
const EACH: usize = 2_000;
/// Messages of the command line, each a process of its own. `CONDUCTOR_TEST_COMMANDS` asks for more.
const COMMANDS: usize = 50;
/// Ends a hang; it measures nothing.
const LIMIT: Duration = Duration::from_secs(3600);

fn asked(variable: &str, otherwise: usize) -> usize {
    let asked = std::env::var(variable).ok();
    asked.map_or(otherwise, |text| text.parse().expect("a number"))
}

fn each() -> usize {
    asked("CONDUCTOR_TEST_MESSAGES", EACH)
}

fn commands() -> usize {
    asked("CONDUCTOR_TEST_COMMANDS", COMMANDS)
}

#[test]
fn every_language_reads_all_once_and_in_the_same_order() {
    let sandbox = Sandbox::new();
    let c = compile(&sandbox, &C, "tests/c/mixed.c", Link::Static);
    let (Some(c), Some(go), Some(venv)) = (c, Go::new(&sandbox), python::installed()) else {
        return;
    };
    let go_program = sandbox.folder("bin").join("mixed-go");
    let output = go_program.to_str().unwrap();
    let tags = "-tags=conductor_static";
    go.check("examples/go", &["build", tags, "-o", output, "./internal/mixed"]);

    std::fs::create_dir_all(sandbox.root().join("shop")).unwrap();
    let (own, total) = (each(), 4 * each() + commands());
    let start = |program: Program| -> Running {
        let root = sandbox.root();
        let program = program.arg(root).arg(own.to_string()).arg(total.to_string());
        program.limit(LIMIT).start()
    };
    let script = workspace().join("tests/python/mixed.py");
    let others = [
        ("C", start(sandbox.program(&c))),
        ("Go", start(sandbox.program(&go_program))),
        ("Python", start(sandbox.program(venv.join("bin/python")).arg(script))),
    ];
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| post_by_command(&sandbox));
        scope.spawn(|| post(&sandbox.root(), own));
        follow(&sandbox.root(), total)
    });
    assert_eq!(seen.len(), total);
    for (language, running) in others {
        let output = running.finish().expect_code(0).stdout;
        let told: Vec<&str> = output.lines().collect();
        assert_eq!(told.len(), total, "{language}");
        let first = told.iter().zip(&seen).position(|(told, seen)| told != seen);
        assert_eq!(first, None, "{language} was told another message there");
    }
    let read = ["bus", "read", "--project", "shop", "--after", "start", "--type", "FACT", "--json"];
    let command = sandbox.run_agent(read).limit(LIMIT).succeed().stdout;
    let ids = command.lines().map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        message["msg_id"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids.collect::<Vec<_>>(), seen);
}

fn open(root: &Path) -> Conductor {
    Conductor::open(root, Options::default().durability(Durability::Process)).unwrap()
}

fn post(root: &Path, count: usize) {
    let bus = open(root).bus("shop").unwrap();
    for number in 0..count {
        bus.post(Post::new("FACT", format!("rust {number}")), Wait::FOREVER).unwrap();
    }
}

fn post_by_command(sandbox: &Sandbox) {
    for number in 0..commands() {
        let text = format!("command {number}");
        let post = ["bus", "post", "--project", "shop", "--type", "FACT", "--body", &text];
        sandbox.run_agent(post).succeed();
    }
}

fn follow(root: &Path, total: usize) -> Vec<String> {
    let bus = open(root).bus("shop").unwrap();
    let options = ReadOptions::default().after(&Cursor::START).of_type("FACT");
    let follower = bus.follow_with(options, LIMIT).unwrap();
    let ids = follower.map(|event| match event.unwrap() {
        Event::Message(message) => message.msg_id.to_string(),
        damage => panic!("{damage:?}"),
    });
    ids.take(total).collect()
}
