//! Walking through the records of one file, forwards, with bounded memory.
//!
//! A [`Scanner`] says what comes next and moves only when told to, so that a caller can look again
//! under a lock before it believes in damage.

use super::record::{self, Head, Look, MARK, MARK_LEAD};
use super::store::Segment;
use crate::error::Result;
use crate::limits;

/// The first read of a scan, in bytes; later ones double up to [`LAST_CHUNK`].
const FIRST_CHUNK: usize = 4 << 10;
const LAST_CHUNK: usize = 256 << 10;
/// The largest record, and so the longest piece that a scan must have in memory, in bytes.
pub(crate) const RECORD_MOST: usize = limits::MESSAGE_HEADER + limits::MESSAGE_STORED_HARD + 16;

/// What comes next in a file. Offsets count from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole record of this format.
    Record { start: u64, head: Head },
    /// A record of the older program. An open one reaches to the end of the file.
    Legacy { start: u64, body: usize, end: u64, closed: bool },
    /// A line before the first record that may be a message of the oldest form.
    Line { start: u64, end: u64, number: u64 },
    /// Bytes that are no record; `closed` where a record follows.
    Damage { start: u64, end: u64, foreign: bool, closed: bool },
    /// The beginning of a record at the end of the file.
    Short { start: u64 },
    /// Nothing more.
    End,
}

impl Found {
    /// Whether a writer in the middle of its work could have made it look so.
    pub(crate) fn is_doubtful(&self) -> bool {
        matches!(
            self,
            Found::Damage { .. } | Found::Line { .. } | Found::Legacy { closed: false, .. }
        )
    }
}

/// A place in a file, and the bytes around it.
#[derive(Debug)]
pub(crate) struct Scanner {
    window: Window,
    /// The end of what was accepted.
    at: u64,
    /// Lines before `at`, as long as there was nothing but lines.
    lines: Option<u64>,
    /// Lines before the end of what was found last.
    lines_found: Option<u64>,
}

impl Scanner {
    /// A scan of a whole file.
    pub(crate) fn new() -> Scanner {
        Scanner { window: Window::default(), at: 0, lines: Some(0), lines_found: None }
    }

    /// A scan from `offset`, the end of a record.
    pub(crate) fn from(offset: u64) -> Scanner {
        let lines = (offset == 0).then_some(0);
        Scanner { window: Window::default(), at: offset, lines, lines_found: None }
    }

    /// A scan from `offset`, the end of a record, to `size`, where the locked file ends. Each byte is
    /// read once.
    pub(crate) fn between(offset: u64, size: u64) -> Scanner {
        let mut scanner = Scanner::from(offset);
        scanner.window.limit = size;
        scanner
    }

    /// A scan from `start`, the start of a record, of which `bytes` were read a moment ago.
    pub(crate) fn holding(start: u64, bytes: Vec<u8>) -> Scanner {
        let mut scanner = Scanner::from(start);
        scanner.window.end = bytes.len();
        scanner.window.offset = start;
        scanner.window.buffer = bytes;
        scanner
    }

    /// The end of what was accepted.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Goes behind what was found last, which ends at `end`.
    pub(crate) fn accept(&mut self, end: u64) {
        self.at = end;
        self.lines = self.lines_found.take();
    }

    /// Forgets the bytes read so far: they may have been cut and written anew.
    pub(crate) fn forget(&mut self) {
        self.window.clear();
    }

    /// How often the file was read so far.
    pub(crate) fn reads(&self) -> u64 {
        self.window.reads
    }

    /// Bytes of what was found last.
    pub(crate) fn bytes(&self, start: u64, length: usize) -> &[u8] {
        self.window.held(start, length)
    }

    /// Says what comes next. The bytes of records and lines are held until the next look.
    pub(crate) fn look(&mut self, file: &Segment) -> Result<Found> {
        self.lines_found = None;
        let Some(start) = self.skip_feeds(file)? else { return Ok(Found::End) };
        let mut want = record::BEGIN.len();
        loop {
            let (bytes, at_end) = self.window.get(file, start, want)?;
            match record::look(bytes) {
                Look::Record(head) => return Ok(Found::Record { start, head }),
                Look::Legacy(body) => {
                    let (end, closed) = record::legacy_body_end(bytes, body);
                    if closed || at_end {
                        return Ok(Found::Legacy { start, body, end: start + end as u64, closed });
                    }
                    if bytes.len() > RECORD_MOST {
                        return self.damage(file, start, false);
                    }
                    want = bytes.len() * 2;
                }
                Look::Short(need) if !at_end => want = need.max(bytes.len() + 1),
                Look::Short(_) => {
                    return match self.next_mark(file, start)? {
                        Some(end) => Ok(Found::Damage { start, end, foreign: false, closed: true }),
                        None => Ok(Found::Short { start }),
                    };
                }
                Look::Broken => return self.damage(file, start, false),
                Look::Alien if self.lines.is_some() => return self.line(file, start),
                Look::Alien => return self.damage(file, start, true),
            }
        }
    }

    /// The next byte that is no line feed.
    fn skip_feeds(&mut self, file: &Segment) -> Result<Option<u64>> {
        let mut start = self.at;
        loop {
            let (bytes, _) = self.window.get(file, start, 1)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let feeds = bytes.iter().take_while(|byte| **byte == b'\n').count();
            start += feeds as u64;
            if feeds < bytes.len() {
                return Ok(Some(start));
            }
        }
    }

    /// A region that is no record: up to the next one, or to the end of the file.
    fn damage(&mut self, file: &Segment, start: u64, alien: bool) -> Result<Found> {
        if let Some(end) = self.next_mark(file, start)? {
            let foreign = alien && self.looks_like_text(file, start, end)?;
            return Ok(Found::Damage { start, end, foreign, closed: true });
        }
        let size = file.stat()?.size.max(start);
        if size - start <= RECORD_MOST as u64 {
            let length = usize::try_from(size - start).unwrap_or(RECORD_MOST);
            let (bytes, _) = self.window.get(file, start, length)?;
            if record::is_torn(bytes) {
                return Ok(Found::Short { start });
            }
        }
        let foreign = alien && self.looks_like_text(file, start, size)?;
        Ok(Found::Damage { start, end: size, foreign, closed: false })
    }

    /// Whether the beginning of a region is text, and no remains of a record.
    fn looks_like_text(&mut self, file: &Segment, start: u64, end: u64) -> Result<bool> {
        let length = usize::try_from(end - start).unwrap_or(FIRST_CHUNK).min(FIRST_CHUNK);
        let (bytes, _) = self.window.get(file, start, length)?;
        let bytes = &bytes[..bytes.len().min(length)];
        let remains = |text: &str| memchr::memmem::find(bytes, text.as_bytes()).is_some();
        Ok(!bytes.contains(&0) && !remains("msg_id: ") && !remains("crc32c: "))
    }

    /// A line before the first record, or the text up to the next such line or record.
    fn line(&mut self, file: &Segment, start: u64) -> Result<Found> {
        let lines = self.lines.unwrap_or(0) + (start - self.at);
        // Mostly the whole line is held.
        let mut want = 1;
        loop {
            let (bytes, at_end) = self.window.get(file, start, want)?;
            let is_line = bytes[0] == b'[';
            let (end, closed) = match if is_line { line_end(bytes) } else { text_end(bytes) } {
                Some(end) => (end, true),
                None if !at_end && bytes.len() > RECORD_MOST => {
                    return self.damage(file, start, true);
                }
                None if !at_end => {
                    want = bytes.len() * 2;
                    continue;
                }
                None if record::is_torn(bytes) => return Ok(Found::Short { start }),
                None => (bytes.len(), false),
            };
            self.lines_found =
                Some(lines + memchr::memchr_iter(b'\n', &bytes[..end]).count() as u64);
            let end = start + end as u64;
            return Ok(match is_line {
                true => Found::Line { start, end, number: lines + 1 },
                false => Found::Damage { start, end, foreign: true, closed },
            });
        }
    }

    /// Where the next record after `start` begins.
    fn next_mark(&mut self, file: &Segment, start: u64) -> Result<Option<u64>> {
        let (mut from, mut want) = (start, FIRST_CHUNK);
        loop {
            let (bytes, at_end) = self.window.get(file, from, want)?;
            if let Some(found) = memchr::memmem::find(bytes, MARK) {
                return Ok(Some(from + (found + MARK_LEAD) as u64));
            }
            if at_end {
                return Ok(None);
            }
            from += (bytes.len() - (MARK.len() - 1)) as u64;
            want = (want * 2).min(LAST_CHUNK);
        }
    }
}

/// The end of the first line.
fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|feed| feed + 1)
}

/// The end of the lines before the next one that may be a message or begin a record.
fn text_end(bytes: &[u8]) -> Option<usize> {
    let ends = [&b"\n["[..], b"\n---"].map(|next| memchr::memmem::find(bytes, next));
    ends.into_iter().flatten().min().map(|feed| feed + 1)
}

/// A piece of a file in memory.
#[derive(Debug)]
struct Window {
    /// Storage; only the bytes before `end` are the file's.
    buffer: Vec<u8>,
    end: usize,
    /// The offset in the file of the first byte.
    offset: u64,
    chunk: usize,
    /// Nothing is read from here on.
    limit: u64,
    reads: u64,
}

impl Default for Window {
    fn default() -> Window {
        Window { buffer: Vec::new(), end: 0, offset: 0, chunk: 0, limit: u64::MAX, reads: 0 }
    }
}

impl Window {
    fn clear(&mut self) {
        self.end = 0;
    }

    fn held(&self, start: u64, length: usize) -> &[u8] {
        let at = usize::try_from(start.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let begin = at.min(self.end);
        &self.buffer[begin..begin.saturating_add(length).min(self.end)]
    }

    /// The bytes from `start`, at least `least` of them unless the file ends before; the flag says
    /// that it does.
    fn get(&mut self, file: &Segment, start: u64, least: usize) -> Result<(&[u8], bool)> {
        let held = self.offset + self.end as u64;
        if start < self.offset || start > held {
            self.clear();
            self.offset = start;
        }
        let skipped = usize::try_from(start - self.offset).unwrap_or(0);
        if self.end - skipped >= least {
            return Ok((&self.buffer[skipped..self.end], false));
        }
        let most = usize::try_from(self.limit.saturating_sub(start)).unwrap_or(usize::MAX);
        if self.end - skipped == most {
            return Ok((&self.buffer[skipped..self.end], true));
        }
        // Everything is read again: the beginning of a record that was seen before may have been
        // cut since, and with the end of the one in its place it could pass for a whole.
        self.chunk = (self.chunk * 2).clamp(FIRST_CHUNK, LAST_CHUNK);
        let wanted = least.max(self.chunk).min(most);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        (self.end, self.offset) = (0, start);
        self.reads += 1;
        self.end = file.read(&mut self.buffer[..wanted], start)?;
        Ok((&self.buffer[..self.end], self.end < least))
    }
}
