//! What a fork without an exec must not carry into the child: files that hold or may hold a lock.
//!
//! A `flock` belongs to an open file, which a forked child shares. If the parent dies, the child
//! would go on holding its locks, unknowingly and for as long as it lives. So such files are listed
//! here, and in a new child each of their descriptors is put onto `/dev/null`: its number stays
//! taken until its owner closes it, and the lock stays the parent's alone.

use super::Fd;
use parking_lot::Mutex;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

/// Files that can be listed at once. One that finds no place is shared with children.
const PLACES: usize = 2048;

/// Forks between the process that loaded the library and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);
/// Listed descriptors; 0, which no such file has, where the place is free.
static LISTED: [AtomicI32; PLACES] = [const { AtomicI32::new(0) }; PLACES];
/// Where the search for a free place begins.
static HINT: AtomicU32 = AtomicU32::new(0);
/// Whether forks are noticed, and who sees to it.
static NOTICED: AtomicBool = AtomicBool::new(false);
static HANDLER: Mutex<()> = Mutex::new(());

/// Forks between the process that loaded the library and this one. A handle made under another
/// number is the parent's.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The process that a handle was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Born(u32);

impl Born {
    /// This process. From now on forks are noticed, unless the system has no memory for that: then
    /// no lock is taken either.
    pub(crate) fn here() -> Born {
        let _told_by_whoever_takes_a_lock = notice_forks();
        Born(generation())
    }

    /// Whether this is still that process, and not a forked child of it. Safe in a signal handler.
    pub(crate) fn is_here(self) -> bool {
        self.0 == generation()
    }
}

/// Has forks noticed from now on. Asked before each lock is taken, which a child would else go on holding;
/// asked again after a failure, which is one of memory.
pub(super) fn notice_forks() -> io::Result<()> {
    if NOTICED.load(Ordering::Acquire) {
        return Ok(());
    }
    let _one_at_a_time = HANDLER.lock();
    if NOTICED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the handler is a function of this program that lives as long as it, takes no lock
    // and calls only what is safe in a new child.
    match unsafe { libc::pthread_atfork(None, None, Some(in_child)) } {
        0 => {
            NOTICED.store(true, Ordering::Release);
            Ok(())
        }
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// A file's place on the list; dropping it takes the file off. Must be dropped before the file is
/// closed.
#[derive(Debug)]
pub(crate) struct Listed(Option<usize>);

impl Listed {
    /// Lists a file that locks are taken on.
    pub(crate) fn new(fd: &Fd) -> Listed {
        Listed(fd.as_raw().and_then(|fd| take_place(fd.as_raw_fd())))
    }
}

fn take_place(fd: RawFd) -> Option<usize> {
    let hint = HINT.load(Ordering::Relaxed) as usize;
    let place = (0..PLACES).map(|step| (hint + step) % PLACES).find(|place| {
        LISTED[*place].compare_exchange(0, fd, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    })?;
    HINT.store(u32::try_from((place + 1) % PLACES).unwrap_or(0), Ordering::Relaxed);
    Some(place)
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            LISTED[place].store(0, Ordering::Release);
        }
    }
}

/// Runs in the child of a fork, in its only thread, before fork returns there.
extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // SAFETY: open, dup3 and close are safe after a fork; the path is a constant with its NUL; the
    // descriptors are files of this library, listed until their owners close them.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if null < 0 {
            return;
        }
        for place in &LISTED {
            let fd = place.load(Ordering::Relaxed);
            if fd > 0 && fd != null {
                libc::dup3(null, fd, libc::O_CLOEXEC);
            }
        }
        libc::close(null);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LockKind, Open, Os as _, RealOs};
    use super::*;
    use std::io::Read as _;
    use std::path::Path;

    #[test]
    fn a_forked_child_holds_no_lock_of_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        let root = RealOs.open_root(dir.path()).unwrap();
        let open = || RealOs.open_at(&root, Path::new("lock"), Open::WriteOrCreate(0o644)).unwrap();
        let held = open();
        let listed = Listed::new(&held);
        assert!(RealOs.try_lock(&held, LockKind::Exclusive).unwrap());
        let (mut reader, writer) = std::io::pipe().unwrap();
        let before = generation();
        // SAFETY: the child only writes to a pipe, waits for a signal and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let forked = u8::from(generation() == before + 1);
            // SAFETY: as above; the buffer is one byte.
            unsafe {
                libc::write(writer.as_raw_fd(), std::ptr::from_ref(&forked).cast(), 1);
                libc::pause();
                libc::_exit(0);
            }
        }
        drop(writer);
        let mut forked = [0];
        reader.read_exact(&mut forked).unwrap();
        assert_eq!(forked, [1]);
        // As if the parent died: its copy is closed without an unlock.
        drop(listed);
        drop(held);
        assert!(RealOs.try_lock(&open(), LockKind::Exclusive).unwrap(), "the child holds the lock");
        // SAFETY: the child is ours, not waited for yet.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }
}
