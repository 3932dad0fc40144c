//! Looking at bytes that may begin a record: is it whole, is it one of ours, what is wrong with it.

use super::BEGIN;
use super::escape::has_bare_separator;
use super::lines::{Header, Lines, decimal, hex, kind, lines, seq_of};
use crate::limits;
use std::ops::Range;

/// What the bytes at a place are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A whole record of this format, its checksum verified.
    Record(Head),
    /// The whole header of a record of the older format, whose body begins at this offset.
    Legacy(usize),
    /// So far a record, of at least this many bytes; more bytes may come.
    Short(usize),
    /// Begins like a record and is none.
    Broken,
    /// Does not begin like a record.
    Alien,
}

/// Where the parts of a whole record lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its number on the bus.
    pub(crate) seq: u64,
    /// The id within the record.
    pub(crate) id: Range<usize>,
    /// The type within the record, perhaps in quotes; empty where it names none.
    pub(crate) kind: Range<usize>,
    /// The stored body within the record.
    pub(crate) body: Range<usize>,
}

impl Head {
    /// The bytes of the record with its last line feed.
    pub(crate) fn total(&self) -> usize {
        self.body.end + 1
    }
}

/// Looks at `bytes`, which begin where a record may begin.
pub(crate) fn look(bytes: &[u8]) -> Look {
    if bytes.len() < BEGIN.len() {
        return if BEGIN.starts_with(bytes) { Look::Short(BEGIN.len()) } else { Look::Alien };
    }
    if !bytes.starts_with(BEGIN) {
        return Look::Alien;
    }
    match lines(bytes) {
        Lines::Open => Look::Short(bytes.len() + 1),
        Lines::Broken => Look::Broken,
        Lines::Legacy(body) => Look::Legacy(body),
        Lines::Ours(header) => check(bytes, &header).unwrap_or(Look::Broken),
    }
}

/// The seq that the header of a broken record claims, where it can still be read.
pub(crate) fn claimed_seq(bytes: &[u8]) -> Option<u64> {
    let second = bytes.get(BEGIN.len()..)?;
    let second = &second[memchr::memchr(b'\n', second)? + 1..];
    seq_of(&second[..memchr::memchr(b'\n', second)?])
}

/// Whether `bytes`, the end of a file from the end of its last record, are nothing but a record of
/// which the write was cut off.
pub(crate) fn is_torn(bytes: &[u8]) -> bool {
    let hole = memchr::memchr(0, bytes).is_some();
    let begun = BEGIN.iter().zip(bytes).take_while(|(wanted, found)| wanted == found).count();
    if begun < BEGIN.len() {
        // The first bytes of a record, and nothing or a hole behind them.
        return bytes[begun..].iter().all(|byte| *byte == 0);
    }
    match look(bytes) {
        Look::Record(_) | Look::Legacy(_) | Look::Alien => false,
        Look::Broken | Look::Short(_) if hole => true,
        Look::Broken => !has_bare_separator(&bytes[4..]) && is_header_so_far(bytes),
        Look::Short(_) => match lines(bytes) {
            // What follows is no part of a body: somebody else wrote behind the torn record.
            Lines::Ours(header) => {
                let body = &bytes[header.body..];
                is_text_so_far(body) && !has_bare_separator(body)
            }
            _ => is_header_so_far(bytes),
        },
    }
}

/// Whether it is text, perhaps cut off within a character.
fn is_text_so_far(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// Whether it is header lines without an end, with nothing but line feeds behind the first empty
/// line.
fn is_header_so_far(bytes: &[u8]) -> bool {
    is_text_so_far(bytes)
        && !bytes.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n')
        && only_feeds_after_gap(bytes)
}

/// Whether nothing but line feeds follows the first empty line.
fn only_feeds_after_gap(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"\n\n")
        .is_none_or(|gap| bytes[gap..].iter().all(|byte| *byte == b'\n'))
}

/// Checks a whole header of ours and the body that it announces; `None` where anything is wrong.
fn check(bytes: &[u8], header: &Header) -> Option<Look> {
    let id = header.id.start + b"msg_id: ".len()..header.id.end;
    let seq = seq_of(&bytes[header.seq.clone()])?;
    let length = bytes[header.len.clone()].strip_prefix(b"len: ")?;
    let length = usize::try_from(decimal(length, 8)?).ok()?;
    let crc = bytes[header.crc.clone()].strip_prefix(b"crc32c: \"")?.strip_suffix(b"\"")?;
    let crc = hex(crc)?;
    if length > limits::MESSAGE_STORED_HARD || id.len() > crate::id::MAX_LEN {
        return None;
    }
    let body = header.body..header.body + length;
    if bytes.len() <= body.end {
        return Some(Look::Short(body.end + 1));
    }
    if bytes[body.end] != b'\n' {
        return None;
    }
    let found =
        crc32c::crc32c_append(crc32c::crc32c(&bytes[..header.crc.start]), &bytes[body.clone()]);
    if found != crc {
        return None;
    }
    let kind = kind(&bytes[..header.crc.start], header.seq.end);
    Some(Look::Record(Head { seq, id, kind, body }))
}

#[cfg(test)]
mod tests {
    use super::super::draft::tests::golden;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_recognised_only_as_a_whole() {
        let bytes = golden();
        let Look::Record(head) = look(&bytes) else { panic!("{:?}", look(&bytes)) };
        assert_eq!((head.seq, head.total()), (4711, bytes.len()));
        assert_eq!(&bytes[head.id], b"MSG-20261123-142055-123456789-PID04242-0001");
        for cut in 0..bytes.len() {
            assert!(matches!(look(&bytes[..cut]), Look::Short(_)), "cut at {cut}");
            assert!(is_torn(&bytes[..cut]) || cut == 0, "cut at {cut}");
            let mut zeroed = bytes.clone();
            zeroed[cut..].fill(0);
            assert!(is_torn(&zeroed), "zeroed from {cut}");
        }
    }

    #[test]
    fn no_flipped_bit_passes_and_none_but_a_length_looks_torn() {
        let bytes = golden();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(look(&flipped), Look::Record(_)), "bit {bit}");
        }
    }

    #[test]
    fn what_follows_a_torn_record_is_not_torn_with_it() {
        let bytes = golden();
        let torn = &bytes[..bytes.len() - 3];
        assert!(is_torn(torn));
        let older = [torn, b"\n---\nmsg_id: MSG-2\nts: x\ntype: A\n---\nbody\n"].concat();
        assert!(!is_torn(&older), "the older program wrote behind it");
        let header = &bytes[..60];
        assert!(is_torn(header));
        assert!(!is_torn(&[header, b"\n\nsomebody's note\n"].concat()));
    }

    #[test]
    fn a_body_that_begins_like_a_header_is_a_body() {
        let text = b"---\nmsg_id: A\nts: 2026-01-01T00:00:00Z\ntype: X\n---\nmsg_id: B\n";
        assert_eq!(look(text), Look::Legacy(text.len() - 10));
        let unfinished = b"---\nmsg_id: A\nts: 2026-01-01T00:00:00Z\n\n---\nmsg_id: B\n";
        assert_eq!(look(unfinished), Look::Broken);
    }

    proptest! {
        #[test]
        fn looking_at_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (look(&bytes), is_torn(&bytes), claimed_seq(&bytes));
        }

        #[test]
        fn looking_at_anything_like_a_record_never_panics(
            text in "(---\n|msg_id: |seq: [0-9]{1,3}\n|len: [0-9]{1,9}\n|crc32c: \"[0-9a-f]{8}\"\n|\n|a|\0){0,20}",
        ) {
            let bytes = [BEGIN, text.as_bytes()].concat();
            let _ = (look(&bytes), is_torn(&bytes), claimed_seq(&bytes));
        }
    }
}
