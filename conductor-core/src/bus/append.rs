//! Writing records at the end of the locked file.

use super::catalog;
use super::channel::Locked;
use super::cursor::Cursor;
use super::failure::Failure;
use super::post::Posted;
use super::record::{BEGIN, Draft, Moment, SEQ_LIMIT, Stamp};
use super::store::{Segment, Store};
use super::tail::{self, Tail};
use crate::error::{Error, ErrorKind, Result};
use crate::id::MessageId;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the records of this process, so that ids of one process differ on all its buses.
static COUNTER: AtomicU32 = AtomicU32::new(1);
/// How often a record is appended again that landed behind an unfinished line of somebody.
const GLUED_TRIES: u32 = 3;

/// What became of records that were to be written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The receipts of those that were begun with, which are all unless an error came before the
    /// first byte.
    pub(super) posted: Vec<Posted>,
    /// How many of them, from the first, stand on the bus whatever happened to the others.
    pub(super) kept: usize,
    /// Why the others do not.
    pub(super) failure: Option<Failure>,
}

impl Written {
    /// The receipts, or the error where not all records are known to stand.
    pub(super) fn into_result(self, store: &Store) -> Result<Vec<Posted>> {
        match self.failure {
            None => Ok(self.posted),
            Some(failure) => Err(failure.into_error(&store.path(), &self.posted)),
        }
    }
}

/// Why records could not be put at the end of a file, and how many of them are there whole.
struct Cut {
    kept: usize,
    failure: Failure,
}

impl<F: Into<Failure>> From<F> for Cut {
    fn from(failure: F) -> Cut {
        Cut { kept: 0, failure: failure.into() }
    }
}

/// Writes records, all of them unless the file takes no more.
pub(super) fn write(store: &Store, locked: &mut Locked<'_>, drafts: &[&Draft]) -> Written {
    let mut written = Written { posted: Vec::with_capacity(drafts.len()), ..Written::default() };
    match write_all(store, locked, drafts, &mut written.posted) {
        Ok(()) => written.kept = drafts.len(),
        Err(cut) => (written.kept, written.failure) = (cut.kept, Some(cut.failure)),
    }
    written
}

fn write_all(
    store: &Store,
    locked: &mut Locked<'_>,
    drafts: &[&Draft],
    posted: &mut Vec<Posted>,
) -> Result<(), Cut> {
    let mut first_is_hidden = write_once(store, locked, drafts, posted)?;
    let mut tries = 0;
    while first_is_hidden {
        // Behind somebody's unfinished line it is no record; the others have their own marks.
        tries += 1;
        if tries > GLUED_TRIES {
            let why = "another program keeps writing into the file without taking its lock";
            return Err(Failure::Unknown(io::Error::other(why)).into());
        }
        let mut again = Vec::new();
        let answer = write_once(store, locked, &drafts[..1], &mut again);
        posted.splice(..1, again);
        // The rest of the batch is there already.
        first_is_hidden = answer.map_err(|cut| cut.failure.in_part())?;
    }
    Ok(())
}

/// Writes the records once; tells whether the first is hidden behind bytes of somebody who does
/// not lock.
fn write_once(
    store: &Store,
    locked: &mut Locked<'_>,
    drafts: &[&Draft],
    posted: &mut Vec<Posted>,
) -> Result<bool, Cut> {
    let mut tail = end_of(store, locked)?;
    let file = locked.lock.file.clone();
    let mut bytes = Vec::with_capacity(drafts.iter().map(|draft| draft.most()).sum());
    let now = Moment::of(file.os().now());
    let before = tail.size;
    let mut ends = Vec::with_capacity(drafts.len());
    for draft in drafts {
        posted.push(push(&file, &mut tail, draft, now, &mut bytes)?);
        ends.push(bytes.len());
    }
    // Whatever comes of the write, what was known of the end is known no more.
    locked.take_tail();
    put_all(&file, before, &bytes, &ends)?;
    let end = file.os().position(file.fd()).map_err(Failure::Unknown)?;
    if end == tail.size {
        locked.keep_tail(tail);
        return Ok(false);
    }
    locked.size = end;
    let hidden = is_hidden(&file, end, &bytes);
    hidden.map_err(|error| Failure::Unknown(io::Error::other(error)).into())
}

/// How the locked file ends, from memory where nobody wrote meanwhile.
pub(super) fn end_of(store: &Store, locked: &mut Locked<'_>) -> Result<Tail> {
    let known = locked.take_tail();
    let tail = match known.filter(|known| known.size == locked.size) {
        Some(known) => known,
        None => {
            let mut tail = tail::inspect(store, &locked.lock.file, locked.size, known)?;
            if tail.last_seq == 0 {
                // An older program began the file; the numbers go on behind the archives.
                tail.last_seq = catalog::last_archived_seq(store)?;
            }
            tail
        }
    };
    locked.keep_tail(tail);
    Ok(tail)
}

/// Encodes a record behind the end that `tail` describes, and moves that.
pub(super) fn push(
    file: &Segment,
    tail: &mut Tail,
    draft: &Draft,
    now: Moment,
    bytes: &mut Vec<u8>,
) -> Result<Posted> {
    let start = bytes.len();
    let lead = tail.lead();
    bytes.extend_from_slice(&b"\n\n"[..lead]);
    let stamp = stamp(file, tail, now)?;
    draft.push(&stamp, bytes);
    let id = start + lead + BEGIN.len();
    let id = &bytes[id..id + memchr::memchr(b'\n', &bytes[id..]).unwrap_or(0)];
    let msg_id = MessageId::new(String::from_utf8_lossy(id))?;
    tail.last_seq = stamp.seq;
    tail.last_time = stamp.id_time;
    tail.size += (bytes.len() - start) as u64;
    // A record ends with one line feed; a body that ends with one more makes it two.
    tail.feeds = if bytes.ends_with(b"\n\n") { 2 } else { 1 };
    let cursor = Cursor::of_record(stamp.seq, msg_id.clone());
    Ok(Posted { msg_id, seq: stamp.seq, cursor })
}

fn stamp(file: &Segment, tail: &Tail, now: Moment) -> Result<Stamp> {
    let seq = tail.last_seq + 1;
    let later = tail.last_time.next().filter(|_| seq < SEQ_LIMIT);
    let later = later.ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            "bus.exhausted",
            format!("the last record of {} leaves no later one", file.path().display()),
        )
        .with_path(file.path())
        .with_hint("its number or time was made up; `run-agent bus check` shows it")
    })?;
    Ok(Stamp {
        seq,
        id_time: now.max(later),
        time: now,
        process: file.os().process_id(),
        counter: COUNTER.fetch_add(1, Ordering::Relaxed),
    })
}

/// Writes one record at the end of a file, at `start`, or takes back what was written of it.
pub(super) fn put(file: &Segment, start: u64, record: &[u8]) -> Result<(), Failure> {
    put_all(file, start, record, &[record.len()]).map_err(|cut| cut.failure)
}

/// Writes records, which end at `ends` of these bytes, at the end of a file, at `start`.
///
/// What cannot be written whole is taken back, but no whole record: readers do not lock, and may have
/// told of it.
fn put_all(file: &Segment, start: u64, bytes: &[u8], ends: &[usize]) -> Result<(), Cut> {
    let mut written = 0;
    while written < bytes.len() {
        let failure = match file.os().write(file.fd(), &bytes[written..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(more) => {
                written += more;
                continue;
            }
            Err(error) => error,
        };
        let kept = ends.partition_point(|end| *end <= written);
        let whole = if kept == 0 { 0 } else { ends[kept - 1] };
        // Only our own bytes are taken back.
        let ours = || file.stat().is_ok_and(|stat| stat.size == start + written as u64);
        let back = || file.os().truncate(file.fd(), start + whole as u64).is_ok();
        return Err(match written == 0 || (ours() && (whole == written || back())) {
            true => Cut { kept, failure: Failure::NotWritten(failure) },
            false => Failure::Unknown(failure).into(),
        });
    }
    Ok(())
}

/// Whether the first of our records, which end at `end`, cannot be found behind somebody's bytes.
fn is_hidden(file: &Segment, end: u64, bytes: &[u8]) -> Result<bool> {
    let lead = bytes.iter().take_while(|byte| **byte == b'\n').count();
    let start = end.saturating_sub(bytes.len() as u64) + lead as u64;
    if start < 2 {
        return Ok(start != 0);
    }
    let mut before = [0; 2];
    let read = file.read(&mut before, start - 2)?;
    Ok(read != 2 || before != *b"\n\n")
}
