//! Posting, reading and following on one file.

use super::crashes::bus_of;
use super::kit::*;
use super::machine::{Disk, Machine};
use conductor_core::{RunId, Step};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

#[test]
fn opening_and_reading_change_nothing_and_the_first_post_makes_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    assert_eq!(all(&bus), [""; 0]);
    assert_eq!(bus.end().unwrap(), None);
    assert_eq!(names(dir.path()), [""; 0]);

    let run = RunId::new("run-1").unwrap();
    let posted = bus.post(Post::new("fact", "hello\n---\nbye").run(&run), Wait::FOREVER).unwrap();
    assert_eq!(names(dir.path()), [NAME]);
    let [message] = &messages(bus.read(ReadOptions::default()).unwrap())[..] else { panic!() };
    assert_eq!(message.msg_id, posted.msg_id);
    assert_eq!((message.seq, posted.seq), (Some(2), 2));
    assert_eq!(message.cursor, posted.cursor);
    assert_eq!(message.body, "hello\n---\nbye");
    assert_eq!((message.msg_type.as_str(), message.run_id.as_str()), ("FACT", "run-1"));
    assert_eq!((message.project_id.as_str(), message.task_id.as_str()), ("shop", "fix-login"));
    assert_eq!(bus.end().unwrap(), Some(posted.cursor));
    let with_control = messages(bus.read(ReadOptions::default().with_control()).unwrap());
    assert_eq!(with_control[0].msg_type, "BUS_SEGMENT_START");
}

#[test]
fn reading_chooses_by_place_number_type_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let run = RunId::new("run-1").unwrap();
    let posts = (0..6).map(|n| {
        let post = Post::new(if n % 2 == 0 { "EVEN" } else { "ODD" }, n.to_string());
        if n > 3 { post.run(&run) } else { post }
    });
    let posted = bus.post_many(posts, Wait::FOREVER).unwrap();
    let read = |options: ReadOptions| bodies(bus.read(options).unwrap());
    assert_eq!(bodies(bus.tail(2).unwrap()), ["4", "5"]);
    assert_eq!(bodies(bus.tail(100).unwrap()).len(), 6);
    assert_eq!(bodies(bus.tail(0).unwrap()), [""; 0]);
    assert_eq!(read(ReadOptions::default().after(&posted[3].cursor)), ["4", "5"]);
    assert_eq!(read(ReadOptions::default().after(&posted[3].msg_id.clone().into())), ["4", "5"]);
    assert_eq!(read(ReadOptions::default().after(&Cursor::END)), [""; 0]);
    assert_eq!(read(ReadOptions::default().of_type("ODD")), ["1", "3", "5"]);
    assert_eq!(read(ReadOptions::default().of_type("ODD").tail(1)), ["5"]);
    assert_eq!(read(ReadOptions::default().of_run(&run)), ["4", "5"]);

    let other: Cursor = format!("c1:{}:MSG-OTHER", posted[3].seq).parse().unwrap();
    let error = bus.read(ReadOptions::default().after(&other)).unwrap_err();
    assert_eq!(error.code(), "bus.cursor_diverged");
    let beyond: Cursor = "c1:99:MSG-OTHER".parse().unwrap();
    let error = bus.read(ReadOptions::default().after(&beyond)).unwrap_err();
    assert_eq!(error.code(), "bus.cursor_diverged");
    let unknown: Cursor = "MSG-UNKNOWN".parse().unwrap();
    let error = bus.read(ReadOptions::default().after(&unknown)).unwrap_err();
    assert_eq!((error.code(), error.kind()), ("bus.cursor_not_found", ErrorKind::NotFound));
}

#[test]
fn a_message_is_posted_once_for_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let start = bus.post(Post::new("RUN_START", "x"), Wait::FOREVER).unwrap();
    let once = |key: &str| {
        bus.append_once(key, Some(&start.cursor), Post::new("RUN_STOP", "y"), Wait::FOREVER)
            .unwrap()
    };
    assert_eq!(once("run-1:end"), once("run-1:end"));
    assert_ne!(once("run-1:end"), once("run-2:end"));
    assert_eq!(all(&bus), ["x", "y", "y"]);
    // A place that is gone does not lead to a second message.
    let gone = "c1:1:MSG-GONE".parse().unwrap();
    bus.append_once("run-1:end", Some(&gone), Post::new("RUN_STOP", "z"), Wait::FOREVER).unwrap();
    assert_eq!(all(&bus).len(), 3);
}

#[test]
fn buses_of_the_older_program_are_read_and_continued() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/older-bus");
    for (file, count) in [("project.md", 6), ("fix-bug.md", 4), ("done.md", 10)] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(fixtures.join(file), dir.path().join(NAME)).unwrap();
        let bus = open(dir.path());
        let older = messages(bus.read(ReadOptions::default()).unwrap());
        assert_eq!(older.len(), count, "{file}");
        for (at, message) in older.iter().enumerate() {
            assert_eq!((message.seq, message.project_id.as_str()), (None, "shop"));
            // A body of the older program can forge a message, which has no time here.
            let forged = message.msg_id.as_str() == "MSG-FAKE";
            assert_eq!(message.time.is_zero(), forged);
            assert!(!message.body.ends_with('\n'));
            let cursor: Cursor = message.cursor.to_string().parse().unwrap();
            let rest = messages(bus.read(ReadOptions::default().after(&cursor)).unwrap());
            assert_eq!(rest, older[at + 1..]);
        }
        let posted = bus.post(Post::new("INFO", "new"), Wait::FOREVER).unwrap();
        assert_eq!(posted.seq, 1);
        let both = messages(bus.read(ReadOptions::default()).unwrap());
        assert_eq!((&both[..count], both[count].body.as_str()), (&older[..], "new"));
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(fixtures.join("project.md"), dir.path().join(NAME)).unwrap();
    let read = messages(open(dir.path()).read(ReadOptions::default()).unwrap());
    let [message, ..] = &read[..] else { panic!() };
    assert_eq!(message.parents[1].kind.as_deref(), Some("source_fact"));
    assert_eq!(message.links.len(), 4);
    assert_eq!(message.meta("latest_run_event_type"), Some("RUN_STOP"));
}

#[test]
fn lines_of_the_first_version_are_read_and_other_text_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    std::fs::write(&path, "# Bus\n\n[2026-01-02 03:04:05] FACT: one\n[x] two\n").unwrap();
    let bus = open(dir.path());
    bus.post(Post::new("INFO", "three"), Wait::FOREVER).unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"somebody's note\n").unwrap();
    bus.post(Post::new("INFO", "four"), Wait::FOREVER).unwrap();
    let seen: Vec<_> = bus
        .read(ReadOptions::default())
        .unwrap()
        .map(|event| match event.unwrap() {
            Event::Message(message) => format!("{} {}", message.msg_id, message.body),
            Event::Foreign(damage) => format!("foreign {:?}", damage.text.trim()),
            other => panic!("{other:?}"),
        })
        .map(|line| if line.starts_with("MSG") { line[44..].to_owned() } else { line })
        .collect();
    assert_eq!(
        seen,
        [
            "foreign \"# Bus\"",
            "LEGACY-LINE-000000003 one",
            "foreign \"[x] two\"",
            "three",
            "foreign \"somebody's note\"",
            "four"
        ]
    );
}

#[test]
fn a_torn_record_is_cut_kept_aside_and_never_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let bus = open(dir.path());
    bus.post(Post::new("INFO", "whole"), Wait::FOREVER).unwrap();
    let before = std::fs::read(&path).unwrap();
    bus.post(Post::new("INFO", "torn"), Wait::FOREVER).unwrap();
    let after = std::fs::read(&path).unwrap();
    for cut in before.len() + 1..after.len() {
        std::fs::write(&path, &after[..cut]).unwrap();
        assert_eq!(all(&bus), ["whole"], "cut at {cut}");
        let posted = open(dir.path()).post(Post::new("INFO", "next"), Wait::FOREVER).unwrap();
        assert_eq!(posted.seq, 3);
        assert_eq!(all(&bus), ["whole", "next"], "cut at {cut}");
        let now = std::fs::read(&path).unwrap();
        assert!(now.starts_with(&before));
        let kept = std::fs::read(dir.path().join(format!(".{NAME}.torn"))).unwrap_or_default();
        let torn = &after[before.len() + 1..cut];
        assert!(kept.ends_with(&[torn, b"\n"].concat()) || torn.is_empty(), "cut at {cut}");
    }
}

#[test]
fn a_follower_that_saw_a_torn_record_gets_the_one_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let bus = open(dir.path());
    say(&bus, "one");
    let before = std::fs::read(&path).unwrap().len();
    say(&bus, "same");
    let whole = std::fs::read(&path).unwrap();
    for cut in before + 1..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut follower = bus.follow(&Cursor::START, SOON).unwrap();
        assert!(matches!(follower.next(), Some(Ok(Event::Message(one))) if one.body == "one"));
        // The same text again: its record ends with the very bytes that the torn one lacked.
        let posted = say(&bus, "same");
        let Some(Ok(Event::Message(same))) = follower.next() else { panic!("cut at {cut}") };
        assert_eq!(same.cursor, posted.cursor, "cut at {cut}");
        let last = messages(bus.tail(1).unwrap()).remove(0);
        assert_eq!(last.cursor, posted.cursor);
    }
}

#[test]
fn a_damaged_record_is_told_and_nothing_of_it_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let bus = open(dir.path());
    for body in ["one", "two", "three"] {
        bus.post(Post::new("INFO", body), Wait::FOREVER).unwrap();
    }
    let whole = std::fs::read(&path).unwrap();
    for (body, told) in
        [("two", "[one][corrupt][gap 3-3][three]"), ("three", "[one][two][corrupt]")]
    {
        let mut bytes = whole.clone();
        let at = bytes.windows(body.len()).rposition(|window| window == body.as_bytes()).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let seen = |bus: &Bus| {
            bus.read(ReadOptions::default()).unwrap().fold(String::new(), |text, event| {
                text + &match event.unwrap() {
                    Event::Message(message) => format!("[{}]", message.body),
                    Event::Corrupt(_) => "[corrupt]".into(),
                    Event::Gap { from, to } => format!("[gap {from}-{to}]"),
                    other => panic!("{other:?}"),
                }
            })
        };
        assert_eq!(seen(&bus), told);
        let posted = open(dir.path()).post(Post::new("INFO", "four"), Wait::FOREVER).unwrap();
        assert_eq!(posted.seq, 5, "the number of the damaged record is not given again");
        assert!(std::fs::read(&path).unwrap().starts_with(&bytes), "no byte is taken away");
        assert!(seen(&bus).ends_with("[four]"));
    }
}

#[test]
fn a_follower_gets_what_is_there_and_what_comes_and_ends_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let mut follower = bus.follow(&Cursor::START, SOON).unwrap();
    assert_eq!(follower.step().unwrap(), Step::Pending);
    bus.post(Post::new("INFO", "one"), Wait::FOREVER).unwrap();
    let one = follower.next().unwrap().unwrap();
    let Event::Message(one) = one else { panic!("{one:?}") };
    assert_eq!(one.body, "one");
    let poster = std::thread::spawn({
        let bus = bus.clone();
        move || bus.post(Post::new("INFO", "two"), Wait::FOREVER).unwrap()
    });
    let two = follower.next().unwrap().unwrap();
    let posted = poster.join().unwrap();
    assert!(matches!(two, Event::Message(two) if two.cursor == posted.cursor));

    assert!(bus.follow(&posted.cursor, Wait::NONE).unwrap().next().is_none());
    assert_eq!(bodies(bus.follow(&one.cursor, Wait::NONE).unwrap()), ["two"]);
    assert_eq!(bodies(bus.follow(&Cursor::END, Wait::NONE).unwrap()), [""; 0]);
    let cancel = Cancel::new();
    let mut follower = bus.follow(&Cursor::END, &cancel).unwrap();
    let canceller = std::thread::spawn(move || cancel.set());
    assert!(follower.next().is_none());
    canceller.join().unwrap();
}

#[test]
fn a_held_lock_is_a_named_timeout_and_does_not_stop_readers() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    bus.post(Post::new("INFO", "one"), Wait::FOREVER).unwrap();
    let lock = folder(dir.path())
        .lock(NAME, conductor_core::sys::LockKind::Exclusive, &Wait::FOREVER)
        .unwrap();
    let error = bus.post(Post::new("INFO", "two"), Duration::from_millis(5)).unwrap_err();
    assert_eq!((error.code(), error.kind()), ("lock.timeout", ErrorKind::Busy));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    let cancel = Cancel::new();
    cancel.set();
    let error = bus.post(Post::new("INFO", "two"), &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(all(&bus), ["one"]);
    drop(lock);
    bus.post(Post::new("INFO", "two"), Wait::FOREVER).unwrap();
    assert_eq!(all(&bus), ["one", "two"]);
}

#[test]
fn what_is_no_plain_file_is_refused_by_name_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let bus = open(dir.path());
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    let error = bus.post(Post::new("INFO", "x"), Wait::FOREVER).unwrap_err();
    assert_eq!((error.code(), error.path()), ("path.symlink", Some(&*path)));
    assert_eq!(
        bus.read(ReadOptions::default()).unwrap().next().unwrap().unwrap_err().code(),
        "path.symlink"
    );
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = bus.post(Post::new("INFO", "x"), Wait::FOREVER).unwrap_err();
    assert_eq!(error.code(), "path.not_a_file");
    assert_eq!(names(dir.path()), [NAME]);
    for name in ["", "a/b", "..", ".hidden", "a\nb"] {
        let scope = Scope::try_from("shop").unwrap();
        let error = Bus::open(folder(dir.path()), name, scope, BusOptions::default()).unwrap_err();
        assert_eq!(error.code(), "bus.name", "{name:?}");
    }
}

#[test]
fn lines_of_the_oldest_form_are_read_a_few_times_and_not_once_for_each_of_them() {
    const LINES: usize = 20_000;
    let lines: String =
        (0..LINES).map(|n| format!("[2001-01-01 00:00:00] FACT: line {n}\n")).collect();
    let size = lines.len();
    let machine = Machine::new(Disk::with_file(NAME, lines.into_bytes()));
    let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
    let (calls, before) = (machine.calls(), machine.reads().1);
    assert_eq!(bus.read(ReadOptions::default()).unwrap().count(), LINES);
    let (calls, bytes) = (machine.calls() - calls, machine.reads().1 - before);
    assert!(calls < 200 && bytes < 4 * size as u64, "{calls} calls, {bytes} of {size} bytes");
}
