//! Named cursors, checks, and what becomes of archives.

use super::kit::*;
use conductor_core::bus::FindingKind;
use std::fs;
use std::path::{Path, PathBuf};

fn findings(bus: &Bus) -> Vec<FindingKind> {
    bus.check().unwrap().findings.into_iter().map(|finding| finding.kind).collect()
}

fn append(path: &Path, bytes: &[u8]) {
    fs::write(path, [&fs::read(path).unwrap(), bytes].concat()).unwrap();
}

const OLDER: &[u8] =
    b"\n---\nmsg_id: MSG-1\nts: 2001-01-01T00:00:00Z\ntype: 'a b'\nproject_id: p\n---\nlate\n";

#[test]
fn a_named_cursor_is_held_by_one_and_goes_on_where_it_was() {
    let (dir, cursors) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bus = open(dir.path());
    let posted: Vec<_> = (0..3).map(|n| say(&bus, n.to_string())).collect();
    let take = |name: &str| bus.named_cursor(folder(cursors.path()), name, Wait::NONE);
    let mut cursor = take("reader").unwrap();
    assert_eq!(*cursor.cursor(), Cursor::START);
    cursor.commit(&posted[1].cursor).unwrap();
    assert_eq!(take("reader").unwrap_err().code(), "cursor.busy");
    assert!(take("other").is_ok());
    drop(cursor);
    let cursor = take("reader").unwrap();
    let rest = bus.read(ReadOptions::default().after(cursor.cursor())).unwrap();
    assert_eq!(bodies(rest), ["2"]);
    drop(cursor);
    for name in ["", "../x", "a b", ".x"] {
        let error = take(name).unwrap_err();
        assert_eq!((error.code(), error.field()), ("id.invalid", Some("cursor")), "{name}");
    }
    fs::write(cursors.path().join("shop~fix-login~reader"), "nonsense at all").unwrap();
    assert_eq!(take("reader").unwrap_err().code(), "cursor.corrupt");
}

#[test]
fn archives_are_removed_oldest_first_and_not_before_they_were_read() {
    let (dir, cursors) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bus = open(dir.path());
    let mut posted = Vec::new();
    for n in 0..4 {
        posted.push(say(&bus, n.to_string()));
        bus.rotate(Wait::FOREVER).unwrap();
    }
    let names = archives(dir.path());
    let mut cursor = bus.named_cursor(folder(cursors.path()), "reader", Wait::NONE).unwrap();
    cursor.commit(&posted[1].cursor).unwrap();
    let kept = folder(cursors.path());
    // The second archive's last record, which ends the segment, has not been read.
    assert_eq!(bus.remove_archives(u64::MAX, Some(&kept)).unwrap(), names[..1]);
    assert_eq!(bus.remove_archives(posted[2].seq, None).unwrap(), names[1..2]);
    assert_eq!(bus.remove_archives(u64::MAX, None).unwrap(), names[2..]);
    let after = bus.read(ReadOptions::default().after(cursor.cursor())).unwrap().next();
    assert!(matches!(after, Some(Ok(Event::Gap { .. }))));
    assert_eq!(say(&bus, "4").seq, posted[3].seq + 3, "numbers go on");
}

#[test]
fn a_name_that_was_taken_and_never_committed_keeps_the_archives_too() {
    let (dir, cursors) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bus = open(dir.path());
    say(&bus, "0");
    bus.rotate(Wait::FOREVER).unwrap();
    drop(bus.named_cursor(folder(cursors.path()), "slow", Wait::NONE).unwrap());
    let kept = folder(cursors.path());
    assert_eq!(bus.remove_archives(u64::MAX, Some(&kept)).unwrap(), Vec::<PathBuf>::new());
    // Nobody came back for it in a month: it is not waited for any more.
    let file = fs::File::open(cursors.path().join("shop~fix-login~slow")).unwrap();
    let month = std::time::Duration::from_secs(31 * 24 * 3600);
    file.set_modified(std::time::SystemTime::now() - month).unwrap();
    assert_eq!(bus.remove_archives(u64::MAX, Some(&kept)).unwrap().len(), 1);
}

#[test]
fn a_check_names_everything_that_is_not_as_it_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let live = dir.path().join(NAME);
    assert_eq!(findings(&bus), []);
    (0..6).for_each(|n| drop(say(&bus, format!("body {n}"))));
    let report = bus.check().unwrap();
    assert_eq!((report.messages, report.files, report.last_seq), (6, 1, 7));
    assert_eq!(report.findings, []);

    let whole = fs::read(&live).unwrap();
    let at = |text: &str| whole.windows(text.len()).position(|w| w == text.as_bytes()).unwrap();
    let mut bytes = whole.clone();
    bytes[at("body 2")] ^= 4;
    fs::write(&live, &bytes).unwrap();
    assert_eq!(findings(&bus), [FindingKind::Corrupt, FindingKind::Gap]);
    fs::write(&live, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(findings(&bus), [FindingKind::Torn]);
    fs::write(&live, &whole).unwrap();
    append(&live, b"a note\n");
    fs::write(dir.path().join(NEXT), "").unwrap();
    fs::write(dir.path().join(format!(".{NAME}.torn")), "x").unwrap();
    fs::hard_link(&live, dir.path().join("backup")).unwrap();
    let expected =
        [FindingKind::Foreign, FindingKind::Linked, FindingKind::Stray, FindingKind::KeptAside];
    assert_eq!(findings(&bus), expected);
    assert!(!expected.into_iter().any(FindingKind::is_damage));
}

#[test]
fn messages_that_came_too_late_into_an_archive_are_found_and_posted_again_once() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    say(&bus, "0");
    bus.rotate(Wait::FOREVER).unwrap();
    append(&archives(dir.path())[0], OLDER);
    assert_eq!(findings(&bus), [FindingKind::Straggler]);
    assert_eq!(all(&bus), ["0"]);
    assert!(bus.check().unwrap().is_damaged());
    assert_eq!(bus.adopt_stragglers(Wait::FOREVER).unwrap(), 1);
    assert_eq!(bus.adopt_stragglers(Wait::FOREVER).unwrap(), 0);
    assert_eq!(findings(&bus), [FindingKind::Adopted]);
    assert!(!bus.check().unwrap().is_damaged(), "what is on the bus is not lost");
    let adopted = messages(bus.tail(1).unwrap()).remove(0);
    assert_eq!((adopted.body.as_str(), adopted.msg_type.as_str()), ("late", "INFO"));
    assert_eq!(adopted.meta("adopted_id"), Some("MSG-1"));
    assert_eq!(adopted.meta("adopted_type"), Some("a b"));
    assert!(adopted.meta("adopted_from").unwrap().ends_with(".archived"));
}
