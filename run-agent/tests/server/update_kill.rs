//! The server is killed at each step of an update: the next one serves the old program or the new one, and
//! knows which.

use crate::candidate::{self, Does, OWN};
use crate::support::LONG;
use crate::update::{PATH, Served};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Launcher,
    Worker,
}

impl Victim {
    fn kill(self, served: &Served) {
        let launcher = served.server.running.id();
        served.end_hard(match self {
            Victim::Launcher => launcher,
            Victim::Worker => worker_of(launcher),
        });
    }
}

/// A program that takes long to be copied.
fn endless(path: &Path) {
    let mut file = File::create(path).unwrap();
    file.write_all(&fs::read("/proc/self/exe").unwrap()[..4096]).unwrap();
    file.set_len(8 << 30).unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
}

fn make(path: &Path, step: &str) {
    let newer = candidate::newer();
    match step {
        "staging" => endless(path),
        "trying" => candidate::broken(path, &newer, Does::HangsAtOnce),
        _ => candidate::broken(path, &newer, Does::HangsAsServer),
    }
}

#[test]
fn killed_at_a_step_the_old_program_serves_again() {
    let mut served = Served::new();
    for step in ["staging", "trying", "starting"] {
        for victim in [Victim::Launcher, Victim::Worker] {
            let _gone = fs::remove_file(served.candidate());
            make(&served.candidate(), step);
            served.start(&served.candidate());
            served.server.await_json(PATH, |status| status["step"] == step);
            victim.kill(&served);
            served.again();
            let status = served.until("failed");
            let why = format!("the server died at the step {step}; the old program stands");
            assert_eq!(status["last_error"], why.as_str(), "{victim:?}");
            assert_eq!(served.names(), ["run-agent"], "{step} {victim:?}");
            assert_eq!(served.versions(), (OWN.to_owned(), OWN.to_owned()));
        }
    }
    served.server.running.signal(Signal::TERM);
    served.sandbox.wait_until_empty(LONG);
}

/// The oldest child of a launcher: the worker that serves.
pub(crate) fn worker_of(launcher: u32) -> u32 {
    let children =
        fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap();
    let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
    // Another child may be gone by now.
    children.filter_map(|pid| Some((started(pid)?, pid))).min().unwrap().1
}

fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().unwrap())
}

/// The step that does not last: it is seen in the file, or has just passed.
#[test]
fn killed_while_the_new_program_gets_its_place_one_of_the_two_serves() {
    for victim in [Victim::Launcher, Victim::Worker] {
        let mut served = Served::new();
        let newer = candidate::newer();
        candidate::real(&served.candidate(), &newer);
        served.start(&served.candidate());
        let file = served.sandbox.root().join(".conductor/self-update.yaml");
        let deadline = std::time::Instant::now() + LONG;
        loop {
            let text = fs::read_to_string(&file).unwrap();
            if text.contains("step: exchanging") || text.contains("installed_version") {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{text}");
        }
        victim.kill(&served);
        served.again();
        let status = served.server.await_json(PATH, |status| status["state"] != "applying");
        let stands = match status["installed_version"].as_str() {
            Some(version) => version.to_owned(),
            None => {
                let why = "the server died at the step exchanging; the old program stands";
                assert_eq!(status["last_error"], why);
                OWN.to_owned()
            }
        };
        assert_eq!(served.versions(), (stands.clone(), stands), "{victim:?} {status}");
        let names = served.names();
        assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
    }
}

#[test]
fn a_server_that_ends_during_an_update_leaves_it_to_the_next_one() {
    let mut served = Served::new();
    candidate::broken(&served.candidate(), &candidate::newer(), Does::HangsAsServer);
    served.start(&served.candidate());
    served.server.await_json(PATH, |status| status["step"] == "starting");
    served.server.running.signal(Signal::TERM);
    served.sandbox.wait_until_empty(LONG);
    let told = served.cli("update status --json").expect_code(0).stdout;
    let status: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&status["state"], &status["served"]), (&"deferred".into(), &false.into()));
    assert_eq!(served.names(), ["run-agent"]);
    // The next server goes on with it, and a better candidate stands there by then.
    let newer = candidate::newer();
    candidate::real(&served.candidate(), &newer);
    served.again();
    served.server.await_json(PATH, |status| status["installed_version"] == newer.as_str());
    // Killed once it is over, the new one serves.
    served.kill();
    assert_eq!(served.versions(), (newer.clone(), newer));
}
