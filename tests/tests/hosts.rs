//! Programs that use the library and are killed at any moment: their work lives on, and their next start
//! goes on with it.

use conductor_core::{Bus, Conductor, Event, Options, Outcome, ReadOptions, Wait};
use conductor_tests::c::{C, Link, compile};
use conductor_tests::go::Go;
use conductor_tests::python;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, workspace};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::time::Duration;

/// How often each host is killed; `CONDUCTOR_TEST_KILLS` asks for more.
const KILLS: u64 = 8;

fn kills() -> u64 {
    let asked = std::env::var("CONDUCTOR_TEST_KILLS").ok();
    asked.map_or(KILLS, |text| text.parse().expect("a number"))
}

/// The moments to kill a host at, by chance and spread over its life, which takes about a second.
fn moments() -> impl Iterator<Item = Duration> {
    let asked = std::env::var("CONDUCTOR_TEST_SEED").ok();
    let seed =
        asked.map_or_else(|| RandomState::new().hash_one("seed"), |seed| seed.parse().unwrap());
    println!("CONDUCTOR_TEST_SEED={seed}");
    let part = 1_100_000 / kills();
    // SplitMix64.
    (1..=kills()).map(move |round| {
        let mut chance = seed.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        chance = (chance ^ chance >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chance = (chance ^ chance >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_micros((round - 1) * part + (chance ^ chance >> 31) % part)
    })
}

/// Kills a host at some moment of its life, and lets another one bring its work to the same end.
///
/// Its attempts end with these exit codes, each told once on the bus.
fn kill(program: &Path, arguments: &[&Path], task: (&str, &str), end: &str, codes: &[i32]) {
    for (round, moment) in moments().enumerate() {
        let sandbox = Sandbox::new();
        let host = || sandbox.program(program).args(arguments);
        let running = host().start();
        std::thread::sleep(moment);
        running.signal(Signal::KILL);
        let _killed = running.finish();
        let output = host().succeed().stdout;
        assert!(output.contains(end), "round {round}: {output}");

        let root = Conductor::open(sandbox.root(), Options::default()).unwrap();
        root.reconcile(Wait::FOREVER).unwrap();
        let (project, task) = (task.0.parse().unwrap(), task.1.parse().unwrap());
        let runs = root.runs().list(&project, &task).unwrap();
        let bus = root.bus((project.as_str(), task.as_str())).unwrap();
        let told = ends_told(&bus);
        let mut began = Vec::new();
        for run in runs {
            let run = run.unwrap();
            assert!(run.outcome().is_some() && run.record.stop_msg.is_some(), "round {round}");
            let kind = match run.outcome() {
                Some(Outcome::Completed | Outcome::Stopped) => "RUN_STOP",
                _ => "RUN_CRASH",
            };
            assert_eq!(told[run.id.as_str()], [kind], "round {round}: {run:?}");
            // A starter that died before it let its agent go: nothing of that ran.
            if run.outcome() != Some(Outcome::Refused) {
                began.push(run.record.exit_code);
            }
        }
        assert_eq!(began, codes, "round {round}: an attempt was lost or made twice");
        let report = bus.check().unwrap();
        assert!(report.findings.is_empty(), "round {round}: {report:?}");
        sandbox.wait_until_empty(Duration::from_secs(60));
    }
}

/// The types of the messages that tell of each run's end, by run.
fn ends_told(bus: &Bus) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in bus.read(ReadOptions::default()).unwrap() {
        let Event::Message(message) = event.unwrap() else { panic!("the bus is damaged") };
        if message.msg_type == "RUN_STOP" || message.msg_type == "RUN_CRASH" {
            told.entry(message.run_id).or_default().push(message.msg_type);
        }
    }
    told
}

#[test]
fn a_host_in_c_may_be_killed_at_any_moment() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, "examples/c/task.c", Link::Static) else { return };
    kill(&program, &[], ("example", "count-in-c"), "done after ", &[0, 0, 0]);
}

#[test]
fn a_host_in_rust_may_be_killed_at_any_moment() {
    let program = artifacts::binary("conductor-example", "conductor-example");
    kill(&program, &[], ("example", "count-to-three"), "done after ", &[0, 0, 0]);
}

#[test]
fn the_command_may_be_killed_at_any_moment() {
    let program = artifacts::binary("run-agent", "run-agent");
    let script = "echo x >>steps; n=$(wc -l <steps); sleep 0.1; \
                  [ $n -lt 3 ] || touch \"$JRUN_TASK_FOLDER/DONE\"; exit $((40 + n))";
    let words = ["task", "--project", "example", "--task", "count", "--agent", "shell"];
    let words = words.into_iter().chain(["--restart-delay", "50ms", "--json", "--prompt", script]);
    let words: Vec<&Path> = words.map(Path::new).collect();
    kill(&program, &words, ("example", "count"), "\"outcome\":\"done\"", &[41, 42, 43]);
}

#[test]
fn a_host_in_go_may_be_killed_at_any_moment() {
    let sandbox = Sandbox::new();
    let Some(go) = Go::new(&sandbox) else { return };
    let program = sandbox.folder("bin").join("orchestrator");
    let output = program.to_str().unwrap();
    go.check("examples/go", &["build", "-tags=conductor_static", "-o", output, "./orchestrator"]);
    kill(&program, &[], ("pipeline", "fetch"), "the sum is 42\n", &[1, 0]);
}

#[test]
fn a_host_in_python_may_be_killed_at_any_moment() {
    let Some(venv) = python::installed() else { return };
    let script = workspace().join("examples/python/task.py");
    let task = ("example", "count-in-python");
    kill(&venv.join("bin/python"), &[&script], task, "done after ", &[0, 0, 0]);
}
