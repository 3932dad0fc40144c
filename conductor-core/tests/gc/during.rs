//! Random things that happen between any two calls of a collection at work.

use crate::hooked;
use crate::kit::*;
use conductor_core::{GcPolicy, GcResult, Wait};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a run's folder holds while it is whole.
const FILES: [&str; 3] = ["run-info.yaml", "agent-stdout.txt", "work/file"];
const TASKS: usize = 3;
const RUNS: usize = 4;

/// Something that somebody else does.
#[derive(Clone, Debug)]
enum Act {
    /// A run is started that came from another, as starters do it.
    Start { task: usize, parent: (usize, usize) },
    /// A person deletes a run.
    Remove(usize, usize),
    /// The older program writes a record anew.
    Rewrite(usize, usize),
    /// Another collection does its work meanwhile.
    Collect,
    /// A person empties the trash.
    EmptyTrash,
}

fn act() -> impl Strategy<Value = Act> {
    let run = || (0..TASKS, 0..RUNS);
    prop_oneof![
        3 => (0..TASKS, run()).prop_map(|(task, parent)| Act::Start { task, parent }),
        2 => run().prop_map(|(task, run)| Act::Remove(task, run)),
        2 => run().prop_map(|(task, run)| Act::Rewrite(task, run)),
        1 => Just(Act::Collect),
        1 => Just(Act::EmptyTrash),
    ]
}

fn path(task: usize, run: usize) -> PathBuf {
    PathBuf::from(format!("p/t{task}/runs/r{task}{run}"))
}

/// What the others did.
#[derive(Debug, Default)]
struct Done {
    /// Runs that must be there at the end, as a living run came from them.
    needed: BTreeSet<PathBuf>,
    removed: BTreeSet<PathBuf>,
    started: usize,
}

fn work(root: &Path, act: &Act, done: &mut Done) {
    match act {
        Act::Start { task, parent } => {
            let from = path(parent.0, parent.1);
            let folder = root.join(format!("p/t{task}"));
            // Starters share this lock until their entry stands; who cannot have it waits, here not.
            let Ok(lock) =
                fs::File::options().create(true).append(true).open(folder.join(".task.lock"))
            else {
                return;
            };
            if lock.try_lock_shared().is_err() || !root.join(&from).exists() {
                return;
            }
            done.started += 1;
            let run = format!("s{}", done.started);
            let new = Root::at(root);
            let entry = format!(".conductor/open/{run}-0a1b2c3d");
            new.file(&entry, &format!("p/t{task}/runs/{run}\n"), 0);
            let spec = RunSpec::alive().with(&format!("parent_run_id: r{}{}", parent.0, parent.1));
            new.run(&format!("p/t{task}"), &run, &spec);
            done.needed.insert(PathBuf::from(format!("p/t{task}/runs/{run}")));
            // The starter looked for it before its entry stood: it may have gone in between only if no
            // collection could see the entry.
            if root.join(&from).exists() {
                done.needed.insert(from);
            }
        }
        Act::Remove(task, run) => {
            let path = path(*task, *run);
            // A person does not delete what they need.
            if !done.needed.contains(&path) && fs::remove_dir_all(root.join(&path)).is_ok() {
                done.removed.insert(path);
            }
        }
        Act::Rewrite(task, run) => {
            let info = root.join(path(*task, *run)).join("run-info.yaml");
            if let Ok(text) = fs::read_to_string(&info) {
                fs::write(&info, text + "note: x\n").unwrap();
                age(&info, -1);
            }
        }
        Act::Collect => {
            let other = Root::at(root);
            let report = other.collect(policy());
            assert!(report.errors.is_empty(), "{:?}", report.errors);
        }
        Act::EmptyTrash => {
            let trash = root.join(".conductor/trash");
            let _none = fs::remove_dir_all(trash);
            // What lay in it is gone by that person's hand.
            done.needed.retain(|run| root.join(run).exists());
        }
    }
}

fn policy() -> GcPolicy {
    GcPolicy::default().delete_done_tasks(true)
}

fn fill(root: &Root) {
    for task in 0..TASKS {
        for run in 0..RUNS {
            let ended = if run == 3 { 1 } else { 200 };
            let folder = root.run(
                &format!("p/t{task}"),
                &format!("r{task}{run}"),
                &RunSpec::new("completed", ended),
            );
            root.file(
                &format!("{}/work/file", folder.strip_prefix(root.path()).unwrap().display()),
                "x",
                200,
            );
            age(&folder, 200);
        }
    }
    // This task goes as a whole, unless somebody starts something in it.
    fs::remove_dir_all(root.path().join(path(2, 3))).unwrap();
    root.file("p/t2/DONE", "", 200);
    for folder in ["p/t2/runs", "p/t2"] {
        age(&root.path().join(folder), 200);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_between_two_calls_nothing_needed_goes_and_nothing_is_half_gone(
        acts in prop::collection::btree_map(0usize..900, act(), 0..12),
    ) {
        let root = Root::new();
        fill(&root);
        let done = Arc::new(Mutex::new((0usize, acts.clone(), Done::default())));
        let conductor = hooked::open(root.path(), {
            let (done, root) = (done.clone(), root.path().to_owned());
            move |_| {
                // Whoever acts makes calls of its own: they are not asked about.
                let Some(mut done) = done.try_lock() else { return Ok(()) };
                let (calls, acts, what) = &mut *done;
                *calls += 1;
                if let Some(act) = acts.remove(calls) {
                    work(&root, &act, what);
                }
                Ok(())
            }
        });
        let plan = conductor.gc().plan(policy()).unwrap();
        let planned: BTreeSet<PathBuf> = (0..TASKS)
            .flat_map(|task| (0..3).map(move |run| path(task, run)))
            .chain([PathBuf::from("p/t2")])
            .collect();
        let mut told: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let report = conductor.gc().apply_telling(&plan, Wait::FOREVER, |item| {
            if let GcResult::Done = item.result {
                let path = item.item.path.strip_prefix(root.path()).unwrap().to_owned();
                *told.entry(path).or_default() += 1;
            }
        }).unwrap();
        drop(conductor);
        prop_assert!(report.errors.is_empty(), "{:?}", report.errors);
        let done = std::mem::take(&mut done.lock().2);
        for needed in &done.needed {
            prop_assert!(root.path().join(needed).join("run-info.yaml").exists(), "{needed:?} {done:?}");
        }
        prop_assert!(told.values().all(|times| *times == 1), "{told:?}");
        let all = (0..TASKS).flat_map(|task| (0..RUNS).map(move |run| path(task, run)));
        for run in all.filter(|run| *run != path(2, 3)) {
            let folder = root.path().join(&run);
            let there: Vec<_> = FILES.iter().filter(|file| folder.join(file).exists()).collect();
            if folder.exists() {
                prop_assert_eq!(there.len(), FILES.len(), "{:?} is half gone", run);
            } else {
                prop_assert!(planned.contains(&run) || done.removed.contains(&run), "{run:?} went");
            }
            prop_assert!(!told.contains_key(&run) || !folder.exists(), "{run:?} is told and there");
        }
        // The next one finds nothing that keeps it from its work.
        let report = root.collect(policy());
        prop_assert!(report.errors.is_empty(), "{:?}", report.errors);
        prop_assert!(root.trash_is_empty());
        for needed in &done.needed {
            prop_assert!(root.path().join(needed).exists(), "{needed:?} afterwards");
        }
    }
}
