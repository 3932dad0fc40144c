//! A bus on a machine that fails: at each call an error, the death of the process, or a power cut.

use super::checker::read_segment;
use super::dice::Dice;
use super::kit::*;
use super::machine::{Disk, Fault, Machine};
use conductor_core::fsx::Folder;
use conductor_core::{Error, Result, Step};
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

/// What a test run does of each campaign; `BUS_COUNT` asks for another number.
const DEATHS: u64 = 1200;
const STATES: u64 = 3000;
const ERRORS: u64 = 1000;

/// Says how far a campaign came, now and then.
struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    began: Instant,
}

impl Progress {
    fn new(what: &'static str, share: u64) -> Progress {
        let (total, began) = (count(share), Instant::now());
        Progress { what, total, done: 0, began }
    }

    fn add(&mut self, more: u64) {
        let step = (self.total / 10).max(1);
        let before = self.done / step;
        self.done += more;
        if self.done / step > before {
            println!("{} {} in {} s", self.done, self.what, self.began.elapsed().as_secs());
        }
    }

    fn is_over(&self) -> bool {
        self.done >= self.total
    }
}

pub(crate) fn bus_of(machine: &Machine, process: u32, options: BusOptions) -> Result<Bus> {
    let folder = Folder::open_root(machine.process(process), Path::new("/bus"))?;
    Bus::open(folder, NAME, Scope::try_from("shop").unwrap(), options)
}

/// What became of each message.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Acknowledged, with the number.
    pub(crate) acked: Vec<(String, u64)>,
    /// Whether the acknowledgement meant the disk.
    durable: Vec<bool>,
    /// Certainly not written.
    refused: Vec<String>,
    /// Perhaps written.
    unknown: Vec<String>,
}

impl Ledger {
    pub(crate) fn note(
        &mut self,
        keys: &[String],
        durable: bool,
        answer: Result<Vec<conductor_core::Posted>>,
    ) {
        match answer {
            Ok(posted) => {
                let acked = keys.iter().cloned().zip(posted.iter().map(|posted| posted.seq));
                self.acked.extend(acked);
                self.durable.extend(keys.iter().map(|_| durable));
            }
            Err(error) if error.code() == "bus.unknown" => self.unknown.extend(keys.to_vec()),
            Err(_) => self.refused.extend(keys.to_vec()),
        }
    }

    /// Takes another process's entries over.
    pub(crate) fn merge(&mut self, mut other: Ledger) {
        self.acked.append(&mut other.acked);
        self.durable.append(&mut other.durable);
        self.refused.append(&mut other.refused);
        self.unknown.append(&mut other.unknown);
    }

    /// A process that died cannot tell what it refused.
    pub(crate) fn forget_refusals(&mut self) {
        self.unknown.append(&mut self.refused);
    }
}

/// Posts one by one and in batches, rotates by size and by hand, with `name` in each message.
fn work(machine: &Machine, process: u32, durability: Durability, name: &str, ledger: &mut Ledger) {
    work_some(machine, process, durability, name, ledger, POSTS);
}

/// How often all of the work posts.
const POSTS: u32 = 8;

/// The first `posts` posts of the work.
fn work_some(
    machine: &Machine,
    process: u32,
    durability: Durability,
    name: &str,
    ledger: &mut Ledger,
    posts: u32,
) {
    let options = BusOptions::default().durability(durability).max_size(1800);
    let durable = durability == Durability::Disk;
    let mut open = None;
    for n in 0..posts {
        // The handle is kept as long as it works, and remembers the end of the file.
        let bus = open.take().or_else(|| bus_of(machine, process, options.clone()).ok());
        let Some(bus) = bus else { continue };
        let count = if n % 3 == 1 { 3 } else { 1 };
        let keys: Vec<String> = (0..count).map(|at| format!("{name}.{n}.{at}")).collect();
        let posts = keys.iter().map(|key| Post::new("INFO", format!("{key}\n---\nmsg_id: X\n")));
        let answer = bus.post_many(posts, Wait::NONE);
        let works = answer.is_ok();
        ledger.note(&keys, durable, answer);
        if n == 5 {
            drop::<Result<Rotation, Error>>(bus.rotate(Wait::NONE));
        }
        open = Some(bus).filter(|_| works);
    }
}

/// Reads with a process of its own, and judges what it is given and what the files hold.
pub(crate) fn judge(machine: &Machine, process: u32, ledger: &Ledger, power_cut: bool) {
    judge_with(machine, process, ledger, power_cut, power_cut);
}

/// The same; with `damage` some may be told, of what nobody was promised.
fn judge_with(machine: &Machine, process: u32, ledger: &Ledger, power_cut: bool, damage: bool) {
    let bus = bus_of(machine, process, BusOptions::default()).unwrap();
    let read = bus.read(ReadOptions::default()).unwrap();
    let mut seqs: HashMap<String, u64> = HashMap::new();
    let mut last = 0;
    for event in read {
        let message = match event.unwrap() {
            Event::Message(message) => message,
            // Bytes that a power cut lost, or that could not be put aside.
            Event::Corrupt(_) | Event::Foreign(_) | Event::Gap { .. } if damage => continue,
            other => panic!("{other:?}"),
        };
        let key = message.body.lines().next().unwrap().to_owned();
        let seq = message.seq.unwrap();
        assert!(seq > last, "{key} is out of order");
        last = seq;
        assert!(seqs.insert(key.clone(), seq).is_none(), "{key} is there twice");
    }
    for ((key, seq), durable) in ledger.acked.iter().zip(&ledger.durable) {
        if *durable || !power_cut {
            assert_eq!(seqs.get(key), Some(seq), "{key} was acknowledged");
        }
    }
    for key in &ledger.refused {
        assert!(!seqs.contains_key(key), "{key} was refused");
    }
}

/// The files judged by the reader that shares nothing with the library.
pub(crate) fn judge_files(disk: &Disk) {
    let files = disk.contents();
    let mut last = 0;
    let archives = files.iter().filter(|(name, _)| name.to_str().unwrap().ends_with(".archived"));
    let live = files.iter().filter(|(name, _)| *name == NAME);
    for (name, bytes) in archives.chain(live) {
        for record in read_segment(bytes, Path::new(name)) {
            assert_eq!(record.seq, last + 1, "{}", name.display());
            last = record.seq;
        }
    }
}

/// Calls that `work` makes when nothing fails.
fn calls_of(durability: Durability) -> u64 {
    let machine = Machine::new(Disk::default());
    let mut ledger = Ledger::default();
    work(&machine, 1, durability, "a", &mut ledger);
    assert_eq!((ledger.acked.len(), ledger.refused.len(), ledger.unknown.len()), (14, 0, 0));
    let calls = machine.calls();
    judge(&machine, 2, &ledger, false);
    judge_files(&machine.disk());
    calls
}

#[test]
fn a_process_may_die_at_any_call_and_its_successor_too() {
    let calls = calls_of(Durability::Disk);
    let mut progress = Progress::new("deaths at two calls each", DEATHS);
    // Where a write ends, and where the successor dies, differs from round to round. A small share takes
    // calls from all over the work.
    let points = (0u64..).map(|n| (1 + n * 7 % calls, n * 7 / calls));
    assert!(!calls.is_multiple_of(7), "the steps would leave calls out");
    for (first, round) in points {
        let machine = Machine::new(Disk::default());
        let mut ledger = Ledger::default();
        machine.plan(first, Fault::Kill, first * 31 + round * 97);
        work(&machine, 1, Durability::Disk, "a", &mut ledger);
        machine.kill(1);
        machine.heal();
        ledger.forget_refusals();
        judge(&machine, 2, &ledger, false);
        machine.plan(1 + (first * 7 + round * 13) % calls, Fault::Kill, first * 17 + round);
        let mut second = Ledger::default();
        work(&machine, 3, Durability::Disk, "b", &mut second);
        machine.kill(3);
        machine.heal();
        second.forget_refusals();
        ledger.acked.append(&mut second.acked);
        ledger.durable.append(&mut second.durable);
        judge(&machine, 4, &ledger, false);
        work(&machine, 5, Durability::Disk, "c", &mut ledger);
        assert!(ledger.acked.iter().any(|(key, _)| key == "c.7.0"), "the bus is stuck");
        judge(&machine, 6, &ledger, false);
        judge_files(&machine.disk());
        progress.add(1);
        if progress.is_over() {
            return;
        }
    }
}

/// States that are tried of each disk that lost its power.
const CUTS: u64 = 24;

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_was_promised() {
    let mut progress = Progress::new("states after power cuts", STATES);
    for n in 0.. {
        let durability = if n % 2 == 0 { Durability::Disk } else { Durability::Process };
        let calls = calls_of(durability);
        // Each round takes other calls first, so that a small share has some from all over.
        for at in 0..calls {
            let first = 1 + (at * 7 + n) % calls;
            let machine = Machine::new(Disk::default());
            let mut ledger = Ledger::default();
            machine.plan(first, Fault::Kill, first * 31 + n);
            work(&machine, 1, durability, "a", &mut ledger);
            machine.kill(1);
            ledger.forget_refusals();
            if at % 3 != 0 {
                // Another one goes on with what the first left, before the power is cut; it may die too.
                machine.heal();
                let mut then = Ledger::default();
                if at % 3 == 2 {
                    machine.plan(1 + (first * 5 + n) % 24, Fault::Kill, first * 13 + n);
                }
                work_some(&machine, 7, durability, "then", &mut then, 2);
                machine.kill(7);
                then.forget_refusals();
                ledger.merge(then);
            }
            let disk = machine.disk();
            for round in 0..CUTS {
                let mut dice = Dice::new(first * 1009 + round * 7919 + n * 104_729 + 1);
                let machine = Machine::new(disk.after_power_cut(&mut dice));
                judge(&machine, 2, &ledger, true);
                let mut after = Ledger::default();
                // All the work once for each disk, else its beginning.
                let posts = if round == 0 { POSTS } else { 2 };
                work_some(&machine, 3, Durability::Disk, "b", &mut after, posts);
                assert!(after.refused.is_empty(), "the bus is stuck: {first} {round}");
                after.acked.extend(ledger.acked.iter().cloned());
                after.durable.extend(&ledger.durable);
                judge(&machine, 4, &after, true);
            }
            progress.add(CUTS);
            if progress.is_over() {
                return;
            }
        }
    }
}

/// A machine on which a process died at its call number `death`; 0 for one without a bus.
fn machine_after(death: u64) -> (Machine, Ledger) {
    let machine = Machine::new(Disk::default());
    let mut ledger = Ledger::default();
    if death > 0 {
        machine.plan(death, Fault::Kill, death);
        work(&machine, 9, Durability::Disk, "before", &mut ledger);
        machine.kill(9);
        machine.heal();
        ledger.forget_refusals();
    }
    (machine, ledger)
}

#[test]
fn an_error_at_any_call_is_told_as_it_is() {
    let errors = [
        libc::EIO,
        libc::ENOSPC,
        libc::EDQUOT,
        libc::EFBIG,
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::EACCES,
        libc::EROFS,
        libc::EAGAIN,
        libc::ENOLCK,
    ];
    let faults = errors.into_iter().flat_map(|e| [Fault::Error(e), Fault::Persistent(e)]);
    let faults: Vec<Fault> = faults.chain([Fault::Short, Fault::Full]).collect();
    let mut progress = Progress::new("errors", ERRORS);
    // On no bus, and on what a process left that died in a post, in a rotation by size, in one by hand.
    let calls = calls_of(Durability::Disk);
    let deaths = [0, calls / 4, calls / 2, calls * 4 / 5];
    let works = [Durability::Disk, Durability::Process];
    let all = calls * faults.len() as u64 * (deaths.len() * works.len()) as u64;
    // A small share takes calls and errors from all over.
    let step = (all / progress.total).max(1);
    let mut n: u64 = 0;
    for (durability, death) in works.into_iter().flat_map(|work| deaths.map(|death| (work, death)))
    {
        for fault in &faults {
            for at in 1.. {
                n += 1;
                if !(n + at).is_multiple_of(step) && at < calls {
                    continue;
                }
                let (machine, mut ledger): (Machine, Ledger) = machine_after(death);
                machine.plan(at, *fault, at);
                work(&machine, 1, durability, "a", &mut ledger);
                if !machine.is_over() {
                    break;
                }
                machine.heal();
                machine.kill(1);
                // Where torn bytes could not be put aside they stay where they are.
                let damage = death > 0;
                judge_with(&machine, 2, &ledger, false, damage);
                work(&machine, 3, Durability::Disk, "b", &mut ledger);
                assert!(ledger.acked.iter().any(|(key, _)| key == "b.7.0"), "{fault:?} at {at}");
                judge_with(&machine, 4, &ledger, false, damage);
                if !damage {
                    judge_files(&machine.disk());
                }
                progress.add(1);
            }
        }
    }
    println!("{} errors at {n} places in {} s", progress.done, progress.began.elapsed().as_secs());
}

/// A bus of one file of about `size` bytes, and its messages.
pub(crate) fn one_file(size: usize) -> (Vec<u8>, Vec<Message>) {
    let machine = Machine::new(Disk::default());
    let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
    let mut n = 0;
    while machine.size(NAME) < size {
        let body = format!("{n}\n{}", "-- \\---\n---\n".repeat(n % 5));
        bus.post(Post::new("INFO", body).meta("n", n.to_string()), Wait::NONE).unwrap();
        n += 1;
    }
    let messages = messages(bus.read(ReadOptions::default()).unwrap());
    (machine.disk().contents().remove(Path::new(NAME).as_os_str()).unwrap(), messages)
}

#[test]
fn the_end_and_a_place_are_found_with_few_reads() {
    let (whole, posted) = one_file(2 << 20);
    let machine = Machine::new(Disk::with_file(NAME, whole.clone()));
    let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
    let mut spent = {
        let machine = machine.clone();
        let mut before = machine.reads();
        move || {
            let now = machine.reads();
            let spent = (now.0 - before.0, now.1 - before.1);
            before = now;
            spent
        }
    };
    assert_eq!(messages(bus.tail(20).unwrap()), posted[posted.len() - 20..]);
    let (reads, bytes) = spent();
    assert!(reads < 12 && bytes < 80 << 10, "tail 20: {reads} reads of {bytes} bytes");
    for at in [0, 1, posted.len() / 3, posted.len() - 2] {
        for cursor in [posted[at].cursor.clone(), posted[at].msg_id.clone().into()] {
            spent();
            let mut rest = bus.read(ReadOptions::default().after(&cursor)).unwrap();
            let Some(Ok(Event::Message(next))) = rest.next() else { panic!() };
            assert_eq!(next, posted[at + 1]);
            let (reads, bytes) = spent();
            assert!(reads < 40 && bytes < 80 << 10, "since: {reads} reads of {bytes} bytes");
        }
    }
    assert_eq!(bus.end().unwrap().as_ref(), Some(&posted[posted.len() - 1].cursor));
    let (reads, bytes) = spent();
    assert!(reads < 12 && bytes < 32 << 10, "end: {reads} reads of {bytes} bytes");
    bus.post(Post::new("INFO", "x"), Wait::NONE).unwrap();
    let (_, bytes) = spent();
    assert!(bytes < 32 << 10, "the first post: {bytes} bytes");
    bus.post(Post::new("INFO", "y"), Wait::NONE).unwrap();
    assert_eq!(spent().0, 0, "a post behind one's own reads nothing");
    let mut follower = bus.follow(&Cursor::END, Wait::NONE).unwrap();
    assert_eq!(follower.step().unwrap(), Step::Pending);
    let calls = machine.calls();
    assert_eq!(follower.step().unwrap(), Step::Pending);
    assert_eq!(machine.calls() - calls, 1, "a look without news is one call");
    let calls = machine.calls();
    bus.post(Post::new("INFO", "z"), Wait::NONE).unwrap();
    assert_eq!(
        machine.calls() - calls,
        6,
        "a post is open, lock, stat, write, position, unlock, sync at most"
    );
}
