//! From a cursor to the place where reading goes on.

use super::catalog::{self, Archive};
use super::cursor::{Cursor, Place};
use super::message::{Event, Message};
use super::reader::step_patiently;
use super::scan::{Found, Scanner};
use super::search::{self, Target};
use super::store::{Segment, Store};
use super::walk::{Here, Walk, header_of_legacy};
use crate::error::{Error, ErrorKind, Result};
use crate::id::MessageId;
use crate::limits;
use crate::sys::Open;
use std::cmp::Ordering;

/// A place right behind a record.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) end: u64,
    pub(crate) seq: u64,
    pub(crate) id: MessageId,
}

/// What was found of a record in a file.
#[derive(Debug, Default)]
pub(crate) struct Around {
    /// The last record before it.
    before: Option<Spot>,
    /// The record itself.
    pub(crate) at: Option<Spot>,
    /// Whether a later record is there.
    after: bool,
}

/// The walk that begins right behind the place of a cursor.
///
/// # Errors
/// `bus.cursor_not_found` for an id that is not on the bus, `bus.cursor_diverged` where another
/// message stands at the cursor's place.
pub(crate) fn walk_from(store: &Store, cursor: &Cursor) -> Result<Walk> {
    match cursor.place() {
        Place::Start => Ok(Walk::from_start(store.clone())),
        Place::End => walk_from_end(store),
        Place::Record { seq, id } => behind_record(store, cursor, *seq, id),
        Place::Legacy { segment, offset, hash, .. } => {
            behind_legacy(store, cursor, *segment, *offset, *hash)
        }
        Place::Id(id) => behind_id(store, cursor, id),
    }
}

/// Looks for the record with the number `seq` in a file.
pub(crate) fn around_seq(file: &Segment, size: u64, seq: u64) -> Result<Around> {
    let from = search::floor(file, size, Target::Seq(seq))?.unwrap_or(0);
    let found = scan_around(file, from, |found, _| found.cmp(&seq))?;
    if from > 0 && found.at.is_none() && found.before.is_none() {
        // Something on the way lied about the order.
        return scan_around(file, 0, |found, _| found.cmp(&seq));
    }
    Ok(found)
}

/// Scans records of ours from `from` to the one that `compare` calls equal, or past it.
fn scan_around(
    file: &Segment,
    from: u64,
    compare: impl Fn(u64, &str) -> Ordering,
) -> Result<Around> {
    let mut scanner = Scanner::from(from);
    let mut around = Around::default();
    loop {
        let end = match scanner.look(file)? {
            Found::End | Found::Short { .. } => return Ok(around),
            Found::Record { start, head } => {
                let end = start + head.total() as u64;
                let bytes = scanner.bytes(start, head.total());
                let id = std::str::from_utf8(&bytes[head.id.clone()]).ok();
                if let Some(id) = id.and_then(|id| MessageId::new(id).ok()) {
                    let order = compare(head.seq, id.as_str());
                    let spot = Spot { end, seq: head.seq, id };
                    match order {
                        Ordering::Less => around.before = Some(spot),
                        Ordering::Equal => {
                            around.at = Some(spot);
                            return Ok(around);
                        }
                        Ordering::Greater => {
                            around.after = true;
                            return Ok(around);
                        }
                    }
                }
                end
            }
            Found::Legacy { end, .. } | Found::Line { end, .. } | Found::Damage { end, .. } => end,
        };
        scanner.accept(end);
    }
}

/// The live file, or the one that waits to take its place.
fn live_file(store: &Store) -> Result<Option<Here>> {
    // It may be published between two looks.
    for name in [store.live(), store.next(), store.live()] {
        if let Some(file) = store.open(name, Open::Read)? {
            return Here::new(file, None).map(Some);
        }
    }
    Ok(None)
}

/// The archives, newest first.
fn archives(store: &Store) -> Result<impl Iterator<Item = Archive>> {
    Ok(catalog::archives(store)?.into_iter().rev())
}

fn open_archive(store: &Store, archive: Archive) -> Result<Option<Here>> {
    let file = store.open(&archive.name, Open::Read)?;
    file.map(|file| Here::new(file, Some(archive.name))).transpose()
}

/// Every file, newest first, opened one after the other.
fn files(store: &Store) -> Result<impl Iterator<Item = Result<Here>>> {
    let live = live_file(store)?;
    let older =
        || Ok(archives(store)?.filter_map(|archive| open_archive(store, archive).transpose()));
    Ok(live.map(Ok).into_iter().chain(later(older).map(|here| here?)))
}

/// What `list` gives, which is called only once somebody gets here: most places lie in the live file,
/// and archives need not be listed for them.
fn later<I: Iterator>(list: impl FnOnce() -> Result<I>) -> impl Iterator<Item = Result<I::Item>> {
    let (mut list, mut listed) = (Some(list), None);
    std::iter::from_fn(move || {
        if let Some(list) = list.take() {
            match list() {
                Ok(items) => listed = Some(items),
                Err(error) => return Some(Err(error)),
            }
        }
        listed.as_mut().and_then(Iterator::next).map(Ok)
    })
}

/// A walk that begins at the last `count` records, where they lie within about `bytes` bytes before
/// the end; the flag says that this is the start of everything. `None` where there are fewer.
pub(crate) fn walk_back(store: &Store, bytes: u64, count: usize) -> Result<Option<(Walk, bool)>> {
    let (mut left, mut is_newest) = (bytes, true);
    for here in files(store)? {
        let here = here?;
        if here.size() <= left {
            (left, is_newest) = (left - here.size(), false);
            continue;
        }
        let from = here.size() - left;
        let scan = if is_newest {
            search::last_records(here.file(), from, here.size(), count)?
        } else {
            let next = search::next_record(here.file(), from, here.size())?;
            next.map(|(start, _)| Scanner::from(start))
        };
        let walk = scan.map(|scan| Walk::from_scan(store.clone(), here, scan, None));
        return Ok(walk.map(|walk| (walk, false)));
    }
    Ok(Some((Walk::from_start(store.clone()), true)))
}

fn walk_from_end(store: &Store) -> Result<Walk> {
    let Some(live) = store.open(store.live(), Open::Read)? else {
        // Between two files, or before the first: what is there is not news.
        let mut walk = Walk::from_start(store.clone()).with_control(true);
        while step_patiently(&mut walk, store)?.is_some() {}
        return Ok(walk.with_control(false));
    };
    let here = Here::new(live, None)?;
    let from = last_record_start(here.file(), here.size())?;
    // The last record is read to learn its number; what is behind it ends the walk's beginning.
    let last = if from == 0 { Some(0) } else { None };
    let mut walk = Walk::from_place(store.clone(), here, from, last).with_control(true);
    while step_patiently(&mut walk, store)?.is_some() {}
    Ok(walk.with_control(false))
}

/// The start of the last record that has a mark; 0 where there is none.
fn last_record_start(file: &Segment, size: u64) -> Result<u64> {
    let mut window = 4 << 10;
    loop {
        let low = size.saturating_sub(window);
        let mut found = None;
        let mut from = low;
        while let Some((start, _)) = search::next_record(file, from, size)? {
            (found, from) = (Some(start), start);
        }
        match found {
            Some(start) => return Ok(start),
            None if low == 0 => return Ok(0),
            None => window *= 4,
        }
    }
}

fn behind_record(store: &Store, cursor: &Cursor, seq: u64, id: &MessageId) -> Result<Walk> {
    let mut is_newest = true;
    let live = match live_file(store)? {
        Some(here) => Some((here.first()?, Ok(here))),
        None => None,
    };
    let older = || {
        let older = archives(store)?.filter_map(|archive| {
            let first = archive.first;
            Some((first, open_archive(store, archive).transpose()?))
        });
        Ok::<_, Error>(older)
    };
    for place in live.into_iter().map(Ok).chain(later(older)) {
        let (first, here) = place?;
        if first > seq {
            is_newest = false;
            continue;
        }
        let here = here?;
        let found = around_seq(here.file(), here.size(), seq)?;
        if let Some(spot) = found.at {
            if spot.id != *id {
                return Err(diverged(store, cursor, &format!("{} stands there", spot.id)));
            }
            return Ok(Walk::from_place(store.clone(), here, spot.end, Some(seq)));
        }
        if let Some(before) = found.before {
            if is_newest && !found.after {
                return Err(diverged(store, cursor, "it is behind the end of the bus"));
            }
            // The record itself is damaged or gone; the walk tells of what stands in its place.
            return Ok(Walk::from_place(store.clone(), here, before.end, Some(before.seq)));
        }
        is_newest = is_newest && !found.after;
    }
    if is_newest {
        return Err(diverged(store, cursor, "it is behind the end of the bus"));
    }
    // Everything that is kept comes later. The walk tells of the gap.
    Ok(Walk::from_start_after(store.clone(), seq))
}

fn behind_id(store: &Store, cursor: &Cursor, id: &MessageId) -> Result<Walk> {
    for here in files(store)? {
        let here = here?;
        let target = Target::Id(id.as_str());
        let Some(from) = search::floor(here.file(), here.size(), target)? else { continue };
        let found = scan_around(here.file(), from, |_, found| found.cmp(id.as_str()))?;
        if let Some(spot) = found.at {
            return Ok(Walk::from_place(store.clone(), here, spot.end, Some(spot.seq)));
        }
    }
    // A message of an older program, or one that is not in its order: everything is looked at.
    let mut walk = Walk::from_start(store.clone()).with_control(true);
    while let Some(event) = step_patiently(&mut walk, store)? {
        if matches!(&event, Event::Message(Message { msg_id, .. }) if msg_id == id) {
            return Ok(walk.with_control(false));
        }
    }
    Err(Error::new(
        ErrorKind::NotFound,
        "bus.cursor_not_found",
        format!("there is no message {cursor} on {}", store.path().display()),
    )
    .with_path(store.path())
    .with_field("cursor"))
}

fn behind_legacy(
    store: &Store,
    cursor: &Cursor,
    segment: u64,
    offset: u64,
    hash: u32,
) -> Result<Walk> {
    for here in files(store)? {
        let here = here?;
        if here.first()? != segment {
            continue;
        }
        if let Some((end, last_seq)) = legacy_at(&here, offset, hash)? {
            return Ok(Walk::from_place(store.clone(), here, end, last_seq));
        }
    }
    Err(diverged(store, cursor, "another record stands there"))
}

/// The end of the older record at `offset` with this hash, and the number of the last record of
/// ours before it.
fn legacy_at(here: &Here, offset: u64, hash: u32) -> Result<Option<(u64, Option<u64>)>> {
    let file = here.file();
    let mut scanner = Scanner::from(offset);
    let end = match scanner.look(file)? {
        Found::Legacy { start, body, end, .. } if start == offset => {
            let head = scanner.bytes(start, body);
            (crc32c::crc32c(header_of_legacy(head)) == hash).then_some(end)
        }
        found => line_at(&found, &scanner, offset, hash),
    };
    let Some(end) = end else { return Ok(None) };
    let before = behind_before(file, offset)?;
    Ok(Some((end, Some(before))))
}

fn line_at(found: &Found, scanner: &Scanner, offset: u64, hash: u32) -> Option<u64> {
    // A line in the middle of the file looks like other text to a scan that begins there.
    let (start, end) = match found {
        Found::Line { start, end, .. } | Found::Damage { start, end, .. } => (*start, *end),
        _ => return None,
    };
    let length = usize::try_from(end - start).ok()?.min(limits::MESSAGE_HEADER);
    let bytes = scanner.bytes(start, length);
    let line = memchr::memchr(b'\n', bytes).map_or(bytes, |feed| &bytes[..=feed]);
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    (start == offset && crc32c::crc32c(text.as_bytes()) == hash).then(|| start + line.len() as u64)
}

/// The number of the last record of ours before `offset`; 0 where there is none.
fn behind_before(file: &Segment, offset: u64) -> Result<u64> {
    let mut scanner = Scanner::new();
    let mut last = 0;
    loop {
        let end = match scanner.look(file)? {
            Found::End | Found::Short { .. } => return Ok(last),
            Found::Record { start, head } => {
                if start < offset {
                    last = head.seq;
                }
                start + head.total() as u64
            }
            Found::Legacy { end, .. } | Found::Line { end, .. } | Found::Damage { end, .. } => end,
        };
        if end > offset {
            return Ok(last);
        }
        scanner.accept(end);
    }
}

fn diverged(store: &Store, cursor: &Cursor, why: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "bus.cursor_diverged",
        format!("the cursor {cursor} does not fit {}: {why}", store.path().display()),
    )
    .with_path(store.path())
    .with_field("cursor")
    .with_hint("the bus was cut or replaced; start again from \"start\" or from a message's id")
}
