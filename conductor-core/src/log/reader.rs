//! Lines for programs in other languages: a reader with a descriptor to wait on.

use super::LogLevel;
use super::levels::LogLevels;
use super::line::{LogLine, LogValue};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{Born, EventFd, Os as _, RealOs};
use crate::wait::{Step, block_on};
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, OnceLock, Weak};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};

/// Lines that wait for a reader; beyond that the newest are left out, and counted.
const LINES: usize = 1024;

/// Every reader of this process.
static READERS: RwLock<Vec<Weak<Queue>>> = RwLock::new(Vec::new());
/// Where the listener was installed: a forked child has no reader.
static BORN: OnceLock<Born> = OnceLock::new();

/// Reads what the library says of its own work, in this process.
///
/// For programs that are not in Rust; those that are install a subscriber of their own. Lines that come
/// faster than they are read are left out and counted, so that a slow reader delays nobody.
#[derive(Debug)]
pub struct LogReader(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    levels: LogLevels,
    waiting: Mutex<Waiting>,
    event: EventFd,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<LogLine>,
    left_out: u64,
}

impl LogReader {
    /// Begins to read events of these levels.
    ///
    /// # Errors
    /// `log.taken` where this program has another subscriber.
    pub fn open(levels: LogLevels) -> Result<LogReader> {
        let event = EventFd::new()
            .map_err(|e| Error::new(ErrorKind::Io, "log.failed", "cannot listen").with_source(e))?;
        let queue = Arc::new(Queue { levels, waiting: Mutex::default(), event });
        // Before the listener can ask it.
        READERS.write().push(Arc::downgrade(&queue));
        if BORN.get().is_none() {
            match tracing::subscriber::set_global_default(Listener) {
                Ok(()) => drop(BORN.set(Born::here())),
                // Another thread was first.
                Err(_) if BORN.get().is_some() => {}
                Err(_) => return Err(taken()),
            }
        }
        tracing::callsite::rebuild_interest_cache();
        Ok(LogReader(queue))
    }

    /// A descriptor that is readable while lines wait.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }

    /// The next line that waits, or not yet.
    pub fn step(&self) -> Step<LogLine> {
        let mut waiting = self.0.waiting.lock();
        if let Some(line) = waiting.lines.pop_front() {
            return Step::Ready(line);
        }
        let left_out = std::mem::take(&mut waiting.left_out);
        if left_out > 0 {
            return Step::Ready(LogLine {
                at: RealOs.now(),
                level: LogLevel::Warn,
                subsystem: "log".to_owned(),
                event: Some("log_lines_left_out".to_owned()),
                message: "lines came faster than they were read".to_owned(),
                fields: vec![("count".to_owned(), LogValue::Number(left_out.into()))],
            });
        }
        self.0.event.lower();
        Step::Pending
    }

    /// The next line, waited for.
    ///
    /// # Errors
    /// The end of the wait.
    pub fn next(&self, wait: impl Into<Wait>) -> Result<LogLine> {
        block_on(self.fd(), &wait.into(), || Ok(self.step()))
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        READERS
            .write()
            .retain(|reader| reader.upgrade().is_some_and(|queue| !Arc::ptr_eq(&queue, &self.0)));
        // Events cost nothing again where nobody is left.
        tracing::callsite::rebuild_interest_cache();
    }
}

fn taken() -> Error {
    Error::new(ErrorKind::Conflict, "log.taken", "this program has another subscriber of events")
        .with_hint("make lines of its events with LogLine::of, or leave the subscriber out")
}

/// Passes events on to the readers that want them.
struct Listener;

impl Listener {
    /// The living readers; none in a forked child, where their locks may be held for ever.
    fn each(visit: &mut dyn FnMut(&Queue)) {
        if BORN.get().is_some_and(|born| born.is_here()) {
            READERS.read().iter().filter_map(Weak::upgrade).for_each(|queue| visit(&queue));
        }
    }

    fn is_wanted(metadata: &Metadata<'_>) -> bool {
        let mut wanted = false;
        Listener::each(&mut |queue| wanted |= queue.levels.wants(metadata));
        wanted
    }
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Asked again whenever a reader comes or goes.
        match metadata.is_event() && (BORN.get().is_none() || Listener::is_wanted(metadata)) {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let mut lowest = LevelFilter::OFF;
        Listener::each(&mut |queue| lowest = lowest.max(queue.levels.lowest()));
        Some(lowest)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && Listener::is_wanted(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        let line = LogLine::of(event, RealOs.now());
        Listener::each(&mut |queue| {
            if !queue.levels.wants(event.metadata()) {
                return;
            }
            let mut waiting = queue.waiting.lock();
            match waiting.lines.len() < LINES {
                true => waiting.lines.push_back(line.clone()),
                false => waiting.left_out += 1,
            }
            queue.event.raise();
        });
    }

    // The library has no spans; those of others are nothing to a line.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
