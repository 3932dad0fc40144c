//! A file that others use at the same time: what a failing writer, or one that repairs, must not take away.

use super::crashes::{bus_of, judge_files};
use super::kit::*;
use super::machine::{Disk, Fault, Machine};
use conductor_core::Step;
use conductor_core::bus::Follower;
use conductor_core::fsx::Folder;
use conductor_core::sys::Open;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

/// What a follower was given so far.
struct Followed {
    follower: Follower,
    bodies: Vec<String>,
}

impl Followed {
    fn new(machine: &Machine, process: u32) -> Followed {
        let bus = bus_of(machine, process, BusOptions::default()).unwrap();
        let follower = bus.follow(&Cursor::START, Wait::NONE).unwrap();
        Followed { follower, bodies: Vec::new() }
    }

    /// Takes what there is. A look that meets the fault itself ends early.
    fn look(&mut self) {
        while let Ok(Step::Ready(event)) = self.follower.step() {
            let Event::Message(message) = event else { panic!("{event:?}") };
            self.bodies.push(message.body);
        }
    }
}

/// One post of several messages meets `fault` at a call, and a follower looks right before another.
/// Gives whether both came to pass.
fn post_beside_a_follower(fault: Fault, at: u64, look: u64) -> bool {
    let machine = Machine::new(Disk::default());
    let writer = bus_of(&machine, 1, BusOptions::default()).unwrap();
    say(&writer, "first");
    let followed = Arc::new(Mutex::new(Followed::new(&machine, 2)));
    followed.lock().look();
    let copy = followed.clone();
    machine.interrupt(1, look, move || copy.lock().look());
    machine.plan(at, fault, at);
    let batch = ["a", "b", "c", "d"].map(|body| Post::new("INFO", body));
    let answer = writer.post_many(batch, Wait::NONE);
    let failed = machine.is_over();
    machine.heal();
    let looked = machine.was_interrupted();
    // Another writer goes on where the first one left the file; its lock went with it.
    machine.kill(1);
    let other = bus_of(&machine, 3, BusOptions::default()).unwrap();
    let mut there = vec!["first"];
    match &answer {
        Ok(_) => there.extend(["a", "b", "c", "d"]),
        Err(error) if error.code() == "bus.unknown" => {
            let whole = all(&other).len() - 1;
            there.extend(&["a", "b", "c", "d"][..whole]);
        }
        Err(_) => {}
    }
    for body in ["e", "f", "g", "h", "i"] {
        say(&other, body);
        there.push(body);
    }
    assert_eq!(all(&other), there, "{answer:?}");
    let mut followed = followed.lock();
    followed.look();
    assert_eq!(followed.bodies, there, "{fault:?} at {at}, a look before call {look}: {answer:?}");
    judge_files(&machine.disk());
    failed && looked
}

#[test]
fn a_batch_that_is_cut_short_takes_no_message_from_a_follower() {
    let errors = [libc::ENOSPC, libc::EIO];
    let faults = errors.into_iter().map(Fault::Error).chain([Fault::Short, Fault::Full]);
    let mut places = 0;
    for fault in faults {
        for at in 1..=8 {
            for look in 1..=10 {
                places += u32::from(post_beside_a_follower(fault, at, look));
            }
        }
    }
    assert!(places > 100, "only {places} places");
}

#[test]
fn what_somebody_appends_while_a_torn_end_is_put_aside_stays() {
    let whole = {
        let machine = Machine::new(Disk::default());
        let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
        ["one", "two"].into_iter().for_each(|body| drop(say(&bus, body)));
        machine.disk().contents().remove(Path::new(NAME).as_os_str()).unwrap()
    };
    const NOTE: &[u8] = b"a line of somebody's\n";
    let mut lost = 0;
    for at in 1.. {
        let torn = whole[..whole.len() - 4].to_vec();
        let machine = Machine::new(Disk::with_file(NAME, torn));
        let copy = machine.clone();
        machine.interrupt(1, at, move || {
            // Without the lock.
            let os = copy.process(2);
            let root = os.open_root(Path::new("/bus")).unwrap();
            let file = os.open_at(&root, Path::new(NAME), Open::Append).unwrap();
            os.write(&file, NOTE).unwrap();
        });
        let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
        let posted = say(&bus, "three");
        if !machine.was_interrupted() {
            // Between the last look at the size and the cut there is one call that nothing can close.
            assert!(lost <= 1 && at > 5, "{lost} lost at {at} calls");
            return;
        }
        let files = machine.disk().contents();
        let kept = files.values().any(|file| file.windows(NOTE.len()).any(|part| part == NOTE));
        lost += u32::from(!kept);
        let last = bus.tail(1).unwrap().last().unwrap().unwrap();
        let is_last = matches!(&last, Event::Message(last) if last.cursor == posted.cursor);
        assert!(is_last || at > 5, "before call {at}: {last:?}");
    }
}

#[test]
fn a_bus_is_opened_and_read_while_another_handle_of_it_waits_for_the_lock() {
    let machine = Machine::new(Disk::default());
    let os = machine.process(1);
    let folder = Folder::open_root(os, Path::new("/bus")).unwrap();
    let open = move || {
        Bus::open(folder.clone(), NAME, Scope::try_from("shop").unwrap(), BusOptions::default())
    };
    let bus = open().unwrap();
    say(&bus, "one");
    // Before each call that a post makes, under whatever it holds.
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for at in 1.. {
            let (open, read) = (open.clone(), Arc::new(Mutex::new(None)));
            let copy = read.clone();
            machine.interrupt(1, at, move || *copy.lock() = Some(all(&open().unwrap()).len()));
            say(&bus, "more");
            if !machine.was_interrupted() {
                break;
            }
            assert!(read.lock().is_some_and(|read| read as u64 >= at), "before call {at}");
        }
        tell.send(()).unwrap();
    });
    told.recv_timeout(SOON).expect("who opens a bus waits for who waits for its lock");
}

#[test]
fn an_end_that_cannot_be_synced_is_told_and_ends_the_handle() {
    let mut seen = 0;
    for at in 1.. {
        let machine = Machine::new(Disk::default());
        let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
        ["one", "two"].into_iter().for_each(|body| drop(say(&bus, body)));
        machine.plan(at, Fault::Error(libc::EIO), at);
        let rotated = bus.rotate(Wait::NONE);
        if !machine.is_over() {
            break;
        }
        machine.heal();
        let live = machine.disk().contents().remove(Path::new(NAME).as_os_str()).unwrap();
        let ended = live.windows(15).any(|part| part == b"BUS_SEGMENT_END");
        if let Err(error) = rotated {
            assert!(!ended || error.code() != "bus.not_written", "it ends, but at {at}: {error}");
            if error.code() == "bus.unknown" {
                seen += 1;
                let next = bus.post(Post::new("INFO", "three"), Wait::NONE).unwrap_err();
                assert_eq!(next.code(), "bus.failed");
            }
        }
        machine.kill(1);
        let other = bus_of(&machine, 2, BusOptions::default()).unwrap();
        say(&other, "four");
        assert_eq!(all(&other), ["one", "two", "four"], "at {at}");
    }
    assert_eq!(seen, 1, "the sync of the end fails once");
}

#[test]
fn a_post_that_meets_an_end_which_cannot_be_synced_was_not_written() {
    // A file that one who died had ended, and one that is to be rotated by its size.
    for (ended, size) in [(true, None), (false, Some(1))] {
        let mut failed = 0;
        for at in 1.. {
            let machine = Machine::new(Disk::with_file(NAME, live_file(ended)));
            let options =
                size.map_or_else(BusOptions::default, |size| BusOptions::default().max_size(size));
            let bus = bus_of(&machine, 1, options).unwrap();
            machine.plan(at, Fault::Error(libc::EIO), at);
            let posted = bus.post(Post::new("INFO", "two"), Wait::NONE);
            if !machine.is_over() {
                break;
            }
            machine.heal();
            machine.kill(1);
            let other = bus_of(&machine, 2, BusOptions::default()).unwrap();
            say(&other, "three");
            let there = all(&other).contains(&"two".to_owned());
            match posted {
                Ok(_) => assert!(there, "at {at}"),
                Err(error) if error.code() == "bus.unknown" => {}
                Err(error) => {
                    failed += u32::from(error.code() == "bus.failed");
                    assert!(!there, "at {at}: {error}");
                }
            }
        }
        assert_eq!(failed, 1, "ended by another: {ended}");
    }
}

/// A live file with a message; with its last record, as of one who died before it was named an archive.
fn live_file(ended: bool) -> Vec<u8> {
    for at in 1.. {
        let machine = Machine::new(Disk::default());
        let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
        say(&bus, "one");
        machine.plan(at, Fault::Kill, at);
        drop(bus.rotate(Wait::NONE));
        let mut files = machine.disk().contents();
        let archived = files.keys().any(|name| name.to_string_lossy().ends_with(".archived"));
        let live = files.remove(Path::new(NAME).as_os_str()).unwrap();
        let whole = live.ends_with(b"\nthe bus goes on in its next segment\n");
        if !archived && (whole || !ended) {
            return live;
        }
    }
    unreachable!()
}
