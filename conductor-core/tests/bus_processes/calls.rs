//! Processes that are killed at each of their system calls, and the one that repairs at each of its.
//!
//! A scene is a folder as it was left, and what a process does in it. It is killed before each of its
//! calls. From what that leaves, a second process goes on and is killed before each of its calls; what
//! that leaves a third must find whole.

use super::child::alone;
use super::kit::*;
use super::trace::{Ended, killed_at};
use super::whole::read_bus;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Pairs of deaths in a test run.
const POINTS: u64 = 1500;
/// The size from which the busy ones archive.
const SMALL: u64 = 1500;

/// The files of a folder, and which names are one file.
#[derive(Clone, Debug, Default)]
struct Image(BTreeMap<String, (u64, Vec<u8>)>);

impl Image {
    fn of(folder: &Path) -> Image {
        let files = names(folder).into_iter().map(|name| {
            let path = folder.join(&name);
            let inode = fs::metadata(&path).unwrap().ino();
            (name, (inode, fs::read(path).unwrap()))
        });
        Image(files.collect())
    }

    /// Makes the folder what it was.
    fn restore(&self, folder: &Path) {
        for name in names(folder) {
            fs::remove_file(folder.join(name)).unwrap();
        }
        let mut made: BTreeMap<u64, PathBuf> = BTreeMap::new();
        for (name, (inode, bytes)) in &self.0 {
            let path = folder.join(name);
            match made.get(inode) {
                Some(other) => fs::hard_link(other, &path).unwrap(),
                None => {
                    fs::write(&path, bytes).unwrap();
                    made.insert(*inode, path);
                }
            }
        }
    }

    /// The same with one file changed.
    fn with(mut self, name: &str, bytes: impl FnOnce(&[u8]) -> Vec<u8>) -> Image {
        let (_, known) = self.0.remove(name).unwrap_or_default();
        let inode = self.0.values().map(|(inode, _)| inode + 1).max().unwrap_or(1);
        self.0.insert(name.to_owned(), (inode, bytes(&known)));
        self
    }

    fn without(mut self, name: &str) -> Image {
        self.0.remove(name);
        self
    }
}

/// What a process does: posts of this name are noted once they are acknowledged.
#[derive(Clone, Copy, Debug)]
enum Work {
    Post,
    Batch,
    Once,
    Grow,
    Rotate,
}

const ALL: [Work; 5] = [Work::Post, Work::Batch, Work::Once, Work::Grow, Work::Rotate];

fn work(what: Work, folder: &Path, acks: &Path, name: &str) {
    let most = if matches!(what, Work::Grow) { 1 } else { SMALL };
    let bus = open_with(folder, BusOptions::default().max_size(most));
    let post = |n: u32| Post::new("INFO", format!("{name}.{n}"));
    let posted = match what {
        Work::Post | Work::Grow => vec![bus.post(post(0), SOON).unwrap()],
        Work::Batch => bus.post_many((0..5).map(post), SOON).unwrap(),
        Work::Once => vec![bus.append_once(name, None, post(0), SOON).unwrap()],
        Work::Rotate => {
            bus.rotate(SOON).unwrap();
            Vec::new()
        }
    };
    let mut acks = OpenOptions::new().create(true).append(true).open(acks).unwrap();
    let lines: String =
        (0..posted.len()).map(|n| format!("{name}.{n} {}\n", posted[n].seq)).collect();
    acks.write_all(lines.as_bytes()).unwrap();
}

/// A folder for the bus and one file beside it.
struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        fs::create_dir(dir.path().join("bus")).unwrap();
        Stage { dir }
    }

    fn bus(&self) -> PathBuf {
        self.dir.path().join("bus")
    }

    fn acks(&self) -> PathBuf {
        self.dir.path().join("acks")
    }

    fn acked(&self) -> String {
        fs::read_to_string(self.acks()).unwrap_or_default()
    }

    /// Lets a process work until it is killed before its call `number`.
    fn kill(&self, number: usize, what: Work, name: &str) -> Ended {
        let (folder, acks) = (self.bus(), self.acks());
        killed_at(number, || work(what, &folder, &acks, name))
    }

    /// What must hold now, before and after one more process wrote.
    fn judge(&self, before: &[String], what: &str) {
        let folder = self.bus();
        let check = |read: &[String]| {
            assert!(read.starts_with(before), "{what}: {read:?}");
            for line in self.acked().lines() {
                let key = line.split(' ').next().unwrap();
                assert_eq!(read.iter().filter(|body| *body == key).count(), 1, "{what}: {key}");
            }
            let mut sorted = read.to_vec();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), read.len(), "{what}: {read:?}");
        };
        check(&all(&open(&folder)));
        let bus = open_with(&folder, BusOptions::default().durability(Durability::Process));
        say(&bus, "last");
        let read = all(&bus);
        assert_eq!(read.last().unwrap(), "last", "{what}");
        check(&read);
        let acked = self.acked();
        let records = read_bus(&[&folder], NAME);
        for line in acked.lines() {
            let (key, seq) = line.split_once(' ').unwrap();
            let found = records.iter().find(|record| record.body == key).unwrap();
            assert_eq!(found.seq.to_string(), seq, "{what}: {key}");
        }
    }
}

/// The folders that processes are killed in.
fn scenes() -> Vec<(&'static str, Image)> {
    let stage = Stage::new();
    let folder = stage.bus();
    let bus = open(&folder);
    (0..5).for_each(|n| drop(say(&bus, n.to_string())));
    let plain = Image::of(&folder);
    bus.rotate(Wait::FOREVER).unwrap();
    let rotated = Image::of(&folder);
    let archive = rotated.0.keys().find(|name| name.ends_with(".archived")).unwrap().clone();
    (5..7).for_each(|n| drop(say(&bus, n.to_string())));
    let (begun, sealed) = (rotated.0[NAME].1.clone(), rotated.0[&archive].1.clone());
    let live = fs::read(folder.join(NAME)).unwrap();
    let unsealed = plain.0[NAME].1.len();
    let none = Image::default();
    vec![
        ("no bus", none.clone()),
        ("a bus", plain.clone()),
        ("a bus with archives", Image::of(&folder)),
        ("a torn message", plain.clone().with(NAME, |live| live[..live.len() - 40].to_vec())),
        (
            "a torn seal",
            plain
                .clone()
                .with(NAME, |_| sealed[..unsealed + 70].to_vec())
                .with(NEXT, |_| begun.clone()),
        ),
        ("a next file that was not needed", plain.clone().with(NEXT, |_| begun.clone())),
        (
            "a sealed bus",
            plain.clone().with(NAME, |_| sealed.clone()).with(NEXT, |_| begun.clone()),
        ),
        ("a sealed bus without a next file", plain.clone().with(NAME, |_| sealed.clone())),
        (
            "a named archive",
            rotated
                .clone()
                .with(&archive, |_| Vec::new())
                .without(NAME)
                .with(NEXT, |_| begun.clone())
                .linked(&archive, &sealed),
        ),
        (
            "a publication that was taken back",
            rotated.clone().without(NAME).with(NEXT, |_| live.clone()).linked(&archive, &sealed),
        ),
        ("no live name", rotated.clone().without(NAME).with(NEXT, |_| live.clone())),
        ("a first file half made", none.with(NEXT, |_| begun[..60].to_vec())),
    ]
}

impl Image {
    /// The same where the live file and its archive are one.
    fn linked(mut self, archive: &str, bytes: &[u8]) -> Image {
        self.0.remove(archive);
        let inode = self.0.values().map(|(inode, _)| inode + 1).max().unwrap_or(1);
        self.0.insert(archive.to_owned(), (inode, bytes.to_vec()));
        self.0.insert(NAME.to_owned(), (inode, bytes.to_vec()));
        self
    }
}

#[test]
fn a_process_is_killed_at_each_system_call_and_the_one_that_repairs_at_each_of_its() {
    let _alone = alone();
    let (total, began) = (count(POINTS), Instant::now());
    let scenes = scenes();
    let stage = Stage::new();
    let (mut points, mut whole) = (0u64, 0u64);
    // With all first calls and all second ones there are about 600,000 pairs. A smaller number is had
    // by steps; where the second begins depends on the first, so that each call has its turn.
    let every = usize::try_from(600_000 / total.max(1)).unwrap().max(1);
    let step = (every.isqrt() / 2).max(1);
    let step_again = (every / step).max(1);
    for (scene, image) in &scenes {
        for first in ALL {
            image.restore(&stage.bus());
            let before = all(&open(&stage.bus()));
            for number in (1..).step_by(step) {
                image.restore(&stage.bus());
                fs::write(stage.acks(), "").unwrap();
                let ended = stage.kill(number, first, "first");
                let (left, acked) = (Image::of(&stage.bus()), stage.acked());
                for second in ALL {
                    for again in (1 + number / step % step_again..).step_by(step_again) {
                        left.restore(&stage.bus());
                        fs::write(stage.acks(), &acked).unwrap();
                        let what =
                            format!("{scene}: {first:?} dies at {number}, {second:?} at {again}");
                        let ended = stage.kill(again, second, "second");
                        stage.judge(&before, &what);
                        points += 1;
                        if ended != Ended::Killed {
                            whole += 1;
                            break;
                        }
                    }
                }
                if ended != Ended::Killed {
                    break;
                }
            }
        }
        println!("{scene}: {points} pairs so far, {} s", began.elapsed().as_secs());
    }
    let took = began.elapsed().as_secs();
    println!("{points} pairs of deaths, {whole} of them without the second, in {took} s");
    assert!(points >= total.min(1000), "only {points} pairs");
}
