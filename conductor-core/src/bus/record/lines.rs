//! The lines of a record's header.

use super::SEQ_LIMIT;
use crate::limits;
use std::ops::Range;
use std::sync::LazyLock;

/// What the header lines of a record come to.
pub(super) enum Lines {
    /// No header end yet.
    Open,
    /// They cannot be a header.
    Broken,
    /// None of the lines that only this format has; the body begins here.
    Legacy(usize),
    Ours(Header),
}

/// The lines that a check needs, as ranges of the record.
pub(super) struct Header {
    pub(super) id: Range<usize>,
    pub(super) seq: Range<usize>,
    pub(super) len: Range<usize>,
    pub(super) crc: Range<usize>,
    pub(super) body: usize,
}

/// Bytes of the line `crc32c: "xxxxxxxx"`.
const CRC_LINE: usize = 18;

/// Bytes of a line feed and the line `ts`.
const TS_LINE: usize = 35;

/// What may be the end of a header.
static DASHES: LazyLock<memchr::memmem::Finder<'static>> =
    LazyLock::new(|| memchr::memmem::Finder::new(b"\n---"));

/// Looks at the lines of bytes that begin like a record.
pub(super) fn lines(bytes: &[u8]) -> Lines {
    match usual(bytes) {
        Some(header) => Lines::Ours(header),
        None => all(bytes),
    }
}

/// The lines that count, where a header is laid out as ours are. It takes no header that a walk
/// through [all] lines would not take, and finds the same in it; most of the time of reading is spent
/// here.
fn usual(bytes: &[u8]) -> Option<Header> {
    let header = &bytes[..bytes.len().min(limits::MESSAGE_HEADER)];
    let end = 4 + DASHES.find(&header[4..])?;
    if header.get(end + 4) != Some(&b'\n') || memchr::memchr(0, &header[..end]).is_some() {
        return None;
    }
    let crc = end.checked_sub(CRC_LINE)?..end;
    let text = &header[crc.clone()];
    if !text.starts_with(b"crc32c: \"") || text.contains(&b'\n') || header[crc.start - 1] != b'\n' {
        return None;
    }
    // Both of these lines are short.
    let is_feed = |byte: &u8| *byte == b'\n';
    let before = crc.start - 1;
    let len = header[..before].iter().rposition(is_feed)? + 1..before;
    let id = 4..4 + memchr::memchr(b'\n', &header[4..end])?;
    let line = header.get(id.end + 1..end)?;
    if !line.starts_with(b"seq: ") {
        return None;
    }
    let seq = id.end + 1..id.end + 1 + line.iter().position(is_feed)?;
    Some(Header { id, seq, len, crc, body: end + 5 })
}

/// Walks through all lines.
fn all(bytes: &[u8]) -> Lines {
    let limit = bytes.len().min(limits::MESSAGE_HEADER);
    // `---` is the first line; the second begins the header.
    let mut start = 4;
    let mut count = 0;
    let (mut id, mut seq, mut before, mut last) = (0..0, 0..0, 0..0, 0..0);
    let mut marked = false;
    loop {
        let Some(length) = memchr::memchr(b'\n', &bytes[start..limit]) else {
            let hole = memchr::memchr(0, &bytes[start..limit]).is_some();
            return if hole || limit == limits::MESSAGE_HEADER {
                Lines::Broken
            } else {
                Lines::Open
            };
        };
        let line = start..start + length;
        let text = &bytes[line.clone()];
        let after = line.end + 1;
        if text == b"---" || text == b"---\r" {
            if last.is_empty() && (b"msg_id: ".starts_with(head_of(&bytes[after..], 8))) {
                // An empty line and a new record: this one's header was never finished.
                return Lines::Broken;
            }
            let ours = marked || text_is(bytes, &seq, b"seq: ");
            return match ours {
                false => Lines::Legacy(after),
                true if text.len() == 3 && text_is(bytes, &seq, b"seq: ") => {
                    Lines::Ours(Header { id, seq, len: before, crc: last, body: after })
                }
                true => Lines::Broken,
            };
        }
        if memchr::memchr(0, text).is_some() {
            return Lines::Broken;
        }
        match count {
            0 => id = line.clone(),
            1 => seq = line.clone(),
            _ => {}
        }
        marked = marked || text.starts_with(b"len: ") || text.starts_with(b"crc32c: ");
        count += 1;
        (before, last) = (last, line);
        start = after;
    }
}

fn head_of(bytes: &[u8], length: usize) -> &[u8] {
    &bytes[..bytes.len().min(length)]
}

fn text_is(bytes: &[u8], line: &Range<usize>, prefix: &[u8]) -> bool {
    bytes[line.clone()].starts_with(prefix)
}

/// The value of the `type` line of a header whose `seq` line ends at `seq_end`; empty without one.
pub(super) fn kind(header: &[u8], seq_end: usize) -> Range<usize> {
    // Ours have one line, `ts`, in between.
    let after_ts = seq_end + TS_LINE;
    let usual = header.get(after_ts..).is_some_and(|rest| rest.starts_with(b"\ntype: "));
    let at = if usual { Some(after_ts) } else { memchr::memmem::find(header, b"\ntype: ") };
    let Some(at) = at else { return 0..0 };
    let start = at + b"\ntype: ".len();
    let value = &header[start..];
    start..start + value.iter().position(|byte| *byte == b'\n').unwrap_or(value.len())
}

/// The number in a `seq` line.
pub(super) fn seq_of(line: &[u8]) -> Option<u64> {
    decimal(line.strip_prefix(b"seq: ")?, 20).filter(|seq| (1..SEQ_LIMIT).contains(seq))
}

/// A decimal number without a leading zero, of at most `most` digits.
pub(super) fn decimal(text: &[u8], most: usize) -> Option<u64> {
    if text.is_empty() || text.len() > most || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    text.iter().try_fold(0u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// What a byte is worth as a hexadecimal digit; 255 where it is none. Upper case would let a flipped
/// bit pass.
const HEX: [u8; 256] = {
    let mut worth = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        worth[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    worth
};

/// Eight lower-case hexadecimal digits. Each record that is read has them, so no digit costs a branch.
pub(super) fn hex(text: &[u8]) -> Option<u32> {
    let text: [u8; 8] = text.try_into().ok()?;
    let (value, all) = text.iter().fold((0u32, 0u8), |(value, all), byte| {
        let digit = HEX[usize::from(*byte)];
        (value << 4 | u32::from(digit & 15), all | digit)
    });
    (all < 16).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::super::BEGIN;
    use super::*;
    use proptest::prelude::*;

    fn ranges(header: &Header) -> [Range<usize>; 4] {
        [header.id.clone(), header.seq.clone(), header.len.clone(), header.crc.clone()]
    }

    proptest! {
        #[test]
        fn the_short_way_finds_what_the_long_way_finds(
            text in "(---\r?\n|----|seq: [0-9]{1,3}\n|len: [0-9]{1,3}\n|crc32c: \"[0-9a-f]{7,9}\"\n|ts: x\n|\n|a|\0|-|\"){0,16}",
        ) {
            let bytes = [BEGIN, text.as_bytes()].concat();
            if let Some(short) = usual(&bytes) {
                let Lines::Ours(long) = all(&bytes) else { panic!("not ours: {text:?}") };
                prop_assert_eq!(ranges(&short), ranges(&long));
                prop_assert_eq!(short.body, long.body);
            }
        }
    }
}
