//! What a collection costs, counted in calls: each further run adds a few, whatever else there is.

use crate::hooked;
use crate::kit::*;
use conductor_core::{Conductor, GcPolicy, Wait};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

type Counts = BTreeMap<&'static str, usize>;

/// Makes so many runs that ended so long ago, and counts the calls of `work`.
fn count(runs: usize, hours: i64, work: impl Fn(&Conductor)) -> Counts {
    let root = Root::new();
    for run in 0..runs {
        let mut spec = RunSpec::new("completed", hours);
        if run > 0 {
            spec = spec.with(&format!("previous_run_id: r{:04}", run - 1));
        }
        root.run("p/t", &format!("r{run:04}"), &spec);
    }
    let counts = Arc::new(Mutex::new(Counts::new()));
    let conductor = hooked::open(root.path(), {
        let counts = counts.clone();
        move |call| {
            *counts.lock().entry(call.name).or_default() += 1;
            Ok(())
        }
    });
    work(&conductor);
    std::mem::take(&mut *counts.lock())
}

/// What one further run costs.
fn per_run(hours: i64, work: impl Fn(&Conductor)) -> Counts {
    // Less than one chunk and several chunks: what each chunk costs is spread over its runs.
    let (few, many) = (count(48, hours, &work), count(48 * 5, hours, &work));
    let cost = |(name, calls): (&&'static str, &usize)| {
        let more = calls - few.get(*name).copied().unwrap_or(0);
        (*name, more.div_ceil(48 * 4))
    };
    many.iter().map(cost).filter(|(_, calls)| *calls > 0).collect()
}

fn dry_run(conductor: &Conductor) {
    let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
    assert!(plan.actions(Wait::FOREVER).all(|item| item.is_ok()));
}

#[test]
fn a_run_that_stays_costs_a_look_at_its_record_and_the_names_in_its_folder() {
    // Its record twice: for what it came from, and to be judged.
    let wanted = [("open_at", 3), ("read_at", 2), ("visit", 1)];
    assert_eq!(per_run(1, dry_run), Counts::from(wanted));
}

#[test]
fn a_run_that_goes_costs_a_look_at_each_of_its_files_more() {
    let wanted = [("open_at", 3), ("read_at", 2), ("visit", 1), ("stat_at", 2)];
    assert_eq!(per_run(200, dry_run), Counts::from(wanted));
}

#[test]
fn deleting_a_run_costs_a_move_and_the_removal_of_what_is_in_it() {
    let cost = per_run(200, |conductor| {
        let plan = conductor.gc().plan(GcPolicy::default()).unwrap();
        conductor.gc().apply(&plan, Wait::FOREVER).unwrap();
    });
    // Of a lock, a sync and the like there is one for many runs.
    let shared = ["sync", "sync_data", "write_at", "try_lock", "stat", "list", "open_root"];
    for name in shared {
        assert!(cost.get(name).is_none_or(|calls| *calls == 1), "{name}: {cost:?}");
    }
    let own: Counts =
        cost.iter().filter(|(name, _)| !shared.contains(name)).map(|(n, c)| (*n, *c)).collect();
    let wanted = [
        // As before, the folder again where it is deleted, and what is looked at for many.
        ("open_at", 5),
        ("read_at", 3),
        ("visit", 3),
        ("stat_at", 4),
        ("rename_at", 1),
        ("unlink_at", 2),
        ("rmdir_at", 1),
    ];
    assert_eq!(own, Counts::from(wanted));
}
