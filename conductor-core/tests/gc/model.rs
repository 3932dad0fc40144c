//! Random roots, and random things that happen meanwhile, against a model that is written anew.

use crate::kit::*;
use conductor_core::{GcPolicy, GcResult, Wait};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Completed,
    Failed,
    Alive,
    /// It says that it runs, and nobody runs it.
    Dead,
    Orphan,
    Corrupt,
}

#[derive(Clone, Debug)]
struct Run {
    kind: Kind,
    hours: i64,
    /// Another run of the root, by its number, that it came from.
    parent: Option<prop::sample::Index>,
    previous: Option<prop::sample::Index>,
}

#[derive(Clone, Debug)]
struct Task {
    runs: Vec<Run>,
    done: bool,
    hours: i64,
    waits_for: Option<prop::sample::Index>,
}

#[derive(Clone, Debug)]
enum Act {
    Rewrite(prop::sample::Index),
    Remove(prop::sample::Index),
    TouchTask(prop::sample::Index),
    TakeDoneAway(prop::sample::Index),
}

fn hours() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1), Just(100), Just(200), Just(400), Just(-50)]
}

fn run() -> impl Strategy<Value = Run> {
    let kind = prop_oneof![
        6 => Just(Kind::Completed),
        3 => Just(Kind::Failed),
        1 => Just(Kind::Alive),
        1 => Just(Kind::Dead),
        1 => Just(Kind::Orphan),
        1 => Just(Kind::Corrupt),
    ];
    let link = || prop::option::weighted(0.4, any::<prop::sample::Index>());
    (kind, hours(), link(), link()).prop_map(|(kind, hours, parent, previous)| Run {
        kind,
        hours,
        parent,
        previous,
    })
}

fn task() -> impl Strategy<Value = Task> {
    let waits = prop::option::weighted(0.3, any::<prop::sample::Index>());
    (prop::collection::vec(run(), 0..5), any::<bool>(), hours(), waits)
        .prop_map(|(runs, done, hours, waits_for)| Task { runs, done, hours, waits_for })
}

fn act() -> impl Strategy<Value = Act> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        at().prop_map(Act::Rewrite),
        at().prop_map(Act::Remove),
        at().prop_map(Act::TouchTask),
        at().prop_map(Act::TakeDoneAway),
    ]
}

fn policy() -> impl Strategy<Value = GcPolicy> {
    (any::<bool>(), 0usize..3, any::<bool>()).prop_map(|(failed, last, tasks)| {
        GcPolicy::default().keep_failed(failed).keep_last(last).delete_done_tasks(tasks)
    })
}

/// What a run is called, and where it is.
fn place(task: usize, run: usize) -> (String, PathBuf) {
    // Names are unique in the root and sort by age in their task.
    let name = format!("run-{task}-{run}");
    let path = PathBuf::from(format!("p/task-{task}/runs/{name}"));
    (name, path)
}

fn write(root: &Root, tasks: &[Task]) -> Vec<(usize, usize)> {
    let all: Vec<(usize, usize)> = tasks
        .iter()
        .enumerate()
        .flat_map(|(task, spec)| (0..spec.runs.len()).map(move |run| (task, run)))
        .collect();
    for (at, task) in tasks.iter().enumerate() {
        let folder = format!("p/task-{at}");
        root.file(&format!("{folder}/TASK.md"), "x", task.hours);
        if task.done {
            root.file(&format!("{folder}/DONE"), "", task.hours);
        }
        if let Some(other) = &task.waits_for {
            let config = format!("depends_on: [task-{}]\n", other.index(tasks.len()));
            root.file(&format!("{folder}/TASK-CONFIG.yaml"), &config, task.hours);
        }
        for (number, run) in task.runs.iter().enumerate() {
            let (name, path) = place(at, number);
            let mut spec = match run.kind {
                Kind::Completed => RunSpec::new("completed", run.hours),
                Kind::Failed => RunSpec::new("failed", run.hours),
                Kind::Alive => RunSpec::alive(),
                _ => RunSpec::new("running", run.hours),
            };
            for (key, link) in [("parent_run_id", &run.parent), ("previous_run_id", &run.previous)]
            {
                if let Some(link) = link {
                    let (task, run) = all[link.index(all.len())];
                    spec = spec.with(&format!("{key}: {}", place(task, run).0));
                }
            }
            root.run(&folder, &name, &spec);
            let info = root.path().join(&path).join("run-info.yaml");
            match run.kind {
                Kind::Orphan => {
                    fs::remove_file(&info).unwrap();
                    age(&root.path().join(&path), run.hours);
                }
                Kind::Corrupt => fs::write(&info, "status: [").unwrap(),
                _ => {}
            }
        }
    }
    all
}

/// What goes, as the rules say in words.
fn expected(tasks: &[Task], all: &[(usize, usize)], policy: &GcPolicy) -> BTreeSet<PathBuf> {
    let link = |link: &Option<prop::sample::Index>| link.as_ref().map(|l| all[l.index(all.len())]);
    let mut ancestors: BTreeSet<(usize, usize)> = BTreeSet::new();
    let lives = |(task, run): (usize, usize)| {
        let run = &tasks[task].runs[run];
        match run.kind {
            Kind::Alive | Kind::Dead => true,
            Kind::Completed | Kind::Failed => run.hours < 0,
            Kind::Orphan | Kind::Corrupt => false,
        }
    };
    let mut open: Vec<_> = all.iter().copied().filter(|at| lives(*at)).collect();
    let mut seen = BTreeSet::new();
    while let Some((task, run)) = open.pop() {
        let spec = &tasks[task].runs[run];
        if !seen.insert((task, run)) || matches!(spec.kind, Kind::Orphan | Kind::Corrupt) {
            continue;
        }
        for next in [link(&spec.parent), link(&spec.previous)].into_iter().flatten() {
            ancestors.insert(next);
            open.push(next);
        }
    }
    let awaited = |at: usize| {
        tasks.iter().any(|task| {
            !task.done && task.waits_for.as_ref().is_some_and(|w| w.index(tasks.len()) == at)
        })
    };
    let mut gone = BTreeSet::new();
    for (at, task) in tasks.iter().enumerate() {
        let mut left = 0;
        for (number, run) in task.runs.iter().enumerate() {
            let newer = task.runs.len() - 1 - number;
            let ancestor = ancestors.contains(&(at, number));
            let goes = match run.kind {
                Kind::Alive | Kind::Dead | Kind::Corrupt => false,
                Kind::Orphan => !ancestor && run.hours > 168,
                kind => {
                    let needed = awaited(at) && newer == 0 && !task.done;
                    let kept = policy.keep_failed && kind == Kind::Failed;
                    !(ancestor || needed || kept) && newer >= policy.keep_last && run.hours > 168
                }
            };
            if goes {
                gone.insert(place(at, number).1);
            } else {
                left += 1;
            }
        }
        if policy.delete_done_tasks && task.done && left == 0 && !awaited(at) && task.hours > 168 {
            gone.insert(PathBuf::from(format!("p/task-{at}")));
        }
    }
    gone
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_is_that_of_the_model_and_the_action_is_the_plan(
        tasks in prop::collection::vec(task(), 1..4),
        policy in policy(),
        acts in prop::collection::vec(act(), 0..3),
    ) {
        let root = Root::new();
        let all = write(&root, &tasks);
        let conductor = root.conductor();
        let before = root.left();
        let plan = conductor.gc().plan(policy.clone()).unwrap();
        prop_assert_eq!(root.left(), before, "a plan writes nothing");
        let planned = deleted(&root, &plan);
        prop_assert_eq!(&planned, &expected(&tasks, &all, &policy));

        let mut changed = BTreeSet::new();
        // Where a run was taken away, an older one is among the newest.
        let mut thinned = BTreeSet::new();
        // A task that lost its DONE needs its last run where it is waited for, and waits for others itself.
        let mut tasks_now = tasks.clone();
        for act in &acts {
            match act {
                Act::Rewrite(_) | Act::Remove(_) if all.is_empty() => {}
                Act::Rewrite(at) => {
                    let (task, run) = all[at.index(all.len())];
                    let path = place(task, run).1;
                    let info = root.path().join(&path).join("run-info.yaml");
                    if info.exists() {
                        let text = fs::read_to_string(&info).unwrap();
                        fs::write(&info, text + "note: x\n").unwrap();
                        // The clock of files is a tick behind.
                        age(&info, -1);
                        changed.insert(path);
                    }
                }
                Act::Remove(at) => {
                    let (task, run) = all[at.index(all.len())];
                    let path = root.path().join(place(task, run).1);
                    if fs::remove_dir_all(&path).is_ok() {
                        age(path.parent().unwrap(), -1);
                        changed.insert(PathBuf::from(format!("p/task-{task}")));
                        thinned.insert(path.parent().unwrap().to_owned());
                    }
                }
                Act::TouchTask(at) => {
                    let task = at.index(tasks.len());
                    root.file(&format!("p/task-{task}/notes.md"), "new", -1);
                    changed.insert(PathBuf::from(format!("p/task-{task}")));
                }
                Act::TakeDoneAway(at) => {
                    let task = at.index(tasks.len());
                    let _none = fs::remove_file(root.path().join(format!("p/task-{task}/DONE")));
                    tasks_now[task].done = false;
                    changed.insert(PathBuf::from(format!("p/task-{task}")));
                }
            }
        }
        let before = root.left();
        let (mut results, mut told) = (BTreeMap::new(), Vec::new());
        let report = conductor.gc().apply_telling(&plan, Wait::FOREVER, |done| {
            let path = done.item.path.strip_prefix(root.path()).unwrap().to_owned();
            results.insert(path, matches!(done.result, GcResult::Done));
            told.push(format!("{done:?}"));
        }).unwrap();
        let corrupt = |error: &conductor_core::Error| error.code() == "yaml.corrupt";
        prop_assert!(report.errors.iter().all(corrupt), "{:?}", report.errors);
        // What changed stays, with the task that it is in.
        let stays = |path: &PathBuf| changed.iter().any(|other| other.starts_with(path));
        let wanted: BTreeSet<_> =
            planned.iter().filter(|path| before.contains(*path) && !stays(path)).cloned().collect();
        let done: BTreeSet<PathBuf> =
            results.iter().filter(|(_, done)| **done).map(|(path, _)| path.clone()).collect();
        prop_assert!(done.is_subset(&wanted), "{:?} {:?}", done, wanted);
        let newest = |path: &PathBuf| thinned.iter().any(|runs| root.path().join(path).starts_with(runs));
        let may_go = expected(&tasks_now, &all, &policy);
        let is_needed = |path: &PathBuf| !may_go.contains(path);
        prop_assert!(
            wanted.difference(&done).all(|path| newest(path) || is_needed(path)),
            "{:?} {:?} {:?}", done, wanted, told
        );
        let gone = |path: &PathBuf| done.iter().any(|top| path.starts_with(top));
        let left: BTreeSet<_> = before.iter().filter(|path| !gone(path)).cloned().collect();
        prop_assert_eq!(root.left(), left, "nothing kept is missing, nothing deleted is left");
        prop_assert!(root.trash_is_empty());
    }
}
