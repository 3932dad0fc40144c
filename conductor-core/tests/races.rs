//! Several who start, stop and delete one task at the same time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use conductor_core::{ErrorKind, Stop, TaskOutcome};
use std::fs;
use std::time::Duration;
use support::*;

#[test]
fn many_who_start_a_task_at_once_share_one_loop() {
    let root = root();
    let (project, id) = ids();
    let go = root.task_folder().join("go");
    for series in 1..=5 {
        let spec = || task("while [ ! -e go ]; do sleep 0.01; done; exit 1").max_attempts(2);
        let all_started = std::sync::Barrier::new(8);
        let results: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                let task = open(&root.path()).tasks().start(spec(), LONG);
                if all_started.wait().is_leader() {
                    fs::write(&go, "").unwrap();
                }
                task.unwrap().wait(LONG).unwrap()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        fs::remove_file(&go).unwrap();
        // Nobody got the end of the loop before this one, or an error.
        assert!(results.iter().all(|result| result == &results[0]), "{results:?}");
        assert_eq!((results[0].outcome, results[0].attempts), (TaskOutcome::GaveUp, 2));
        let runs = root.conductor.runs().list(&project, &id).unwrap();
        assert_eq!(runs.len(), 2 * series);
    }
}

#[test]
fn what_is_made_once_is_whole_when_its_name_appears() {
    use rustix::fs::inotify;
    let dir = tempfile::tempdir().unwrap();
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
    let both = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&fd, dir.path(), both).unwrap();
    let os = std::sync::Arc::new(conductor_core::sys::RealOs);
    let folder = conductor_core::fsx::Folder::open_root(os, dir.path()).unwrap();
    folder.create_once("reason", b"first").unwrap();
    folder.create_once("reason", b"second").unwrap();
    fs::write(dir.path().join("end"), "").unwrap();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&fd, &mut buffer);
    let mut seen = Vec::new();
    loop {
        let event = events.next().unwrap();
        match event.file_name().unwrap().to_str().unwrap() {
            "end" => break,
            "reason" => seen.push(event.events()),
            _ => {}
        }
    }
    assert_eq!(seen, [inotify::ReadFlags::MOVED_TO], "it was empty at first");
    assert_eq!(fs::read(dir.path().join("reason")).unwrap(), b"first");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn a_starter_that_meets_a_deleter_starts_a_new_task() {
    let root = root();
    root.job("true");
    let (folder, trash) = (root.task_folder(), root.dir.path().join("trash"));
    let lock = fs::File::open(folder.join(".task.lock")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let script = "touch ran; [ -d \"$JRUN_RUN_FOLDER\" ] && pwd >ran";
        let job = scope.spawn(|| root.conductor.jobs().start(job(script), LONG).unwrap());
        let inode = std::os::unix::fs::MetadataExt::ino(&lock.metadata().unwrap());
        until("the starter at the lock", || {
            // It has the file open, and not yet its lock.
            fs::read_dir("/proc/self/fd").unwrap().flatten().any(|fd| {
                let own = std::os::fd::AsRawFd::as_raw_fd(&lock).to_string();
                fd.file_name() != own.as_str()
                    && fs::metadata(fd.path())
                        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::ino(&meta) == inode)
            })
        });
        fs::rename(&folder, &trash).unwrap();
        lock.unlock().unwrap();
        job.join().unwrap().wait(LONG).unwrap();
    });
    assert!(!trash.join("ran").exists());
    let ran = fs::read_to_string(folder.join("ran")).unwrap();
    assert_eq!(ran.trim(), folder.to_str().unwrap());
}

#[test]
fn a_driver_does_not_bring_a_deleted_task_back() {
    let root = root();
    let spec = task("exit 1").restart_delay(Duration::from_secs(1));
    let task = root.conductor.tasks().start(spec, LONG).unwrap();
    until("the end of the first attempt", || {
        let _pending = task.step().unwrap();
        task.info().unwrap().waiting.is_some()
    });
    fs::remove_dir_all(root.task_folder()).unwrap();
    assert_eq!(task.wait(LONG).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!root.task_folder().exists());
}

#[test]
fn starting_and_deleting_at_once_leaves_no_pieces() {
    let root = root();
    root.job("true");
    let (project, id) = ids();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (conductor, project, id) = (open(&root.path()), &project, &id);
            scope.spawn(move || {
                for _ in 0..10 {
                    if number % 2 == 0 {
                        // Its folder may be deleted as soon as the agent has ended.
                        conductor.jobs().start(job("true"), LONG).unwrap();
                        continue;
                    }
                    let stop = Some(Stop::because("gone").force(true));
                    if let Err(error) = conductor.tasks().delete(project, id, stop, LONG) {
                        let codes = ["task.not_found", "task.running"];
                        assert!(codes.contains(&error.code()), "{error:?}");
                    }
                }
            });
        }
    });
    until("all runs closed", || {
        root.conductor.reconcile(LONG).unwrap();
        fs::read_dir(root.path().join(".conductor/open")).unwrap().count() == 0
    });
    let trash = fs::read_dir(root.path().join(".conductor/trash"));
    assert_eq!(trash.map_or(0, Iterator::count), 0);
}

#[test]
fn many_who_stop_a_task_at_once_all_succeed() {
    let root = root();
    let (project, id) = ids();
    for _ in 0..5 {
        let handle = root.conductor.tasks().start(task("sleep 1000"), LONG).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let other = open(&root.path()).tasks().get(&project, &id).unwrap();
                    other.stop(Stop::because("enough").force(true), LONG).unwrap();
                });
            }
            let result = handle.wait(LONG).unwrap();
            assert_eq!((result.outcome, result.attempts), (TaskOutcome::Stopped, 1));
        });
    }
    assert!(!root.task_folder().join("STOP-REQUESTED").exists());
}

/// Another process has a run of the id that a start tries first.
struct Rival {
    root: std::path::PathBuf,
    id: std::sync::OnceLock<String>,
}

impl support::hooked::Hook for Rival {
    fn renames(
        &self,
        (_, old): (&conductor_core::sys::Fd, &std::ffi::OsStr),
        (_, new): (&conductor_core::sys::Fd, &std::ffi::OsStr),
    ) -> std::io::Result<()> {
        let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
        let is_run = new.starts_with("2") && old.strip_prefix('.') == Some(new);
        if is_run && self.id.set(new.to_owned()).is_ok() {
            fs::create_dir(self.root.join("shop/fix/runs").join(new))?;
            let entry = self.root.join(format!(".conductor/open/{new}-00000000"));
            fs::write(entry, format!("shop/fix/runs/{new}\n"))?;
        }
        Ok(())
    }
}

#[test]
fn a_start_that_tries_the_id_of_a_living_run_takes_nothing_of_that_away() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let rival = std::sync::Arc::new(Rival { root: root.clone(), id: Default::default() });
    let conductor = support::hooked::open_hooked(&root, &rival);
    let run = conductor.jobs().start(job("true"), LONG).unwrap();
    let taken = rival.id.get().unwrap();
    assert_ne!(run.id().as_str(), taken);
    let entries = fs::read_dir(root.join(".conductor/open")).unwrap();
    let named = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let of_the_rival: Vec<_> = named.filter(|name| name.starts_with(taken.as_str())).collect();
    assert_eq!(of_the_rival, [format!("{taken}-00000000")]);
    run.wait(LONG).unwrap();
}
