//! The exchange of the server's program, as clients ask for it and see it.

use crate::candidate::{self, Does, OWN};
use crate::support::*;
use crate::update_kill::worker_of;
use conductor_tests::process::{Finished, Program};
use conductor_tests::sandbox::Sandbox;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const PATH: &str = "/api/v1/admin/self-update";

/// A root with a server whose program is its own file, and a place for candidates.
pub(crate) struct Served {
    pub(crate) sandbox: Sandbox,
    pub(crate) server: Server,
}

impl Served {
    /// A server that gives a new program more time than any of these tests takes.
    pub(crate) fn new() -> Served {
        Served::with_config("update:\n  health_timeout: 10m\n")
    }

    pub(crate) fn with_config(config: &str) -> Served {
        let sandbox = Sandbox::new();
        candidate::real(&program(&sandbox), OWN);
        let path = sandbox.home().join("config.yaml");
        candidate_config(&path, config);
        let server = Server::of(&sandbox, serve(&sandbox));
        Served { sandbox, server }
    }

    /// Where a candidate is to lie.
    pub(crate) fn candidate(&self) -> PathBuf {
        self.sandbox.folder("new").join("run-agent")
    }

    pub(crate) fn status(&self) -> Value {
        self.server.json(PATH)
    }

    pub(crate) fn start(&self, binary: &Path) -> Value {
        let wish = json!({"binary_path": binary.to_str().unwrap()});
        let begun = std::time::Instant::now();
        loop {
            let answer = self.server.post(PATH, &wish);
            // The part of a server that was killed is free as soon as the kernel has ended all of it.
            if answer.status != 409 || answer.code() != "update.no_server" {
                return answer.expect(202).json();
            }
            assert!(begun.elapsed() < LONG, "nobody carries updates out");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Waits until the update stands so.
    pub(crate) fn until(&self, state: &str) -> Value {
        self.server.await_json(PATH, |status| status["state"] == state)
    }

    /// Ends the server hard, and starts another one.
    pub(crate) fn kill(&mut self) {
        self.server.running.signal(Signal::KILL);
        self.again();
    }

    /// Another server of the root, where the last one has ended.
    pub(crate) fn again(&mut self) {
        self.server = Server::of(&self.sandbox, serve(&self.sandbox));
    }

    /// `run-agent` on the root, of another file than the server's.
    pub(crate) fn cli(&self, line: &str) -> Finished {
        cli(&self.sandbox).args(line.split_whitespace()).run()
    }

    /// `run-agent server` on the server.
    pub(crate) fn ask(&self, line: &str) -> Finished {
        let asks = cli(&self.sandbox).env("CONDUCTOR_SERVER", self.server.url(""));
        asks.arg("server").args(line.split_whitespace()).run()
    }

    /// What lies in the folder of the server's program.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.sandbox.folder("bin")).unwrap();
        let mut names: Vec<_> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The versions of the program at its place, and of the one that serves.
    pub(crate) fn versions(&self) -> (String, String) {
        let said = self.sandbox.program(program(&self.sandbox)).arg("--version").succeed().stdout;
        let stands = said.split_whitespace().next_back().unwrap().to_owned();
        let serves = self.server.json("/api/v1/version")["version"].as_str().unwrap().to_owned();
        (stands, serves)
    }

    /// Waits until the new one stands and serves. The old one answers what still comes over the
    /// connections that it had.
    pub(crate) fn until_serves(&self, version: &str) {
        let new = (version.to_owned(), version.to_owned());
        until("the new one serves", || self.versions() == new);
    }
}

/// Tells threads to end, also where the test fails that waits for them.
pub(crate) struct Flag<'a>(pub(crate) &'a AtomicBool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn candidate_config(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The server's own program.
pub(crate) fn program(sandbox: &Sandbox) -> PathBuf {
    sandbox.folder("bin").join("run-agent")
}

fn serve(sandbox: &Sandbox) -> Program {
    let program = sandbox.program(program(sandbox)).env("TZ", "UTC");
    let config = sandbox.home().join("config.yaml");
    program.args(["serve", "--port", "0", "--auth", "off", "--config"]).arg(config)
}

pub(crate) fn cli(sandbox: &Sandbox) -> Program {
    sandbox.program(env!("CARGO_BIN_EXE_run-agent")).env("TZ", "UTC")
}

/// A script that ends when the file is there.
#[test]
fn it_is_looked_at_asked_for_and_taken_back() {
    let served = Served::new();
    let never = "0001-01-01T00:00:00Z";
    let idle = json!({
        "state": "idle", "requested_at": never, "started_at": never, "finished_at": never,
        "active_runs_now": 0,
    });
    assert_eq!(served.status(), idle);
    let sandbox = &served.sandbox;
    let text = sandbox.home().join("text");
    fs::write(&text, "x").unwrap();
    for (wish, status, says) in [
        (json!({}), 400, "binary_path is required"),
        (json!({"binary_path": " "}), 400, "binary_path is required"),
        (json!({"binary_path": "/no/such/program"}), 400, "stat binary_path: "),
        (json!({"binary_path": sandbox.home()}), 400, "binary_path must point to a file"),
        (json!({"binary_path": text}), 400, "binary_path is not executable"),
        (json!({"binary_path": program(sandbox), "sha256": "ab"}), 400, "64 hexadecimal digits"),
        (json!({"path": "/x"}), 400, "json: unknown field"),
    ] {
        let answer = served.server.post(PATH, &wish).expect(status);
        assert!(answer.text.contains(says), "{wish}: {}", answer.text);
        assert_eq!(served.status(), idle);
    }

    let gate = sandbox.work().join("gate");
    served.server.start_task("t", &waits_for(&gate));
    let binary = program(sandbox);
    let told = served.ask(&format!("update start --binary {}", binary.display())).expect_code(0);
    assert_eq!(
        told.stdout,
        "Self-update state: deferred\nUpdate is waiting for 1 active root run(s) to finish.\n"
    );
    let status = served.status();
    assert_eq!(
        (&status["state"], &status["active_runs_at_request"]),
        (&"deferred".into(), &1.into())
    );
    let told = served.ask("update status").expect_code(0).stdout;
    let begin = "State:             deferred\nActive Root Runs:  1\nCandidate Binary:  /";
    assert!(told.starts_with(begin) && !told.contains("0001"), "{told}");
    assert_eq!(served.server.json("/api/v1/status")["self_update"], "deferred");
    let metrics = served.server.get("/metrics").text;
    assert!(metrics.contains("\nconductor_self_update_pending 1\n"), "{metrics}");

    let told = served.ask("update cancel --reason later --json").expect_code(0).stdout;
    let status: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&status["state"], &status["last_note"]),
        (&"idle".into(), &"cancelled: later".into())
    );
    served.server.start_task("other", DONE);
    let waits = format!("update start --binary {} --wait", binary.display());
    fs::write(gate, "").unwrap();
    let failed = served.ask(&waits).expect_code(1);
    assert!(failed.stderr.contains("it is the server's program already"), "{}", failed.stderr);
}

/// Asks for the candidate, which must fail for this reason; the old program serves on.
#[track_caller]
fn fails(served: &Served, says: &str) {
    served.start(&served.candidate());
    let status = served.until("failed");
    let why = status["last_error"].as_str().unwrap();
    assert!(why.contains(says), "{why}");
    assert_eq!(served.names(), ["run-agent"], "{says}");
    assert_eq!(served.versions(), (OWN.to_owned(), OWN.to_owned()));
    served.server.start_task("after", DONE);
}

#[test]
fn a_bad_candidate_leaves_the_old_program_serving() {
    let served = Served::new();
    let (candidate, newer) = (served.candidate(), candidate::newer());
    for (does, says) in [
        (Does::CrashesAtOnce, "`--version` ended with signal: 6"),
        (Does::FailsItsTest, "`self-test` ended with exit status: 7"),
        (Does::CrashesAsServer, "does not serve: it ended with signal 6 before it served"),
        (Does::EndsAsServer, "does not serve: it ended with exit code 2 before it served"),
    ] {
        candidate::broken(&candidate, &newer, does);
        fails(&served, says);
    }
    candidate::broken(&candidate, "0.0.1", Does::EndsAsServer);
    fails(&served, "its version 0.0.1 is older than");
    candidate::foreign(&candidate);
    fails(&served, "it is a program for another kind of machine");
    candidate::broken(&candidate, &newer, Does::EndsAsServer);
    let wish = json!({"binary_path": candidate, "sha256": "0".repeat(64)});
    served.server.post(PATH, &wish).expect(202);
    let status = served.until("failed");
    assert!(status["last_error"].as_str().unwrap().contains("its SHA-256 is"), "{status}");
}

#[test]
fn a_candidate_that_dies_when_it_has_shown_that_it_serves_leaves_the_old_program_serving() {
    let mut served = Served::new();
    let (candidate, newer) = (served.candidate(), candidate::newer());
    let over = AtomicBool::new(false);
    let url = served.server.url("/healthz");
    std::thread::scope(|scope| {
        let over = Flag(&over);
        let asks = scope.spawn({
            let (over, url) = (over.0, &url);
            move || {
                let mut answers = 0;
                while !over.load(Ordering::Relaxed) {
                    // A connection of its own each time: none is refused, none is left without an answer.
                    let agent = ureq::Agent::new_with_defaults();
                    assert_eq!(agent.get(url).call().unwrap().status(), 200);
                    answers += 1;
                    // The system remembers each of them for a minute, and has only so many ports.
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                answers
            }
        });
        for (does, says) in [
            (Does::DiesReady, "does not serve: it ended with signal 6 since it was ready to serve"),
            (
                Does::DiesWithTheSocket,
                "does not serve: it ended with signal 6 when it was to serve",
            ),
        ] {
            candidate::broken(&candidate, &newer, does);
            fails(&served, says);
        }
        drop(over);
        assert!(asks.join().unwrap() > 0);
    });
    // The next start serves the old one, too, and it can still be exchanged for a good one.
    served.kill();
    assert_eq!(served.versions(), (OWN.to_owned(), OWN.to_owned()));
    candidate::real(&candidate, &newer);
    served.start(&candidate);
    served.server.await_json(PATH, |status| status["installed_version"] == newer.as_str());
    served.until_serves(&newer);
    served.server.running.signal(Signal::TERM);
    let _ended = served.server.running.finish().expect_code(0);
}

#[test]
fn a_candidate_that_hangs_is_ended() {
    let served = Served::with_config("update:\n  health_timeout: 2s\n");
    for does in [Does::HangsAtOnce, Does::HangsAsServer] {
        candidate::broken(&served.candidate(), &candidate::newer(), does);
        // On a slow machine it does not come to its service.
        fails(&served, "within 2s");
    }
    let served_by = |_: &Value| served.sandbox.living().len() == 2;
    served.server.await_json(PATH, served_by);
}

#[test]
fn a_server_that_was_killed_while_it_waited_blocks_nobody() {
    let mut served = Served::new();
    let gate = served.sandbox.work().join("gate");
    served.server.start_task("t", &waits_for(&gate));
    let newer = candidate::newer();
    candidate::real(&served.candidate(), &newer);
    served.start(&served.candidate());
    served.until("deferred");
    let job = "job --project p --agent shell --prompt true";
    assert_eq!(served.cli(job).expect_code(27).stdout, "");

    served.server.running.signal(Signal::KILL);
    until_free(&served);
    let _ran = served.cli(job).expect_code(0);
    let told = served.cli("update status").expect_code(0).stdout;
    assert!(
        told.contains("State:             deferred\n") && told.contains("No server lives"),
        "{told}"
    );
    // It can be cancelled without a server ...
    let _cancelled = served.cli("update cancel --reason enough").expect_code(0);
    served.again();
    assert_eq!(served.status()["last_note"], "cancelled: enough");
    // ... and the next server goes on with one that was not.
    served.start(&served.candidate());
    served.kill();
    served.server.await_json(PATH, |_| served.cli(job).status.code() == Some(27));
    assert_eq!(served.status()["state"], "deferred");
    fs::write(gate, "").unwrap();
    served.server.await_json(PATH, |status| status["installed_version"] == newer.as_str());
    served.until_serves(&newer);
    assert_eq!(served.names(), ["run-agent", "run-agent.prev"]);
}

/// Waits until the kernel has ended the worker of a launcher that was killed.
fn until_free(served: &Served) {
    let wait = std::time::Instant::now() + LONG;
    while served.cli("update status").stdout.contains("new ones are refused") {
        assert!(std::time::Instant::now() < wait, "it still holds runs back");
    }
}

#[test]
fn a_launcher_and_its_worker_end_as_one_process_does() {
    let sandbox = Sandbox::new();
    let by_hand = cli(&sandbox).args(["serve", "--worker"]).exits(2);
    assert!(by_hand.stderr.contains("no line to a launcher"), "{}", by_hand.stderr);
    // What its worker cannot do is told once, with its exit code.
    let wrong = cli(&sandbox).args(["serve", "--host", "not a host"]).exits(2);
    assert_eq!(wrong.stderr.matches("is no address").count(), 1, "{}", wrong.stderr);

    let server = Server::open(&sandbox);
    let launcher = server.running.id();
    let worker = worker_of(launcher);
    let of = |pid: u32, what: &str| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap();
    assert_eq!(fs::read_link(format!("/proc/{worker}/fd/0")).unwrap(), Path::new("/dev/null"));
    assert_eq!(
        of(launcher, "status").lines().find(|l| l.starts_with("Threads")),
        Some("Threads:\t1")
    );
    kill(worker, Signal::KILL);
    assert_eq!(server.running.finish().status.code(), Some(137));

    let server = Server::open(&sandbox);
    server.running.signal(Signal::KILL);
    drop(server.running.finish());
    sandbox.wait_until_empty(LONG);

    let server = Server::open(&sandbox);
    server.running.signal(Signal::INT);
    let _ended = server.running.finish().expect_code(0);
    assert!(sandbox.living().is_empty());
}

pub(crate) fn kill(pid: u32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
