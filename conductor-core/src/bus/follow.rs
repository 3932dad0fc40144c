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
/// [`fd`](Follower::fd) and [`step`](Follower::step) instead. [`wait_any`](crate::wait_any) waits for
/// several at once, also beside runs and tasks.
#[derive(Debug)]
pub struct Follower {
    store: Store,
    // Shared only by those who look whether something came without taking it.
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
    /// The next event, where somebody looked whether there is one.
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
        Ok(Follower { store: store.clone(), place, poller, wait })
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

    /// Whether an event is there, which the next [`step`](Follower::step) then gives. Fails once the
    /// switch of its wait is set.
    pub(crate) fn look(&self) -> Result<Step<()>> {
        // Before the lock, which a forked child may have inherited held.
        self.store.check_fork()?;
        let mut place = self.place.lock();
        if place.ahead.is_none() {
            match place.step()? {
                Step::Ready(event) => place.ahead = Some(event),
                Step::Pending => {
                    // It keeps the descriptor readable: who waits for that would get no rest.
                    if self.wait.cancel().is_some_and(Cancel::is_set) {
                        self.wait.check()?;
                    }
                    return Ok(Step::Pending);
                }
            }
        }
        Ok(Step::Ready(()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Bus, BusOptions, Cursor, Post, Scope};
    use crate::sys::RealOs;
    use std::sync::Arc;

    #[test]
    fn what_was_looked_at_is_taken_once_in_every_way() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let scope = Scope::try_from(("shop", "fix")).unwrap();
        let bus = Bus::open(folder, "BUS.md", scope, BusOptions::default()).unwrap();
        let mut follower = bus.follow(&Cursor::START, Duration::from_secs(60)).unwrap();
        assert_eq!(follower.look().unwrap(), Step::Pending);
        for body in ["one", "two", "three", "four"] {
            bus.post(Post::new("FACT", body), Wait::FOREVER).unwrap();
        }
        let body = |event| match event {
            Event::Message(message) => message.body,
            other => panic!("{other:?}"),
        };
        let look = |follower: &Follower| assert_eq!(follower.look().unwrap(), Step::Ready(()));
        look(&follower);
        look(&follower);
        let Step::Ready(event) = follower.step().unwrap() else { panic!("nothing") };
        assert_eq!(body(event), "one");
        look(&follower);
        assert_eq!(body(follower.next().unwrap().unwrap()), "two");
        // Rows are taken by turns with looks: the order stays.
        let mut rows = Rows::default();
        look(&follower);
        while let Step::Ready(()) = follower.step_row(&mut rows).unwrap() {}
        let told = rows.rows().iter().map(|row| rows.get(row, crate::bus::Text::Body));
        assert_eq!(told.collect::<Vec<_>>(), ["three", "four"]);
        assert_eq!(follower.look().unwrap(), Step::Pending);
    }
}
