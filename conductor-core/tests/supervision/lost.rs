//! Many runs that ended while nobody looked, and many who look at once.

use crate::kit::*;
use crate::slots::kill;
use crate::support::*;
use conductor_core::{JobSpec, Outcome};
use std::collections::BTreeMap;
use std::fs;

/// A process that closes what is lost, at the same moment as others.
#[test]
fn host_reconciles() {
    let Some((dir, conductor)) = hosted() else { return };
    println!("ready");
    while !dir.join("gate").exists() {
        std::thread::yield_now();
    }
    conductor.reconcile(10 * LONG).unwrap();
}

#[test]
fn ten_reconcilers_on_a_hundred_lost_runs_post_a_hundred_messages() {
    let shop = Shop::new("");
    let gate = shop.dir().join("gate");
    let mut victims = Vec::new();
    for number in 0..100 {
        let task = format!("t{}", number % 10);
        let job = JobSpec::new("shop").task(task).agent("shell").prompt("exec sleep 1000");
        let run = shop.conductor().jobs().start(job, LONG).unwrap();
        let record = run.info().unwrap().record;
        victims.push((record.keeper_pid.unwrap(), u32::try_from(record.pid).unwrap()));
    }
    for (keeper, agent) in victims {
        kill(keeper);
        kill(agent);
        until("both are gone", || !lives(keeper) && !lives(agent));
    }
    let mut hosts: Vec<Host> = (0..10).map(|_| shop.host("lost::host_reconciles", &[])).collect();
    hosts.iter_mut().for_each(|host| host.says("ready"));
    fs::write(&gate, "").unwrap();
    for host in &mut hosts {
        assert!(host.child.wait().unwrap().success());
    }
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for task in (0..10).map(|number| format!("t{number}")) {
        for run in shop.runs(&task) {
            assert_eq!(run.record.outcome, Some(Outcome::Lost));
            told.insert(run.id.to_string(), 0);
        }
        for message in shop.messages(&task).iter().filter(|m| m.msg_type == "RUN_CRASH") {
            *told.get_mut(&message.run_id).unwrap() += 1;
        }
    }
    assert_eq!(told.len(), 100);
    assert!(told.values().all(|count| *count == 1), "{told:?}");
    let open = shop.root.path().join(".conductor/open");
    assert_eq!(fs::read_dir(open).unwrap().count(), 0);
}
