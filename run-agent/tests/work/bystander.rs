//! A process that got the number of one of ours is a stranger: nothing signals it, whoever asks.

use crate::support::{cli, conductor};
use crate::workshop::*;
use conductor_core::{JobSpec, Outcome};
use conductor_tests::process::Running;
use conductor_tests::sandbox::Sandbox;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process in an environment like that of the run, that says which signals reach it.
fn witness(sandbox: &Sandbox, name: &str, run: &Path) -> Running {
    let fifo = gate(sandbox, name);
    let script = format!(
        "for s in HUP INT QUIT USR1 USR2 TERM CONT; do trap \"echo $s\" $s; done
         exec 3<>'{}'; echo ready; while :; do read -r line <&3; done",
        fifo.display()
    );
    let id = format!("{}0", run.file_name().unwrap().to_str().unwrap());
    let program = sandbox.program("/bin/sh").args(["-c", &script]);
    let mut running = program
        .env("JRUN_ID", id)
        .env("JRUN_RUN_FOLDER", run)
        .env("JRUN_PROJECT_ID", "p")
        .env("JRUN_TASK_ID", "t")
        .start();
    running.wait_for("its traps", |text| text == "ready\n");
    running
}

/// One that began in another tick of the clock than the run's processes: a number is not given out again
/// as soon as that.
fn later_witness(sandbox: &Sandbox, name: &str, run: &Path) -> Running {
    let record = fs::read_to_string(run.join("run-info.yaml")).unwrap();
    let taken = |start: &str| {
        let has = |key: &str| record.contains(&format!("{key}: {start}\n"));
        has("process_start") || has("keeper_start")
    };
    (0..)
        .map(|number| witness(sandbox, &format!("{name}-{number}"), run))
        .find(|witness| !taken(&start_of(witness.id())))
        .unwrap()
}

/// Fails unless the first signal that reaches it is ours.
fn assert_untouched(mut witness: Running, what: &str) {
    let stat = fs::read_to_string(format!("/proc/{}/stat", witness.id())).unwrap();
    let state = stat.rsplit(')').next().unwrap().trim().chars().next().unwrap();
    assert!(!"TtZX".contains(state), "{what}: it is {state}");
    witness.signal(Signal::USR2);
    let said = witness.wait_for("our signal", |text| text.contains("USR2\n"));
    assert_eq!(said, "ready\nUSR2\n", "{what}");
}

/// Puts another number in place of `old` behind `key`, as if the system had given it out again.
fn renumber(text: &str, key: &str, old: u32, new: u32) -> String {
    let (from, to) = (format!("{key}: {old}"), format!("{key}: {new}"));
    assert!(text.contains(&from), "{from} in {text}");
    text.replace(&from, &to)
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

/// Changes the text of each record in `.keeper`, and makes it whole again.
fn rewrite_slots(bytes: &mut [u8], change: impl Fn(&str) -> String) {
    for slot in bytes[..1024].chunks_mut(512) {
        let Ok(text) = std::str::from_utf8(slot) else { continue };
        let Some(end) = text.rfind("crc32c: ") else { continue };
        let body = change(&text[..end]);
        let text = format!("{body}crc32c: {:08x}\n", crc32c(body.as_bytes()));
        slot.fill(b'\n');
        slot[..text.len()].copy_from_slice(text.as_bytes());
    }
}

/// Gives keeper and agent of a run in `.keeper` another number each; their start times stay.
fn renumber_keeper_file(run: &Path, keeper: (u32, u32), agent: (u32, u32)) {
    let path = run.join(".keeper");
    let mut bytes = fs::read(&path).unwrap();
    rewrite_slots(&mut bytes, |body| {
        let body = renumber(body, "keeper", keeper.0, keeper.1);
        renumber(&body, "agent", agent.0, agent.1)
    });
    fs::write(path, bytes).unwrap();
}

fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// A run whose keeper and agent were killed, and nobody saw it.
fn killed_run(sandbox: &Sandbox) -> (PathBuf, u32, u32) {
    let spec = JobSpec::new("p").task("t").agent("shell").prompt("sleep 1000");
    let long = Duration::from_secs(120);
    let run = conductor(sandbox).jobs().start(spec, long).unwrap();
    let info = run.info().unwrap();
    let keeper = info.record.keeper_pid.unwrap();
    let agent = u32::try_from(info.record.pid).unwrap();
    // The keeper first, or it would write the end of the agent down.
    for pid in [keeper, agent] {
        kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
    }
    let began = Instant::now();
    while lives(keeper) || lives(agent) {
        assert!(began.elapsed() < long, "they do not end");
        std::thread::yield_now();
    }
    (info.folder, keeper, agent)
}

/// Field 22 of `/proc/<pid>/stat`.
fn start_of(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned()
}

/// Where the numbers of a run stand that a stranger has now.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    ByTheKeeper,
    /// The agent removed the keeper's file.
    ByTheRecord,
}

fn recycled(sandbox: &Sandbox, told: Told) -> [Running; 2] {
    let (run, keeper, agent) = killed_run(sandbox);
    let witnesses = ["one", "two"].map(|name| later_witness(sandbox, name, &run));
    let [as_keeper, as_agent] = [witnesses[0].id(), witnesses[1].id()];
    match told {
        Told::ByTheKeeper => renumber_keeper_file(&run, (keeper, as_keeper), (agent, as_agent)),
        Told::ByTheRecord => fs::remove_file(run.join(".keeper")).unwrap(),
    }
    let path = run.join("run-info.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let text = renumber(&text, "keeper_pid", keeper, as_keeper);
    fs::write(path, renumber(&text, "\npid", agent, as_agent)).unwrap();
    witnesses
}

#[test]
fn a_stranger_with_the_number_of_a_run_is_signalled_by_no_command() {
    let place = "--project p --task t";
    for told in [Told::ByTheKeeper, Told::ByTheRecord] {
        for (line, outcome) in [
            (format!("stop {place}"), Some(Outcome::Stopped)),
            (format!("stop {place} --force"), Some(Outcome::Stopped)),
            ("reconcile".to_owned(), Some(Outcome::Lost)),
            ("doctor".to_owned(), None),
            (format!("status {place}"), None),
        ] {
            let what = format!("{line}, {told:?}");
            let sandbox = Sandbox::new();
            let witnesses = recycled(&sandbox, told);
            let finished = cli(&sandbox, &line).run();
            let now = runs(&sandbox).pop().unwrap();
            if let Some(outcome) = outcome {
                let lost = [outcome, Outcome::Lost].map(Some);
                assert!(lost.contains(&now.outcome()), "{what}: {now:?} {finished:?}");
            }
            for witness in witnesses {
                assert_untouched(witness, &what);
            }
        }
    }
}

/// What shows that the tests above could fail.
#[test]
fn a_process_with_the_number_and_the_start_of_an_agent_is_asked_to_stop() {
    let sandbox = Sandbox::new();
    let (run, keeper, agent) = killed_run(&sandbox);
    let mut witness = witness(&sandbox, "one", &run);
    renumber_keeper_file(&run, (keeper, keeper), (agent, witness.id()));
    let path = run.join(".keeper");
    let from = fs::read_to_string(&path).unwrap();
    let line = from.lines().find(|line| line.starts_with("agent: ")).unwrap();
    let born = format!("agent: {} {}", witness.id(), start_of(witness.id()));
    let mut bytes = fs::read(&path).unwrap();
    rewrite_slots(&mut bytes, |body| body.replace(line, &born));
    fs::write(path, bytes).unwrap();
    let stop = cli(&sandbox, "stop --project p --task t").start();
    witness.wait_for("the wish to stop", |text| text.contains("TERM\n"));
    witness.signal(Signal::KILL);
    drop(witness);
    drop(stop.finish());
}

#[test]
#[cfg(feature = "server")]
fn a_stranger_with_the_number_of_a_run_is_not_signalled_by_the_server() {
    for told in [Told::ByTheKeeper, Told::ByTheRecord] {
        let sandbox = Sandbox::new();
        let witnesses = recycled(&sandbox, told);
        let mut server = cli(&sandbox, "serve --port 0 --auth off").start();
        let text = server.wait_for("its address", |text| text.contains('\n'));
        let address = text.trim().strip_prefix("API listening on ").unwrap().trim_end_matches('/');
        let run = runs(&sandbox).pop().unwrap().id;
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let stop = format!("{address}/api/v1/runs/{run}/stop");
        let answer = agent.post(&stop).content_type("application/json").send("{}").unwrap();
        assert!(answer.status().as_u16() < 500, "{answer:?}");
        // It answers before the end is written down.
        let began = Instant::now();
        while runs(&sandbox).pop().unwrap().outcome().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "its end is not written down");
            std::thread::yield_now();
        }
        for witness in witnesses {
            assert_untouched(witness, &format!("{told:?}"));
        }
    }
}
