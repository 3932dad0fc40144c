//! Following: what is there and what comes, as it comes.

use super::message::Event;
use super::reader::{Filter, Told};
use super::rows::Rows;
use super::store::Store;
use super::walk::{Walk, Walked};
use crate::cancel::{Cancel, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::limits;
use crate::sys::{News, Poller, TimerFd, Watch};
use crate::wait::{Step, failed};
use parking_lot::Mutex;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The first rest between two looks where nothing tells of news; doubles up to [`LAST_POLL`].
const FIRST_POLL: Duration = Duration::from_millis(1);
const LAST_POLL: Duration = Duration::from_millis(250);

/// The events of a bus as they come; from [`Bus::follow`](super::Bus::follow).
///
/// As an iterator it ends, without an error, when its wait is over. An event loop uses
/// [`fd`](Follower::fd) and [`step`](Follower::step) instead. Several are waited for at once, with runs and
/// tasks or without, by [`wait_any`](crate::wait_any).
#[derive(Debug)]
pub struct Follower {
    // Locked only by who looks whether something came without taking it.
    place: Mutex<Place>,
    poller: Poller,
    wait: Wait,
}

/// Where a follower is.
#[derive(Debug)]
struct Place {
    walk: Walk,
    filter: Filter,
    signal: Signal,
    /// The next event, where somebody looked at whether there is one.
    ahead: Option<Event>,
}

impl Follower {
    pub(crate) fn new(store: &Store, walk: Walk, filter: Filter, wait: Wait) -> Result<Follower> {
        let poller = Poller::new().map_err(|e| cannot_watch(store, e))?;
        let signal = Signal::new(store.folder(), &poller).map_err(|e| cannot_watch(store, e))?;
        if let Some(cancel) = wait.cancel().and_then(Cancel::fd) {
            poller.add(cancel, 2).map_err(|e| cannot_watch(store, e))?;
        }
        let place = Mutex::new(Place { walk, filter, signal, ahead: None });
        Ok(Follower { place, poller, wait })
    }

    /// A descriptor that becomes readable when another [`step`](Follower::step) may find more, or
    /// when the follower's wait was cancelled.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// The next event that is there, without waiting.
    pub fn step(&mut self) -> Result<Step<Event>> {
        self.place.get_mut().step()
    }

    /// Whether an event is there, which the next [`step`](Follower::step) then gives.
    pub(crate) fn look(&self) -> Result<Step<()>> {
        let mut place = self.place.lock();
        if place.ahead.is_none()
            && let Step::Ready(event) = place.step()?
        {
            place.ahead = Some(event);
        }
        Ok(if place.ahead.is_some() { Step::Ready(()) } else { Step::Pending })
    }

    /// Adds the next event that is there to `rows`, without waiting.
    pub(crate) fn step_row(&mut self, rows: &mut Rows) -> Result<Step<()>> {
        let place = self.place.get_mut();
        if let Some(event) = place.ahead.take() {
            rows.push(event);
            return Ok(Step::Ready(()));
        }
        place.step_to(|filter, walk, told| Ok(filter.add(walk, told, rows)?.then_some(())))
    }

    fn wait_for_event(&mut self) -> Result<Event> {
        loop {
            if let Step::Ready(event) = self.step()? {
                return Ok(event);
            }
            self.wait.check()?;
            self.poller.wait(self.wait.remaining()).map_err(failed)?;
        }
    }
}

impl Place {
    fn step(&mut self) -> Result<Step<Event>> {
        if let Some(event) = self.ahead.take() {
            return Ok(Step::Ready(event));
        }
        self.step_to(|filter, walk, told| {
            let event = match told {
                Told::Record(met) => walk.event(&met)?,
                Told::Event(event) => *event,
            };
            Ok(Some(event).filter(|event| filter.takes(event)))
        })
    }

    /// What `take` makes of the next event that it does not leave out.
    fn step_to<T>(
        &mut self,
        mut take: impl FnMut(&Filter, &Walk, Told) -> Result<Option<T>>,
    ) -> Result<Step<T>> {
        // Told before this look: seen by it. Told from here on: wakes the next wait.
        if self.signal.heed() {
            self.walk.expect_news();
        }
        loop {
            let told = match self.walk.step()? {
                Walked::Record(met) => Told::Record(met),
                Walked::Event(event) => Told::Event(event),
                end => {
                    // A lock that is given back does not tell.
                    self.signal.sleep(matches!(end, Walked::Locked)).map_err(failed)?;
                    return Ok(Step::Pending);
                }
            };
            if let Some(taken) = take(&self.filter, &self.walk, told)? {
                self.signal.rest = FIRST_POLL;
                return Ok(Step::Ready(taken));
            }
        }
    }
}

impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

impl Iterator for Follower {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        match self.wait_for_event() {
            Ok(event) => Some(Ok(event)),
            Err(over) if matches!(over.kind(), ErrorKind::Timeout | ErrorKind::Cancelled) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// What ends a rest: notification where there is some, and the time after which to look anyway.
#[derive(Debug)]
struct Signal {
    watch: Option<Watch>,
    timer: TimerFd,
    /// When the timer wakes; `None` while it is not set.
    alarm: Option<Instant>,
    rest: Duration,
    /// Whether the last look found nothing.
    asleep: bool,
}

impl Signal {
    fn new(folder: &Folder, poller: &Poller) -> io::Result<Signal> {
        let timer = TimerFd::new()?;
        poller.add(&timer, 0)?;
        // Without notification (a limit, another machine) looking often is enough.
        let watch = watch(folder, poller);
        Ok(Signal { watch, timer, alarm: None, rest: FIRST_POLL, asleep: false })
    }

    /// Wakes up: what was told so far needs no telling any more. Gives whether something was told.
    fn heed(&mut self) -> bool {
        std::mem::take(&mut self.asleep) && self.watch.as_ref().is_some_and(Watch::drain)
    }

    /// Sets the time of the next look.
    fn sleep(&mut self, often: bool) -> io::Result<()> {
        self.asleep = true;
        let now = Instant::now();
        if self.watch.is_some() && !often {
            self.rest = FIRST_POLL;
            // An alarm that is far enough away need not be set again for every message.
            let far = self.alarm.is_some_and(|alarm| alarm > now + limits::SAFETY_POLL / 2);
            return if far { Ok(()) } else { self.set(now, limits::SAFETY_POLL) };
        }
        self.set(now, self.rest)?;
        self.rest = (self.rest * 2).min(LAST_POLL);
        Ok(())
    }

    fn set(&mut self, now: Instant, rest: Duration) -> io::Result<()> {
        self.timer.set(rest)?;
        self.alarm = now.checked_add(rest);
        Ok(())
    }
}

/// Notification about the files in a folder.
fn watch(folder: &Folder, poller: &Poller) -> Option<Watch> {
    let fd = folder.fd().as_raw()?;
    let watch = Watch::join(poller, 1, News::Content).ok()?;
    // The open folder itself, whatever its path has become.
    let path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    watch.add(&path).ok()?;
    Some(watch).filter(|watch| !watch.is_silent())
}

fn cannot_watch(store: &Store, source: io::Error) -> Error {
    Error::io("follow", store.path(), source)
}
