//! Reading what is there, oldest first.

use super::cursor::Cursor;
use super::message::Event;
use super::options::ReadOptions;
use super::place::{self, walk_from};
use super::record;
use super::rows::Rows;
use super::store::Store;
use super::walk::{Met, Walk, Walked};
use crate::error::Result;
use std::collections::VecDeque;
use std::time::Duration;

/// The longest rest between two looks at what a writer is working on.
const LAST_PAUSE: Duration = Duration::from_millis(10);
/// How long a writer is waited for that may be at work at the end of the bus.
const PATIENCE: Duration = Duration::from_millis(100);

/// The events of a bus up to its present end; from [`Bus::read`](super::Bus::read).
#[derive(Debug)]
pub struct Reader {
    walk: Walk,
    store: Store,
    filter: Filter,
    /// Events of a tail, which are known before the first is given.
    tail: Option<VecDeque<Event>>,
    over: bool,
}

/// Which messages are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter(ReadOptions);

impl Filter {
    pub(crate) fn new(options: ReadOptions) -> Filter {
        Filter(options)
    }

    pub(crate) fn takes(&self, event: &Event) -> bool {
        let Event::Message(message) = event else { return true };
        self.0.takes(message)
    }

    /// Adds what a walk told to `rows`, where it is wanted; whether it is.
    pub(crate) fn add(&self, walk: &Walk, told: Told, rows: &mut Rows) -> Result<bool> {
        let event = match told {
            Told::Event(event) => *event,
            Told::Record(met) => {
                let plain = record::plain(walk.bytes(&met), &met.head);
                // Few ask for these, which are texts here.
                let by_more = self.0.run.is_some() || self.0.since.or(self.0.until).is_some();
                match plain.filter(|_| !by_more) {
                    Some(plain) => {
                        let types = &self.0.types;
                        let takes = types.is_empty() || types.iter().any(|t| t == plain.msg_type);
                        if takes {
                            rows.push_plain(met.head.seq, &plain);
                        }
                        return Ok(takes);
                    }
                    None => walk.event(&met)?,
                }
            }
        };
        let takes = self.takes(&event);
        if takes {
            rows.push(event);
        }
        Ok(takes)
    }
}

/// Bytes of a message in the first guess of how far back the last ones begin.
const GUESS: u64 = 1024;

impl Reader {
    pub(crate) fn new(store: &Store, options: ReadOptions) -> Result<Reader> {
        match options.tail {
            Some(0) => Ok(Reader::of(Walk::from_start(store.clone()), store, options, true)),
            Some(count) => Reader::of_tail(store, options, count),
            None => {
                let walk = walk_from(store, options.after.as_ref().unwrap_or(&Cursor::START))?;
                Ok(Reader::of(walk, store, options, false))
            }
        }
    }

    fn of(walk: Walk, store: &Store, options: ReadOptions, over: bool) -> Reader {
        let walk = walk.with_control(options.control);
        Reader { walk, store: store.clone(), filter: Filter(options), tail: None, over }
    }

    fn of_tail(store: &Store, options: ReadOptions, count: usize) -> Result<Reader> {
        if let Some(after) = &options.after {
            let mut reader = Reader::of(walk_from(store, after)?, store, options, false);
            reader.tail = Some(reader.last_of(count)?);
            return Ok(reader);
        }
        // Further and further back, until there are enough: at most a third more is read.
        let mut bytes = (count as u64).saturating_mul(GUESS).max(4 << 10);
        // Without filters nearly every record is a message.
        let mut records = count.saturating_add(2);
        loop {
            if let Some((walk, is_all)) = place::walk_back(store, bytes, records)? {
                let mut reader = Reader::of(walk, store, options.clone(), false);
                let last = reader.last_of(count)?;
                if is_all || last.iter().filter(|event| is_message(event)).count() == count {
                    reader.tail = Some(last);
                    return Ok(reader);
                }
                records = records.saturating_mul(4);
            }
            bytes = bytes.saturating_mul(4);
        }
    }

    /// The last `count` messages of what is left, and the damage among them.
    fn last_of(&mut self, count: usize) -> Result<VecDeque<Event>> {
        let mut kept = VecDeque::new();
        let mut messages = 0;
        while let Some(event) = self.next_event()? {
            messages += usize::from(is_message(&event));
            kept.push_back(event);
            // What stands before the first of them is not told.
            while messages > count || messages == count && !is_message(&kept[0]) {
                if kept.pop_front().is_some_and(|event| is_message(&event)) {
                    messages -= 1;
                }
            }
        }
        Ok(kept)
    }

    /// Adds what comes next to `rows`; `false` at the end.
    pub(crate) fn read_row(&mut self, rows: &mut Rows) -> Result<bool> {
        if let Some(tail) = &mut self.tail {
            let event = tail.pop_front();
            return Ok(event.map(|event| rows.push(event)).is_some());
        }
        while !self.over {
            match walk_patiently(&mut self.walk, &self.store)? {
                Some(told) => {
                    if self.filter.add(&self.walk, told, rows)? {
                        return Ok(true);
                    }
                }
                None => self.over = true,
            }
        }
        Ok(false)
    }

    fn next_event(&mut self) -> Result<Option<Event>> {
        while !self.over {
            match step_patiently(&mut self.walk, &self.store)? {
                Some(event) if self.filter.takes(&event) => return Ok(Some(event)),
                Some(_) => {}
                None => self.over = true,
            }
        }
        Ok(None)
    }
}

fn is_message(event: &Event) -> bool {
    matches!(event, Event::Message(_))
}

impl Iterator for Reader {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        match &mut self.tail {
            Some(tail) => tail.pop_front().map(Ok),
            None => self.next_event().transpose(),
        }
    }
}

/// The next event; `None` at the end.
pub(crate) fn step_patiently(walk: &mut Walk, store: &Store) -> Result<Option<Event>> {
    match walk_patiently(walk, store)? {
        Some(Told::Record(met)) => walk.event(&met).map(Some),
        Some(Told::Event(event)) => Ok(Some(*event)),
        None => Ok(None),
    }
}

/// What a walk told.
pub(crate) enum Told {
    Record(Met),
    Event(Box<Event>),
}

/// What comes next; `None` at the end.
///
/// Where a writer may be at work it is waited for, a little: it has its lock for microseconds. One that
/// was stopped with the lock held hides nothing that was acknowledged. What looks damaged and has
/// records behind it is told all the same ([`Walk::step`]); what stands at the very end is its
/// unfinished work, and the end of the bus lies before it.
pub(crate) fn walk_patiently(walk: &mut Walk, store: &Store) -> Result<Option<Told>> {
    let mut pause = Duration::from_micros(50);
    let mut waited = Duration::ZERO;
    loop {
        match walk.step()? {
            Walked::Record(met) => return Ok(Some(Told::Record(met))),
            Walked::Event(event) => return Ok(Some(Told::Event(event))),
            Walked::End => return Ok(None),
            Walked::Locked if waited >= PATIENCE => return Ok(None),
            Walked::Locked => {
                store.os().sleep(pause);
                waited += pause;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }
}
