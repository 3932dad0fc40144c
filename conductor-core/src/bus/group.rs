//! Threads of one process that append to one bus: one of them leads and writes for all.
//!
//! While a leader works, others line up. The next leader takes a batch of them: one lock, one
//! write and one sync for all. Whoever waits may leave as long as its records are in no batch; a
//! leader that does not get the lock in time hands over to the next in line.

use super::append::Written;
use super::failure::Failure;
use super::post::Posted;
use super::record::Draft;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// The most records of a batch.
const MOST_RECORDS: usize = 256;
/// The most bytes of a batch, unless one thread alone brings more.
const MOST_BYTES: usize = 1 << 20;
/// Looks before a thread goes to sleep. A batch is often done sooner than a sleep and a wake-up
/// would take.
const YIELDS: u32 = 24;
/// The longest sleep between two looks at the wait.
const LOOK: Duration = Duration::from_millis(50);

/// What becomes of a thread's records.
pub(super) type Outcome = Result<Vec<Posted>, (Failure, Vec<Posted>)>;

const WAITING: u8 = 0;
const LEADING: u8 = 1;
const TAKEN: u8 = 2;
const DONE: u8 = 3;

/// The threads that want to write.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    led: bool,
    waiting: VecDeque<Arc<Ticket>>,
}

/// A thread's place in the line.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) drafts: Vec<Draft>,
    /// Whether they are to be on the disk before it is told that they are written.
    durable: bool,
    /// Whether it wants more than to have its records written.
    solo: bool,
    bytes: usize,
    state: AtomicU8,
    outcome: Mutex<Option<Outcome>>,
    thread: Thread,
}

/// What a thread in line comes to.
pub(super) enum Turn<'a> {
    /// It leads: it must write, for itself and for the batch that it takes.
    Lead(Leader<'a>),
    /// A leader wrote for it.
    Done(Outcome),
}

/// The lead of a line; dropping it gives it to the next.
pub(super) struct Leader<'a> {
    line: &'a Line,
    ticket: Arc<Ticket>,
}

/// Records that are written together, the leader's first.
pub(super) struct Batch {
    tickets: Vec<Arc<Ticket>>,
    mine: Arc<Ticket>,
}

impl Line {
    /// Lines up to have records written.
    pub(super) fn enter(&self, drafts: Vec<Draft>, durable: bool, wait: &Wait) -> Result<Turn<'_>> {
        self.wait_for_turn(Ticket { durable, ..Ticket::new(drafts, false) }, wait)
    }

    /// Lines up for the lead.
    pub(super) fn lead(&self, wait: &Wait) -> Result<Leader<'_>> {
        match self.wait_for_turn(Ticket::new(Vec::new(), true), wait)? {
            Turn::Lead(leader) => Ok(leader),
            Turn::Done(_) => Err(lost()),
        }
    }

    fn wait_for_turn(&self, ticket: Ticket, wait: &Wait) -> Result<Turn<'_>> {
        let ticket = Arc::new(ticket);
        {
            let mut inner = self.0.lock();
            if !inner.led {
                inner.led = true;
                return Ok(Turn::Lead(Leader { line: self, ticket }));
            }
            inner.waiting.push_back(ticket.clone());
        }
        let mut yields = 0;
        loop {
            match ticket.state.load(Ordering::Acquire) {
                LEADING => return Ok(Turn::Lead(Leader { line: self, ticket })),
                DONE => {
                    let outcome = ticket.outcome.lock().take();
                    return outcome.map(Turn::Done).ok_or_else(lost);
                }
                _ if yields < YIELDS => {
                    yields += 1;
                    thread::yield_now();
                }
                WAITING => {
                    if let Err(over) = wait.check()
                        && self.leave(&ticket)
                    {
                        return Err(over);
                    }
                    thread::park_timeout(wait.remaining().map_or(LOOK, |left| left.min(LOOK)));
                }
                // In a batch: what becomes of it must be known.
                _ => thread::park_timeout(LOOK),
            }
        }
    }

    /// Takes a waiting ticket out of the line; `false` when it waits no more.
    fn leave(&self, ticket: &Arc<Ticket>) -> bool {
        let mut inner = self.0.lock();
        let place = inner.waiting.iter().position(|waiting| Arc::ptr_eq(waiting, ticket));
        place.and_then(|place| inner.waiting.remove(place)).is_some()
    }
}

impl Ticket {
    fn new(drafts: Vec<Draft>, solo: bool) -> Ticket {
        let bytes = drafts.iter().map(Draft::most).sum();
        let (state, outcome) = (AtomicU8::new(WAITING), Mutex::new(None));
        Ticket { drafts, durable: false, solo, bytes, state, outcome, thread: thread::current() }
    }

    fn become_state(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        if state != TAKEN {
            self.thread.unpark();
        }
    }
}

impl Leader<'_> {
    /// Takes the leader's records and those of the threads next in line.
    pub(super) fn batch(&self) -> Batch {
        let mut tickets = vec![self.ticket.clone()];
        let (mut records, mut bytes) = (self.ticket.drafts.len(), self.ticket.bytes);
        let mut inner = self.line.0.lock();
        while let Some(next) = inner.waiting.front() {
            records += next.drafts.len();
            bytes += next.bytes;
            if next.solo || records > MOST_RECORDS || bytes > MOST_BYTES {
                break;
            }
            let Some(next) = inner.waiting.pop_front() else { break };
            next.become_state(TAKEN);
            tickets.push(next);
        }
        Batch { tickets, mine: self.ticket.clone() }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut inner = self.line.0.lock();
        match inner.waiting.pop_front() {
            Some(next) => next.become_state(LEADING),
            None => inner.led = false,
        }
    }
}

impl Batch {
    /// The records, in the order in which they are to be written.
    pub(super) fn drafts(&self) -> impl Iterator<Item = &Draft> {
        self.tickets.iter().flat_map(|ticket| &ticket.drafts)
    }

    /// Whether any of the records are to be on the disk before their thread is told.
    pub(super) fn is_durable(&self) -> bool {
        self.tickets.iter().any(|ticket| ticket.durable)
    }

    /// Tells each thread what became of its records; gives the leader's own. `unsynced` is why those
    /// that were written could not be brought to the disk.
    pub(super) fn finish(mut self, written: Written, unsynced: Option<&Failure>) -> Outcome {
        let mut own = Err((Failure::from(lost()), Vec::new()));
        let mut posted = written.posted.into_iter();
        let mut before = 0;
        for ticket in std::mem::take(&mut self.tickets) {
            let end = before + ticket.drafts.len();
            let part: Vec<Posted> = posted.by_ref().take(ticket.drafts.len()).collect();
            let failure = if end <= written.kept {
                unsynced.filter(|_| ticket.durable).map(Failure::again)
            } else {
                let failure = written.failure.as_ref();
                let failure = failure.map_or_else(|| Failure::from(lost()), Failure::again);
                // Some of its records stand, some do not.
                Some(if before < written.kept { failure.in_part() } else { failure })
            };
            before = end;
            let outcome = match failure {
                None => Ok(part),
                Some(failure) => Err((failure, part)),
            };
            if Arc::ptr_eq(&ticket, &self.mine) {
                own = outcome;
            } else {
                *ticket.outcome.lock() = Some(outcome);
                ticket.become_state(DONE);
            }
        }
        own
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // Only after a panic is anybody left; nobody may wait for ever.
        for ticket in self.tickets.drain(..) {
            ticket.become_state(DONE);
        }
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Internal,
        "bus.lost_batch",
        "a batch of messages ended without an outcome",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_thread_may_leave_and_a_taken_one_may_not() {
        let line = Line::default();
        let leader = line.lead(&Wait::FOREVER).unwrap();
        let over = line.lead(&Wait::NONE.into()).err().unwrap();
        assert_eq!(over.kind(), ErrorKind::Timeout);
        thread::scope(|scope| {
            let taken = scope.spawn(|| {
                let turn = line.enter(Vec::new(), true, &Duration::from_secs(60).into()).unwrap();
                matches!(turn, Turn::Done(Ok(posted)) if posted.is_empty())
            });
            let mut batch = leader.batch();
            while batch.tickets.len() < 2 {
                thread::yield_now();
                batch.tickets.extend(leader.batch().tickets.drain(1..));
            }
            assert!(batch.is_durable(), "the leader's wish decides for a thread that has another");
            assert!(batch.finish(Written::default(), None).is_ok());
            assert!(taken.join().unwrap());
        });
        drop(leader);
        assert!(line.lead(&Wait::NONE.into()).is_ok(), "the lead is free again");
    }

    #[test]
    fn the_lead_is_handed_on_in_the_order_of_arrival() {
        let line = Line::default();
        let order = Mutex::new(Vec::new());
        let leader = line.lead(&Wait::FOREVER).unwrap();
        thread::scope(|scope| {
            for n in 0..4 {
                let (line, order) = (&line, &order);
                scope.spawn(move || {
                    let _leader = line.lead(&Wait::FOREVER).unwrap();
                    order.lock().push(n);
                });
                while line.0.lock().waiting.len() <= n {
                    thread::yield_now();
                }
            }
            drop(leader);
        });
        assert_eq!(*order.lock(), [0, 1, 2, 3]);
    }
}
