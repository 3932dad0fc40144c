//! Rotation: nothing is lost, doubled or out of order, whatever a crash leaves behind.

use super::kit::*;
use conductor_core::bus::FindingKind;
use std::fs;
use std::path::{Path, PathBuf};

/// A bus that goes into an archive every few messages.
fn open_small(path: &Path) -> Bus {
    open_with(path, BusOptions::default().max_size(1500).durability(Durability::Process))
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn a_bus_is_read_and_followed_across_its_archives() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open_small(dir.path());
    let mut follower = bus.follow(&Cursor::START, SOON).unwrap();
    let mut posted = Vec::new();
    for n in 0..100 {
        posted.push(say(&bus, n.to_string()));
        if n % 10 == 9 {
            for _ in 0..10 {
                let Some(Ok(Event::Message(message))) = follower.next() else { panic!() };
                assert_eq!(message.cursor, posted[message.body.parse::<usize>().unwrap()].cursor);
            }
        }
    }
    assert!(archives(dir.path()).len() > 5);
    let read = messages(bus.read(ReadOptions::default()).unwrap());
    assert_eq!(read.iter().map(|m| m.body.clone()).collect::<Vec<_>>(), numbers(0..100));
    let mut seqs: Vec<u64> = messages(bus.read(ReadOptions::default().with_control()).unwrap())
        .iter()
        .map(|message| message.seq.unwrap())
        .collect();
    assert_eq!(seqs.last(), Some(&posted[99].seq));
    seqs.dedup();
    assert_eq!(seqs, (1..=posted[99].seq).collect::<Vec<_>>());
    for (at, posted) in posted.iter().enumerate() {
        let after =
            |cursor: &Cursor| bodies(bus.read(ReadOptions::default().after(cursor)).unwrap());
        assert_eq!(after(&posted.cursor), numbers(at as u32 + 1..100));
        assert_eq!(after(&posted.msg_id.clone().into()), numbers(at as u32 + 1..100));
        let tail = bodies(bus.tail(at + 1).unwrap());
        assert_eq!(tail, numbers(99 - at as u32..100));
    }
    assert_eq!(bus.end().unwrap().as_ref(), Some(&posted[99].cursor));
}

#[test]
fn a_removed_archive_is_a_gap_and_a_cursor_into_it_goes_on_behind() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open_small(dir.path());
    let posted: Vec<_> = (0..60).map(|n| say(&bus, n.to_string())).collect();
    let archives = archives(dir.path());
    fs::remove_file(&archives[0]).unwrap();
    fs::remove_file(&archives[3]).unwrap();
    let mut gaps = Vec::new();
    let mut seen = 0;
    for event in bus.read(ReadOptions::default()).unwrap() {
        match event.unwrap() {
            Event::Gap { from, to } => {
                gaps.push((from, to));
                seen += to - from + 1;
            }
            Event::Message(message) => {
                assert!(message.seq.unwrap() > seen);
                seen = message.seq.unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((gaps.len(), gaps[0].0, seen), (2, 1, posted[59].seq));
    let first = bus.read(ReadOptions::default().after(&posted[0].cursor)).unwrap().next();
    let (from, to) = (posted[0].seq + 1, gaps[0].1);
    assert_eq!(first.unwrap().unwrap(), Event::Gap { from, to });
}

#[test]
fn a_bus_with_an_older_writer_is_not_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open_with(dir.path(), BusOptions::default().allow_legacy_writers(true).max_size(500));
    (0..20).for_each(|n| drop(say(&bus, n.to_string())));
    assert_eq!(bus.rotate(Wait::FOREVER).unwrap(), Rotation::OlderWriter);
    let bus = open(dir.path());
    let older = "\n---\nmsg_id: MSG-1\nts: 2999-01-01T00:00:00Z\ntype: A\nproject_id: p\n---\nb\n";
    let path = dir.path().join(NAME);
    fs::write(&path, [fs::read(&path).unwrap(), older.into()].concat()).unwrap();
    assert_eq!(bus.rotate(Wait::FOREVER).unwrap(), Rotation::OlderWriter);
    assert_eq!(archives(dir.path()).len(), 0);
    let text = fs::read_to_string(&path).unwrap().replace("2999", "2001");
    fs::write(&path, text).unwrap();
    assert!(matches!(bus.rotate(Wait::FOREVER).unwrap(), Rotation::Done { .. }));
    assert_eq!(bus.rotate(Wait::FOREVER).unwrap(), Rotation::Empty);
    assert_eq!(all(&bus).len(), 21);
    assert_eq!(
        open(tempfile::tempdir().unwrap().path()).rotate(Wait::FOREVER).unwrap(),
        Rotation::Empty
    );
}

/// A bus of five messages, rotated, with two more: what each step of the rotation left behind.
struct Stages {
    dir: tempfile::TempDir,
    /// The live file before the rotation.
    unsealed: Vec<u8>,
    /// The archive.
    sealed: Vec<u8>,
    archive: PathBuf,
    /// The next file as it was published.
    next: Vec<u8>,
    /// The next file with two messages.
    next_with_two: Vec<u8>,
}

impl Stages {
    fn new() -> Stages {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join(NAME);
        let bus = open(dir.path());
        (0..5).for_each(|n| drop(say(&bus, n.to_string())));
        let unsealed = fs::read(&live).unwrap();
        let Rotation::Done { archive } = bus.rotate(Wait::FOREVER).unwrap() else { panic!() };
        let next = fs::read(&live).unwrap();
        (5..7).for_each(|n| drop(say(&bus, n.to_string())));
        let (sealed, next_with_two) = (fs::read(&archive).unwrap(), fs::read(&live).unwrap());
        Stages { dir, unsealed, sealed, archive, next, next_with_two }
    }

    /// Lays the files as a crash left them.
    fn crash(&self, live: Option<&[u8]>, next: Option<&[u8]>, archived: bool) -> Bus {
        let path = self.dir.path().join(NAME);
        for name in names(self.dir.path()) {
            fs::remove_file(self.dir.path().join(name)).unwrap();
        }
        if let Some(live) = live {
            fs::write(&path, live).unwrap();
        }
        if archived {
            match live {
                Some(_) => fs::hard_link(&path, &self.archive).unwrap(),
                None => fs::write(&self.archive, &self.sealed).unwrap(),
            }
        }
        if let Some(next) = next {
            fs::write(self.dir.path().join(NEXT), next).unwrap();
        }
        open(self.dir.path())
    }

    /// What is there is read before and after the next writer, who goes on with it.
    fn check(&self, bus: &Bus, there: u32) {
        assert_eq!(all(bus), numbers(0..there), "read before the next writer");
        let report = bus.check().unwrap();
        assert!(!report.is_damaged(), "each crash leaves a sound bus: {report:?}");
        let odd = report.findings.iter().any(|found| found.kind == FindingKind::Linked);
        assert!(!odd && report.messages == u64::from(there), "{report:?}");
        let mut follower = bus.follow(&Cursor::START, SOON).unwrap();
        let before: Vec<String> = (0..there)
            .map(|_| match follower.next() {
                Some(Ok(Event::Message(message))) => message.body,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(before, numbers(0..there), "followed before the next writer");
        let posted = say(bus, there.to_string());
        assert_eq!(all(bus), numbers(0..there + 1), "read after the next writer");
        let Some(Ok(Event::Message(message))) = follower.next() else { panic!() };
        assert_eq!(message.cursor, posted.cursor);
        let control = ReadOptions::default().with_control();
        let seqs: Vec<_> = messages(bus.read(control).unwrap()).iter().map(|m| m.seq).collect();
        assert_eq!(seqs, (1..=posted.seq).map(Some).collect::<Vec<_>>());
        bus.rotate(Wait::FOREVER).unwrap();
        assert!(!self.dir.path().join(NEXT).exists());
        assert_eq!(all(bus), numbers(0..there + 1), "read after the next rotation");
        for archive in archives(self.dir.path()) {
            let bytes = fs::read(archive).unwrap();
            assert!(bytes.windows(15).any(|window| window == b"BUS_SEGMENT_END"));
        }
    }
}

#[test]
fn crash_after_the_next_file_was_made() {
    let stages = Stages::new();
    stages.check(&stages.crash(Some(&stages.unsealed), Some(&stages.next), false), 5);
}

#[test]
fn crash_while_the_next_file_was_made() {
    let stages = Stages::new();
    for cut in [0, 1, 60, stages.next.len() - 1] {
        let bus = stages.crash(Some(&stages.unsealed), Some(&stages.next[..cut]), false);
        stages.check(&bus, 5);
    }
}

#[test]
fn crash_after_the_live_file_was_sealed() {
    let stages = Stages::new();
    stages.check(&stages.crash(Some(&stages.sealed), Some(&stages.next), false), 5);
}

#[test]
fn crash_after_the_seal_with_the_next_file_lost() {
    let stages = Stages::new();
    stages.check(&stages.crash(Some(&stages.sealed), None, false), 5);
    for cut in [0, 1, 60, stages.next.len() - 1] {
        let bus = stages.crash(Some(&stages.sealed), Some(&stages.next[..cut]), false);
        stages.check(&bus, 5);
    }
}

#[test]
fn crash_while_the_live_file_was_sealed() {
    let stages = Stages::new();
    for cut in [1, 100, stages.sealed.len() - stages.unsealed.len() - 1] {
        let live = &stages.sealed[..stages.unsealed.len() + cut];
        stages.check(&stages.crash(Some(live), Some(&stages.next), false), 5);
    }
}

#[test]
fn crash_after_the_archive_was_named() {
    let stages = Stages::new();
    stages.check(&stages.crash(Some(&stages.sealed), Some(&stages.next), true), 5);
}

#[test]
fn power_cut_that_takes_the_publication_back() {
    let stages = Stages::new();
    stages.check(&stages.crash(Some(&stages.sealed), Some(&stages.next_with_two), true), 7);
    let torn = &stages.next_with_two[..stages.next_with_two.len() - 3];
    stages.check(&stages.crash(Some(&stages.sealed), Some(torn), true), 6);
}

#[test]
fn power_cut_that_takes_the_live_name_away() {
    let stages = Stages::new();
    stages.check(&stages.crash(None, Some(&stages.next_with_two), true), 7);
}

#[test]
fn crash_while_the_first_file_was_made() {
    let stages = Stages::new();
    let first = &stages.unsealed;
    let start = first.windows(2).position(|pair| pair == b"\n\n").unwrap() + 1;
    for cut in [0, 1, 60, start - 1, start] {
        stages.check(&stages.crash(None, Some(&first[..cut]), false), 0);
    }
}

#[test]
fn power_cut_that_takes_the_first_publication_back() {
    let stages = Stages::new();
    stages.check(&stages.crash(None, Some(&stages.unsealed), false), 5);
}

#[test]
fn a_removed_bus_goes_on_behind_its_archives() {
    let stages = Stages::new();
    stages.check(&stages.crash(None, None, true), 5);
}

#[test]
fn an_archive_is_never_overwritten() {
    let stages = Stages::new();
    let bus = stages.crash(Some(&stages.unsealed), None, false);
    fs::write(&stages.archive, "somebody's file").unwrap();
    let Rotation::Done { archive } = bus.rotate(Wait::FOREVER).unwrap() else { panic!() };
    assert_eq!(fs::read(&stages.archive).unwrap(), b"somebody's file");
    assert!(archive.to_str().unwrap().ends_with("-2.archived"));
}

#[test]
fn a_next_file_with_messages_is_not_thrown_away() {
    let stages = Stages::new();
    let bus = stages.crash(Some(&stages.unsealed), Some(&stages.next_with_two), false);
    assert_eq!(bus.rotate(Wait::FOREVER).unwrap_err().code(), "bus.next_in_the_way");
    assert_eq!(fs::read(stages.dir.path().join(NEXT)).unwrap(), stages.next_with_two);
    let report = bus.check().unwrap();
    let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!((kinds.as_slice(), report.is_damaged()), (&[FindingKind::Hidden][..], true));
    say(&bus, "5");
    assert_eq!(all(&bus), numbers(0..6));
}

#[test]
fn archives_of_the_older_program_are_read_as_older_history() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let live = dir.path().join(NAME);
    let older = |n: u32| {
        format!(
            "---\nmsg_id: MSG-{n}\nts: 2001-01-01T00:00:00Z\ntype: A\nproject_id: p\n---\n{n}\n"
        )
    };
    fs::write(dir.path().join(format!("{NAME}.20010101-000000.archived")), older(0)).unwrap();
    fs::write(&live, older(1)).unwrap();
    let mut follower = bus.follow(&Cursor::START, SOON).unwrap();
    let mut next = || match follower.next() {
        Some(Ok(Event::Message(message))) => message.body,
        other => panic!("{other:?}"),
    };
    assert_eq!([next(), next()], ["0", "1"]);
    say(&bus, "2");
    // The older program archives by a rename alone, and its next post makes the file anew.
    fs::rename(&live, dir.path().join(format!("{NAME}.20020101-000000.archived"))).unwrap();
    fs::write(&live, older(3)).unwrap();
    fs::rename(&live, dir.path().join(format!("{NAME}.20020101-000001.archived"))).unwrap();
    let posted = say(&bus, "4");
    assert_eq!([next(), next(), next()], ["2", "3", "4"]);
    assert_eq!(posted.seq, 3, "numbers go on behind the archives; the segment's start has one");
    assert_eq!(all(&bus), numbers(0..5));
}

#[test]
fn a_replaced_file_is_told_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let live = dir.path().join(NAME);
    say(&bus, "0");
    say(&bus, "1");
    let mut follower = bus.follow(&Cursor::START, SOON).unwrap();
    let mut next = || match follower.next() {
        Some(Ok(Event::Message(message))) => message.body,
        Some(Ok(Event::Replaced { last_seq, .. })) => format!("replaced after {last_seq}"),
        other => panic!("{other:?}"),
    };
    assert_eq!([next(), next()], ["0", "1"]);
    // An editor writes a new file of the same content: reading goes on where it was.
    let copy = dir.path().join("copy");
    fs::copy(&live, &copy).unwrap();
    fs::rename(&copy, &live).unwrap();
    say(&bus, "2");
    assert_eq!([next(), next()], ["replaced after 3", "2"]);
    // Another bus altogether.
    fs::remove_file(&live).unwrap();
    say(&bus, "a");
    assert_eq!([next(), next()], ["replaced after 4", "a"]);
}
