//! Any bytes as a bus: no panic, no message that is not there, nothing taken away but a torn end.
//!
//! The first byte says how the rest is taken: as it is, or with the right checksum in each record, so
//! that the fuzzer gets past it.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzzer fails by panicking")]

#[path = "../../tests/bus/dice.rs"]
mod dice;
#[path = "../../tests/bus/machine.rs"]
#[allow(dead_code, reason = "only files are needed of it")]
mod machine;
#[path = "../../tests/bus/turns.rs"]
#[allow(dead_code, reason = "one process runs")]
mod turns;

use conductor_core::bus::{
    Bus, BusOptions, Event, Post, RawEvent, RawPiece, RawPieces, ReadOptions,
};
use conductor_core::fsx::Folder;
use conductor_core::{Cursor, Scope, Step, Wait};
use libfuzzer_sys::fuzz_target;
use machine::{Disk, Machine};
use std::path::Path;

const NAME: &str = "BUS.md";

fuzz_target!(|data: &[u8]| {
    let Some((how, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if how % 2 == 1 {
        seal(&mut bytes);
    }
    let expected = pieces(&bytes);
    bus(&bytes, expected);
});

/// Puts the right checksum into each whole record.
fn seal(bytes: &mut [u8]) {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&bytes[from..], b"\ncrc32c: \"") {
        let line = from + at + 1;
        from = line + 1;
        let start =
            memchr::memmem::rfind(&bytes[..line], b"\n---\nmsg_id: ").map_or(0, |at| at + 1);
        let body = line + b"crc32c: \"00000000\"\n---\n".len();
        if bytes.get(body - 6..body) != Some(b"\"\n---\n") {
            continue;
        }
        let Some(length) = length_before(&bytes[start..line]) else { continue };
        let Some(stored) = bytes.get(body..body.saturating_add(length)) else { continue };
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[start..line]), stored);
        bytes[line + 9..line + 17].copy_from_slice(format!("{sum:08x}").as_bytes());
    }
}

/// The number in the last line of a header that ends before the checksum.
fn length_before(header: &[u8]) -> Option<usize> {
    let last = header.strip_suffix(b"\n")?;
    let line = &last[memchr::memrchr(b'\n', last)? + 1..];
    std::str::from_utf8(line.strip_prefix(b"len: ")?).ok()?.parse().ok()
}

/// The numbers of all that is a record, wherever it begins.
fn anywhere(bytes: &[u8]) -> Vec<u64> {
    memchr::memmem::find_iter(bytes, b"---\nmsg_id: ")
        .filter_map(|at| match RawPieces::new(&bytes[at..]).next() {
            Some(RawPiece::Record(record)) => Some(record.seq()),
            _ => None,
        })
        .collect()
}

/// Takes bytes to pieces; gives the numbers of the messages that a reader must tell, where there is
/// nothing but records.
fn pieces(bytes: &[u8]) -> Option<Vec<u64>> {
    let (mut covered, mut seqs, mut last) = (0, Vec::new(), 0);
    let (mut only_records, mut sealed) = (true, false);
    let mut pieces = RawPieces::new(bytes);
    while let Some(piece) = pieces.next() {
        let piece_bytes = match &piece {
            RawPiece::Record(record) => {
                let again = RawPieces::new(record.as_bytes()).next();
                assert_eq!(again.as_ref(), Some(&piece), "a record alone is another one");
                let message = record.to_message();
                if let Some(message) = &message {
                    assert_eq!(message.seq, Some(record.seq()));
                    assert_eq!(message.body.as_bytes(), &*record.body());
                    assert_eq!(Some(&message.cursor), record.cursor().as_ref());
                }
                if !sealed && record.seq() > last && record.seq() - last <= 1 << 32 {
                    last = record.seq();
                    if message.is_some() && !is_control(record.msg_type()) {
                        seqs.push(last);
                    }
                    sealed = record.msg_type() == "BUS_SEGMENT_END"
                        && message.is_some_and(|message| message.msg_type == "BUS_SEGMENT_END");
                }
                record.as_bytes()
            }
            RawPiece::Other(other) => {
                only_records = false;
                other
            }
        };
        let end = pieces.offset();
        let start = end - piece_bytes.len();
        assert!(bytes[covered..start].iter().all(|byte| *byte == b'\n'), "bytes are passed over");
        assert_eq!(&bytes[start..end], piece_bytes);
        covered = end;
    }
    only_records.then_some(seqs)
}

fn is_control(kind: &str) -> bool {
    ["BUS_SEGMENT_START", "BUS_SEGMENT_END"].contains(&kind)
}

fn open(machine: &Machine, process: u32) -> Bus {
    let folder = Folder::open_root(machine.process(process), Path::new("/bus")).unwrap();
    let scope = Scope::try_from("shop").unwrap();
    Bus::open(folder, NAME, scope, BusOptions::default()).unwrap()
}

/// Whether a record says that the file ends with it: what is behind it is nobody's.
fn read_to_an_end(bus: &Bus) -> bool {
    let all = bus.read(ReadOptions::default().with_control()).unwrap();
    all.flatten().any(
        |event| matches!(event, Event::Message(message) if message.msg_type == "BUS_SEGMENT_END"),
    )
}

/// Reads the bytes as a bus in every way, and writes to it.
fn bus(bytes: &[u8], expected: Option<Vec<u64>>) {
    let there = anywhere(bytes);
    let machine = Machine::new(Disk::with_file(NAME, bytes.to_vec()));
    let reader = open(&machine, 1);
    let mut read = Vec::new();
    for event in reader.read(ReadOptions::default()).unwrap() {
        let Event::Message(message) = event.unwrap() else { continue };
        read.extend(message.seq);
    }
    assert!(read.iter().all(|seq| there.contains(seq)), "{read:?} of {there:?}");
    if let Some(expected) = expected {
        assert_eq!(read, expected);
    }
    let mut raw = reader.read_raw(&Cursor::START).unwrap();
    while let Some(event) = raw.read().unwrap() {
        if let RawEvent::Record(record) = event {
            assert!(there.contains(&record.seq()));
        }
    }
    assert!(reader.tail(3).unwrap().filter(|event| event.is_ok()).count() <= bytes.len());
    drop(reader.check().unwrap());
    let mut follower = reader.follow(&Cursor::START, Wait::NONE).unwrap();
    while let Ok(Step::Ready(_)) = follower.step() {}
    assert_eq!(machine.disk().contents()[Path::new(NAME).as_os_str()], bytes, "a read wrote");

    // A writer looks at the end alone. Where somebody forged records out of order, with numbers that
    // no loss explains, or without a line of their own before them, that says too little; `bus check`
    // shows such a file.
    let marked = RawPieces::new(bytes).filter_map(|piece| match piece {
        RawPiece::Record(record) => Some(record.seq()),
        RawPiece::Other(_) => None,
    });
    let steps = std::iter::once(&0).chain(&there).zip(&there);
    let is_plain = steps.into_iter().all(|(before, seq)| before < seq && seq - before <= 1 << 32)
        && marked.eq(there.iter().copied());
    if !is_plain || read_to_an_end(&reader) {
        return;
    }
    let Ok(posted) = open(&machine, 2).post(Post::new("INFO", "next"), Wait::NONE) else { return };
    let files = machine.disk().contents();
    let kept: usize = files
        .iter()
        .map(|(name, file)| if name.to_string_lossy().contains(".torn") { 0 } else { file.len() })
        .sum();
    let torn = format!(".{NAME}.torn");
    let aside = files.get(Path::new(&torn).as_os_str()).map_or(0, Vec::len);
    assert!(kept + aside >= bytes.len(), "bytes are gone");
    let last = open(&machine, 3).tail(1).unwrap().last().unwrap().unwrap();
    let is_last = matches!(&last, Event::Message(last) if last.cursor == posted.cursor);
    assert!(is_last, "{last:?} is the last, not {posted:?}");
}
