//! What the files of a bus say, read from the description of the format alone: this reader shares
//! no code with the library that it judges.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A record as the checker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) kind: String,
    /// The body as it is stored.
    pub(crate) body: String,
}

/// Castagnoli's polynomial, bit by bit.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

/// Reads a whole segment, in which nothing but whole records may stand.
pub(crate) fn read_segment(bytes: &[u8], path: &Path) -> Vec<Read> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let bad = |why: &str| -> ! { panic!("{} at {at}: {why}", path.display()) };
        let start = at + bytes[at..].iter().take_while(|byte| **byte == b'\n').count();
        if start == bytes.len() {
            break;
        }
        if at > 0 && !bytes[..start].ends_with(b"\n\n") {
            bad("no empty line before a record");
        }
        let rest = &bytes[start..];
        if !rest.starts_with(b"---\n") {
            bad("no record");
        }
        let Some(head) = rest.windows(5).position(|window| window == b"\n---\n") else {
            bad("no end of the header")
        };
        let header = std::str::from_utf8(&rest[4..head]).unwrap();
        let field = |name: &str| {
            let line = header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_else(|| bad(&format!("no {name}"))).trim_matches('"').to_owned()
        };
        let length: usize = field("len").parse().unwrap();
        let body = head + 5..head + 5 + length;
        if rest.get(body.end) != Some(&b'\n') {
            bad("the body is cut off");
        }
        let checked = rest.windows(8).position(|window| window == b"\ncrc32c:").unwrap() + 1;
        let crc = crc32c(rest[..checked].iter().chain(&rest[body.clone()]).copied());
        if field("crc32c") != format!("{crc:08x}") {
            bad("wrong checksum");
        }
        records.push(Read {
            seq: field("seq").parse().unwrap(),
            id: field("msg_id"),
            kind: field("type"),
            body: String::from_utf8(rest[body.clone()].to_vec()).unwrap(),
        });
        at = start + body.end + 1;
    }
    records
}

/// Reads all segments of a bus, oldest first, and checks that they hang together: numbers dense
/// from 1, ids in order, each segment but the last sealed.
pub(crate) fn read_bus(folder: &Path, name: &str) -> Vec<Read> {
    let mut segments = super::kit::archives(folder);
    segments.push(folder.join(name));
    let mut all = Vec::new();
    let last = segments.len() - 1;
    for (at, path) in segments.iter().enumerate() {
        let records = read_segment(&fs::read(path).unwrap(), path);
        assert_eq!(records[0].kind, "BUS_SEGMENT_START", "{}", path.display());
        let sealed = records.last().unwrap().kind == "BUS_SEGMENT_END";
        assert!(sealed || at == last, "{} is not sealed", path.display());
        all.extend(records);
    }
    for (at, record) in all.iter().enumerate() {
        assert_eq!(record.seq, at as u64 + 1, "a number is missing or doubled");
        assert!(at == 0 || all[at - 1].id[..29] < record.id[..29], "ids are out of order");
    }
    all
}

/// The archives with their checksums: none may ever change.
#[derive(Default)]
pub(crate) struct Seals(HashMap<PathBuf, u32>);

impl Seals {
    /// Looks at the archives again. What is there must be as it was; what is gone must be allowed.
    pub(crate) fn look(&mut self, folder: &Path) {
        for path in super::kit::archives(folder) {
            let bytes = fs::read(&path).unwrap();
            // The name is given before the next file is published; a sealed file has its end then.
            let sum = crc32c(bytes.into_iter());
            let known = *self.0.entry(path.clone()).or_insert(sum);
            assert_eq!(known, sum, "{} changed", path.display());
        }
        for path in self.0.keys() {
            assert!(path.exists(), "{} is gone", path.display());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
