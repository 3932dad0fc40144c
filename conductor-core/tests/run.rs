//! Single runs with real processes: what stands on disk after each kind of end.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod support;

use conductor_core::{ErrorKind, Outcome, OutputFile, RunId, Status, Stop, Wait};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use support::*;

#[test]
fn a_run_leaves_its_record_its_output_and_two_messages() {
    let root = root();
    let run = root.job("echo hello; echo oops >&2");
    assert_eq!(run.outcome(), Some(Outcome::Completed));
    assert_eq!((run.record.exit_code, &run.record.status), (0, &Status::Completed));
    assert!(!run.record.end_time.is_zero() && run.record.end_time >= run.record.start_time);
    let read = |name: &str| fs::read_to_string(run.folder.join(name)).unwrap();
    assert_eq!(read("output.md"), "hello\n");
    assert_eq!(read("agent-stdout.txt"), "hello\n");
    assert_eq!(read("agent-stderr.txt"), "oops\n");
    assert_eq!(read("prompt.md"), "echo hello; echo oops >&2\n");
    let messages = root.messages();
    let kinds: Vec<_> = messages.iter().map(|m| m.msg_type.as_str()).collect();
    assert_eq!(kinds, ["RUN_START", "RUN_STOP"]);
    assert!(messages.iter().all(|m| m.run_id == run.id.as_str() && m.task_id == "fix"));
    assert!(messages[1].body.starts_with("run stopped with code 0\nrun_dir: "));
}

#[test]
fn how_much_a_run_wrote_and_when_is_known_without_reading_it() {
    let root = root();
    let silent = root.job("exit 0");
    let written = root.conductor.runs().written(&silent).unwrap();
    assert_eq!((written.bytes, written.at), (0, None));
    // The clock of files may be behind by a tick.
    let run = root.job("sleep 0.05; echo hello; echo oops >&2");
    let written = root.conductor.runs().written(&run).unwrap();
    assert_eq!(written.bytes, 11);
    assert!(written.at.unwrap() >= run.record.start_time);
}

#[test]
fn a_fresh_root_holds_the_known_names_and_dotfiles() {
    let root = root();
    let run = root.job("true");
    let names = |folder: &std::path::Path| {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&root.path()), ["shop"]);
    assert_eq!(names(&root.path().join("shop")), ["fix"]);
    assert_eq!(names(&root.task_folder()), ["TASK-MESSAGE-BUS.md", "TASK.md", "runs"]);
    assert_eq!(
        names(&run.folder),
        [
            "agent-stderr.txt",
            "agent-stdout.txt",
            "output.md",
            "prompt.md",
            "run-info.yaml",
            "run-info.yaml.lock"
        ]
    );
    let mode = fs::metadata(root.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(fs::read_dir(root.path().join(".conductor/open")).unwrap().count(), 0);
}

#[test]
fn each_kind_of_end_has_its_outcome() {
    let root = root();
    let run = root.job("echo one >&2; echo two >&2; exit 3");
    assert_eq!((run.outcome(), run.record.exit_code), (Some(Outcome::Failed), 3));
    assert_eq!(run.record.error_summary.as_deref(), Some("agent exited with code 3"));
    let crash = root.messages().pop().unwrap();
    assert_eq!(crash.msg_type, "RUN_CRASH");
    assert!(
        crash.body.trim_end().ends_with("## stderr (last 50 lines)\none\ntwo"),
        "{}",
        crash.body
    );

    let run = root.job("kill -9 $$");
    assert_eq!((run.outcome(), run.record.exit_code), (Some(Outcome::Killed), 137));
    assert_eq!(run.record.signal, Some(9));

    let silent = job("sleep 60").first_byte_timeout(Duration::from_millis(50));
    let run = root.conductor.jobs().start(silent, LONG).unwrap().wait(LONG).unwrap();
    assert_eq!(run.outcome(), Some(Outcome::TimedOut));
    assert_eq!(run.status(), Status::Failed);
}

#[test]
fn what_can_be_known_before_the_start_leaves_nothing_behind() {
    let root = root();
    let refused = |spec| {
        let error = root.conductor.jobs().start(spec, LONG).unwrap_err();
        (error.code(), error.field().unwrap_or_default().to_owned())
    };
    let missing = |field: &str| field.to_owned();
    assert_eq!(refused(job("x").agent("clod")), ("agent.unknown", missing("agent")));
    assert_eq!(refused(job("x").agent("")), ("agent.missing", missing("agent")));
    assert_eq!(refused(job("  \n")), ("prompt.empty", missing("prompt")));
    assert_eq!(refused(job("a\0b")), ("prompt.nul", missing("prompt")));
    assert_eq!(refused(job("x").task("../up")), ("id.invalid", missing("task")));
    assert_eq!(refused(job("x").cwd("/no/such/place")), ("cwd.not_a_folder", missing("cwd")));
    assert_eq!(refused(job("x").env("JRUN_ID", "forged")), ("env.reserved", missing("env")));
    assert_eq!(refused(job("x").prompt_file("/no/file")).1, "prompt_file");
    let spec = job("x").agent("command").command(["/no/such/program"]);
    assert_eq!(refused(spec), ("agent.not_found", missing("agent")));
    for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0y")] {
        assert_eq!(refused(job("x").env(name, value)), ("env.invalid", missing("env")));
    }
    let spec = job("x").agent("command").command(["/bin/echo", "a\0b"]);
    assert_eq!(refused(spec), ("agent.command_nul", missing("command")));
    assert!(!root.path().exists(), "nothing was made");
}

#[test]
fn a_program_that_cannot_be_executed_is_a_refused_run() {
    let root = root();
    let program = root.dir.path().join("agent");
    support::program::script(&program, "#!/no/such/interpreter\n");
    let spec = job("x").agent("command").command([&program]);
    let error = root.conductor.jobs().start(spec, LONG).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::SpawnFailed, "agent.not_started"));
    let (project, task) = ids();
    let run = root.conductor.runs().newest(&project, &task).unwrap().unwrap().info().unwrap();
    assert_eq!(run.outcome(), Some(Outcome::Refused));
    assert!(run.record.error_summary.unwrap().contains("No such file"));
    let kinds: Vec<_> = root.messages().into_iter().map(|m| m.msg_type).collect();
    assert_eq!(kinds, ["RUN_START", "RUN_CRASH"]);
    assert!(root.conductor.reconcile(LONG).unwrap().is_empty(), "it is closed already");
}

#[test]
fn the_agent_gets_the_environment_of_its_run() {
    let root = root();
    let spec = job("env").env("MINE", "yes").env("OPENAI_API_KEY", "given");
    let run = root.conductor.jobs().start(spec, LONG).unwrap().wait(LONG).unwrap();
    let output = fs::read_to_string(run.folder.join("output.md")).unwrap();
    let has = |line: &str| assert!(output.lines().any(|l| l == line), "{line} in {output}");
    has("MINE=yes");
    // What is given to this very run is meant for it.
    has("OPENAI_API_KEY=given");
    has(&format!("JRUN_ID={}", run.id));
    has("JRUN_PROJECT_ID=shop");
    has(&format!("CONDUCTOR_ROOT={}", root.path().display()));
    has(&format!("JRUN_TASK_FOLDER={}", root.task_folder().display()));
    assert!(output.contains(&format!("PWD={}", root.task_folder().display())));
}

#[test]
fn stopping_ends_everything_that_the_agent_started() {
    let root = root();
    let script =
        "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ >escaped; while :; do sleep 1; done' &
                  sleep 1000 & echo $! >child; while :; do sleep 1; done";
    let spec = job(script).grace(Duration::from_millis(100));
    let run = root.conductor.jobs().start(spec, LONG).unwrap();
    let escaped = number_in(&root.task_folder().join("escaped"));
    let child = number_in(&root.task_folder().join("child"));
    let report = run.stop(Stop::because("too slow"), LONG).unwrap();
    assert_eq!(report.signalled, [run.id().clone()]);
    assert!(report.killed > 0);
    assert!(!lives(escaped) && !lives(child));
    let info = run.info().unwrap();
    assert_eq!(info.outcome(), Some(Outcome::Stopped));
    assert_eq!(info.record.stop_reason.as_deref(), Some("too slow"));
    // A second stop finds nothing to do.
    assert!(run.stop(Stop::because("again"), LONG).unwrap().signalled.is_empty());
    assert_eq!(root.messages().last().unwrap().msg_type, "RUN_STOP");
}

#[test]
fn a_grandchild_that_holds_the_output_open_keeps_nobody_waiting() {
    let root = root();
    let run = root.job("sleep 1000 & echo $! >child; echo done");
    assert_eq!(run.outcome(), Some(Outcome::Completed));
    assert!(!lives(number_in(&root.task_folder().join("child"))), "success reaps too");
}

#[test]
fn waiting_can_end_before_the_run() {
    let root = root();
    let run = root.conductor.jobs().start(job("sleep 1000"), LONG).unwrap();
    assert_eq!(run.wait(Wait::NONE).unwrap_err().kind(), ErrorKind::Timeout);
    let cancel = conductor_core::Cancel::new();
    cancel.set();
    assert_eq!(run.wait(&cancel).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(run.info().unwrap().status(), Status::Running);
    run.stop(Stop::because("end of the test").force(true), LONG).unwrap();
}

/// A host that starts a run and does not live to see its end.
#[test]
fn host_starts_a_run() {
    let Some(path) = std::env::var_os(HOST) else { return };
    let conductor = open(path.as_ref());
    conductor.jobs().start(job("while [ ! -e go ]; do sleep 0.01; done; exit 7"), LONG).unwrap();
    println!("started");
    std::thread::sleep(LONG);
}

#[test]
fn a_run_outlives_its_starter_and_its_exit_code_is_kept() {
    let root = root();
    let mut host = host("host_starts_a_run", &root.path());
    host.says("started");
    host.kill();
    let (project, task) = ids();
    let run = root.conductor.runs().newest(&project, &task).unwrap().unwrap();
    assert_eq!(run.info().unwrap().status(), Status::Running);
    fs::write(root.task_folder().join("go"), "").unwrap();
    let info = run.wait(LONG).unwrap();
    assert_eq!((info.outcome(), info.record.exit_code), (Some(Outcome::Failed), 7));
    let kinds: Vec<_> = root.messages().into_iter().map(|m| m.msg_type).collect();
    assert_eq!(kinds, ["RUN_START", "RUN_CRASH"]);
}

#[test]
fn an_end_that_nobody_wrote_down_is_told_whole_and_written_by_no_reader() {
    let root = root();
    let mut host = host("host_starts_a_run", &root.path());
    host.says("started");
    host.kill();
    fs::write(root.task_folder().join("go"), "").unwrap();
    let (project, task) = ids();
    let run = root.conductor.runs().newest(&project, &task).unwrap().unwrap();
    let mut follower = run.follow_output(OutputFile::Stdout).unwrap();
    assert_eq!(follower.read(&mut [0], LONG).unwrap(), 0);
    let info = run.info().unwrap();
    let record = &info.record;
    assert_eq!((info.outcome(), record.exit_code), (Some(Outcome::Failed), 7));
    assert!(record.end_time >= record.start_time, "{record:?}");
    assert_eq!(record.error_summary.as_deref(), Some("agent exited with code 7"));
    assert_eq!(record.outcome, None, "it stands on disk as it stood");
}

#[test]
fn the_end_is_written_down_once_by_however_many() {
    let root = root();
    let mut host = host("host_starts_a_run", &root.path());
    host.says("started");
    host.kill();
    fs::write(root.task_folder().join("go"), "").unwrap();
    let (project, task) = ids();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let conductor = open(&root.path());
                conductor.runs().newest(&project, &task).unwrap().unwrap().wait(LONG).unwrap();
                conductor.reconcile(LONG).unwrap();
            });
        }
    });
    let kinds: Vec<_> = root.messages().into_iter().map(|m| m.msg_type).collect();
    assert_eq!(kinds, ["RUN_START", "RUN_CRASH"]);
}

#[test]
fn the_older_programs_guess_gives_way_to_the_truth() {
    let root = root();
    let run = root
        .conductor
        .jobs()
        .start(job("while [ ! -e go ]; do sleep 0.01; done; exit 0"), LONG)
        .unwrap();
    // What its `list` writes over a record, at any moment: our keys are gone, and a wrong end stands.
    let path = run.folder().join("run-info.yaml");
    let theirs: String = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .take_while(|line| !line.starts_with("rev:"))
        .map(|line| line.replace("status: running", "status: failed") + "\n")
        .collect();
    fs::write(&path, theirs).unwrap();
    assert_eq!(run.info().unwrap().status(), Status::Running);
    fs::write(root.task_folder().join("go"), "").unwrap();
    let info = run.wait(LONG).unwrap();
    assert_eq!((info.outcome(), info.record.exit_code), (Some(Outcome::Completed), 0));
    assert_eq!(info.record.status, Status::Completed);
    assert_eq!(root.messages().len(), 2);
}

#[test]
fn a_start_that_was_not_told_is_told_with_the_end() {
    let root = root();
    let run =
        root.conductor.jobs().start(job("while [ ! -e go ]; do sleep 0.01; done"), LONG).unwrap();
    // As of a starter that died before it told, or noted that it had.
    fs::write(root.task_folder().join("TASK-MESSAGE-BUS.md"), "").unwrap();
    let path = run.folder().join("run-info.yaml");
    let lines = fs::read_to_string(&path).unwrap();
    let without: String =
        lines.lines().filter(|l| !l.starts_with("start_msg")).map(|l| format!("{l}\n")).collect();
    fs::write(&path, without).unwrap();
    fs::write(root.task_folder().join("go"), "").unwrap();
    run.wait(LONG).unwrap();
    let kinds: Vec<_> = root.messages().into_iter().map(|m| m.msg_type).collect();
    assert_eq!(kinds, ["RUN_START", "RUN_STOP"]);
}

#[test]
fn a_damaged_entry_keeps_no_other_run_from_being_closed() {
    let root = root();
    let mut host = host("host_starts_a_run", &root.path());
    host.says("started");
    host.kill();
    fs::write(root.path().join(".conductor/open/aaa"), "nonsense").unwrap();
    fs::write(root.task_folder().join("go"), "").unwrap();
    let (project, task) = ids();
    let run = root.conductor.runs().newest(&project, &task).unwrap().unwrap();
    until("the run's end", || run.info().unwrap().outcome().is_some());
    let error = root.conductor.reconcile(LONG).unwrap_err();
    assert_eq!(error.code(), "open_entry.corrupt");
    assert_eq!(run.info().unwrap().record.exit_code, 7, "it was closed all the same");
}

#[test]
fn damage_is_told_by_name_and_hides_nothing() {
    let root = root();
    let good = root.job("true");
    let (project, task) = ids();
    let runs = root.task_folder().join("runs");
    fs::create_dir(runs.join("without-record")).unwrap();
    fs::create_dir(runs.join("empty-record")).unwrap();
    fs::write(runs.join("empty-record/run-info.yaml"), "").unwrap();
    fs::create_dir(runs.join("strange name")).unwrap();
    std::os::unix::fs::symlink("/etc", runs.join("link")).unwrap();
    let list = root.conductor.runs().list(&project, &task).unwrap();
    let (good_ones, bad): (Vec<_>, Vec<_>) = list.into_iter().partition(Result::is_ok);
    assert_eq!(good_ones.into_iter().map(|run| run.unwrap().id).collect::<Vec<_>>(), [good.id]);
    let mut codes: Vec<_> = bad.into_iter().map(|run| run.unwrap_err().code()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["io.not_found", "yaml.empty"]);
    let ghost = RunId::new("ghost").unwrap();
    let error = root.conductor.runs().get(&project, &task, &ghost).unwrap_err();
    assert_eq!((error.code(), error.field()), ("run.not_found", Some("run")));
}

#[test]
fn an_agent_that_damages_its_record_harms_nobody_and_still_ends() {
    let root = root();
    for (number, damage) in [
        "echo '{' >run-info.yaml",
        ": >run-info.yaml",
        "rm run-info.yaml",
        "rm run-info.yaml; mkdir run-info.yaml",
        "ln -sf /etc/passwd run-info.yaml",
        "head -c 9000000 /dev/zero >run-info.yaml",
    ]
    .into_iter()
    .enumerate()
    {
        let script = format!(
            "cd $JRUN_RUN_FOLDER; {damage}; cd ../..; touch damaged{number}; \
             while [ ! -e go{number} ]; do sleep 0.01; done; exit 3"
        );
        let damaged = root.conductor.jobs().start(job(&script), LONG).unwrap();
        until("the damage", || root.task_folder().join(format!("damaged{number}")).exists());
        // Others are stopped and closed all the same.
        let other = root.conductor.jobs().start(job("sleep 1000").task("other"), LONG).unwrap();
        assert_eq!(other.stop(Stop::because("enough"), LONG).unwrap().signalled.len(), 1);
        root.conductor.reconcile(LONG).unwrap();
        fs::write(root.task_folder().join(format!("go{number}")), "").unwrap();
        let info = damaged.wait(LONG).unwrap();
        assert_eq!((info.outcome(), info.record.exit_code), (Some(Outcome::Failed), 3), "{damage}");
        let told = root.messages().into_iter().filter(|m| m.run_id == info.id.as_str());
        let told: Vec<_> = told.map(|m| m.msg_type).collect();
        assert_eq!(told, ["RUN_START", "RUN_CRASH"], "{damage}");
    }
    assert!(fs::read("/etc/passwd").unwrap().starts_with(b"root:"));
    assert_eq!(fs::read_dir(root.path().join(".conductor/open")).unwrap().count(), 0);
}

#[test]
fn a_run_whose_record_is_damaged_can_be_stopped() {
    let root = root();
    let script = "echo '{' >$JRUN_RUN_FOLDER/run-info.yaml; touch damaged; sleep 1000";
    let run = root.conductor.jobs().start(job(script), LONG).unwrap();
    until("the damage", || root.task_folder().join("damaged").exists());
    let report = run.stop(Stop::because("enough"), LONG).unwrap();
    assert_eq!(report.signalled, [run.id().clone()]);
    let info = run.info().unwrap();
    assert_eq!(info.outcome(), Some(Outcome::Stopped));
    assert_eq!(info.record.task_id, "fix");
    let kept = fs::read_to_string(run.folder().join("run-info.yaml.damaged")).unwrap();
    assert_eq!(kept, "{\n");
}

/// Starts a run while the bus is locked, so that its starter stands still between the keeper's birth
/// and the release of the agent; `meanwhile` gets the run's folder.
fn while_starting(root: &Root, meanwhile: impl FnOnce(&std::path::Path)) -> conductor_core::Run {
    root.job("true");
    let bus = fs::File::open(root.task_folder().join("TASK-MESSAGE-BUS.md")).unwrap();
    bus.lock().unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| root.conductor.jobs().start(job("touch ran"), LONG).unwrap());
        let mut born = None;
        until("the keeper's birth", || {
            let runs = fs::read_dir(root.task_folder().join("runs")).unwrap();
            born = runs.map(|run| run.unwrap().path()).find(|run| {
                fs::read_to_string(run.join(".keeper")).is_ok_and(|text| {
                    text.contains("state: born") && text.matches("state: ").count() == 1
                })
            });
            born.is_some()
        });
        meanwhile(&born.unwrap());
        bus.unlock().unwrap();
        starting.join().unwrap()
    })
}

#[test]
fn a_run_that_is_stopped_while_it_starts_never_runs() {
    let root = root();
    let (project, task) = ids();
    // The stopper that finds a keeper, and the one that looked before there was one.
    for finds_a_keeper in [true, false] {
        let run = while_starting(&root, |folder| {
            if !finds_a_keeper {
                return fs::write(folder.join(".stop"), "enough").unwrap();
            }
            let id = RunId::new(folder.file_name().unwrap().to_str().unwrap()).unwrap();
            let run = root.conductor.runs().get(&project, &task, &id).unwrap();
            let cancel = conductor_core::Cancel::new();
            std::thread::scope(|scope| {
                let stopping = scope.spawn(|| run.stop(Stop::because("enough"), &cancel));
                until("the wish", || folder.join(".stop").exists());
                // It waits for the starter.
                cancel.set();
                assert_eq!(stopping.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
            });
        });
        let info = run.wait(LONG).unwrap();
        assert_eq!(info.outcome(), Some(Outcome::Stopped));
        assert_eq!(info.record.stop_reason.as_deref(), Some("enough"));
        assert!(!root.task_folder().join("ran").exists());
        assert_eq!(root.messages().last().unwrap().msg_type, "RUN_STOP");
    }
}

#[test]
fn a_child_that_is_started_while_its_parent_ends_is_stopped_too() {
    let root = root();
    let script = "trap 'touch stopping; while [ ! -e go ]; do sleep 0.01; done; exit' TERM
                  touch ready; while :; do sleep 0.01; done";
    let parent = root.conductor.jobs().start(job(script).grace(LONG), LONG).unwrap();
    until("the trap", || root.task_folder().join("ready").exists());
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| parent.stop(Stop::because("enough"), LONG).unwrap());
        until("the signal", || root.task_folder().join("stopping").exists());
        let child = job("sleep 1000").parent_run_id(parent.id().as_str());
        let child = root.conductor.jobs().start(child, LONG).unwrap();
        fs::write(root.task_folder().join("go"), "").unwrap();
        assert_eq!(stopping.join().unwrap().signalled, [parent.id().clone(), child.id().clone()]);
        assert_eq!(child.info().unwrap().outcome(), Some(Outcome::Stopped));
    });
}

#[test]
fn an_agent_that_removes_its_keepers_file_can_be_stopped_and_is_lost_else() {
    let root = root();
    let script =
        "rm $JRUN_RUN_FOLDER/.keeper; touch removed; while [ ! -e go ]; do sleep 0.01; done";
    let run = root.conductor.jobs().start(job(script), LONG).unwrap();
    until("the removal", || root.task_folder().join("removed").exists());
    assert_eq!(run.stop(Stop::because("enough"), LONG).unwrap().signalled.len(), 1);
    assert_ne!(run.info().unwrap().outcome(), Some(Outcome::Refused));
    fs::write(root.task_folder().join("go"), "").unwrap();
    assert_eq!(root.job(script).outcome(), Some(Outcome::Lost));
}

#[test]
fn what_an_agent_plants_in_its_folders_leads_nowhere_and_keeps_no_run_from_ending() {
    let root = root();
    let outside = root.dir.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    let run = |name: &str| {
        format!(
            "rm -rf $JRUN_RUN_FOLDER/{name}; ln -s {} $JRUN_RUN_FOLDER/{name}",
            outside.display()
        )
    };
    let task = |name: &str| format!("rm -rf {name}; ln -s {} {name}", outside.display());
    for plant in [
        run("output.md"),
        run("agent-stdout.txt"),
        run("agent-stderr.txt"),
        run("prompt.md"),
        run("run-info.yaml"),
        run(".run-info.yaml.next"),
        run(".output.md.next"),
        run(".keeper"),
        run(".stop"),
        task("TASK.md"),
        task("TASK-CONFIG.yaml"),
        task(".loop.yaml"),
        "rm $JRUN_RUN_FOLDER/agent-stderr.txt; mkdir $JRUN_RUN_FOLDER/agent-stderr.txt".into(),
        "mkdir -p $JRUN_RUN_FOLDER/.output.md.next/deep".into(),
        "mkdir -p $JRUN_RUN_FOLDER/.run-info.yaml.next/deep".into(),
        "rm $JRUN_MESSAGE_BUS".into(),
        ": >$JRUN_MESSAGE_BUS".into(),
        "rm -rf $JRUN_RUN_FOLDER/*".into(),
    ] {
        let info = root.job(&format!("{plant}; exit 3"));
        let lost = plant.contains(".keeper");
        let outcome = if lost { Outcome::Lost } else { Outcome::Failed };
        assert_eq!(info.outcome(), Some(outcome), "{plant}");
        let ends = root.messages().into_iter().filter(|m| m.run_id == info.id.as_str());
        assert_eq!(ends.filter(|m| m.msg_type == "RUN_CRASH").count(), 1, "{plant}");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "secret", "{plant}");
        assert!(root.messages().iter().all(|m| !m.body.contains("secret")), "{plant}");
        // The next run would be told of it by name.
        for name in ["TASK.md", "TASK-CONFIG.yaml", ".loop.yaml"] {
            let _not_this_one = fs::remove_file(root.task_folder().join(name));
        }
        // Where the agent left a plain file of output, it is no copy of what a link led to.
        let output = info.folder.join("output.md");
        if output.is_file() && !output.is_symlink() {
            assert!(!fs::read_to_string(output).unwrap().contains("secret"), "{plant}");
        }
    }
}

#[test]
fn a_root_that_was_removed_is_made_anew_by_the_same_process() {
    let root = root();
    root.job("true");
    fs::remove_dir_all(root.path()).unwrap();
    assert_eq!(root.job("true").outcome(), Some(Outcome::Completed));
    fs::remove_dir_all(root.path().join(".conductor/bin")).unwrap();
    assert_eq!(root.job("true").outcome(), Some(Outcome::Completed));
}

#[test]
fn many_who_open_a_fresh_root_start_their_first_run_at_once() {
    let root = root();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let run = open(&root.path()).jobs().start(job("true"), LONG).unwrap();
                assert_eq!(run.wait(LONG).unwrap().outcome(), Some(Outcome::Completed));
            });
        }
    });
    assert_eq!(fs::read_dir(root.path().join(".conductor/bin")).unwrap().count(), 1);
}

#[test]
fn a_command_that_is_too_long_is_a_refused_run_like_any_other() {
    let root = root();
    let words = std::iter::once("/bin/true".to_owned()).chain((0..6000).map(|_| "x".repeat(1000)));
    let spec = job("x").agent("command").command(words);
    let error = root.conductor.jobs().start(spec, LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SpawnFailed);
    let (project, task) = ids();
    let run = root.conductor.runs().newest(&project, &task).unwrap().unwrap().info().unwrap();
    assert_eq!(run.outcome(), Some(Outcome::Refused));
    assert!(run.record.error_summary.unwrap().contains("too long"));
    assert_eq!(root.job("true").outcome(), Some(Outcome::Completed));
}
