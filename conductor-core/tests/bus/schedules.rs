//! Writers, a rotator and a follower on a made-up machine, their calls in any order.

use super::crashes::{Ledger, bus_of, judge, judge_files};
use super::kit::*;
use super::machine::{Disk, Fault, Machine};
use super::turns::Work;
use conductor_core::Step;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Orders that are tried in a test run.
const SCHEDULES: u64 = 150;
const WRITERS: u32 = 3;
const EACH: u32 = 4;

fn write(machine: &Machine, process: u32, ledger: &mut Ledger) {
    let options = BusOptions::default().durability(Durability::Process).max_size(900);
    // One handle for all, which remembers the end of the file between its posts.
    let Ok(bus) = bus_of(machine, process, options) else { return };
    for n in 0..EACH {
        let key = format!("w{process}.{n}");
        let posted = bus.post(Post::new("INFO", &key), SOON).map(|posted| vec![posted]);
        ledger.note(&[key], false, posted);
    }
}

/// Follows until all writers are done and nothing more comes.
fn follow(machine: &Machine, process: u32, writing: &AtomicU32) -> Vec<String> {
    let bus = bus_of(machine, process, BusOptions::default()).unwrap();
    let mut follower = bus.follow(&Cursor::START, Wait::NONE).unwrap();
    let mut followed = Vec::new();
    loop {
        let done = writing.load(Ordering::SeqCst) == 0;
        match follower.step().unwrap() {
            Step::Ready(Event::Message(message)) => followed.push(message.body),
            Step::Ready(other) => panic!("{other:?}"),
            Step::Pending if done => return followed,
            Step::Pending => {}
        }
    }
}

/// One order of calls; with `death` a process dies at that call, and another one repairs.
fn run(seed: u64, death: Option<u64>) {
    let machine = Machine::new(Disk::default());
    if let Some(at) = death {
        machine.plan(at, Fault::Kill, seed);
    }
    let writing = AtomicU32::new(WRITERS + 1);
    let mut ledgers: Vec<Ledger> = (0..WRITERS).map(|_| Ledger::default()).collect();
    let mut followed = Vec::new();
    {
        let (machine, writing) = (&machine, &writing);
        let mut processes: Vec<(u32, Work<'_>)> = Vec::new();
        for (process, ledger) in (1..).zip(ledgers.iter_mut()) {
            processes.push((
                process,
                Box::new(move || {
                    write(machine, process, ledger);
                    writing.fetch_sub(1, Ordering::SeqCst);
                }),
            ));
        }
        processes.push((
            10,
            Box::new(move || {
                for _ in 0..3 {
                    if let Ok(bus) = bus_of(machine, 10, BusOptions::default()) {
                        drop(bus.rotate(SOON));
                    }
                }
                writing.fetch_sub(1, Ordering::SeqCst);
            }),
        ));
        if death.is_none() {
            processes.push((20, Box::new(|| followed = follow(machine, 20, writing))));
        }
        machine.run(seed, processes);
    }
    machine.heal();
    let mut all = Ledger::default();
    ledgers.into_iter().for_each(|ledger| all.merge(ledger));
    if death.is_some() {
        all.forget_refusals();
    } else {
        assert_eq!(all.acked.len(), (WRITERS * EACH) as usize, "seed {seed}");
        all.acked.sort_by_key(|(_, seq)| *seq);
        let acked: Vec<_> = all.acked.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(followed, acked, "seed {seed}");
        all = Ledger::default();
    }
    judge(&machine, 30, &all, false);
    let mut after = Ledger::default();
    write(&machine, 31, &mut after);
    assert_eq!(after.acked.len(), EACH as usize, "the bus is stuck, seed {seed}");
    judge(&machine, 32, &all, false);
    judge_files(&machine.disk());
}

/// Tries orders until there are enough.
fn tries(run: impl Fn(u64)) {
    let (total, began) = (count(SCHEDULES), Instant::now());
    for seed in 1..=total {
        run(seed);
        if seed % 10_000 == 0 {
            println!("{seed} schedules in {} s", began.elapsed().as_secs());
        }
    }
    println!("{total} schedules in {} s", began.elapsed().as_secs());
}

#[test]
fn calls_of_many_processes_may_come_in_any_order() {
    let seed: Option<u64> = std::env::var("BUS_SEED").ok().and_then(|seed| seed.parse().ok());
    if let Some(seed) = seed {
        return run(seed, None);
    }
    tries(|seed| run(seed * 7919, None));
}

#[test]
fn and_one_of_them_may_die_meanwhile() {
    tries(|seed| run(seed * 104_729, Some(1 + seed * 31 % 400)));
}
