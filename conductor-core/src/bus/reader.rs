//! Reading what is there, oldest first.

use super::cursor::{Cursor, Place};
use super::message::{Event, Message};
use super::options::ReadOptions;
use super::store::Store;
use super::walk::{Walk, Walked};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use std::collections::VecDeque;
use std::time::Duration;

/// The longest rest between two looks at what a writer is working on.
const LAST_PAUSE: Duration = Duration::from_millis(10);

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
        let wanted = &self.0;
        (wanted.types.is_empty() || wanted.types.contains(&message.msg_type))
            && wanted.run.as_ref().is_none_or(|run| run.as_str() == message.run_id)
            && wanted.since.is_none_or(|time| message.time >= time)
            && wanted.until.is_none_or(|time| message.time < time)
    }
}

impl Reader {
    pub(crate) fn new(store: &Store, options: ReadOptions) -> Result<Reader> {
        let walk = walk_from(store, options.after.as_ref().unwrap_or(&Cursor::START))?;
        let tail = options.tail;
        let mut reader = Reader {
            walk: walk.with_control(options.control),
            store: store.clone(),
            filter: Filter(options),
            tail: None,
            over: false,
        };
        if let Some(count) = tail {
            reader.tail = Some(reader.last_of(count)?);
        }
        Ok(reader)
    }

    /// The last `count` messages of what is left, and the damage among them.
    fn last_of(&mut self, count: usize) -> Result<VecDeque<Event>> {
        let mut kept = VecDeque::new();
        let mut messages = 0;
        while let Some(event) = self.next_event()? {
            messages += usize::from(matches!(event, Event::Message(_)));
            kept.push_back(event);
            while messages > count
                || (messages == count && !kept.is_empty() && !is_message(&kept[0]))
            {
                if kept.pop_front().is_some_and(|event| is_message(&event)) {
                    messages -= 1;
                }
            }
        }
        Ok(kept)
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

/// The next event; `None` at the end. Waits for a writer to finish what looks unfinished.
pub(crate) fn step_patiently(walk: &mut Walk, store: &Store) -> Result<Option<Event>> {
    let mut pause = Duration::from_micros(50);
    let mut waited = Duration::ZERO;
    loop {
        match walk.step()? {
            Walked::Event(event) => return Ok(Some(event)),
            Walked::End => return Ok(None),
            Walked::Locked if waited >= limits::BUS_LOCK => {
                return Err(Error::new(
                    ErrorKind::Busy,
                    "lock.timeout",
                    format!(
                        "{} looks damaged, but a writer holds its lock and may be at work",
                        store.path().display()
                    ),
                )
                .with_path(store.path())
                .with_hint("try again once that writer is done"));
            }
            Walked::Locked => {
                store.os().sleep(pause);
                waited += pause;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }
}

/// A walk that begins right behind the place of a cursor.
///
/// # Errors
/// `bus.cursor_not_found` for an id that is not on the bus, `bus.cursor_diverged` where another
/// message stands at the cursor's place.
pub(crate) fn walk_from(store: &Store, cursor: &Cursor) -> Result<Walk> {
    let mut walk = Walk::from_start(store.clone()).with_control(true);
    let place = cursor.place();
    if *place == Place::Start {
        return Ok(Walk::from_start(store.clone()));
    }
    while let Some(event) = step_patiently(&mut walk, store)? {
        let Event::Message(message) = event else { continue };
        let Some(there) = reaches(&message, place) else { continue };
        if !there {
            return Err(diverged(store, cursor, &message));
        }
        return Ok(walk.with_control(false));
    }
    match place {
        Place::End => Ok(walk.with_control(false)),
        Place::Record { .. } | Place::Legacy { .. } => Err(Error::new(
            ErrorKind::Conflict,
            "bus.cursor_diverged",
            format!("the cursor {cursor} is behind the end of {}", store.path().display()),
        )
        .with_path(store.path())
        .with_field("cursor")
        .with_hint("the bus was cut or replaced; start again from \"start\"")),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            "bus.cursor_not_found",
            format!("there is no message {cursor} on {}", store.path().display()),
        )
        .with_path(store.path())
        .with_field("cursor")),
    }
}

/// Whether a message stands at a place (`Some(true)`), contradicts it, or lies before it.
fn reaches(message: &Message, place: &Place) -> Option<bool> {
    match place {
        Place::Record { seq, id } => {
            let found = message.seq.filter(|found| found >= seq)?;
            Some(found == *seq && message.msg_id == *id)
        }
        Place::Legacy { .. } => (message.cursor.place() == place).then_some(true),
        Place::Id(id) => (message.msg_id == *id).then_some(true),
        Place::Start | Place::End => None,
    }
}

fn diverged(store: &Store, cursor: &Cursor, found: &Message) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "bus.cursor_diverged",
        format!(
            "the cursor {cursor} does not fit {}: {} stands there",
            store.path().display(),
            found.cursor
        ),
    )
    .with_path(store.path())
    .with_field("cursor")
    .with_hint("the bus was cut or replaced; start again from \"start\" or from a message's id")
}
