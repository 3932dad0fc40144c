//! An update of a server holds new root runs back in every language, and is asked for and cancelled in each.

use conductor_core::{Conductor, JobSpec, Options, Stop, Updater};
use conductor_tests::c::{C, CPP, Link, SANITIZED, compile};
use conductor_tests::go::Go;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{python, tools, workspace};
use std::fs;
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
/// What is asked for; nobody carries it out.
const BINARY: &str = "/bin/sh";

/// A root in which somebody has the part of the server, and a root run lives.
struct Served {
    sandbox: Sandbox,
    conductor: Conductor,
    run: conductor_core::Run,
    _updater: Updater,
}

impl Served {
    fn new() -> Served {
        let sandbox = Sandbox::new();
        let mut options = Options::default();
        options.environment = Some(sandbox.environment());
        let conductor = Conductor::open(sandbox.root(), options).unwrap();
        let spec = JobSpec::new("shop").task("lives").agent("shell").prompt("sleep 100000");
        let run = conductor.jobs().start(spec, LONG).unwrap();
        let updater = conductor.update().serve(Path::new(BINARY)).unwrap().unwrap();
        Served { sandbox, conductor, run, _updater: updater }
    }

    /// What `language` was refused has left nothing; what it was let do is there.
    fn check(self, language: &str) {
        let tasks = fs::read_dir(self.conductor.root().join("shop")).unwrap();
        let tasks: Vec<String> =
            tasks.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(tasks.contains(&format!("let-in-{language}")), "{tasks:?}");
        assert!(!tasks.contains(&format!("refused-in-{language}")), "{tasks:?}");
        self.run.stop(Stop::because("the test is over").force(true), LONG).unwrap();
        self.sandbox.wait_until_empty(LONG);
    }
}

#[test]
fn new_root_runs_are_held_back_in_c() {
    let (served, source) = (Served::new(), "tests/c/update.c");
    let all = [(&C, Link::Shared), (&CPP, Link::Static), (&SANITIZED, Link::Shared)];
    for (compiler, link) in all {
        let Some(program) = compile(&served.sandbox, compiler, source, link) else { return };
        let program = served.sandbox.program(program).arg(served.sandbox.root()).arg(BINARY);
        assert_eq!(program.succeed().stderr, "");
    }
    served.check("c");
}

#[test]
fn new_root_runs_are_held_back_in_go() {
    let served = Served::new();
    let Some(go) = Go::new(&served.sandbox) else { return };
    let mut test = go.command(
        Path::new("examples/go"),
        &["test", "-count=1", "-run=TestAnUpdateHolds", "-v", "./conductor"],
    );
    let told = tools::check(test.env("CONDUCTOR_TEST_SERVED", served.sandbox.root()));
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("--- PASS: TestAnUpdateHoldsNewRootRunsBack"), "{told}");
    served.check("go");
}

#[test]
fn new_root_runs_are_held_back_in_python() {
    let Some(venv) = python::installed() else { return };
    let served = Served::new();
    let script = workspace().join("tests/python/update.py");
    let python = served.sandbox.program(venv.join("bin/python")).arg(script);
    let told = python.arg(served.sandbox.root()).arg(BINARY).succeed().stdout;
    assert_eq!(told, "python is fine\n");
    served.check("python");
}
