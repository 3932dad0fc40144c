//! Walking along a bus: from the records of its files to the events that a reader is given.
//!
//! Files follow each other by the numbers of their records. Which file comes next is decided by the
//! number of its first record, never by its name, time or inode.

use super::catalog::{self, Archive};
use super::lock::SharedLock;
use super::message::{DAMAGE_TEXT, Damage, Event};
use super::place;
use super::record;
use super::scan::{Found, Scanner};
use super::store::{Segment, Store};
use crate::error::Result;
use crate::sys::{Open, Stat};
use std::collections::VecDeque;
use std::ffi::OsString;

/// A place on a bus that moves forward.
#[derive(Debug)]
pub(crate) struct Walk {
    store: Store,
    here: Option<Here>,
    scanner: Scanner,
    /// The number of the last record; `None` where the walk began in the middle and met none.
    last_seq: Option<u64>,
    /// Its id; empty while there is none.
    last_id: String,
    /// Archives behind the present file, as they were listed last.
    listed: VecDeque<Archive>,
    /// Where to begin in the file that is entered next.
    resume_at: u64,
    ready: VecDeque<Event>,
    control: bool,
    /// Whether no writer can be at work, so that what looks damaged is.
    sure: bool,
    /// Whether the last step met the end.
    idle: bool,
}

/// The file that the walk is in.
#[derive(Debug)]
pub(crate) struct Here {
    file: Segment,
    stat: Stat,
    /// The number of its first record; 0 where that has none.
    first: u64,
    /// Its name where it is an archive.
    archive: Option<OsString>,
    /// Whether the record was met that ends it.
    sealed: bool,
}

/// What a step met.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every step meets a message")]
pub(crate) enum Walked {
    /// Something to tell.
    Event(Event),
    /// The end of what there is.
    End,
    /// Something that may be a writer's unfinished work; that writer holds the lock.
    Locked,
}

impl Here {
    pub(crate) fn new(file: Segment, archive: Option<OsString>) -> Result<Here> {
        let (stat, first) = (file.stat()?, catalog::first_seq(&file)?);
        Ok(Here { file, stat, first, archive, sealed: false })
    }

    pub(crate) fn file(&self) -> &Segment {
        &self.file
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn size(&self) -> u64 {
        self.stat.size
    }

    /// Whether no writer appends to it any more.
    fn is_over(&self) -> bool {
        self.sealed || self.archive.is_some()
    }
}

impl Walk {
    /// A walk from the start of everything that is kept.
    pub(crate) fn from_start(store: Store) -> Walk {
        Walk::new(store, None, Scanner::new(), Some(0))
    }

    /// A walk from the start of everything that is kept, all of which comes after `seq`.
    pub(crate) fn from_start_after(store: Store, seq: u64) -> Walk {
        Walk::new(store, None, Scanner::new(), Some(seq))
    }

    /// A walk from `offset` in a file, right behind the record with the number `last_seq`.
    pub(crate) fn from_place(store: Store, here: Here, offset: u64, last_seq: Option<u64>) -> Walk {
        Walk::new(store, Some(here), Scanner::from(offset), last_seq)
    }

    fn new(store: Store, here: Option<Here>, scanner: Scanner, last_seq: Option<u64>) -> Walk {
        Walk {
            store,
            here,
            scanner,
            last_seq,
            last_id: String::new(),
            listed: VecDeque::new(),
            resume_at: 0,
            ready: VecDeque::new(),
            control: false,
            sure: false,
            idle: false,
        }
    }

    /// Also tells of the records that begin and end segments.
    pub(crate) fn with_control(mut self, control: bool) -> Walk {
        self.control = control;
        self
    }

    /// Believes what it sees from now on: the caller holds the writers' lock.
    pub(crate) fn trust(&mut self) {
        self.sure = true;
    }

    /// The number of the last record that was met.
    fn last_seq(&self) -> u64 {
        self.last_seq.unwrap_or(0)
    }

    pub(crate) fn step(&mut self) -> Result<Walked> {
        self.store.check_fork()?;
        if std::mem::take(&mut self.idle) && self.nothing_came()? {
            self.idle = true;
            return Ok(Walked::End);
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Walked::Event(event));
            }
            if self.here.is_none() && !self.enter_first()? {
                return Ok(Walked::End);
            }
            let Some(here) = &self.here else { return Ok(Walked::End) };
            let file = here.file.clone();
            let mut found = if here.sealed { Found::End } else { self.scanner.look(&file)? };
            let mut locked = None;
            if found.is_doubtful() && !self.sure && !here.is_over() {
                // Looked at again while no writer can be at work.
                match SharedLock::try_new(&file)? {
                    Some(lock) => locked = Some(lock),
                    None => {
                        self.scanner.forget();
                        return Ok(Walked::Locked);
                    }
                }
                self.scanner.forget();
                found = self.scanner.look(&file)?;
            }
            let met = self.meet(&file, found)?;
            drop(locked);
            if !met {
                self.scanner.forget();
                if !self.go_on()? {
                    self.idle = true;
                    return Ok(Walked::End);
                }
            }
        }
    }

    /// Whether the live file is the present one and ends where the walk is: the one call that a look
    /// without news costs.
    fn nothing_came(&self) -> Result<bool> {
        let Some(here) = self.here.as_ref().filter(|here| !here.is_over()) else {
            return Ok(false);
        };
        let live = self.store.stat_live()?;
        Ok(live.is_some_and(|live| live.same_file(&here.stat) && live.size == self.scanner.at()))
    }

    /// Enters the oldest file; `false` where there is none yet.
    fn enter_first(&mut self) -> Result<bool> {
        self.listed = catalog::archives(&self.store)?.into();
        let next = match self.listed.pop_front() {
            Some(archive) => self.open_archive(archive)?,
            None => self.open_live()?,
        };
        // An unpublished file is read when a power cut took its publication back.
        let next = match next {
            None => self.open_unpublished()?,
            found => found,
        };
        Ok(self.enter(next))
    }

    fn enter(&mut self, next: Option<Here>) -> bool {
        let entered = next.is_some();
        if entered {
            self.here = next;
            self.scanner = Scanner::from(std::mem::take(&mut self.resume_at));
        }
        entered
    }

    fn open_live(&self) -> Result<Option<Here>> {
        let file = self.store.open(self.store.live(), Open::Read)?;
        file.map(|file| Here::new(file, None)).transpose()
    }

    fn open_archive(&self, archive: Archive) -> Result<Option<Here>> {
        let file = self.store.open(&archive.name, Open::Read)?;
        file.map(|file| Here::new(file, Some(archive.name))).transpose()
    }

    /// The file that was to become the live one, where it continues what was read.
    fn open_unpublished(&self) -> Result<Option<Here>> {
        let Some(file) = self.store.open(self.store.next(), Open::Read)? else { return Ok(None) };
        let here = Here::new(file, None)?;
        Ok(Some(here).filter(|here| here.first == self.last_seq() + 1))
    }

    /// Looks for what comes after the end of the present file; `false` where nothing does yet.
    fn go_on(&mut self) -> Result<bool> {
        let Some(here) = &self.here else { return Ok(false) };
        if !here.is_over() {
            // It may be read before it is published, and be published between two looks.
            let names = [self.store.live(), self.store.next(), self.store.live()];
            for name in names {
                let named = self.store.folder().stat(name)?;
                if named.is_some_and(|named| named.same_file(&here.stat)) {
                    return Ok(false);
                }
            }
            // The path changed. What was written before that is still to be read here.
            let found = self.scanner.look(&here.file.clone())?;
            if !matches!(found, Found::End | Found::Short { .. }) {
                return Ok(true);
            }
            self.scanner.forget();
        }
        let next = self.successor()?;
        Ok(self.enter(next))
    }

    /// The archive that begins where the present file ends, without listing them all once more.
    fn listed_successor(&mut self) -> Result<Option<Here>> {
        let want = self.last_seq() + 1;
        while self
            .listed
            .front()
            .is_some_and(|archive| archive.last.is_some_and(|last| last < want))
        {
            self.listed.pop_front();
        }
        match self.listed.pop_front_if(|archive| archive.first == want && archive.last.is_some()) {
            Some(archive) => self.open_archive(archive),
            None => Ok(None),
        }
    }

    /// The file that continues the present one.
    fn successor(&mut self) -> Result<Option<Here>> {
        if let Some(next) = self.listed_successor()? {
            return Ok(Some(next));
        }
        // Archives are named before the file that follows them is published, so what is there now
        // is found if the live file is opened first and the archives are listed then.
        let live = self.open_live()?;
        let Some(here) = &self.here else { return Ok(None) };
        let want = self.last_seq() + 1;
        let seen = live.as_ref().map(|live| (live.first, live.stat.same_file(&here.stat)));
        match next_step(here.first, here.is_over(), want, seen) {
            Next::Live => Ok(live),
            Next::Unpublished => self.open_unpublished(),
            Next::Replaced => match self.later_archive(u64::MAX)? {
                Some(archive) => self.open_archive(archive),
                None => live.map(|live| self.replaced(live)).transpose(),
            },
            Next::Archive => {
                let limit =
                    seen.map_or(u64::MAX, |(first, _)| if first == 0 { u64::MAX } else { first });
                match self.later_archive(limit)? {
                    Some(archive) => self.open_archive(archive),
                    None if live.is_some() => Ok(live),
                    None => self.open_unpublished(),
                }
            }
        }
    }

    /// The oldest archive behind the present file and before a live one that begins at `limit`.
    fn later_archive(&mut self, limit: u64) -> Result<Option<Archive>> {
        let Some(here) = &self.here else { return Ok(None) };
        let archives = catalog::archives(&self.store)?;
        let mut place = None;
        for (at, archive) in archives.iter().enumerate() {
            let same = match &here.archive {
                Some(name) => *name == archive.name,
                None => {
                    let named = self.store.folder().stat(&archive.name)?;
                    named.is_some_and(|named| named.same_file(&here.stat))
                }
            };
            if same {
                place = Some(at);
            }
        }
        let want = self.last_seq() + 1;
        self.listed = archives.into_iter().skip(place.map_or(0, |at| at + 1)).collect();
        let next = self.listed.iter().position(|archive| {
            let continues = match archive.last {
                Some(last) => last >= want,
                // What an older program archived after the present file, or what begins later.
                None => place.is_some() || archive.first >= want,
            };
            continues && archive.first < limit
        });
        Ok(next.and_then(|next| self.listed.drain(..=next).next_back()))
    }

    /// Goes into a file that took the place of the present one: behind the last record that was
    /// read where it holds that too, else to its start.
    fn replaced(&mut self, live: Here) -> Result<Here> {
        let last_seq = self.last_seq();
        self.ready.push_back(Event::Replaced { path: self.store.path(), last_seq });
        let known = place::around_seq(live.file(), live.size(), last_seq)?.at;
        match known.filter(|spot| spot.id.as_str() == self.last_id) {
            Some(spot) => self.resume_at = spot.end,
            None => self.last_seq = Some(0),
        }
        Ok(live)
    }

    /// Takes in what was found; `false` at the end.
    fn meet(&mut self, file: &Segment, found: Found) -> Result<bool> {
        let first = self.here.as_ref().map_or(0, |here| here.first);
        let end = match found {
            Found::End | Found::Short { .. } => return Ok(false),
            Found::Record { start, head } => {
                let end = start + head.total() as u64;
                self.record(file, start, &head)?;
                end
            }
            Found::Legacy { start, body, end, closed } => {
                let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                let bytes = self.scanner.bytes(start, length);
                // The older program ends each body with a line feed: without one it was cut off.
                if !closed && !bytes.ends_with(b"\n") {
                    return Ok(false);
                }
                let header = header_of_legacy(&bytes[..body]);
                match record::decode_legacy(header, &bytes[body..], first, start) {
                    Some(message) => self.ready.push_back(Event::Message(message)),
                    None => self.damaged(file, start, end, false)?,
                }
                end
            }
            Found::Line { start, end, number } => {
                let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                let bytes = self.scanner.bytes(start, length);
                match record::decode_line(bytes, number, first, start) {
                    Some(message) => self.ready.push_back(Event::Message(message)),
                    None => self.damaged(file, start, end, true)?,
                }
                end
            }
            Found::Damage { start, end, foreign, .. } => {
                self.damaged(file, start, end, foreign)?;
                end
            }
        };
        self.scanner.accept(end);
        Ok(true)
    }

    fn record(&mut self, file: &Segment, start: u64, head: &record::Head) -> Result<()> {
        let bytes = self.scanner.bytes(start, head.total());
        let out_of_order = self
            .last_seq
            .is_some_and(|last| head.seq <= last || head.seq - last > record::SEQ_JUMP);
        let message = if out_of_order { None } else { record::decode(bytes, head) };
        let Some(message) = message else {
            return self.damaged(file, start, start + head.total() as u64, false);
        };
        if let Some(last) = self.last_seq.filter(|last| head.seq > last + 1) {
            self.ready.push_back(Event::Gap { from: last + 1, to: head.seq - 1 });
        }
        self.last_seq = Some(head.seq);
        self.last_id.clear();
        self.last_id.push_str(message.msg_id.as_str());
        if message.msg_type == record::SEGMENT_END
            && let Some(here) = &mut self.here
        {
            here.sealed = true;
        }
        if self.control || !record::is_control(&message.msg_type) {
            self.ready.push_back(Event::Message(message));
        }
        Ok(())
    }

    fn damaged(&mut self, file: &Segment, start: u64, end: u64, foreign: bool) -> Result<()> {
        let length = usize::try_from(end - start).unwrap_or(DAMAGE_TEXT).min(DAMAGE_TEXT);
        let mut bytes = vec![0; length];
        let read = file.read(&mut bytes, start)?;
        let damage = Damage {
            path: file.path().to_owned(),
            offset: start,
            len: end - start,
            after_seq: self.last_seq(),
            text: String::from_utf8_lossy(&bytes[..read]).into_owned(),
        };
        self.ready.push_back(if foreign { Event::Foreign(damage) } else { Event::Corrupt(damage) });
        Ok(())
    }
}

/// Where a walk goes from the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Into the live file.
    Live,
    /// Into the oldest archive behind this file; else into the live file.
    Archive,
    /// Into the file that waits to be published, if it continues this one; else nowhere yet.
    Unpublished,
    /// The live file does not continue this one, unless an older program archived it.
    Replaced,
}

/// Decides where to go from the end of a file that begins with the number `first`, and is `over` or
/// no longer the live one, to the number `want`. Of the live file: the number of its first record
/// (0 for none), and whether it is this very file.
fn next_step(first: u64, over: bool, want: u64, live: Option<(u64, bool)>) -> Next {
    match live {
        None => Next::Archive,
        Some((_, true)) => Next::Unpublished,
        // The sealed file itself, under its old name: inodes are used again, numbers are not.
        Some((live, false)) if over && live == first && first > 0 => Next::Unpublished,
        // Older programs archive without numbers: another file may lie between.
        Some((live, false)) if live == want && first > 0 => Next::Live,
        Some((live, false)) if live >= want => Next::Archive,
        Some((0, false)) if over => Next::Archive,
        Some(_) => Next::Replaced,
    }
}

/// The YAML between the two lines of dashes of an older record.
pub(crate) fn header_of_legacy(head: &[u8]) -> &[u8] {
    let inner = &head[4..];
    let inner = inner.strip_suffix(b"\n").unwrap_or(inner);
    let inner = inner.strip_suffix(b"\r").unwrap_or(inner);
    inner.strip_suffix(b"---").unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_follow_each_other_by_number_alone() {
        let other = |first| Some((first, false));
        for (first, over, want, live, next) in [
            // Sealed at 10, from 1.
            (1, true, 11, other(11), Next::Live),
            (1, true, 11, Some((1, true)), Next::Unpublished),
            // The sealed file's number stands at the live path under another inode.
            (1, true, 11, other(1), Next::Unpublished),
            (1, true, 11, other(31), Next::Archive),
            (1, true, 11, None, Next::Archive),
            // An older program's fresh file behind our archive.
            (1, true, 11, other(0), Next::Archive),
            (11, true, 21, other(1), Next::Replaced),
            // The live path changed without a seal.
            (1, false, 11, other(11), Next::Live),
            (1, false, 11, other(12), Next::Archive),
            (1, false, 11, other(1), Next::Replaced),
            (1, false, 11, other(0), Next::Replaced),
            // Older records only.
            (0, false, 1, other(1), Next::Archive),
            (0, true, 1, other(0), Next::Archive),
            (0, false, 1, other(0), Next::Replaced),
        ] {
            assert_eq!(next_step(first, over, want, live), next, "{first} {over} {want} {live:?}");
        }
    }
}
