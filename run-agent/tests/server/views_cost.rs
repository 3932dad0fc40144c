//! What a view costs: the first one reads the tasks, in parts where that is wanted; later ones open what changed.

use crate::counting::Calls;
use crate::support::*;
use conductor_tests::generate::{RootSpec, make_root};
use conductor_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

const TASKS: usize = 200;
const VIEWS: [&str; 7] = [
    "/api/v1/views/projects?since=2020-01-01T00:00:00Z",
    "/api/v1/views/projects/project-00/tasks",
    "/api/v1/views/usage",
    "/api/v1/tasks",
    "/api/projects",
    "/api/projects/project-00/tasks?limit=1",
    "/api/projects/project-00/tasks?limit=1&offset=7",
];

/// A root of many tasks that nothing changed of lately.
fn old_root() -> Sandbox {
    let sandbox = Sandbox::new();
    let spec = RootSpec { projects: 1, tasks: TASKS, runs: TASKS, messages: 1, output: 10 };
    make_root(&sandbox.root(), &spec).unwrap();
    age(&sandbox.root());
    sandbox
}

/// What changed in the last seconds is not known by its time; so all of it changed an hour ago.
fn age(path: &Path) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| age(&entry.unwrap().path()));
    }
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    File::open(path).unwrap().set_modified(long_ago).unwrap();
}

fn first_task(sandbox: &Sandbox) -> String {
    let names = fs::read_dir(sandbox.root().join("project-00")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("task-")).min().unwrap()
}

#[test]
fn a_second_view_opens_what_changed() {
    let sandbox = old_root();
    let server = Server::open(&sandbox);
    let look = || VIEWS.map(|view| server.json(view));
    let mut first = None;
    let cold = Calls::during(&sandbox, &server, || first = Some(look()));
    let Some(cold) = cold else { return };
    assert!(cold.opened() > 5 * TASKS as u64, "all is read: {cold:?}");
    let warm = Calls::during(&sandbox, &server, || assert_eq!(Some(look()), first)).unwrap();
    // The root, the project, and the one task of each page, whatever the tasks are.
    assert!(warm.opened() < 20 * VIEWS.len() as u64, "{warm:?}");
    assert!(warm.all() < 6 * (TASKS * VIEWS.len()) as u64, "{warm:?}");

    let task = first_task(&sandbox);
    let folder = sandbox.root().join("project-00").join(&task);
    fs::remove_file(folder.join("DONE")).unwrap();
    fs::write(folder.join("CANCELLED"), "").unwrap();
    let state = || {
        let rows = server.json(&format!("{}?ids={task}", VIEWS[1]));
        rows["tasks"][0]["state"].clone()
    };
    let one = Calls::during(&sandbox, &server, || {
        assert_eq!(state(), "cancelled");
        let _all = look();
    });
    let one = one.unwrap();
    // It is read anew in each view while it is young, and so is what hangs on it.
    assert!(one.opened() < warm.opened() + 40 * VIEWS.len() as u64, "{one:?}\nbefore: {warm:?}");
}

#[test]
fn a_big_root_is_read_in_parts() {
    let sandbox = old_root();
    let server = Server::open(&sandbox);
    let path = "/api/v1/views/projects?reads=50";
    let read = |told: &Value| {
        let states = told["projects"][0]["states"].as_object().unwrap();
        states.values().map(|count| count.as_u64().unwrap()).sum::<u64>()
    };
    for part in 1..4 {
        let told = server.json(path);
        assert_eq!((read(&told), &told["unread"]), (part * 50, &json!(TASKS as u64 - part * 50)));
    }
    let whole = server.json(path);
    assert_eq!((read(&whole), &whole["unread"]), (TASKS as u64, &Value::Null));
    assert_eq!(whole["projects"][0]["tasks"], TASKS);

    // The newest first, page by page.
    let (mut ids, mut after) = (Vec::<String>::new(), String::new());
    loop {
        let page = "/api/v1/views/projects/project-00/tasks?order=newest&most=70";
        let told = server.json(&format!("{page}&after={after}"));
        let rows = told["tasks"].as_array().unwrap().iter();
        ids.extend(rows.map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(next) = told["next"].as_str() else { break };
        after = next.to_owned();
    }
    assert!(ids.len() == TASKS && ids.windows(2).all(|pair| pair[0] > pair[1]), "{ids:?}");
    server.get("/api/v1/views/projects/project-00/tasks?order=odd").expect(400);
    server.get("/api/v1/views/projects?reads=few").expect(400);
}
