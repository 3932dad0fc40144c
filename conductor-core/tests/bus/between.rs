//! What others do between two calls of a process: each order that once was or could be a bug, by name.
//!
//! A test tries every place between two calls. docs/DURABILITY.md lists them with what they show.

use super::checker::crc32c;
use super::crashes::{bus_of, judge_files};
use super::kit::*;
use super::machine::{Disk, Fault, Machine};
use conductor_core::bus::FindingKind;
use conductor_core::sys::Open;
use conductor_core::{Error, Step};
use std::path::Path;

/// A machine with a bus of these messages.
fn machine_with(bodies: &[&str]) -> Machine {
    let machine = Machine::new(Disk::default());
    let bus = bus_of(&machine, 100, BusOptions::default()).unwrap();
    bodies.iter().for_each(|body| drop(say(&bus, *body)));
    machine
}

/// Opens the bus as another process and uses it.
fn other(machine: &Machine, process: u32, work: impl FnOnce(Bus)) {
    work(bus_of(machine, process, BusOptions::default()).unwrap());
}

/// Tries `attempt` with others at work before its first call, its second, and so on, until it makes no
/// more calls; gives how many places there were.
fn at_every_call(
    start: impl Fn() -> Machine,
    others: impl Fn(&Machine) + Clone + Send + 'static,
    attempt: impl Fn(&Machine, &str),
) -> u64 {
    for at in 1.. {
        let machine = start();
        let (copy, others) = (machine.clone(), others.clone());
        machine.interrupt(1, at, move || others(&copy));
        attempt(&machine, &format!("before call {at}"));
        if !machine.was_interrupted() {
            return at - 1;
        }
    }
    0
}

fn rotate_and_post(machine: &Machine) {
    other(machine, 2, |bus| {
        bus.rotate(Wait::NONE).unwrap();
        say(&bus, "news");
    });
}

/// What a read gave; news that came meanwhile may be among it.
fn read_before_news(machine: &Machine, options: ReadOptions) -> Vec<String> {
    let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
    let mut read = bodies(bus.read(options).unwrap());
    if read.last().is_some_and(|last| last == "news") {
        read.pop();
    }
    read
}

#[test]
fn a_file_that_is_archived_meanwhile_is_read_whole() {
    let places = at_every_call(
        || machine_with(&["1", "2", "3"]),
        rotate_and_post,
        |machine, at| {
            let read = read_before_news(machine, ReadOptions::default());
            assert_eq!(read, ["1", "2", "3"], "{at}");
        },
    );
    assert!(places > 4);
    at_every_call(
        || machine_with(&["1", "2", "3"]),
        rotate_and_post,
        |machine, at| {
            let read = read_before_news(machine, ReadOptions::default().tail(10));
            assert_eq!(read, ["1", "2", "3"], "the last, {at}");
        },
    );
}

#[test]
fn a_bus_that_is_made_and_archived_meanwhile_has_no_gap() {
    at_every_call(
        || Machine::new(Disk::default()),
        |machine| {
            other(machine, 2, |bus| {
                say(&bus, "first");
                bus.rotate(Wait::NONE).unwrap();
                say(&bus, "second");
            });
        },
        |machine, at| {
            let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
            let read = bodies(bus.read(ReadOptions::default()).unwrap());
            assert!(["first", "second"].starts_with(&as_texts(&read)), "{at}: {read:?}");
        },
    );
}

fn as_texts(bodies: &[String]) -> Vec<&str> {
    bodies.iter().map(String::as_str).collect()
}

#[test]
fn a_check_calls_no_bus_damaged_that_is_rotated_meanwhile() {
    let check = |machine: &Machine, at: &str| {
        let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
        let report = bus.check().unwrap();
        assert_eq!(report.findings, [], "{at}");
        assert!(report.messages >= 3, "{at}: {report:?}");
    };
    // Who comes while the check has the file's lock does nothing.
    let once = |machine: &Machine| {
        other(machine, 2, |bus| {
            if bus.rotate(Wait::NONE).is_ok() {
                say(&bus, "news");
            }
        });
    };
    let places = at_every_call(|| machine_with(&["1", "2", "3"]), once, check);
    assert!(places > 4);
    // Twice, on a bus with archives.
    let start = || {
        let machine = machine_with(&["1"]);
        ["2", "3"].iter().for_each(|body| {
            other(&machine, 2, |bus| {
                bus.rotate(Wait::NONE).unwrap();
                say(&bus, *body);
            });
        });
        machine
    };
    let twice = move |machine: &Machine| {
        once(machine);
        once(machine);
    };
    assert!(at_every_call(start, twice, check) > 10);
}

#[test]
fn a_check_takes_no_message_for_damage_that_is_being_written() {
    let whole = live(&machine_with(&["1", "2"]));
    let torn = whole.len() - 4;
    let machine = Machine::new(Disk::with_file(NAME, whole[..torn].to_vec()));
    let os = machine.process(9);
    let root = os.open_root(Path::new("/bus")).unwrap();
    let file = os.open_at(&root, Path::new(NAME), Open::Append).unwrap();
    assert!(os.try_lock(&file, conductor_core::sys::LockKind::Exclusive).unwrap());
    let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
    let report = bus.check().unwrap();
    assert!(report.findings.iter().all(|found| found.kind == FindingKind::Torn), "{report:?}");
    os.write(&file, &whole[torn..]).unwrap();
    // It holds its lock and goes on holding it: a check waits for nobody.
    let report = bus.check().unwrap();
    assert_eq!((report.messages, report.findings.as_slice()), (2, &[][..]));
}

#[test]
fn an_archive_that_is_removed_meanwhile_ends_no_read() {
    let start = || {
        let machine = machine_with(&["1"]);
        other(&machine, 2, |bus| {
            for body in ["2", "3", "4"] {
                bus.rotate(Wait::NONE).unwrap();
                say(&bus, body);
            }
        });
        machine
    };
    at_every_call(
        start,
        |machine| other(machine, 2, |bus| drop(bus.remove_archives(7, None).unwrap())),
        |machine, at| {
            let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
            let read: Vec<Event> =
                bus.read(ReadOptions::default()).unwrap().collect::<Result<_, Error>>().unwrap();
            let last = read.iter().rev().take(2).map(|event| match event {
                Event::Message(message) => message.body.as_str(),
                other => panic!("{at}: {other:?}"),
            });
            // Those that stay are told, whatever was removed in front of them.
            assert_eq!(last.collect::<Vec<_>>(), ["4", "3"], "{at}");
        },
    );
}

/// The live file with the last record torn, and a process that follows to its end.
fn torn(machine: &Machine) -> Disk {
    let live = machine.disk().contents().remove(Path::new(NAME).as_os_str()).unwrap();
    Disk::with_file(NAME, live[..live.len() - 4].to_vec())
}

#[test]
fn a_torn_record_that_is_cut_and_written_over_meanwhile_is_no_damage() {
    // The reader sees the beginning of one record and the end of another.
    at_every_call(
        || Machine::new(torn(&machine_with(&["1", "2"]))),
        |machine| {
            other(machine, 2, |bus| {
                say(&bus, "a longer one than the one before");
                say(&bus, "4");
            });
        },
        |machine, at| {
            let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
            let mut follower = bus.follow(&Cursor::START, Wait::NONE).unwrap();
            let mut followed = Vec::new();
            for _ in 0..9 {
                while let Step::Ready(event) = follower.step().unwrap() {
                    let Event::Message(message) = event else { panic!("{at}: {event:?}") };
                    followed.push(message.body);
                }
            }
            let expected = ["1", "a longer one than the one before", "4"];
            let expected = if machine.was_interrupted() { &expected[..] } else { &expected[..1] };
            assert_eq!(followed, expected, "{at}");
            machine.interrupt(99, 1, || {});
        },
    );
}

#[test]
fn two_that_post_once_under_one_key_post_one_message() {
    let once = |bus: &Bus| bus.append_once("k", None, Post::new("INFO", "once"), SOON).unwrap();
    at_every_call(
        || machine_with(&["1"]),
        move |machine| {
            other(machine, 2, |bus| {
                drop(bus.append_once("k", None, Post::new("INFO", "once"), Wait::NONE))
            })
        },
        move |machine, at| {
            let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
            once(&bus);
            assert_eq!(all(&bus), ["1", "once"], "{at}");
        },
    );
}

#[test]
fn two_that_write_and_rotate_at_once_lose_nothing() {
    let rotate = |bus: &Bus, wait: Wait| bus.rotate(wait);
    for first in [rotate, |bus: &Bus, wait: Wait| {
        say(bus, "own");
        bus.rotate(wait)
    }] {
        at_every_call(
            || machine_with(&["1", "2"]),
            |machine| {
                other(machine, 2, |bus| {
                    // One that does not get the lock does nothing.
                    let posted = bus.post(Post::new("INFO", "other"), Wait::NONE).is_ok();
                    let rotated = bus.rotate(Wait::NONE).is_ok();
                    assert_eq!(posted, rotated);
                });
            },
            |machine, at| {
                let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
                first(&bus, SOON.into()).unwrap_or_else(|error| panic!("{at}: {error}"));
                say(&bus, "last");
                let read = all(&bus);
                assert!(read.starts_with(&["1".into(), "2".into()]), "{at}: {read:?}");
                assert!(read.contains(&"last".into()), "{at}: {read:?}");
                judge_files(&machine.disk());
            },
        );
    }
}

#[test]
fn two_that_make_the_first_file_at_once_make_one() {
    at_every_call(
        || Machine::new(Disk::default()),
        |machine| other(machine, 2, |bus| drop(bus.post(Post::new("INFO", "other"), Wait::NONE))),
        |machine, at| {
            let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
            say(&bus, "own");
            let read = all(&bus);
            assert!(
                read == ["own"] || read == ["other", "own"] || read == ["own", "other"],
                "{at}: {read:?}"
            );
            judge_files(&machine.disk());
        },
    );
}

#[test]
fn a_record_that_was_glued_to_a_line_of_somebody_is_written_again() {
    at_every_call(
        || machine_with(&["1"]),
        |machine| {
            // Without the lock, and without a line feed at its end.
            let os = machine.process(2);
            let root = os.open_root(Path::new("/bus")).unwrap();
            let file = os.open_at(&root, Path::new(NAME), Open::Append).unwrap();
            os.write(&file, b"somebody's note").unwrap();
        },
        |machine, at| {
            let bus = bus_of(machine, 1, BusOptions::default()).unwrap();
            let posted = say(&bus, "2");
            let read: Vec<Event> = bus.read(ReadOptions::default()).unwrap().flatten().collect();
            let found = read.iter().filter(
                |event| matches!(event, Event::Message(message) if message.cursor == posted.cursor),
            );
            assert_eq!(found.count(), 1, "{at}: {read:?}");
        },
    );
}

#[test]
fn an_error_at_any_call_of_a_rotation_loses_nothing() {
    for error in [libc::EIO, libc::ENOSPC] {
        for at in 1.. {
            let machine = machine_with(&["1", "2"]);
            machine.plan(at, Fault::Error(error), at);
            let bus = bus_of(&machine, 1, BusOptions::default());
            drop(bus.map(|bus| bus.rotate(Wait::NONE)));
            let is_over = machine.is_over();
            machine.heal();
            machine.kill(1);
            other(&machine, 3, |bus| {
                assert_eq!(all(&bus), ["1", "2"], "error {error} at {at}");
                say(&bus, "3");
                assert_eq!(all(&bus), ["1", "2", "3"], "error {error} at {at}");
            });
            judge_files(&machine.disk());
            if !is_over {
                break;
            }
        }
    }
}

/// The live file of a machine.
fn live(machine: &Machine) -> Vec<u8> {
    machine.disk().contents().remove(Path::new(NAME).as_os_str()).unwrap()
}

#[test]
fn a_broken_last_record_is_kept_and_its_number_not_given_again() {
    let whole = live(&machine_with(&["1", "the last"]));
    let text = String::from_utf8(whole.clone()).unwrap();
    let body = text.rfind("the last").unwrap();
    let digit = text.rfind("len: 8").unwrap() + 5;
    // A bit of the body, and a length that is now longer than the file.
    for (place, byte) in [(body, b'T'), (digit, b'9')] {
        let mut bytes = whole.clone();
        bytes[place] = byte;
        let machine = Machine::new(Disk::with_file(NAME, bytes.clone()));
        other(&machine, 1, |bus| {
            let posted = say(&bus, "next");
            assert_eq!(all_messages(&bus), ["1", "next"]);
            // 1 begins the file, 2 and 3 are the messages.
            assert_eq!(posted.seq, if place == body { 4 } else { 3 });
        });
        let kept = machine.disk().contents();
        let aside = kept.get(Path::new(&format!(".{NAME}.torn")).as_os_str());
        let start = whole.windows(5).rposition(|window| window == b"\n---\n").unwrap();
        let start =
            whole[..start].windows(6).rposition(|window| window == b"\n\n---\n").unwrap() + 2;
        // What looks cut off is put aside first; what is whole by its length stays where it is.
        let there = match aside {
            Some(aside) => {
                aside.windows(bytes.len() - start).any(|window| window == &bytes[start..])
            }
            None => live(&machine).starts_with(&bytes),
        };
        assert!(there, "bytes of an acknowledged message left the disk");
    }
}

/// The bodies of messages; damage is passed over.
fn all_messages(bus: &Bus) -> Vec<String> {
    let events = bus.read(ReadOptions::default()).unwrap().map(|event| event.unwrap());
    let messages = events.filter_map(|event| match event {
        Event::Message(message) => Some(message.body),
        _ => None,
    });
    messages.collect()
}

#[test]
fn torn_bytes_that_cannot_be_put_aside_stay_and_cost_no_message() {
    let whole = live(&machine_with(&["1", "2"]));
    // One that lacks only its last line feed is made whole by the next one's own.
    for cut in 1..100 {
        let bytes = whole[..whole.len() - cut].to_vec();
        for at in 1.. {
            let machine = Machine::new(Disk::with_file(NAME, bytes.clone()));
            machine.plan(at, Fault::Persistent(libc::EACCES), at);
            let bus = bus_of(&machine, 1, BusOptions::default());
            let posted = bus.and_then(|bus| bus.post(Post::new("INFO", "next"), Wait::NONE));
            if let Ok(posted) = posted {
                let is_over = machine.is_over();
                machine.heal();
                other(&machine, 2, |bus| {
                    let last = bus.tail(1).unwrap().last().unwrap().unwrap();
                    let is_last =
                        matches!(&last, Event::Message(last) if last.cursor == posted.cursor);
                    assert!(is_last, "cut {cut}, error at {at}: {last:?}");
                });
                if !is_over {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_number_that_somebody_made_up_is_corrupt_and_the_bus_goes_on() {
    let machine = machine_with(&["1"]);
    let seq = (1u64 << 40).to_string();
    let text = String::from_utf8(live(&machine)).unwrap();
    let start = text.rfind("\n\n---\n").unwrap() + 2;
    let header =
        text[start..text.rfind("crc32c").unwrap()].replace("seq: 2\n", &format!("seq: {seq}\n"));
    let sum = crc32c(header.bytes().chain(*b"1"));
    let forged = format!("{text}\n{header}crc32c: \"{sum:08x}\"\n---\n1\n");
    let machine = Machine::new(Disk::with_file(NAME, forged.into_bytes()));
    other(&machine, 1, |bus| {
        assert_eq!(say(&bus, "next").seq, 3);
        let events: Vec<Event> = bus.read(ReadOptions::default()).unwrap().flatten().collect();
        assert!(matches!(&events[1], Event::Corrupt(_)), "{events:?}");
        assert!(matches!(&events[2], Event::Message(message) if message.body == "next"));
    });
}

#[test]
fn a_writer_that_was_stopped_with_the_lock_hides_nothing_from_a_reader() {
    let whole = live(&machine_with(&["1", "2", "3"]));
    let mut broken = whole.clone();
    let text = String::from_utf8(whole.clone()).unwrap();
    broken[text.find("\n---\n2\n").unwrap() + 5] = b'X';
    let torn_end = [&whole[..], &whole[..60]].concat();
    for (bytes, messages, told) in
        [(broken, ["1", "3"].as_slice(), 2), (torn_end, &["1", "2", "3"], 0)]
    {
        let machine = Machine::new(Disk::with_file(NAME, bytes));
        let os = machine.process(9);
        let root = os.open_root(Path::new("/bus")).unwrap();
        let file = os.open_at(&root, Path::new(NAME), Open::Append).unwrap();
        assert!(os.try_lock(&file, conductor_core::sys::LockKind::Exclusive).unwrap());
        other(&machine, 1, |bus| {
            assert_eq!(all_messages(&bus), messages);
            let read = bus.read(ReadOptions::default()).unwrap().map(Result::unwrap);
            assert_eq!(read.filter(|event| !matches!(event, Event::Message(_))).count(), told);
        });
    }
}
