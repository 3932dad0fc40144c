//! Walking along a bus: from the records of its files to the events that a reader is given.

use super::lock::SharedLock;
use super::message::{DAMAGE_TEXT, Damage, Event};
use super::record;
use super::scan::{Found, Scanner};
use super::store::{Segment, Store};
use crate::error::Result;
use crate::sys::Open;
use std::collections::VecDeque;

/// A place on a bus that moves forward.
#[derive(Debug)]
pub(crate) struct Walk {
    store: Store,
    file: Option<Segment>,
    /// The number of the first record of the file; 0 where it has none.
    first_seq: u64,
    scanner: Scanner,
    /// The number of the last record; `None` where the walk began in the middle and met none.
    last_seq: Option<u64>,
    ready: VecDeque<Event>,
    control: bool,
    /// Whether no writer can be at work, so that what looks damaged is.
    sure: bool,
}

/// What a step met.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every event is a message")]
pub(crate) enum Walked {
    /// Something to tell.
    Event(Event),
    /// The end of what there is.
    End,
    /// Something that may be a writer's unfinished work; that writer holds the lock.
    Locked,
}

impl Walk {
    /// A walk from the start of everything that is kept.
    pub(crate) fn from_start(store: Store) -> Walk {
        Walk {
            store,
            file: None,
            first_seq: 0,
            scanner: Scanner::new(),
            last_seq: Some(0),
            ready: VecDeque::new(),
            control: false,
            sure: false,
        }
    }

    /// Believes what it sees from now on: the caller holds the writers' lock.
    pub(crate) fn trust(&mut self) {
        self.sure = true;
    }

    /// Also tells of the records that begin and end segments.
    pub(crate) fn with_control(mut self, control: bool) -> Walk {
        self.control = control;
        self
    }

    /// The number of the last record that was met.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq.unwrap_or(0)
    }

    pub(crate) fn step(&mut self) -> Result<Walked> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Walked::Event(event));
            }
            let file = match &self.file {
                Some(file) => file.clone(),
                None => match self.store.open(self.store.live(), Open::Read)? {
                    Some(file) => self.enter(file)?,
                    None => return Ok(Walked::End),
                },
            };
            let mut found = self.scanner.look(&file)?;
            let mut locked = None;
            if found.is_doubtful() && !self.sure {
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
                return Ok(Walked::End);
            }
        }
    }

    fn enter(&mut self, file: Segment) -> Result<Segment> {
        self.first_seq = match Scanner::new().look(&file)? {
            Found::Record { head, .. } => head.seq,
            _ => 0,
        };
        self.scanner = Scanner::new();
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Takes in what was found; `false` at the end.
    fn meet(&mut self, file: &Segment, found: Found) -> Result<bool> {
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
                match record::decode_legacy(header, &bytes[body..], self.first_seq, start) {
                    Some(message) => self.ready.push_back(Event::Message(message)),
                    None => self.damaged(file, start, end, false)?,
                }
                end
            }
            Found::Line { start, end, number } => {
                let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                let bytes = self.scanner.bytes(start, length);
                match record::decode_line(bytes, number, self.first_seq, start) {
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

/// The YAML between the two lines of dashes of an older record.
fn header_of_legacy(head: &[u8]) -> &[u8] {
    let inner = &head[4..];
    let inner = inner.strip_suffix(b"\n").unwrap_or(inner);
    let inner = inner.strip_suffix(b"\r").unwrap_or(inner);
    inner.strip_suffix(b"---").unwrap_or(inner)
}
