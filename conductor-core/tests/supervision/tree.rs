//! Agents that do not want to go, and bystanders that must stay.

use crate::kit::*;
use crate::slots::kill;
use crate::support::*;
use conductor_core::{JobSpec, Outcome, Stop};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn job(script: &str) -> JobSpec {
    JobSpec::new("shop").task("fix").agent("shell").prompt(script)
}

/// Forks twice, leaves the session, ignores SIGTERM, and has grandchildren that do the same; some clear
/// their environment, some name another run. The numbers of all go to a file.
fn nasty(pids: &Path) -> String {
    let pids = pids.display();
    format!(
        "trap '' TERM HUP\n\
         echo $$ >>{pids}\n\
         i=0\n\
         while [ $i -lt 50 ]; do\n\
           i=$((i + 1))\n\
           case $((i % 4)) in\n\
             0) change='env -i' ;;\n\
             1) change='env JRUN_ID=another' ;;\n\
             2) change='env -u JRUN_ID' ;;\n\
             *) change='env' ;;\n\
           esac\n\
           (trap '' TERM HUP; setsid $change sh -c 'trap \"\" TERM HUP; echo $$ >>{pids}; while :; do sleep 1; done' &)\n\
         done\n\
         while :; do sleep 1; done\n"
    )
}

struct Bystander(Child);

impl Bystander {
    fn with(environment: &[(&str, &str)]) -> Bystander {
        let mut command = Command::new("sleep");
        command.arg("1000").envs(environment.iter().copied());
        Bystander(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn numbers(path: &Path) -> Vec<u32> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn an_agent_that_does_everything_not_to_end_is_gone_and_nobody_else() {
    for keeper_dies in [false, true] {
        let shop = Shop::new("");
        let pids = shop.dir().join("pids");
        let spec = job(&nasty(&pids)).grace(Duration::from_millis(200));
        let run = shop.conductor().jobs().start(spec, LONG).unwrap();
        until("all are there", || numbers(&pids).len() == 51);
        let info = run.info().unwrap();
        let folder = info.folder.to_str().unwrap();
        // One whose environment looks like that of the run, and one like that of its copy elsewhere.
        let id = run.id().as_str();
        let longer = format!("{id}0");
        let mut bystanders = [
            Bystander::with(&[("JRUN_ID", longer.as_str()), ("JRUN_RUN_FOLDER", folder)]),
            Bystander::with(&[("JRUN_ID", id), ("JRUN_RUN_FOLDER", "/elsewhere")]),
            Bystander::with(&[("MY_JRUN_ID", id)]),
        ];
        if keeper_dies {
            kill(info.record.keeper_pid.unwrap());
        }
        let report = run.stop(Stop::because("enough"), LONG).unwrap();
        assert_eq!(run.info().unwrap().outcome(), Some(Outcome::Stopped));
        let left = || numbers(&pids).into_iter().filter(|pid| lives(*pid)).collect::<Vec<u32>>();
        if keeper_dies {
            // Those that cleared their environment and have no parent here any more cannot be told from
            // anybody's: nothing was guessed.
            let marked = |pid: u32| {
                let env = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                env.split(|b| *b == 0).any(|one| one == format!("JRUN_ID={id}").as_bytes())
            };
            // Who was killed and is no child of a keeper may take a moment to go.
            until("none with its mark is left", || left().iter().all(|pid| !marked(*pid)));
            left().into_iter().for_each(kill);
        } else {
            let left = left();
            assert!(left.is_empty(), "{left:?} survived");
            assert!(report.killed >= 51, "{report:?}");
        }
        for bystander in &mut bystanders {
            assert!(bystander.lives(), "a stranger was ended");
        }
    }
}

#[test]
fn a_run_whose_keeper_is_killed_goes_on_and_is_lost_once() {
    let shop = Shop::new("");
    let (go, leftover) = (shop.dir().join("go"), shop.dir().join("leftover"));
    let script = format!(
        "setsid sleep 1000 & echo $! >{}; while [ ! -e {} ]; do sleep 0.01; done; exit 3",
        leftover.display(),
        go.display()
    );
    let run = shop.conductor().jobs().start(job(&script), LONG).unwrap();
    let leftover = number_in(&leftover);
    let record = run.info().unwrap().record;
    kill(record.keeper_pid.unwrap());
    until("it is told", || {
        let doctor = shop.conductor().doctor().unwrap();
        doctor.iter().any(|finding| finding.kind.as_str() == "unsupervised")
    });
    assert!(run.info().unwrap().alive.unwrap(), "the agent goes on");
    assert!(shop.conductor().reconcile(LONG).unwrap().is_empty());
    fs::write(go, "").unwrap();
    let info = run.wait(LONG).unwrap();
    assert_eq!((info.outcome(), info.record.exit_code), (Some(Outcome::Lost), -1));
    until("what it left is ended with it", || !lives(leftover));
    assert!(shop.conductor().reconcile(LONG).unwrap().is_empty());
    let told = shop.messages("fix");
    assert_eq!(told.iter().filter(|m| m.msg_type == "RUN_CRASH").count(), 1);
}

#[test]
fn a_stop_reaches_grandchildren_whose_middle_run_is_over() {
    let shop = Shop::new("");
    let start = |task: &str, script: &str, parent: Option<&conductor_core::Run>| {
        let mut job = JobSpec::new("shop").task(task).agent("shell").prompt(script);
        if let Some(parent) = parent {
            job = job.parent_run_id(parent.id().as_str());
        }
        shop.conductor().jobs().start(job, LONG).unwrap()
    };
    let top = start("top", "sleep 1000", None);
    let go = shop.dir().join("go");
    let middle = start(
        "middle",
        &format!("while [ ! -e {} ]; do sleep 0.01; done", go.display()),
        Some(&top),
    );
    let grandchild = start("below", "sleep 1000", Some(&middle));
    fs::write(go, "").unwrap();
    middle.wait(LONG).unwrap();
    let report = top.stop(Stop::because("enough").force(true), LONG).unwrap();
    assert_eq!(report.signalled.len(), 2, "{report:?}");
    assert_eq!(grandchild.info().unwrap().outcome(), Some(Outcome::Stopped));
}

#[test]
fn a_keeper_that_somebody_stopped_ends_its_run_all_the_same() {
    let root = root();
    for force in [false, true] {
        let run = root.conductor.jobs().start(job("exec sleep 1000"), LONG).unwrap();
        let keeper = i32::try_from(run.info().unwrap().record.keeper_pid.unwrap()).unwrap();
        let keeper = rustix::process::Pid::from_raw(keeper).unwrap();
        rustix::process::kill_process(keeper, rustix::process::Signal::STOP).unwrap();
        run.stop(Stop::because("enough").force(force), LONG).unwrap();
        assert_eq!(run.info().unwrap().outcome(), Some(Outcome::Stopped));
    }
}
