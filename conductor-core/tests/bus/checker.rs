//! What the files of a bus say, read from the description of the format alone: this reader shares
//! no code with the library that it judges.

use std::path::Path;

/// A record as the checker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) kind: String,
    /// The body as it is stored.
    pub(crate) body: String,
}

/// Castagnoli's polynomial, bit by bit, for each byte once.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

pub(crate) fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc: u32, byte| (crc >> 8) ^ TABLE[((crc ^ u32::from(byte)) & 0xff) as usize])
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
