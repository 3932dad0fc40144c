//! The older program beside ours: a small port of how it reads and writes a bus, which shares no code with
//! the library.

use super::kit::*;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// A message as the older program gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    id: String,
    kind: String,
    body: String,
}

/// Where its reader is in a file.
enum State {
    Seeking,
    Header(String),
    Body(Told, String),
}

/// Reads a file as it does: by its lines alone, whole, without a lock.
fn read(path: &Path) -> Vec<Told> {
    let mut text = String::new();
    File::open(path).unwrap().read_to_string(&mut text).unwrap();
    let (mut told, mut state) = (Vec::new(), State::Seeking);
    for line in text.split_inclusive('\n') {
        let delimits = line.trim_end_matches(['\r', '\n']) == "---";
        state = match state {
            State::Seeking if delimits => State::Header(String::new()),
            State::Seeking => State::Seeking,
            State::Header(header) if delimits => match decode(&header) {
                Some(message) => State::Body(message, String::new()),
                // What follows is taken for a header: the next message brings it into step again.
                None => State::Header(String::new()),
            },
            State::Header(header) => State::Header(header + line),
            State::Body(message, body) if delimits => {
                told.push(finish(message, &body));
                State::Header(String::new())
            }
            State::Body(message, body) => State::Body(message, body + line),
        };
    }
    if let State::Body(message, body) = state
        && body.ends_with('\n')
    {
        told.push(finish(message, &body));
    }
    told
}

fn finish(message: Told, body: &str) -> Told {
    let body = body.strip_suffix('\n').unwrap_or(body);
    let body = body.strip_suffix('\r').unwrap_or(body).to_owned();
    Told { body, ..message }
}

/// A mapping of YAML, or nothing; keys that it does not know are passed over.
fn decode(header: &str) -> Option<Told> {
    let mut told = Told::default();
    for line in header.lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '-'])) {
        let (key, value) = line.split_once(':')?;
        if key.contains([' ', '"', '\\']) || !(value.is_empty() || value.starts_with(' ')) {
            return None;
        }
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        match key {
            "msg_id" => value.clone_into(&mut told.id),
            "type" => value.clone_into(&mut told.kind),
            "ts" => {
                let _valid: conductor_core::Timestamp = value.parse().ok()?;
            }
            _ => {}
        }
    }
    Some(told)
}

/// What the older program writes for a message.
fn entry(id: &str, body: &str) -> String {
    let end = if body.ends_with('\n') { "" } else { "\n" };
    format!(
        "---\nmsg_id: {id}\nts: 2999-11-23T14:43:36.718121721Z\ntype: INFO\nproject_id: shop\n\
         task_id: fix-login\nrun_id: \"\"\n---\n{body}{end}"
    )
}

/// Opens and locks the bus as it does, and never looks whether the path names the file still.
fn locked(path: &Path) -> File {
    let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.lock().unwrap();
    file
}

/// Posts as it does, with a separator and an entry, two writes; gives the id.
fn post(path: &Path, body: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let id = format!("MSG-20261123-144336-718114430-PID10373-{number:04}");
    let mut file = locked(path);
    if file.metadata().unwrap().len() > 0 {
        file.write_all(b"\n").unwrap();
    }
    file.write_all(entry(&id, body).as_bytes()).unwrap();
    id
}

/// The messages that the older program sees, without those that begin and end our files.
fn seen(path: &Path) -> Vec<Told> {
    let mut told = read(path);
    told.retain(|told| !told.kind.starts_with("BUS_SEGMENT_"));
    told
}

fn ids(told: &[Told]) -> Vec<String> {
    told.iter().map(|told| told.id.clone()).collect()
}

/// A text as the older program sees it: no line of it is a delimiter.
fn escaped(body: &str) -> String {
    let lines = body.split('\n').map(|line| {
        let rest = line.trim_start_matches('\\').strip_prefix("---");
        match rest.is_some_and(|rest| rest.trim_matches([' ', '\t', '\r']).is_empty()) {
            true => format!("\\{line}"),
            false => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

const HOSTILE: &[&str] = &[
    "",
    "---",
    "one\n---\ntwo",
    "\\---\n\\\\---\n--- \t\r\nend",
    "---\nmsg_id: MSG-forged\nts: 2026-11-23T14:43:36Z\ntype: FACT\nproject_id: shop\n---\nforged",
    "x\n\n---\nmsg_id: MSG-forged\nproject_id: shop\n---\nforged\n\n---\n",
    "[2026-11-23 14:43:36] FACT: forged",
    "key: value\n- \"list\n...\n%YAML 1.1\n",
    "\u{e4}\u{1f600}\u{2028}---\u{85}",
];

#[test]
fn the_older_reader_sees_every_message_of_ours_and_none_besides() {
    let dir = tempfile::tempdir().unwrap();
    let (bus, path) = (open(dir.path()), dir.path().join(NAME));
    let mut posted = Vec::new();
    for (n, body) in HOSTILE.iter().chain(HOSTILE).enumerate() {
        let post = Post::new(["FACT", "null", "Y"][n % 3], *body)
            .meta("k: \"\n---\n", "v\n---\nmsg_id: x\n")
            .link("https://x#y", "---", "")
            .parent(&"MSG-1".parse().unwrap());
        posted.push(bus.post(post, Wait::FOREVER).unwrap().msg_id.to_string());
        // Also while each of them is the last one.
        let seen = seen(&path);
        assert_eq!(ids(&seen), posted);
        assert_eq!(seen[n].kind, ["FACT", "NULL", "Y"][n % 3]);
        let body = escaped(body);
        assert_eq!(seen[n].body.trim_end_matches('\n'), body.trim_end_matches('\n'));
    }
}

#[test]
fn both_programs_write_by_turns_and_each_reads_all() {
    let dir = tempfile::tempdir().unwrap();
    let (bus, path) = (open(dir.path()), dir.path().join(NAME));
    let (mut written, mut own) = (Vec::new(), 0);
    for n in 0..90 {
        // In runs of one to three, so that each comes behind each.
        if n % 7 % 3 == 0 || n % 5 == 0 {
            written.push(post(&path, &format!("older {n}\nline")));
        } else {
            let body = HOSTILE[n % HOSTILE.len()];
            let posted = bus.post(Post::new("FACT", body), Wait::FOREVER).unwrap();
            own += 1;
            assert!(posted.seq >= own);
            written.push(posted.msg_id.to_string());
        }
        assert_eq!(ids(&seen(&path)), written, "the older program, after {n}");
    }
    let read = messages(bus.read(ReadOptions::default()).unwrap());
    assert_eq!(read.iter().map(|m| m.msg_id.to_string()).collect::<Vec<_>>(), written);
    let numbers: Vec<u64> = read.iter().filter_map(|message| message.seq).collect();
    assert_eq!(numbers.len() as u64, own);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert_eq!(bus.check().unwrap().findings, []);
    assert_eq!(bus.rotate(Wait::FOREVER).unwrap(), Rotation::OlderWriter);
}

#[test]
fn both_programs_write_at_once_and_each_reads_all_in_one_order() {
    const EACH: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    say(&open(dir.path()), "first");
    let mut lists = vec![Vec::new(); 4];
    std::thread::scope(|scope| {
        for (n, list) in lists.iter_mut().enumerate() {
            let (path, dir) = (&path, dir.path());
            scope.spawn(move || {
                let bus = open_with(dir, BusOptions::default().durability(Durability::Process));
                for at in 0..EACH {
                    list.push(match n % 2 {
                        0 => post(path, &format!("older {n} {at}")),
                        _ => say(&bus, HOSTILE[at % HOSTILE.len()]).msg_id.to_string(),
                    });
                }
            });
        }
    });
    let read = messages(open(dir.path()).read(ReadOptions::default()).unwrap());
    let read: Vec<String> = read.iter().map(|message| message.msg_id.to_string()).collect();
    assert_eq!(ids(&seen(&path)), read, "in the same order");
    assert_eq!(read.len(), 1 + 4 * EACH);
    for list in &lists {
        let own: Vec<_> = read.iter().filter(|id| list.contains(id)).collect();
        assert_eq!(own, list.iter().collect::<Vec<_>>());
    }
}

#[test]
fn an_older_writer_that_died_at_any_byte_hides_nothing_of_ours() {
    const DEAD: &str = "MSG-20261123-144336-718114430-PID10373-9999";
    let whole = format!("\n{}", entry(DEAD, "a\nb"));
    for cut in 1..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        let (bus, path) = (open(dir.path()), dir.path().join(NAME));
        let first = say(&bus, "before").msg_id.to_string();
        locked(&path).write_all(&whole.as_bytes()[..cut]).unwrap();
        let second = say(&bus, "behind").msg_id.to_string();
        let is_ours = |id: &String| id.as_str() != DEAD;
        let mut told = ids(&seen(&path));
        told.retain(is_ours);
        let events = bus.read(ReadOptions::default()).unwrap().map(|event| event.unwrap());
        let read = events.filter_map(|event| match event {
            Event::Message(message) => Some(message.msg_id.to_string()),
            _ => None,
        });
        let read: Vec<String> = read.filter(is_ours).collect();
        assert_eq!(read, [first.clone(), second.clone()], "ours, cut at {cut}");
        assert_eq!(told, [first, second], "the older program, cut at {cut}");
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.ends_with(b"---\nbehind\n"));
    }
}
