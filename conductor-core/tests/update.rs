//! The update of a server's program: what it waits for, what it refuses, and that no moment is without
//! a program.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use conductor_core::{
    Cancel, Conductor, Error, ErrorKind, JobSpec, LoadedConfig, Options, TaskOutcome, TaskSpec,
    UpdateRequest, UpdateState, UpdateStatus, Updater, Variables, Wait,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::program::{Does, program};
use support::*;

/// A root that is served by the program `run-agent` of version 0.1.0.
struct Served {
    root: Root,
    updater: Updater,
}

fn served() -> Served {
    served_with("{}")
}

fn served_with(config: &str) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, config).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut options =
        Options::default().config(LoadedConfig::read(&path, &Variables::default()).unwrap());
    options.environment = Some(vec![("PATH".into(), std::env::var_os("PATH").unwrap())]);
    let conductor = Conductor::open(dir.path().join("root"), options).unwrap();
    support::program::folder(&dir.path().join("bin"));
    program(&dir.path().join("bin/run-agent"), "0.1.0", Does::Works);
    let root = Root { dir, conductor };
    let updater = root.conductor.update().serve(&target(&root)).unwrap().unwrap();
    Served { root, updater }
}

fn target(root: &Root) -> PathBuf {
    root.dir.path().join("bin/run-agent")
}

impl Served {
    fn candidate(&self, version: &str, does: Does) -> PathBuf {
        let path = self.root.dir.path().join("candidate");
        program(&path, version, does);
        path
    }

    fn start(&self, binary: &Path) -> UpdateStatus {
        self.root.conductor.update().start(UpdateRequest::new(binary)).unwrap()
    }

    fn status(&self) -> UpdateStatus {
        self.root.conductor.update().status().unwrap()
    }

    fn program(&self) -> Vec<u8> {
        fs::read(target(&self.root)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.root.dir.path().join("bin")).unwrap();
        let mut names: Vec<_> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Lets the wish be carried out, which must fail, and gives why.
    fn fails(&self) -> String {
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| self.updater.wait(Wait::from(LONG).or_cancelled(&cancel)));
            until("it failed", || self.status().state == UpdateState::Failed);
            cancel.set();
            assert_eq!(waits.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        });
        let status = self.status();
        assert_eq!(status.state, UpdateState::Failed, "{status:?}");
        assert!(status.finished_at.is_some() && status.step.is_none());
        assert_eq!(self.names(), ["run-agent"]);
        status.last_error.unwrap()
    }
}

#[test]
fn a_program_is_exchanged_once_no_root_run_is_active() {
    let served = served();
    let (old, conductor) = (served.program(), &served.root.conductor);
    let gate = served.root.dir.path().join("gate");
    let script = format!("until [ -e {} ]; do sleep 0.01; done", gate.display());
    let run = conductor.jobs().start(job(&script), LONG).unwrap();
    let candidate = served.candidate("0.2.0", Does::Works);
    let status = served.start(&candidate);
    assert_eq!((status.state, status.active_runs_now), (UpdateState::Deferred, 1));
    assert_eq!((status.active_runs_at_request, status.served), (1, true));
    assert_eq!(
        served.updater.wait(Duration::from_millis(50)).unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert_eq!(served.program(), old);

    fs::write(gate, "").unwrap();
    run.wait(LONG).unwrap();
    let new = served.updater.wait(LONG).unwrap();
    assert_eq!((new.version.as_str(), new.path.parent()), ("0.2.0", target(&served.root).parent()));
    assert_eq!(fs::read(&new.path).unwrap(), fs::read(&candidate).unwrap());
    assert_eq!(served.program(), old, "it has to show first that it serves");
    let status = served.status();
    assert_eq!((status.state, status.step.as_deref()), (UpdateState::Applying, Some("starting")));
    let busy = conductor.update().start(UpdateRequest::new(&candidate)).unwrap_err();
    assert_eq!(busy.code(), "update.applying");
    assert_eq!(conductor.update().cancel("no").unwrap_err().code(), "update.applying");

    let installed = served.updater.install(new).unwrap();

    served.updater.finish(installed).unwrap();
    assert_eq!(served.program(), fs::read(&candidate).unwrap());
    let status = served.status();
    assert_eq!(status.state, UpdateState::Idle);
    assert_eq!(status.installed_version.as_deref(), Some("0.2.0"));
    assert!(status.last_note.unwrap().contains("0.2.0"));
    assert_eq!(served.names(), ["run-agent", "run-agent.prev"]);
    assert_eq!(fs::read(target(&served.root).with_extension("prev")).unwrap(), old);
}

#[test]
fn a_new_program_that_does_not_serve_gets_no_place() {
    let served = served();
    let old = served.program();
    served.start(&served.candidate("0.2.0", Does::Works));
    let new = served.updater.wait(LONG).unwrap();
    served.updater.refuse(new, "it did not answer").unwrap();
    assert_eq!((served.program(), served.names()), (old, vec!["run-agent".to_owned()]));
    let status = served.status();
    assert_eq!(status.state, UpdateState::Failed);
    assert_eq!(status.last_error.as_deref(), Some("it did not answer"));
}

#[test]
fn a_bad_candidate_is_refused_and_the_old_program_stays() {
    let served = served();
    let old = served.program();
    for (version, does, why) in [
        ("0.2.0", Does::CrashesAtStart, "`--version` ended with signal: 6"),
        ("0.2.0", Does::TellsNoVersion, "names no version"),
        ("0.2.0", Does::FailsItsTest, "`self-test` ended with exit status: 7"),
        ("0.0.9", Does::Works, "its version 0.0.9 is older than"),
    ] {
        served.start(&served.candidate(version, does));
        let told = served.fails();
        assert!(told.contains(why), "{told}");
        assert_eq!(served.program(), old);
    }
    let candidate = served.candidate("0.0.9", Does::Works);
    let conductor = &served.root.conductor;
    let wrong = UpdateRequest::new(&candidate).sha256("0".repeat(64));
    conductor.update().start(wrong).unwrap();
    assert!(served.fails().contains("SHA-256"));
    let older = UpdateRequest::new(&candidate).allow_downgrade(true);
    conductor.update().start(older).unwrap();
    let new = served.updater.wait(LONG).unwrap();
    let installed = served.updater.install(new).unwrap();
    served.updater.finish(installed).unwrap();
}

#[test]
fn one_that_hangs_and_the_program_itself_are_refused() {
    let served = served_with("update:\n  health_timeout: 300ms\n");
    served.start(&served.candidate("0.2.0", Does::HangsInItsTest));
    let told = served.fails();
    // On a slow machine it does not come to its test.
    assert!(told.contains("did not end within 300ms"), "{told}");
    served.start(&target(&served.root));
    assert!(served.fails().contains("already"));
}

#[test]
fn a_candidate_without_the_signature_of_the_configured_key_is_refused() {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let served = served_with(&format!("update:\n  public_key: {key}\n"));
    served.start(&served.candidate("0.2.0", Does::Works));
    assert!(served.fails().contains("signature"));
}

#[test]
fn a_wish_can_be_replaced_and_taken_back_and_a_bad_one_changes_nothing() {
    let served = served();
    let update = served.root.conductor.update();
    let candidate = served.candidate("0.2.0", Does::Works);
    for (request, code) in [
        (UpdateRequest::new("candidate"), "update.binary"),
        (UpdateRequest::new("/no/such/program"), "update.binary"),
        (UpdateRequest::new(&candidate).sha256("abc"), "update.sha256"),
    ] {
        assert_eq!(update.start(request).unwrap_err().code(), code);
        assert_eq!(update.status().unwrap().state, UpdateState::Idle);
    }
    served.start(&candidate);
    served.start(&target(&served.root));
    assert_eq!(update.status().unwrap().binary, Some(target(&served.root)));
    let status = update.cancel("not today").unwrap();
    assert_eq!(status.state, UpdateState::Idle);
    assert_eq!(status.last_note.as_deref(), Some("cancelled: not today"));
    assert_eq!(update.cancel("again").unwrap(), status);
}

#[test]
fn a_dead_server_blocks_nobody_and_the_next_one_goes_on() {
    let Served { root, updater } = served();
    assert!(root.conductor.update().serve(&target(&root)).unwrap().is_none());
    let candidate = root.dir.path().join("candidate");
    program(&candidate, "0.2.0", Does::Works);
    let update = root.conductor.update();
    update.start(UpdateRequest::new(&candidate)).unwrap();
    drop(updater);
    let status = update.status().unwrap();
    assert_eq!((status.state, status.served), (UpdateState::Deferred, false));
    assert_eq!(
        update.start(UpdateRequest::new(&candidate)).unwrap_err().code(),
        "update.no_server"
    );
    root.job("true");

    let updater = update.serve(&target(&root)).unwrap().unwrap();
    let new = updater.wait(LONG).unwrap();
    let installed = updater.install(new).unwrap();
    updater.finish(installed).unwrap();
    assert_eq!(update.status().unwrap().state, UpdateState::Idle);
}

#[test]
fn a_server_that_has_to_end_leaves_the_wish_to_the_next_one() {
    let Served { root, updater } = served();
    let update = root.conductor.update();
    let candidate = root.dir.path().join("candidate");
    program(&candidate, "0.2.0", Does::HangsInItsTest);
    update.start(UpdateRequest::new(&candidate)).unwrap();
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| updater.wait(Wait::FOREVER.or_cancelled(&cancel)));
        until("it is tried", || update.status().unwrap().step.as_deref() == Some("trying"));
        cancel.set();
        assert_eq!(waits.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    });
    assert_eq!(update.state().unwrap(), UpdateState::Deferred);
    program(&candidate, "0.2.0", Does::Works);
    let new = updater.wait(LONG).unwrap();
    assert_eq!(update.state().unwrap(), UpdateState::Applying);
    updater.put_off(new).unwrap();
    assert_eq!(update.state().unwrap(), UpdateState::Deferred);
    let new = updater.wait(LONG).unwrap();
    let installed = updater.install(new).unwrap();
    updater.finish(installed).unwrap();
    assert_eq!(fs::read_dir(root.dir.path().join("bin")).unwrap().count(), 2);
}

#[test]
fn a_root_that_does_not_exist_waits_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let conductor = open(&dir.path().join("root"));
    let status = conductor.update().status().unwrap();
    assert_eq!(
        (status.state, status.served, status.active_runs_now),
        (UpdateState::Idle, false, 0)
    );
    assert_eq!(conductor.update().cancel("no").unwrap(), status);
    assert!(!conductor.root().exists());
}

#[test]
fn what_cannot_be_read_is_waited_for() {
    let served = served();
    fs::create_dir_all(served.root.path().join(".conductor/open")).unwrap();
    fs::write(served.root.path().join(".conductor/open/x-1"), "nonsense").unwrap();
    let status = served.start(&served.candidate("0.2.0", Does::Works));
    assert_eq!((status.state, status.active_runs_now), (UpdateState::Deferred, 1));
    assert!(status.active_runs_error.unwrap().contains("names no run"));
    assert_eq!(
        served.updater.wait(Duration::from_millis(50)).unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert_eq!(served.status().state, UpdateState::Deferred);
}

#[test]
fn new_root_runs_are_held_back_and_the_work_of_living_ones_is_not() {
    let served = served();
    let conductor = &served.root.conductor;
    let gate = served.root.dir.path().join("gate");
    let waits = format!("until [ -e {} ]; do sleep 0.01; done; touch DONE", gate.display());
    let parent = conductor.jobs().start(job(&waits), LONG).unwrap();
    let other = TaskSpec::new("shop").task("other").agent("shell").prompt(waits);
    let driven = conductor.tasks().start(other.clone(), LONG).unwrap();
    served.start(&served.candidate("0.2.0", Does::Works));

    let refused = |error: Error| assert_eq!(error.kind(), ErrorKind::UpdateInProgress, "{error}");
    let new = || JobSpec::new("shop").task("new").agent("shell").prompt("true");
    refused(conductor.jobs().start(new(), LONG).unwrap_err());
    // A parent that does not live makes nobody a child.
    refused(conductor.jobs().start(new().parent_run_id("gone"), LONG).unwrap_err());
    let task = || TaskSpec::new("shop").task("new").agent("shell").prompt("touch DONE");
    refused(conductor.tasks().start(task(), LONG).unwrap_err());
    assert!(!served.root.path().join("shop/new").exists(), "a refused start changes nothing");

    let child = new().task("child").parent_run_id(parent.id().to_string());
    let child = conductor.jobs().start(child, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(child.record.exit_code, 0);
    let child = task().parent_run_id(parent.id().to_string());
    conductor.tasks().start(child, LONG).unwrap().wait(LONG).unwrap();
    // A loop that somebody drives is attached to.
    drop(conductor.tasks().start(other, LONG).unwrap());

    // The child does not count, its root and the loop do.
    assert_eq!(served.status().active_runs_now, 2);
    fs::write(gate, "").unwrap();
    driven.wait(LONG).unwrap();
    parent.wait(LONG).unwrap();
    assert_eq!(served.status().active_runs_now, 0);
    conductor.update().cancel("").unwrap();
    conductor.jobs().start(new(), LONG).unwrap().wait(LONG).unwrap();
}

#[test]
fn a_loop_between_two_attempts_is_active_and_its_attempts_are_let_in() {
    let served = served();
    let conductor = &served.root.conductor;
    let script = "[ -e go ] && touch DONE; true";
    let spec = TaskSpec::new("shop").task("fix").agent("shell").prompt(script);
    let task = conductor.tasks().start(spec.restart_delay(Duration::from_secs(1)), LONG).unwrap();
    until("the pause", || {
        task.step().unwrap();
        task.info().unwrap().waiting.is_some_and(|waiting| waiting.until.is_some())
    });
    assert_eq!(served.start(&served.candidate("0.2.0", Does::Works)).active_runs_now, 1);
    fs::write(served.root.task_folder().join("go"), "").unwrap();
    assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    let new = served.updater.wait(LONG).unwrap();
    let installed = served.updater.install(new).unwrap();
    served.updater.finish(installed).unwrap();
}

#[test]
fn a_program_that_does_not_serve_in_its_place_gives_it_back() {
    let served = served();
    let old = served.program();
    let candidate = served.candidate("0.2.0", Does::Works);
    let installed = || {
        served.start(&candidate);
        let new = served.updater.install(served.updater.wait(LONG).unwrap()).unwrap();
        assert_eq!(served.program(), fs::read(&candidate).unwrap());
        assert_eq!(served.status().step.as_deref(), Some("exchanging"));
        new
    };
    served.updater.refuse(installed(), "it died").unwrap();
    let status = served.status();
    assert_eq!(
        (status.state, status.last_error.as_deref()),
        (UpdateState::Failed, Some("it died"))
    );
    assert_eq!((served.program() == old, served.names()), (true, vec!["run-agent".to_owned()]));
    assert_eq!(status.installed_version, None);
    // Whoever has to end meanwhile leaves the old one, and the wish.
    served.updater.put_off(installed()).unwrap();
    assert_eq!(served.status().state, UpdateState::Deferred);
    assert_eq!((served.program() == old, served.names()), (true, vec!["run-agent".to_owned()]));
    let new = served.updater.install(served.updater.wait(LONG).unwrap()).unwrap();
    served.updater.finish(new).unwrap();
    assert_eq!(served.names(), ["run-agent", "run-agent.prev"]);
}
