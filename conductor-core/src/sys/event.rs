//! Waiting on many things at once: an epoll over eventfd, timerfd, pidfd and inotify.

use super::fork::Born;
use crate::error::TooManyWatches;
use rustix::event::{EventfdFlags, epoll};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// A descriptor that another thread, or a signal handler, can make readable for good.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// One that is not readable yet.
    pub fn new() -> io::Result<EventFd> {
        Ok(EventFd(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes it readable. Safe in a signal handler: one `write(2)`.
    pub fn raise(&self) {
        // The only failure is a full counter, and then it is readable already.
        let _full = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it not readable, until it is raised again.
    pub fn lower(&self) {
        // The only failure is that it is not readable already.
        let _low = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor that becomes readable after a time that excludes the machine's sleep.
#[derive(Debug)]
pub struct TimerFd(OwnedFd);

impl TimerFd {
    /// One that is not set.
    pub fn new() -> io::Result<TimerFd> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(TimerFd(rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Makes it readable after `delay`, once; an earlier setting is forgotten.
    pub fn set(&self, delay: Duration) -> io::Result<()> {
        // A zero time would unset the timer instead.
        let delay = delay.max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: delay.subsec_nanos().into(),
        };
        let interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval: interval, it_value: value };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &setting)?;
        Ok(())
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One epoll, itself pollable by a host's own event loop.
#[derive(Debug)]
pub struct Poller(Arc<OwnedFd>);

thread_local! {
    /// Whether a signal ended a wait of this thread, and nobody has asked since.
    static INTERRUPTED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a signal ended a wait of this thread since this was last asked.
pub(crate) fn was_interrupted() -> bool {
    INTERRUPTED.take()
}

/// Remembers that a signal ended a wait of this thread.
pub(super) fn note_interruption() {
    INTERRUPTED.set(true);
}

/// The tags of what became ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready(Vec<u64>);

impl Ready {
    /// Whether what was added under `tag` is ready.
    pub fn has(&self, tag: u64) -> bool {
        self.0.contains(&tag)
    }

    /// Whether nothing is ready: the time passed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Poller {
    /// A poller of nothing yet.
    pub fn new() -> io::Result<Poller> {
        Ok(Poller(Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?)))
    }

    /// Also waits for `it` to become readable, until it is dropped, and reports it as `tag`.
    pub fn hold<T: AsFd>(&self, it: T, tag: u64) -> io::Result<Polled<T>> {
        self.add(&it, tag)?;
        Ok(Polled { poller: self.0.clone(), it, born: Born::here() })
    }

    /// Also waits for `fd` to become readable and reports it as `tag`. For what lives as long as the
    /// poller; see [`Polled`].
    pub fn add(&self, fd: impl AsFd, tag: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(tag);
        epoll::add(&self.0, fd, data, epoll::EventFlags::IN).map_err(|errno| match errno {
            rustix::io::Errno::NOSPC => io::Error::new(io::ErrorKind::ResourceBusy, TooManyWatches),
            errno => errno.into(),
        })
    }

    /// The same poller once more.
    pub(super) fn share(&self) -> Poller {
        Poller(self.0.clone())
    }

    /// Waits no longer for `fd`, which was [added](Poller::add) and is open.
    pub(super) fn remove(&self, fd: impl AsFd) {
        // Both are open and it was added, so nothing can fail.
        let _taken_out = epoll::delete(&self.0, fd);
    }

    /// Waits until something is ready or `limit` passed; `None` waits without limit.
    ///
    /// A signal that interrupts the wait ends it with nothing ready, and [`was_interrupted`] tells of it.
    pub fn wait(&self, limit: Option<Duration>) -> io::Result<Ready> {
        let mut events: [MaybeUninit<epoll::Event>; 16] = [MaybeUninit::uninit(); 16];
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        match epoll::wait(&self.0, &mut events, limit.as_ref()) {
            Ok((ready, _)) => Ok(Ready(ready.iter().map(|event| event.data.u64()).collect())),
            Err(rustix::io::Errno::INTR) => {
                note_interruption();
                Ok(Ready::default())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Something that a poller waits for until this is dropped.
///
/// Closing a descriptor takes it out of a poller only when its last copy is closed, and a forked child
/// has copies: what has ended would wake the parent for as long as the child lives. So it is taken out
/// by name.
#[derive(Debug)]
pub struct Polled<T: AsFd> {
    poller: Arc<OwnedFd>,
    it: T,
    born: Born,
}

impl<T: AsFd> Drop for Polled<T> {
    fn drop(&mut self) {
        // A forked child shares the poller: taken out there, it would be gone from the parent's.
        if self.born.is_here() {
            // Both are open and it was added, so nothing can fail.
            let _taken_out = epoll::delete(&self.poller, &self.it);
        }
    }
}

impl<T: AsFd> Deref for Polled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.it
    }
}

impl<T: AsFd> DerefMut for Polled<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.it
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::watch::{News, Watch};
    use super::super::{Os as _, RealOs};
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn an_event_a_timer_and_a_file_wake_one_poller() {
        super::super::watch::tests::share_with_no_other_test();
        let dir = tempfile::tempdir().unwrap();
        let (event, timer) = (EventFd::new().unwrap(), TimerFd::new().unwrap());
        let poller = Poller::new().unwrap();
        poller.add(&event, 1).unwrap();
        poller.add(&timer, 2).unwrap();
        let watch = Watch::join(&poller, 3, News::Content).unwrap();
        watch.add(dir.path()).unwrap();
        assert!(poller.wait(Some(Duration::ZERO)).unwrap().is_empty());

        std::fs::write(dir.path().join("x"), "x").unwrap();
        assert!(poller.wait(None).unwrap().has(3));
        watch.drain();
        assert!(poller.wait(Some(Duration::ZERO)).unwrap().is_empty());

        timer.set(Duration::ZERO).unwrap();
        assert!(poller.wait(None).unwrap().has(2));
        event.raise();
        event.raise();
        assert!(poller.wait(None).unwrap().has(1));
    }

    extern "C" fn nothing(_signal: libc::c_int) {}

    #[test]
    fn a_signal_ends_a_wait_and_is_told_of_once_as_in_a_rest() {
        // SAFETY: a zeroed sigaction is one without flags and with an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        // A signal that nobody else here uses, and that does nothing where it is not handled.
        // SAFETY: the handler is a function of the right type that does nothing.
        let set = unsafe { libc::sigaction(libc::SIGURG, &raw const action, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        // SAFETY: always succeeds.
        let here = unsafe { libc::pthread_self() };
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: the thread waits for this one, so it lives.
                    unsafe { libc::pthread_kill(here, libc::SIGURG) };
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let poller = Poller::new().unwrap();
            assert!(poller.wait(None).unwrap().is_empty());
            assert!(was_interrupted());
            assert!(!was_interrupted());
            while !was_interrupted() {
                RealOs.sleep(Duration::from_millis(5));
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}
