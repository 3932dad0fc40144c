//! Tasks on a list, through the library alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use conductor_core::{ErrorKind, Monitor, MonitorAction, TaskId, Wait};
use std::fs;
use std::time::Duration;
use support::*;

fn monitor(root: &Root, text: &str) -> Monitor {
    let path = root.dir.path().join("list.md");
    fs::write(&path, text).unwrap();
    root.conductor.monitor(&"shop".parse().unwrap(), path)
}

#[test]
fn a_look_says_what_each_task_needs_and_its_spec_starts_it() {
    let root = root();
    let monitor = monitor(
        &root,
        "- [ ] `fix` touch \"$JRUN_TASK_FOLDER/DONE\"\n- [ ] `fix` again\n- [ ] nothing\n",
    );
    let look = monitor.look().unwrap();
    assert_eq!(look.nameless, [3]);
    let [item] = &look.items[..] else { panic!("{look:?}") };
    assert_eq!((item.line, item.action), (1, MonitorAction::Start));
    assert!(!root.path().exists(), "a look makes nothing");
    let task = root.conductor.tasks().start(monitor.spec(item).agent("shell"), LONG).unwrap();
    task.wait(LONG).unwrap();
    let fix = TaskId::new("fix").unwrap();
    assert_eq!(monitor.look().unwrap().items[0].action, MonitorAction::Tick);
    assert!(monitor.tick(&fix, LONG).unwrap());
    assert!(!monitor.tick(&fix, LONG).unwrap());
    let text = fs::read_to_string(monitor.list()).unwrap();
    assert!(text.starts_with("- [x] `fix`") && text.contains("\n- [x] `fix` again\n"), "{text}");
    assert!(monitor.look().unwrap().items.is_empty());
}

#[test]
fn silence_is_that_of_output_and_bus() {
    let root = root();
    let monitor = monitor(&root, "- [ ] `fix` x\n");
    let spec = task("sleep 1000");
    let _task = root.conductor.tasks().start(spec, LONG).unwrap();
    let look = |limit| monitor.clone().stale_after(limit).look().unwrap().items.remove(0);
    assert_eq!(look(Duration::from_secs(3600)).action, MonitorAction::Leave);
    let item = look(Duration::ZERO);
    assert_eq!(item.action, MonitorAction::EndAttempt, "{}", item.reason);
}

#[test]
fn it_is_about_the_attempt_and_not_about_what_its_agent_started_in_the_same_task() {
    let root = root();
    let monitor = monitor(&root, "- [ ] `fix` x\n");
    let script = "echo $JRUN_ID >next; mv next parent; sleep 1000";
    let _task = root.conductor.tasks().start(task(script), LONG).unwrap();
    let parent = root.task_folder().join("parent");
    until("the parent's id", || parent.exists());
    let parent = fs::read_to_string(parent).unwrap().trim().to_owned();
    let child = root.conductor.jobs().start(job("echo x").parent_run_id(&parent), LONG).unwrap();
    child.wait(LONG).unwrap();
    let item = monitor.clone().stale_after(Duration::ZERO).look().unwrap().items.remove(0);
    assert_eq!(item.action, MonitorAction::EndAttempt, "{}", item.reason);
    assert_eq!(item.run.unwrap().as_str(), parent);
    let (project, id) = ids();
    let info = root.conductor.tasks().info(&project, &id).unwrap();
    assert_eq!(info.attempt.unwrap().id.as_str(), parent);
    assert_eq!(info.latest.unwrap().id, *child.id());
}

#[test]
fn one_monitor_holds_a_project() {
    let root = root();
    let monitor = monitor(&root, "");
    let held = monitor.hold().unwrap();
    let error = monitor.hold().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Busy, "monitor.running"));
    drop(held);
    monitor.hold().unwrap();
}

#[test]
fn news_come_of_the_list_and_of_the_tasks() {
    let root = root();
    let monitor = monitor(&root, "- [ ] `fix` x\n");
    let changes: [&dyn Fn(); 2] =
        [&|| fs::write(monitor.list(), "- [ ] `fix` y\n").unwrap(), &|| {
            fs::write(root.task_folder().join("DONE"), "").unwrap()
        }];
    fs::create_dir_all(root.task_folder()).unwrap();
    for change in changes {
        let look = monitor.look().unwrap();
        let news = monitor.news(&look).unwrap();
        change();
        let fd = news.fd();
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec::try_from(LONG).unwrap();
        assert_eq!(rustix::event::poll(&mut fds, Some(&limit)).unwrap(), 1);
    }
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_that_names_it() {
    let root = root();
    let monitor = monitor(&root, "");
    fs::write(monitor.list(), b"\xff").unwrap();
    assert_eq!(monitor.look().unwrap_err().code(), "todo.not_utf8");
    assert_eq!(monitor.tick(&"fix".parse().unwrap(), LONG).unwrap_err().code(), "todo.not_utf8");
    fs::remove_file(monitor.list()).unwrap();
    let error = monitor.look().unwrap_err();
    assert_eq!((error.code(), error.path()), ("todo.missing", Some(monitor.list())));
    assert!(!monitor.tick(&"fix".parse().unwrap(), Wait::NONE).unwrap());
}
