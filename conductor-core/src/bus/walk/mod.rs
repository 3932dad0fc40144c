//! Walking along a bus: from the records of its files to the events that a reader is given.
//!
//! Files follow each other by the numbers of their records. Which file comes next is decided by the
//! number of its first record, never by its name, time or inode.

mod successor;

use super::catalog::{self, Archive};
use super::lock::SharedLock;
use super::message::{DAMAGE_TEXT, Damage, Event};
use super::record;
use super::scan::{Found, Scanner};
use super::store::{Segment, Store};
use crate::error::Result;
use crate::sys::{Open, Stat};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::OnceLock;

/// A place on a bus that moves forward.
#[derive(Debug)]
pub(crate) struct Walk {
    store: Store,
    here: Option<Here>,
    scanner: Scanner,
    /// The number of the last record; `None` where the walk began in the middle and met none.
    last_seq: Option<u64>,
    /// Its id; empty while there is none.
    last_id: Vec<u8>,
    /// Archives behind the present file, as they were listed last.
    listed: VecDeque<Archive>,
    /// Where to begin in the file that is entered next.
    resume_at: u64,
    ready: VecDeque<Event>,
    control: bool,
    /// Whether no writer can be at work, so that what looks damaged is.
    sure: bool,
    /// How often the file had been read when what was read last was read under a lock.
    locked_read: Option<u64>,
    /// Whether the last step met the end.
    idle: bool,
    /// What looked damaged while a writer held the lock.
    doubt: Option<Doubt>,
}

/// A region that looked damaged, and the checksum of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Doubt {
    start: u64,
    end: u64,
    sum: u32,
}

/// The file that the walk is in.
#[derive(Debug)]
pub(crate) struct Here {
    file: Segment,
    stat: Stat,
    /// The number of its first record, once somebody asked.
    first: OnceLock<u64>,
    /// Its name where it is an archive.
    archive: Option<OsString>,
    /// Whether the record was met that ends it.
    sealed: bool,
}

/// What a step met.
#[derive(Debug)]
pub(crate) enum Walked {
    /// A record of ours, whose bytes are at hand until the next step.
    Record(Met),
    /// Something else to tell.
    Event(Box<Event>),
    /// The end of what there is.
    End,
    /// Something that may be a writer's unfinished work; that writer holds the lock.
    Locked,
}

/// A whole record of ours, in its order.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) start: u64,
    pub(crate) head: record::Head,
}

impl Here {
    pub(crate) fn new(file: Segment, archive: Option<OsString>) -> Result<Here> {
        let stat = file.stat()?;
        Ok(Here { file, stat, first: OnceLock::new(), archive, sealed: false })
    }

    pub(crate) fn file(&self) -> &Segment {
        &self.file
    }

    /// The number of its first record; 0 where that has none.
    pub(crate) fn first(&self) -> Result<u64> {
        if let Some(first) = self.first.get() {
            return Ok(*first);
        }
        let first = catalog::first_seq(&self.file)?;
        Ok(*self.first.get_or_init(|| first))
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
        Walk::from_scan(store, here, Scanner::from(offset), last_seq)
    }

    /// The same with a scan that was begun.
    pub(crate) fn from_scan(
        store: Store,
        here: Here,
        scanner: Scanner,
        last_seq: Option<u64>,
    ) -> Walk {
        Walk::new(store, Some(here), scanner, last_seq)
    }

    fn new(store: Store, here: Option<Here>, scanner: Scanner, last_seq: Option<u64>) -> Walk {
        Walk {
            store,
            here,
            scanner,
            last_seq,
            last_id: Vec::new(),
            listed: VecDeque::new(),
            resume_at: 0,
            ready: VecDeque::new(),
            control: false,
            sure: false,
            locked_read: None,
            idle: false,
            doubt: None,
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

    /// The number of the first record of the present file; 0 where that has none.
    fn first(&self) -> Result<u64> {
        self.here.as_ref().map_or(Ok(0), Here::first)
    }

    /// The number of the last record that was met.
    fn last_seq(&self) -> u64 {
        self.last_seq.unwrap_or(0)
    }

    /// Looks at the file next, even where the last step met its end: something is said to be there.
    pub(crate) fn expect_news(&mut self) {
        self.idle = false;
    }

    pub(crate) fn step(&mut self) -> Result<Walked> {
        self.store.check_fork()?;
        if std::mem::take(&mut self.idle) && self.nothing_came()? {
            self.idle = true;
            return Ok(Walked::End);
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Walked::Event(Box::new(event)));
            }
            if self.here.is_none() && !self.enter_first()? {
                return Ok(Walked::End);
            }
            let Some(here) = &self.here else { return Ok(Walked::End) };
            let mut found = if here.sealed { Found::End } else { self.scanner.look(&here.file)? };
            let file;
            let mut locked = None;
            // What was read under a lock, and needed no more reading since, is as it stood then.
            let is_sure = self.sure || self.locked_read == Some(self.scanner.reads());
            if found.is_doubtful() && !is_sure && !here.is_over() {
                // Looked at again while no writer can be at work.
                file = here.file.clone();
                locked = SharedLock::try_new(&file)?;
                if locked.is_some() {
                    self.scanner.forget();
                    found = self.scanner.look(&file)?;
                    self.locked_read = Some(self.scanner.reads());
                } else if !self.stays(&file, &found)? {
                    self.scanner.forget();
                    return Ok(Walked::Locked);
                }
            }
            if let Found::Record { start, head } = found {
                match self.record(start, head)? {
                    Some(met) => return Ok(Walked::Record(met)),
                    None => continue,
                }
            }
            let met = self.meet(found)?;
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

    /// Whether what looks damaged has looked the same at an earlier step and does not reach to the
    /// end of the file: then no writer at work made it look so, whoever holds the lock. A writer that
    /// cuts a torn record and appends changes the first bytes of the region, for no two records have
    /// the same id.
    fn stays(&mut self, file: &Segment, found: &Found) -> Result<bool> {
        let region = match *found {
            Found::Damage { start, end, closed: true, .. } => Some((start, end)),
            Found::Line { start, end, .. } => Some((start, end)),
            _ => None,
        };
        let size = file.stat()?.size;
        let Some((start, end)) = region.filter(|(_, end)| *end < size) else {
            self.doubt = None;
            return Ok(false);
        };
        let doubt = Some(Doubt { start, end, sum: file.checksum(start, end)? });
        let stays = doubt == self.doubt;
        self.doubt = doubt;
        Ok(stays)
    }

    /// The bytes of the record that the last step met.
    pub(crate) fn bytes(&self, met: &Met) -> &[u8] {
        self.scanner.bytes(met.start, met.head.total())
    }

    /// What to tell of a record: its message, or damage where its header says nothing that is one, in
    /// spite of its checksum.
    pub(crate) fn event(&self, met: &Met) -> Result<Event> {
        match record::decode(self.bytes(met), &met.head) {
            Some(message) => Ok(Event::Message(message)),
            None => {
                let end = met.start + met.head.total() as u64;
                Ok(Event::Corrupt(self.damage(met.start, end, met.head.seq - 1)?))
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
        loop {
            // The live file is opened before archives are listed: where it is archived in between, it
            // is in the list.
            let live = self.open_live()?;
            self.listed = catalog::archives(&self.store)?.into();
            while let Some(archive) = self.listed.pop_front() {
                // One that was removed meanwhile is passed over; the numbers tell.
                if let Some(next) = self.open_archive(archive)? {
                    return Ok(self.enter(Some(next)));
                }
            }
            // An unpublished file is read when a power cut took its publication back.
            let next = match live {
                None => self.open_unpublished()?,
                found => found,
            };
            // It may have been published between two looks, and archived since.
            if self.enter(next) || self.store.stat_live()?.is_none() {
                return Ok(self.here.is_some());
            }
        }
    }

    fn enter(&mut self, next: Option<Here>) -> bool {
        let entered = next.is_some();
        if entered {
            self.here = next;
            self.scanner = Scanner::from(std::mem::take(&mut self.resume_at));
            self.locked_read = None;
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
        let continues = here.first()? == self.last_seq() + 1;
        Ok(continues.then_some(here))
    }

    /// Takes in what was found; `false` at the end.
    fn meet(&mut self, found: Found) -> Result<bool> {
        let end = match found {
            // Records were taken in before.
            Found::End | Found::Short { .. } | Found::Record { .. } => return Ok(false),
            Found::Legacy { start, body, end, closed } => {
                let first = self.first()?;
                let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                let bytes = self.scanner.bytes(start, length);
                // The older program ends each body with a line feed: without one it was cut off.
                if !closed && !bytes.ends_with(b"\n") {
                    return Ok(false);
                }
                let header = header_of_legacy(&bytes[..body]);
                match record::decode_legacy(header, &bytes[body..], first, start) {
                    Some(message) => self.ready.push_back(Event::Message(message)),
                    None => self.damaged(start, end, false)?,
                }
                end
            }
            Found::Line { start, end, number } => {
                let first = self.first()?;
                let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                let bytes = self.scanner.bytes(start, length);
                match record::decode_line(bytes, number, first, start) {
                    Some(message) => self.ready.push_back(Event::Message(message)),
                    None => self.damaged(start, end, true)?,
                }
                end
            }
            Found::Damage { start, end, foreign, .. } => {
                self.damaged(start, end, foreign)?;
                end
            }
        };
        self.scanner.accept(end);
        Ok(true)
    }

    /// Takes a record in: `None` where it is nothing to tell, or something else is to be told first.
    fn record(&mut self, start: u64, head: record::Head) -> Result<Option<Met>> {
        let end = start + head.total() as u64;
        let last = self.last_seq;
        if last.is_some_and(|last| head.seq <= last || head.seq - last > record::SEQ_JUMP) {
            self.damaged(start, end, false)?;
            self.scanner.accept(end);
            return Ok(None);
        }
        if let Some(last) = last.filter(|last| head.seq > last + 1) {
            // Told first; the record is met again.
            self.ready.push_back(Event::Gap { from: last + 1, to: head.seq - 1 });
            self.last_seq = Some(head.seq - 1);
            return Ok(None);
        }
        self.last_seq = Some(head.seq);
        let bytes = self.scanner.bytes(start, head.total());
        self.last_id.clear();
        self.last_id.extend_from_slice(&bytes[head.id.clone()]);
        let ends = record::ends_segment(bytes, &head);
        let control = ends || bytes[head.kind.clone()] == *record::SEGMENT_START.as_bytes();
        if ends && let Some(here) = &mut self.here {
            here.sealed = true;
        }
        self.scanner.accept(end);
        Ok((self.control || !control).then_some(Met { start, head }))
    }

    /// What to tell of a region of the present file that holds no message.
    fn damage(&self, start: u64, end: u64, after_seq: u64) -> Result<Damage> {
        let length = usize::try_from(end - start).unwrap_or(DAMAGE_TEXT).min(DAMAGE_TEXT);
        let mut bytes = vec![0; length];
        let (mut read, mut path) = (0, self.store.path());
        if let Some(here) = &self.here {
            read = here.file.read(&mut bytes, start)?;
            here.file.path().clone_into(&mut path);
        }
        let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
        Ok(Damage { path, offset: start, len: end - start, after_seq, text })
    }

    fn damaged(&mut self, start: u64, end: u64, foreign: bool) -> Result<()> {
        let damage = self.damage(start, end, self.last_seq())?;
        self.ready.push_back(if foreign { Event::Foreign(damage) } else { Event::Corrupt(damage) });
        Ok(())
    }
}

/// The YAML between the two lines of dashes of an older record.
pub(crate) fn header_of_legacy(head: &[u8]) -> &[u8] {
    let inner = &head[4..];
    let inner = inner.strip_suffix(b"\n").unwrap_or(inner);
    let inner = inner.strip_suffix(b"\r").unwrap_or(inner);
    inner.strip_suffix(b"---").unwrap_or(inner)
}
