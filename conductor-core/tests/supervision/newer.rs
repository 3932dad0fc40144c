//! A root that a newer version wrote: what is there is read, and nothing of it changed.

use crate::support::*;
use conductor_core::{
    Conductor, ErrorKind, GcAction, GcPolicy, Post, ProjectId, Stop, TaskId, TaskSpec, Wait,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All files and folders below a folder, with what they hold. A keeper writes its record when it likes.
fn picture(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(picture(&path));
            all.insert(path, None);
        } else if path.file_name().is_some_and(|name| name != ".keeper") {
            let bytes = fs::read(&path).unwrap();
            all.insert(path, Some(bytes));
        }
    }
    all
}

/// What a writer was told: the code, or that it wrote.
fn told<T>(what: &'static str, answer: conductor_core::Result<T>) -> Option<String> {
    match answer {
        Ok(_) => Some(format!("{what}: it was done")),
        Err(error) => {
            let clear = (error.kind(), error.code(), error.field())
                == (ErrorKind::TooNew, "root.too_new", Some("version"))
                && error.to_string().contains("/.conductor/root.yaml")
                && error.hint().contains("newer conductor");
            (!clear).then(|| format!("{what}: {error:?}"))
        }
    }
}

#[test]
fn a_newer_root_is_read_and_nothing_of_it_is_changed() {
    let root = root();
    let done = root.job("echo 'all is well'");
    let (project, task) = ids();
    let go = root.dir.path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.01; done", go.display());
    let living = root.conductor.jobs().start(job(&script), LONG).unwrap();
    let settings = root.path().join(".conductor/root.yaml");
    fs::write(&settings, "version: 2\nsomething: {new: 1}\n").unwrap();
    let before = picture(&root.path());

    let newer = open(&root.path());
    assert_eq!(newer.projects().unwrap().ids, std::slice::from_ref(&project));
    assert_eq!(newer.tasks().ids(&project).unwrap(), std::slice::from_ref(&task));
    assert_eq!(newer.runs().ids(&project, &task).unwrap().len(), 2);
    let run = newer.runs().get(&project, &task, &done.id).unwrap();
    assert_eq!(run.info().unwrap(), done);
    assert_eq!(run.wait(Wait::NONE).unwrap(), done);
    run.why().unwrap();
    assert_eq!(newer.runs().living().unwrap().runs.len(), 1);
    assert!(newer.tasks().list(&project).unwrap().iter().all(Result::is_ok));
    let bus = newer.bus(("shop", "fix")).unwrap();
    assert_eq!(messages(&bus).len(), root.messages().len());
    newer.doctor().unwrap();
    newer.survey().unwrap();
    newer.usage(Some(&project), None).unwrap();
    let policy = GcPolicy::default().older_than(Duration::ZERO).force(true);
    let plan = newer.gc().plan(policy).unwrap();
    let going = plan
        .actions(Wait::FOREVER)
        .filter(|item| item.as_ref().unwrap().action == GcAction::Delete);
    assert_eq!(going.count(), 1);

    let stop = || Stop::because("test").force(true);
    let here = newer.runs().get(&project, &task, living.id()).unwrap();
    // The same root by the way of a path, from another one.
    let elsewhere = open(&root.dir.path().join("other"));
    let there = elsewhere.run_at(living.folder()).unwrap();
    assert!(there.info().unwrap().outcome().is_none());
    let bus_there = elsewhere.bus_at(&root.task_folder().join("TASK-MESSAGE-BUS.md")).unwrap();
    assert_eq!(messages(&bus_there).len(), root.messages().len());
    let other = TaskId::new("other").unwrap();
    let refused = [
        told("start a job", newer.jobs().start(job("true"), LONG)),
        told("start a job in another task", newer.jobs().start(job("true").task("other"), LONG)),
        told("start a task", newer.tasks().start(task_of("third"), LONG)),
        told("resume a task", newer.tasks().resume(task_of("fix"), LONG)),
        told("cancel a task", newer.tasks().cancel(&project, &task, stop(), LONG)),
        told("set a task back", newer.tasks().set_back(&project, &task, LONG)),
        told("delete a task", newer.tasks().delete(&project, &task, Some(stop()), LONG)),
        told("delete a run", newer.runs().delete(&project, &task, &done.id, LONG)),
        told("stop a run", here.stop(stop(), LONG)),
        told("stop a run by its path", there.stop(stop(), LONG)),
        told("post", bus.post(Post::new("FACT", "x"), LONG)),
        told("post by a path", bus_there.post(Post::new("FACT", "x"), LONG)),
        told("rotate", bus.rotate(LONG)),
        told("collect", newer.gc().apply(&plan, LONG)),
        told("make a project", newer.create_project(&ids_of("new"), root.dir.path())),
        told("delete a project", newer.delete_project(&project, Some(stop()), LONG)),
        told("close runs", newer.reconcile(LONG)),
        told("note what a server drives", newer.note_served(&project, &other)),
        told("write the audit log", newer.audit("{}")),
        told("make the server's token", newer.ensure_server_token()),
    ];
    let wrong: Vec<String> = refused.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(living.info().unwrap().outcome().is_none(), "it was ended");
    assert_eq!(picture(&root.path()), before);

    // Once it is of this form again, so is everything.
    fs::write(&settings, "version: 1\n").unwrap();
    fs::write(&go, "").unwrap();
    assert!(living.wait(LONG).unwrap().outcome().is_some());
    open(&root.path()).bus(("shop", "fix")).unwrap().post(Post::new("FACT", "x"), LONG).unwrap();
}

#[test]
fn a_root_whose_version_nobody_can_tell_is_not_opened() {
    let root = root();
    root.job("true");
    let settings = root.path().join(".conductor/root.yaml");
    fs::write(&settings, "version: [\n").unwrap();
    let before = picture(&root.path());
    let elsewhere = open(&root.dir.path().join("other"));
    let (project, task) = ids();
    let run = root.conductor.runs().newest(&project, &task).unwrap().unwrap();
    let answers = [
        Conductor::open(root.path(), Default::default()).map(drop),
        elsewhere.run_at(run.folder()).map(drop),
        elsewhere.bus_at(&root.task_folder().join("TASK-MESSAGE-BUS.md")).map(drop),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        assert_eq!((error.code(), error.field()), ("yaml.corrupt", Some("version")), "{error:?}");
        assert_eq!(error.path(), Some(settings.as_path()));
        assert!(error.hint().contains("`version: 1`"), "{}", error.hint());
    }
    assert_eq!(picture(&root.path()), before);
}

fn task_of(id: &str) -> TaskSpec {
    task("touch $JRUN_TASK_FOLDER/DONE").task(id)
}

fn ids_of(project: &str) -> ProjectId {
    ProjectId::new(project).unwrap()
}
