//! Notification about files and folders: a hint that shortens polling, never the truth.
//!
//! The system gives each user a small number of notifiers (128 by default), so those of one process share
//! them. A [`Watch`] is a member of a shared notifier. A change wakes all members of it; the first to
//! look takes what was told, and passes it on to the members that it concerns.
//!
//! Nobody waits in the background: whoever waits reads. So members are few, for each of them wakes up
//! for all, and because the kernel counts the ways on which one descriptor wakes pollers within pollers.

use super::event::{EventFd, Poller, TimerFd};
use super::fork::{Born, generation};
use parking_lot::Mutex;
use rustix::fs::inotify;
use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Members of one notifier. Ten is what the kernel allows of the deepest nesting.
const MOST_MEMBERS: usize = 10;
/// Notifiers of one kind in one process.
const MOST_NOTIFIERS: usize = 16;
/// Forks within forks that are told apart; deeper ones share nothing.
const GENERATIONS: usize = 8;
/// How often a silent [`Watch`] wakes its poller.
pub(crate) const LOOK_OFTEN: Duration = Duration::from_millis(250);

/// What a watch is told of. Those of one kind share notifiers, so that who waits for a name is not woken
/// by every write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Names that come and go.
    Names,
    /// Also what is written to files.
    Content,
}

/// Tells a poller of changes to files and folders.
///
/// Where the system gives no notifier it is silent: it wakes the poller every quarter of a second, to
/// look at the truth.
#[derive(Debug)]
pub struct Watch {
    id: u64,
    poller: Poller,
    tag: u64,
    notifier: Option<Arc<Notifier>>,
    /// Wakes the poller of a silent watch.
    timer: OnceLock<TimerFd>,
    born: Born,
}

#[derive(Debug)]
struct Notifier {
    fd: OwnedFd,
    kind: News,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    next_id: u64,
    /// By member.
    known: HashMap<u64, Member>,
    /// The members of a watched file or folder, with what each waits for.
    watched: HashMap<i32, Vec<(u64, inotify::ReadFlags)>>,
}

#[derive(Debug)]
struct Member {
    /// Wakes it where another one took what was told.
    wake: EventFd,
    told: bool,
    raised: bool,
}

/// Notifiers that watches share.
type Notifiers = Mutex<Vec<Arc<Notifier>>>;

/// The notifiers of this process, one list for each generation of forks: a forked child shares the
/// descriptors of its parent, and reading them would take the parent's news. The lists of parents may
/// be locked for ever in a child, so it never touches them.
static NOTIFIERS: [Notifiers; GENERATIONS] = [const { Mutex::new(Vec::new()) }; GENERATIONS];

impl Notifier {
    /// A notifier with a new member, and the member's id; `None` where the system gives no more.
    fn with_room(
        kind: News,
        poller: &Poller,
        tag: u64,
    ) -> io::Result<Option<(Arc<Notifier>, u64)>> {
        let mut list = own_notifiers().map(|list| list.lock());
        let mut count = 0;
        for notifier in list.iter().flat_map(|list| list.iter()).filter(|n| n.kind == kind) {
            if let Some(id) = notifier.let_in(poller, tag)? {
                return Ok(Some((notifier.clone(), id)));
            }
            count += 1;
        }
        if count >= MOST_NOTIFIERS {
            return Ok(None);
        }
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        // Whatever the reason, looking often does as well.
        let fd = match inotify::init(flags) {
            Ok(fd) => fd,
            Err(errno) => {
                warn_of_limit(errno, "fs.inotify.max_user_instances");
                return Ok(None);
            }
        };
        let notifier = Arc::new(Notifier { fd, kind, members: Mutex::default() });
        let id = notifier.let_in(poller, tag)?;
        if let Some(list) = &mut list {
            list.push(notifier.clone());
        }
        Ok(id.map(|id| (notifier, id)))
    }

    /// Lets a member in whose poller is woken; `None` where there is no room.
    fn let_in(&self, poller: &Poller, tag: u64) -> io::Result<Option<u64>> {
        let mut members = self.members.lock();
        if members.known.len() >= MOST_MEMBERS {
            return Ok(None);
        }
        let wake = EventFd::new()?;
        poller.add(&wake, tag)?;
        poller.add(&self.fd, tag)?;
        members.next_id += 1;
        let id = members.next_id;
        members.known.insert(id, Member { wake, told: false, raised: false });
        Ok(Some(id))
    }

    /// Reads what was told and passes it on; tells whether there was something for `reader`.
    fn take(&self, reader: u64) -> bool {
        let mut members = self.members.lock();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.fd, &mut buffer);
        while let Ok(event) = events.next() {
            members.tell(event.wd(), event.events(), reader);
            if events.is_buffer_empty() {
                // What came in the meantime keeps the descriptor readable.
                break;
            }
        }
        let Some(member) = members.known.get_mut(&reader) else { return false };
        if std::mem::take(&mut member.raised) {
            member.wake.lower();
        }
        std::mem::take(&mut member.told)
    }

    fn leave(&self, id: u64) {
        let mut members = self.members.lock();
        members.known.remove(&id);
        let fd = &self.fd;
        members.watched.retain(|wd, waiting| {
            waiting.retain(|(member, _)| *member != id);
            if waiting.is_empty() {
                // The only failure is that what was watched is gone already.
                let _gone = inotify::remove_watch(fd, *wd);
            }
            !waiting.is_empty()
        });
    }
}

impl Members {
    fn tell(&mut self, wd: i32, what: inotify::ReadFlags, reader: u64) {
        use inotify::ReadFlags as R;
        let everybody = what.contains(R::QUEUE_OVERFLOW);
        let Members { known, watched, .. } = self;
        for (id, member) in known.iter_mut() {
            let waits = watched.get(&wd).is_some_and(|waiting| {
                waiting.iter().any(|(waits, mask)| waits == id && mask.intersects(what))
            });
            if !everybody && !waits {
                continue;
            }
            member.told = true;
            if *id != reader && !std::mem::replace(&mut member.raised, true) {
                member.wake.raise();
            }
        }
        if what.contains(R::IGNORED) {
            // The number is not used again; whoever watches the path anew gets another.
            watched.remove(&wd);
        }
    }
}

impl Watch {
    /// A watch on nothing yet that wakes `poller` under `tag`.
    pub fn join(poller: &Poller, tag: u64, kind: News) -> io::Result<Watch> {
        let (poller, born) = (poller.share(), Born::here());
        let room = Notifier::with_room(kind, &poller, tag)?;
        let (notifier, id) = room.map_or((None, 0), |(notifier, id)| (Some(notifier), id));
        let watch = Watch { id, poller, tag, notifier, timer: OnceLock::new(), born };
        if watch.notifier.is_none() {
            watch.be_silent()?;
        }
        Ok(watch)
    }

    /// Whether it tells of nothing, and wakes its poller from time to time instead.
    pub fn is_silent(&self) -> bool {
        self.timer.get().is_some()
    }

    fn be_silent(&self) -> io::Result<()> {
        if !self.is_silent() {
            let timer = TimerFd::new()?;
            self.poller.add(&timer, self.tag)?;
            timer.set(LOOK_OFTEN)?;
            let _first = self.timer.set(timer);
        }
        Ok(())
    }

    /// Also tells of changes to the file or folder at `path`: content, names, moves, deletion.
    pub fn add(&self, path: &Path) -> io::Result<()> {
        use inotify::WatchFlags as W;
        let names = W::CREATE | W::MOVED_TO | W::MOVED_FROM | W::DELETE | W::DELETE_SELF;
        self.watch(path, names | W::MODIFY | W::MOVE_SELF)
    }

    /// Also tells when names appear in or vanish from the folder at `path`, but not of what is
    /// written to its files.
    pub fn add_names(&self, path: &Path) -> io::Result<()> {
        use inotify::WatchFlags as W;
        self.watch(path, W::CREATE | W::MOVED_TO | W::MOVED_FROM | W::DELETE | W::DELETE_SELF)
    }

    /// Also tells when a file in the folder at `path` that was open to be written is closed, as a lock
    /// is when its holder ends.
    pub fn add_closed(&self, path: &Path) -> io::Result<()> {
        self.watch(path, inotify::WatchFlags::CLOSE_WRITE)
    }

    fn watch(&self, path: &Path, what: inotify::WatchFlags) -> io::Result<()> {
        let Some(notifier) = self.notifier.as_ref().filter(|_| self.born.is_here()) else {
            return Ok(());
        };
        let mut members = notifier.members.lock();
        // Another member may watch the same with other wishes.
        let wd = inotify::add_watch(&notifier.fd, path, what | inotify::WatchFlags::MASK_ADD);
        let wd = match wd {
            Ok(wd) => wd,
            // The limit of watches.
            Err(errno @ (rustix::io::Errno::NOSPC | rustix::io::Errno::NOMEM)) => {
                warn_of_limit(errno, "fs.inotify.max_user_watches");
                return self.be_silent();
            }
            Err(error) => return Err(error.into()),
        };
        let mask = inotify::ReadFlags::from_bits_retain(what.bits());
        let waiting = members.watched.entry(wd).or_default();
        match waiting.iter_mut().find(|(member, _)| *member == self.id) {
            Some((_, known)) => *known |= mask,
            None => waiting.push((self.id, mask)),
        }
        Ok(())
    }

    /// Forgets what was told so far, so that the poller wakes only on further news; tells whether there
    /// was some. A poller may also have been woken by news of others.
    pub fn drain(&self) -> bool {
        if !self.born.is_here() {
            return false;
        }
        if let Some(timer) = self.timer.get() {
            // The only failure is a time that no timer takes.
            let _set = timer.set(LOOK_OFTEN);
        }
        let told = self.notifier.as_ref().is_some_and(|notifier| notifier.take(self.id));
        told || self.is_silent()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A forked child's copy is none of its members, and the lock may be held for ever there.
        let Some(notifier) = self.notifier.take().filter(|_| self.born.is_here()) else { return };
        self.poller.remove(&notifier.fd);
        let mut list = own_notifiers().map(|list| list.lock());
        notifier.leave(self.id);
        if let Some(list) = &mut list
            && notifier.members.lock().known.is_empty()
        {
            list.retain(|known| !Arc::ptr_eq(known, &notifier));
        }
    }
}

/// Says, once, that news come late from here on.
fn warn_of_limit(errno: rustix::io::Errno, limit: &'static str) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            name: "watch_limit", error = %errno, limit,
            "the system tells of no more changes to files, so they are looked at four times a second: \
             close programs that watch much, or raise the limit with sysctl",
        );
    }
}

/// The list of this process; `None` where it is a fork of too many forks.
fn own_notifiers() -> Option<&'static Notifiers> {
    #[cfg(test)]
    if let Some(list) = tests::OWN.get() {
        return Some(list);
    }
    NOTIFIERS.get(usize::try_from(generation()).unwrap_or(usize::MAX))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::cell::Cell;
    use std::fs;
    use std::time::Instant;

    thread_local! {
        /// What the watches of a test share that says when a poller sleeps: news of the tests beside it
        /// would wake that too.
        pub(super) static OWN: Cell<Option<&'static Notifiers>> = const { Cell::new(None) };
    }

    /// From here on the watches of this thread share their notifiers with those of no other.
    pub(in crate::sys) fn share_with_no_other_test() {
        OWN.set(Some(Box::leak(Box::default())));
    }

    fn is_woken(poller: &Poller) -> bool {
        !poller.wait(Some(Duration::ZERO)).unwrap().is_empty()
    }

    fn watch(poller: &Poller, kind: News) -> Watch {
        Watch::join(poller, 1, kind).unwrap()
    }

    #[test]
    fn news_reach_whom_they_concern_whoever_takes_them() {
        share_with_no_other_test();
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pollers: Vec<Poller> = (0..3).map(|_| Poller::new().unwrap()).collect();
        let watches: Vec<Watch> = pollers.iter().map(|p| watch(p, News::Content)).collect();
        watches[0].add(dir.path()).unwrap();
        watches[1].add(dir.path()).unwrap();
        watches[2].add(other.path()).unwrap();
        assert!(!pollers.iter().any(is_woken));
        fs::write(dir.path().join("x"), "x").unwrap();
        // One that it does not concern takes them.
        pollers[2].wait(None).unwrap();
        assert!(!watches[2].drain());
        assert!(!is_woken(&pollers[2]));
        for at in 0..2 {
            assert!(is_woken(&pollers[at]));
            assert!(watches[at].drain(), "{at}");
            assert!(!watches[at].drain() && !is_woken(&pollers[at]), "{at}");
        }
    }

    #[test]
    fn who_waits_for_names_does_not_hear_of_writes() {
        share_with_no_other_test();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        fs::write(&file, "x").unwrap();
        let (names, content) = (Poller::new().unwrap(), Poller::new().unwrap());
        let (by_name, by_content) = (watch(&names, News::Names), watch(&content, News::Content));
        by_name.add_names(dir.path()).unwrap();
        by_content.add(dir.path()).unwrap();
        fs::write(&file, "y").unwrap();
        assert!(!is_woken(&names) && is_woken(&content));
        assert!(by_content.drain());
        fs::remove_file(&file).unwrap();
        assert!(by_name.drain() && by_content.drain());
    }

    #[test]
    fn a_process_uses_few_notifiers_and_beyond_them_a_watch_wakes_by_itself() {
        share_with_no_other_test();
        let dir = tempfile::tempdir().unwrap();
        let pollers: Vec<Poller> =
            (0..=MOST_NOTIFIERS * MOST_MEMBERS).map(|_| Poller::new().unwrap()).collect();
        let watches: Vec<Watch> = pollers.iter().map(|p| watch(p, News::Names)).collect();
        watches.iter().for_each(|watch| watch.add_names(dir.path()).unwrap());
        let silent = watches.iter().position(Watch::is_silent).unwrap();
        assert!(silent >= MOST_MEMBERS, "only {silent} have notifiers");
        assert!(watches[silent].drain());
        // Who is held up for that quarter of a second finds it awake again.
        let begun = Instant::now();
        while is_woken(&pollers[silent]) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it never sleeps");
            watches[silent].drain();
        }
        assert!(pollers[silent].wait(None).unwrap().has(1));
        // What another leaves is had again.
        drop(watches);
        let poller = Poller::new().unwrap();
        assert!(!watch(&poller, News::Names).is_silent());
    }

    #[test]
    fn a_watch_that_is_dropped_leaves_the_others_theirs() {
        share_with_no_other_test();
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (Poller::new().unwrap(), Poller::new().unwrap());
        let (gone, stays) = (watch(&one, News::Content), watch(&two, News::Content));
        gone.add(dir.path()).unwrap();
        stays.add(dir.path()).unwrap();
        drop(gone);
        fs::write(dir.path().join("x"), "x").unwrap();
        assert!(is_woken(&two) && stays.drain());
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(stays.drain());
        fs::create_dir(dir.path()).unwrap();
        stays.add(dir.path()).unwrap();
        stays.drain();
        fs::write(dir.path().join("x"), "x").unwrap();
        assert!(stays.drain(), "the folder was watched again");
    }
}
