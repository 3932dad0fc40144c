//! Finding a record in a file by its number or id, with a few reads.
//!
//! The search gives a place to begin a scan that finds the record soon. It promises no more, so
//! that nothing it meets on the way, damage or forgery, can make it lie.

use super::record::{BEGIN, MARK, MARK_LEAD, claimed_seq};
use super::scan::Scanner;
use super::store::Segment;
use crate::error::Result;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// A stretch this short is scanned, in bytes.
const SHORT: u64 = 4 << 10;
/// The first read of a probe, in bytes; later ones are four times as long.
const PROBE: usize = 1 << 10;
/// The most bytes that are read at once.
const CHUNK: usize = 256 << 10;
/// Bytes of a record in which its id and number lie.
const STAMP: usize = 160;
/// The part of an id that sorts by time: `MSG-` and 25 characters.
const ID_TIME: usize = 29;

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Seq(u64),
    Id(&'a str),
}

/// The start of a record at or before the target, as near as the search came; 0 where it found
/// none. `None` where the file has records that are in no order.
pub(crate) fn floor(file: &Segment, size: u64, target: Target<'_>) -> Result<Option<u64>> {
    let (mut low, mut high) = (0, size);
    while high - low > SHORT {
        let middle = low + (high - low) / 2;
        // A probe that landed on the line feeds of a mark would miss that mark.
        let Some((start, bytes)) = next_record(file, middle - MARK_LEAD as u64, high)? else {
            high = middle;
            continue;
        };
        match compare(&bytes, target) {
            None => return Ok(None),
            Some(Ordering::Greater) => high = middle,
            Some(Ordering::Equal) => return Ok(Some(start)),
            Some(Ordering::Less) => low = start,
        }
    }
    Ok(Some(low))
}

/// The first record that begins at `from` or later, before `end`: its start and first bytes.
pub(crate) fn next_record(file: &Segment, from: u64, end: u64) -> Result<Option<(u64, Vec<u8>)>> {
    let mut bytes = vec![0; PROBE];
    let mut at = from;
    loop {
        let read = file.read(&mut bytes, at)?;
        if let Some(found) = memchr::memmem::find(&bytes[..read], MARK) {
            let start = at + (found + MARK_LEAD) as u64;
            if start >= end {
                return Ok(None);
            }
            let begin = found + MARK_LEAD;
            if read - begin >= STAMP || read < bytes.len() {
                return Ok(Some((start, bytes[begin..read].to_vec())));
            }
            let mut stamp = vec![0; STAMP];
            let read = file.read(&mut stamp, start)?;
            stamp.truncate(read);
            return Ok(Some((start, stamp)));
        }
        if read < bytes.len() || at + read as u64 >= end {
            return Ok(None);
        }
        at += (read - (MARK.len() - 1)) as u64;
        let longer = (bytes.len() * 4).min(CHUNK);
        bytes.resize(longer, 0);
    }
}

/// A scan of the last `count` records that begin at `from` or later; `None` where there are fewer.
pub(crate) fn last_records(
    file: &Segment,
    from: u64,
    end: u64,
    count: usize,
) -> Result<Option<Scanner>> {
    let mut starts = VecDeque::new();
    let length = usize::try_from(end - from).unwrap_or(CHUNK).clamp(MARK.len(), CHUNK);
    let mut bytes = vec![0; length];
    let mut at = from;
    loop {
        let read = file.read(&mut bytes, at)?;
        for found in memchr::memmem::find_iter(&bytes[..read], MARK) {
            if starts.len() == count {
                starts.pop_front();
            }
            starts.push_back(at + (found + MARK_LEAD) as u64);
        }
        if read < bytes.len() || at + read as u64 >= end {
            let Some(start) = starts.front().copied().filter(|_| starts.len() == count) else {
                return Ok(None);
            };
            let held = usize::try_from(start.saturating_sub(at)).unwrap_or(0);
            if start < at {
                return Ok(Some(Scanner::from(start)));
            }
            bytes.truncate(read);
            bytes.drain(..held);
            return Ok(Some(Scanner::holding(start, bytes)));
        }
        at += (read - (MARK.len() - 1)) as u64;
    }
}

/// How a record stands to the target; `None` for a record without a number.
fn compare(record: &[u8], target: Target<'_>) -> Option<Ordering> {
    let seq = claimed_seq(record)?;
    match target {
        Target::Seq(wanted) => Some(seq.cmp(&wanted)),
        Target::Id(wanted) => {
            let id = record.get(BEGIN.len()..BEGIN.len() + ID_TIME)?;
            Some(id.cmp(wanted.as_bytes().get(..ID_TIME)?))
        }
    }
}
