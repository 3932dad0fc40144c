//! What a writer must know of the end of the file, and repairing it (under the lock).
//!
//! Only what is provably the beginning of a record at the very end is cut, and only after a copy of
//! it is safe. Whatever else stands there is kept, and the next record goes behind it.

use super::record::{self, Look, MARK, MARK_LEAD, Moment, SEQ_JUMP};
use super::scan::{Found, RECORD_MOST, Scanner};
use super::store::{Segment, Store};
use crate::error::Result;
use crate::fsx::FILE_MODE;
use crate::sys::Open;
use crate::time::Timestamp;

/// The first window of the search backwards, in bytes; later ones are four times as long.
const FIRST_WINDOW: u64 = 4 << 10;
const LAST_WINDOW: u64 = 1 << 20;
/// Bytes from the start of a record in which its seq and id surely lie.
const STAMP_BYTES: usize = 256;

/// The end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The file's length.
    pub(crate) size: u64,
    /// The highest number on it; 0 where there is none.
    pub(crate) last_seq: u64,
    /// The latest time in an id.
    pub(crate) last_time: Moment,
    /// Line feeds at its very end, at most two.
    pub(crate) feeds: usize,
    /// Whether the record that ends a segment stands there.
    pub(crate) sealed: bool,
}

impl Tail {
    /// The end of an empty file.
    pub(crate) const EMPTY: Tail =
        Tail { size: 0, last_seq: 0, last_time: Moment::MIN, feeds: 0, sealed: false };

    /// Line feeds that the next record needs in front.
    pub(crate) fn lead(&self) -> usize {
        if self.size == 0 { 0 } else { MARK_LEAD - self.feeds }
    }

    /// Whether a record with this number may follow: it was not had, and is not somebody's invention.
    fn explains(&self, seq: u64) -> bool {
        seq > self.last_seq && seq - self.last_seq <= SEQ_JUMP
    }

    fn take(&mut self, head: &record::Head, bytes: &[u8]) {
        self.last_seq = head.seq;
        if let Some(time) = id_time(&bytes[head.id.clone()]) {
            self.last_time = self.last_time.max(time);
        }
        self.sealed = record::ends_segment(bytes, head);
    }
}

/// The time in an id of the usual shape.
fn id_time(id: &[u8]) -> Option<Moment> {
    Moment::parse_compact(id.strip_prefix(b"MSG-")?.get(..25)?)
}

/// Finds out how the file ends, going on from what was known of it, and cuts a torn record off.
pub(crate) fn inspect(
    store: &Store,
    file: &Segment,
    size: u64,
    known: Option<Tail>,
) -> Result<Tail> {
    let (mut tail, mut scanner) = match known.filter(|known| known.size <= size) {
        Some(known) => (known, Scanner::between(known.size, size)),
        None => {
            let (tail, from) = search_backwards(file, size)?;
            (tail, Scanner::between(from, size))
        }
    };
    loop {
        let found = scanner.look(file)?;
        let end = match found {
            Found::End => break,
            Found::Record { start, head } => {
                // A number that no loss explains is somebody's invention, as is one that was had.
                if tail.explains(head.seq) {
                    tail.take(&head, scanner.bytes(start, head.total()));
                }
                start + head.total() as u64
            }
            Found::Legacy { end, start, .. } => {
                let bytes = scanner.bytes(start, STAMP_BYTES);
                if let Some(time) = bytes.get(record::BEGIN.len()..).and_then(id_time) {
                    tail.last_time = tail.last_time.max(time);
                }
                end
            }
            Found::Line { end, .. } => end,
            Found::Damage { start, end, .. } => {
                // The number of a record that broke was given away.
                if let Some(claimed) = claimed_seq(file, start)?
                    && tail.explains(claimed)
                    && (claimed == tail.last_seq + 1 || lacks_its_end(file, start, size)?)
                {
                    tail.last_seq = claimed;
                }
                end
            }
            Found::Short { start } => {
                if cut(store, file, start, size)? {
                    tail.size = start;
                    tail.feeds = feeds_before(file, start)?;
                    return Ok(tail);
                }
                // It stays. Where it lacks nothing but its last line feed, the next record's own will
                // make it whole: its number is not to be had again.
                if let Some(claimed) = claimed_seq(file, start)?
                    && tail.explains(claimed)
                {
                    tail.last_seq = claimed;
                }
                break;
            }
        };
        scanner.accept(end);
    }
    tail.size = size;
    // What was scanned last mostly holds the end.
    let last = scanner.bytes(size.saturating_sub(MARK_LEAD as u64), MARK_LEAD);
    tail.feeds = if last.len() == MARK_LEAD { feeds_of(last) } else { feeds_before(file, size)? };
    Ok(tail)
}

/// The number that a record which is none claims, where it can still be read.
fn claimed_seq(file: &Segment, start: u64) -> Result<Option<u64>> {
    let mut stamp = [0; STAMP_BYTES];
    let read = file.read(&mut stamp, start)?;
    Ok(record::claimed_seq(&stamp[..read]))
}

/// Whether what begins at `start` is a record but for its last line feed, whatever looks like a record
/// within it. The next record's own line feed makes it whole.
fn lacks_its_end(file: &Segment, start: u64, size: u64) -> Result<bool> {
    let rest = rest(file, start, size)?;
    Ok(rest.is_some_and(|rest| record::look(&rest) == Look::Short(rest.len() + 1)))
}

/// The bytes from `start` to the end of a file; `None` where they are more than any record has, or not
/// there any more.
fn rest(file: &Segment, start: u64, size: u64) -> Result<Option<Vec<u8>>> {
    let length = usize::try_from(size - start).unwrap_or(usize::MAX);
    if length > RECORD_MOST {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    let read = file.read(&mut bytes, start)?;
    Ok((read == length).then_some(bytes))
}

/// The line feeds, at most two, before `end`.
fn feeds_before(file: &Segment, end: u64) -> Result<usize> {
    let mut last = [0; MARK_LEAD];
    let length = MARK_LEAD.min(usize::try_from(end).unwrap_or(MARK_LEAD));
    let read = file.read(&mut last[..length], end - length as u64)?;
    Ok(feeds_of(&last[..read]))
}

fn feeds_of(last: &[u8]) -> usize {
    last.iter().rev().take_while(|byte| **byte == b'\n').count()
}

/// Searches the last whole record of ours. Gives what it says, and its end; 0 where there is none.
fn search_backwards(file: &Segment, size: u64) -> Result<(Tail, u64)> {
    let mut window = FIRST_WINDOW;
    // Records that begin at `high` or later were looked at.
    let mut high = size;
    let mut newest: Option<(Tail, u64)> = None;
    while high > 0 {
        let low = high.saturating_sub(window);
        // A mark that begins before `high` may end behind it.
        let length = usize::try_from((high - low).saturating_add(MARK.len() as u64)).unwrap_or(0);
        let mut bytes = vec![0; length];
        let read = file.read(&mut bytes, low)?;
        bytes.truncate(read);
        let mut starts: Vec<u64> = memchr::memmem::find_iter(&bytes, MARK)
            .map(|at| low + (at + MARK_LEAD) as u64)
            .filter(|start| *start < high + MARK_LEAD as u64)
            .collect();
        if low == 0 {
            starts.insert(0, 0);
        }
        for start in starts.into_iter().rev() {
            let Some((tail, end)) = record_at(file, start)? else { continue };
            match newest {
                None => newest = Some((tail, end)),
                // The newest one's number must be explained by the one before.
                Some((last, end)) if last.last_seq.wrapping_sub(tail.last_seq) <= SEQ_JUMP => {
                    return Ok((last, end));
                }
                Some(_) => newest = Some((tail, end)),
            }
        }
        high = low;
        window = (window * 4).min(LAST_WINDOW);
    }
    Ok(match newest {
        Some((tail, end)) if tail.last_seq <= SEQ_JUMP => (tail, end),
        _ => (Tail::EMPTY, 0),
    })
}

/// The number of the last record of ours in a file; 0 where it has none.
pub(crate) fn last_seq(file: &Segment) -> Result<u64> {
    Ok(search_backwards(file, file.stat()?.size)?.0.last_seq)
}

/// What a whole record of ours at `start` says, and its end.
fn record_at(file: &Segment, start: u64) -> Result<Option<(Tail, u64)>> {
    let mut bytes = vec![0; FIRST_WINDOW as usize];
    loop {
        let read = file.read(&mut bytes, start)?;
        match record::look(&bytes[..read]) {
            Look::Record(head) => {
                let mut tail = Tail::EMPTY;
                tail.take(&head, &bytes);
                return Ok(Some((tail, start + head.total() as u64)));
            }
            Look::Short(need) if read == bytes.len() => bytes.resize(need.max(read * 2), 0),
            _ => return Ok(None),
        }
    }
}

/// Cuts the torn bytes from `start` off, once a copy of them is safe; `false` where it is not, and
/// nothing was cut.
fn cut(store: &Store, file: &Segment, start: u64, size: u64) -> Result<bool> {
    let Some(bytes) = rest(file, start, size)?.filter(|bytes| record::is_torn(bytes)) else {
        return Ok(false);
    };
    if let Err(error) = keep(store, file, start, &bytes) {
        tracing::warn!(name: "bus_tail_not_kept", path = %file.path().display(), %error, "cannot keep a torn record; nothing is cut");
        return Ok(false);
    }
    // Somebody who takes no lock may have appended while the copy was made.
    if file.stat()?.size != size {
        return Ok(false);
    }
    file.os().truncate(file.fd(), start).map_err(|e| file.error("cut the torn end of", e))?;
    tracing::warn!(
        name: "bus_tail_cut", path = %file.path().display(), bytes = bytes.len(),
        "a writer died in the middle of a message; its bytes were put aside"
    );
    Ok(true)
}

/// Appends torn bytes to the file that keeps them.
fn keep(store: &Store, file: &Segment, start: u64, torn: &[u8]) -> Result<()> {
    let name = store.torn();
    let fd = store.folder().open(&name, Open::AppendOrCreate(FILE_MODE))?;
    let kept = store.segment(&name, fd);
    let now: Timestamp = file.os().now();
    let mut bytes = format!("# offset {start} length {} time {now}\n", torn.len()).into_bytes();
    bytes.extend_from_slice(torn);
    bytes.push(b'\n');
    let written = file.os().write(kept.fd(), &bytes).map_err(|e| kept.error("write", e))?;
    if written != bytes.len() {
        return Err(kept.error("write", std::io::ErrorKind::WriteZero.into()));
    }
    file.os().sync(kept.fd()).map_err(|e| kept.error("sync", e))?;
    // A copy whose name a power cut takes away is no copy.
    store.folder().sync()
}
