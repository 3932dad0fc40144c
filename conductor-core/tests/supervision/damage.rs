//! What one damaged folder or entry may not do to others.

use crate::kit::*;
use crate::support::*;
use conductor_core::{
    Conductor, FindingKind, JobSpec, Outcome, Run, Stop, StopReport, TaskOutcome, TaskSpec,
};
use std::fs;

/// Starts a run whose agent damages its own folder by these commands and lives on.
fn evil(shop: &Shop, task: &str, damage: &str) -> (Run, u32) {
    let script = format!("{damage}; echo $$ >\"$JRUN_TASK_FOLDER/pid\"; exec sleep 1000");
    let job = JobSpec::new("shop").task(task).agent("shell").prompt(script);
    let run = shop.conductor().jobs().start(job, LONG).unwrap();
    let pid = number_in(&shop.root.path().join(format!("shop/{task}/pid")));
    (run, pid)
}

fn good(shop: &Shop) -> Run {
    let job = JobSpec::new("shop").task("good").agent("shell").prompt("exec sleep 1000");
    shop.conductor().jobs().start(job, LONG).unwrap()
}

fn stop_task(conductor: &Conductor, task: &str) -> StopReport {
    let (project, task) = of(task);
    conductor.tasks().get(&project, &task).unwrap().stop(Stop::because("test"), LONG).unwrap()
}

/// Ways in which an agent ruins the folder of its own run.
const DAMAGES: [(&str, &str); 4] = [
    ("emptied", "rm -rf \"$JRUN_RUN_FOLDER\"; mkdir \"$JRUN_RUN_FOLDER\""),
    ("linked", "rm -rf \"$JRUN_RUN_FOLDER\"; ln -s /tmp \"$JRUN_RUN_FOLDER\""),
    ("filed", "rm -rf \"$JRUN_RUN_FOLDER\"; echo x >\"$JRUN_RUN_FOLDER\""),
    ("deleted", "rm -rf \"$JRUN_RUN_FOLDER\""),
];

fn ends_told(shop: &Shop, task: &str, run: &str) -> usize {
    let is_end = |kind: &str| kind == "RUN_STOP" || kind == "RUN_CRASH";
    shop.messages(task).iter().filter(|m| is_end(&m.msg_type) && m.run_id == run).count()
}

#[test]
fn a_run_that_ruined_its_folder_is_stopped_and_stands_in_nobodys_way() {
    for (name, damage) in DAMAGES {
        let shop = Shop::new("");
        let (evil, pid) = evil(&shop, name, damage);
        let good = good(&shop);
        let kinds: Vec<_> = shop.conductor().doctor().unwrap();
        assert!(kinds.iter().any(|it| it.way_out.contains("run-agent stop")), "{name}: {kinds:?}");
        assert_eq!(shop.conductor().reconcile(LONG).unwrap(), [], "{name}: all live");

        let report = stop_task(shop.conductor(), "good");
        assert_eq!(report.signalled, [good.id().clone()], "{name}");
        assert!(lives(pid), "{name}: the other one is not touched");

        let report = stop_task(shop.conductor(), name);
        assert_eq!(report.signalled, [evil.id().clone()], "{name}");
        until("its agent is gone", || !lives(pid));
        assert_eq!(ends_told(&shop, name, evil.id().as_str()), 1, "{name}");
        let open = shop.root.path().join(".conductor/open");
        assert_eq!(fs::read_dir(open).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_run_that_ruined_its_folder_and_died_is_closed_as_lost() {
    for (name, damage) in DAMAGES {
        let shop = Shop::new("");
        let (evil, pid) = evil(&shop, name, damage);
        let mut left = marked(evil.id().as_str());
        // The keeper first: it would tell how its agent ended.
        left.sort_by_key(|process| *process == pid);
        left.into_iter().for_each(crate::slots::kill);
        until("it is gone", || !lives(pid) && marked(evil.id().as_str()).is_empty());
        let closed = shop.conductor().reconcile(LONG).unwrap();
        if name == "emptied" {
            assert_eq!(closed[0].record.outcome, Some(Outcome::Lost));
            assert_eq!(evil.info().unwrap().outcome(), Some(Outcome::Lost));
        }
        // Of one without a folder nobody can tell a deletion from a start that never came to be.
        let told = usize::from(name != "deleted");
        assert_eq!(ends_told(&shop, name, evil.id().as_str()), told, "{name}");
        assert_eq!(shop.conductor().reconcile(LONG).unwrap(), [], "{name}");
        assert_eq!(ends_told(&shop, name, evil.id().as_str()), told, "{name}: once");
        let open = shop.root.path().join(".conductor/open");
        assert_eq!(fs::read_dir(open).unwrap().count(), 0, "{name}");
    }
}

/// The living processes that carry the id of a run.
fn marked(run: &str) -> Vec<u32> {
    let mark = format!("JRUN_ID={run}");
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        entry.unwrap().file_name().to_str().and_then(|name| name.parse::<u32>().ok())
    });
    let carries = |pid: &u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    pids.filter(carries).filter(|pid| lives(*pid)).collect()
}

#[test]
fn a_task_ends_although_a_run_beside_it_ruined_its_folder() {
    for (name, damage) in DAMAGES {
        let shop = Shop::new("");
        let _evil = evil(&shop, name, damage);
        let spec = TaskSpec::new("shop").task("done").agent("shell").prompt("touch DONE");
        let task = shop.conductor().tasks().start(spec, LONG).unwrap();
        assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done, "{name}");
        stop_task(shop.conductor(), name);
    }
}

#[test]
fn an_attempt_that_ruined_its_folder_is_waited_for_and_counted_once() {
    for (name, damage) in DAMAGES {
        let shop = Shop::new("");
        let script = format!(
            "if [ -e again ]; then touch DONE; exit; fi; touch again; {damage}; touch ruined; \
             while [ ! -e go ]; do sleep 0.01; done"
        );
        let spec = TaskSpec::new("shop").task(name).agent("shell").prompt(script);
        let spec = spec.restart_delay(std::time::Duration::from_millis(10));
        let task = shop.conductor().tasks().start(spec, LONG).unwrap();
        let folder = shop.root.path().join("shop").join(name);
        until("it is at it", || folder.join("ruined").exists());
        // Another look, as by a driver that took over.
        drop(task);
        let (project, id) = of(name);
        let task = shop.conductor().tasks().attach(&project, &id).unwrap();
        let short = std::time::Duration::from_millis(300);
        assert_eq!(task.wait(short).unwrap_err().kind(), conductor_core::ErrorKind::Timeout);
        fs::write(folder.join("go"), "").unwrap();
        let result = task.wait(LONG).unwrap();
        assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2), "{name}");
        let crashes = shop.messages(name);
        let crashes = crashes.iter().filter(|message| message.msg_type == "RUN_CRASH").count();
        assert_eq!(crashes, 1, "{name}");
    }
}

#[test]
fn a_run_without_its_entry_is_seen_and_stopped() {
    let shop = Shop::new("");
    let open = shop.root.path().join(".conductor/open");
    let forget = || {
        fs::read_dir(&open).unwrap().for_each(|it| fs::remove_file(it.unwrap().path()).unwrap());
    };
    let (project, task) = of("good");
    let tasks = shop.conductor().tasks();
    for whole_task in [true, false] {
        let run = good(&shop);
        forget();
        let kinds = shop.conductor().doctor().unwrap();
        assert!(kinds.iter().any(|it| it.way_out.contains("reconcile --all")), "{kinds:?}");
        let error = tasks.delete(&project, &task, None, LONG).unwrap_err();
        assert_eq!(error.code(), "task.running");
        let report = match whole_task {
            true => stop_task(shop.conductor(), "good"),
            false => run.stop(Stop::because("test"), LONG).unwrap(),
        };
        assert_eq!(report.signalled, [run.id().clone()]);
        assert_eq!(run.info().unwrap().record.outcome, Some(Outcome::Stopped));
        assert_eq!(ends_told(&shop, "good", run.id().as_str()), 1);
    }
    tasks.delete(&project, &task, None, LONG).unwrap();
}

#[test]
fn doctor_names_processes_that_outlived_their_run() {
    let shop = Shop::new("");
    let job = JobSpec::new("shop").task("over").agent("shell").prompt("true");
    let run = shop.conductor().jobs().start(job, LONG).unwrap();
    let folder = run.wait(LONG).unwrap().folder;
    // As what moved away from its keeper before that was killed.
    let left = |id: &str, folder: &std::path::Path| {
        let mut command = std::process::Command::new("sleep");
        command.arg("1000").env("JRUN_ID", id).env("JRUN_RUN_FOLDER", folder).spawn().unwrap()
    };
    let good = good(&shop);
    let (id, living) = (run.id().as_str(), good.info().unwrap().folder);
    let mut all = [left(id, &folder), left("other", &folder), left(good.id().as_str(), &living)];
    let found = shop.conductor().doctor().unwrap();
    let leaks: Vec<_> = found.iter().filter(|it| it.kind == FindingKind::Leaking).collect();
    assert_eq!(leaks.len(), 1, "{leaks:?}");
    assert_eq!(leaks[0].path, folder);
    assert!(leaks[0].text.ends_with(&format!(": {}", all[0].id())), "{leaks:?}");
    for child in &mut all {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(shop.conductor().doctor().unwrap().iter().all(|it| it.kind != FindingKind::Leaking));
    stop_task(shop.conductor(), "good");
}

#[test]
fn reconcile_all_finds_what_has_no_entry() {
    let shop = Shop::new("");
    let open = shop.root.path().join(".conductor/open");
    let job = JobSpec::new("shop").task("over").agent("shell").prompt("exit 3");
    let over = shop.conductor().jobs().start(job, LONG).unwrap();
    let good = good(&shop);
    until("it is over", || over.info().unwrap().ended.is_some());
    crate::slots::await_keeper(over.folder());
    fs::remove_dir_all(&open).unwrap();
    assert_eq!(shop.conductor().reconcile(LONG).unwrap(), []);
    let kinds = shop.conductor().doctor().unwrap();
    assert_eq!(kinds.iter().filter(|it| it.way_out.contains("--all")).count(), 2, "{kinds:?}");

    let closed = shop.conductor().reconcile_all(LONG).unwrap();
    assert_eq!(closed.iter().map(|run| &run.id).collect::<Vec<_>>(), [over.id()]);
    assert_eq!(closed[0].record.exit_code, 3);
    assert_eq!(ends_told(&shop, "over", over.id().as_str()), 1);
    assert_eq!(fs::read_dir(&open).unwrap().count(), 1, "what lives has its entry again");
    assert_eq!(shop.conductor().reconcile_all(LONG).unwrap(), []);
    assert_eq!(ends_told(&shop, "over", over.id().as_str()), 1);
    assert!(shop.conductor().doctor().unwrap().iter().all(|it| !it.way_out.contains("--all")));
    stop_task(shop.conductor(), "good");
    drop(good);
}
