//! Starts a program that is no child of this process.
//!
//! A host may have its own `waitpid(-1)` loop or SIGCHLD handler and must see nothing of ours;
//! it may be big, so it is not forked. Hence two steps, both sharing memory like `vfork`: an
//! intermediate that gives no signal when it ends starts the keeper and exits, and is reaped
//! here. The keeper passes to init or the nearest subreaper. (One step is not enough: exec
//! gives a process SIGCHLD as its exit signal again.)
//!
//! Between the clones and the exec nothing is allocated, no lock is taken and nothing can
//! unwind: the two run on private stacks, but in this process's memory, while only the calling
//! thread stands still.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::{io, mem, ptr};

use super::spawn::KeeperImage;

/// Executes `image` with `fds` as its descriptors from 0 on, and returns its pid.
pub(super) fn launch(
    image: KeeperImage<'_>,
    fds: [Option<BorrowedFd<'_>>; 9],
    args: &[CString],
    env: &[CString],
) -> io::Result<c_int> {
    let (argv, envp) = (pointers(args), pointers(env));
    let stacks = Stacks::new()?;
    let (path, memfd) = match image {
        KeeperImage::Path(path) => (path.as_ptr(), -1),
        KeeperImage::Memfd(fd) => (c"".as_ptr(), fd.as_raw_fd()),
    };
    let plan = Plan {
        fds: fds.map(|fd| fd.map_or(-1, |fd| fd.as_raw_fd())),
        path,
        memfd,
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        stack: stacks.top(1),
        errno: AtomicI32::new(0),
        keeper: AtomicI32::new(0),
    };
    let signals = BlockedSignals::new()?;
    let started = run_intermediate(&plan, &stacks);
    drop(signals);
    started?;
    match plan.errno.load(Relaxed) {
        0 => Ok(plan.keeper.load(Relaxed)),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

pub(super) fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

/// The C library's way to tell an error, as ours.
pub(super) fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// All that the intermediate and the keeper-to-be need, made before the clones. They write
/// nothing but the two atomics.
struct Plan {
    /// What becomes descriptors 0 to 8; -1 for none.
    fds: [c_int; 9],
    path: *const c_char,
    memfd: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
    /// Top of the keeper-to-be's stack.
    stack: *mut c_void,
    errno: AtomicI32,
    keeper: AtomicI32,
}

/// Like `vfork`, on a stack of its own, and its end gives no signal.
const FLAGS: c_int = libc::CLONE_VM | libc::CLONE_VFORK;

fn run_intermediate(plan: &Plan, stacks: &Stacks) -> io::Result<()> {
    let arg = ptr::from_ref(plan).cast_mut().cast();
    // SAFETY: the stack is ours and unused; `plan` outlives the call because CLONE_VFORK keeps
    // this thread here until the intermediate has exited; `intermediate` keeps to what may be
    // done in shared memory (see there).
    let pid = check(unsafe { libc::clone(intermediate, stacks.top(0), FLAGS, arg) })?;
    loop {
        let mut status = 0;
        // SAFETY: waits for a child of our own into a local. __WALL, because a child without an
        // exit signal is invisible otherwise, which is the point of it.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
        match check(waited) {
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
            // Somebody else's waitpid(-1, __WALL) took it: then it is gone all the same.
            Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
            other => return other.map(drop),
        }
    }
}

/// Starts the keeper and leaves.
///
/// This and [`become_keeper`] run in the host's memory with its thread's errno, which is free
/// as that thread stands still. They make system calls and store to atomics, nothing else.
extern "C" fn intermediate(arg: *mut c_void) -> c_int {
    // SAFETY: `run_intermediate` passes a `Plan` and waits.
    let plan = unsafe { &*arg.cast::<Plan>() };
    // SAFETY: as there; this stack is the second one.
    let pid = unsafe { libc::clone(become_keeper, plan.stack, FLAGS, arg) };
    if pid < 0 {
        plan.errno.store(errno(), Relaxed);
    } else {
        plan.keeper.store(pid, Relaxed);
    }
    0
}

/// Puts the descriptors in place and executes the keeper.
extern "C" fn become_keeper(arg: *mut c_void) -> c_int {
    // SAFETY: the intermediate hands its `Plan` on, and stands still until we exec or exit.
    let plan = unsafe { &*arg.cast::<Plan>() };
    plan.errno.store(exec_keeper(plan), Relaxed);
    127
}

/// The errno of what failed; does not return else. Raw `syscall`s, because the C library's
/// wrappers may be points where a thread is cancelled.
fn exec_keeper(plan: &Plan) -> c_int {
    const ABOVE: c_int = 64;
    let dup_above = |fd: c_int| {
        // SAFETY: integer arguments only.
        unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, ABOVE) as c_int }
    };
    // Out of the way first: a source may have the number of another's target.
    let mut moved = plan.fds;
    for fd in &mut moved {
        if *fd >= 0 {
            *fd = dup_above(*fd);
            if *fd < 0 {
                return errno();
            }
        }
    }
    let image = if plan.memfd < 0 { libc::AT_FDCWD } else { dup_above(plan.memfd) };
    if plan.memfd >= 0 && image < 0 {
        return errno();
    }
    for (from, to) in moved.iter().zip(0..) {
        // SAFETY: integer arguments only; the table of descriptors is our own copy.
        let done = unsafe {
            if *from < 0 {
                libc::syscall(libc::SYS_close, to);
                0
            } else {
                libc::syscall(libc::SYS_dup3, *from, to, 0)
            }
        };
        if done < 0 {
            return errno();
        }
    }
    let flags = if plan.memfd < 0 { 0 } else { libc::AT_EMPTY_PATH };
    // SAFETY: a C string and two NULL-terminated arrays of them, alive in the waiting host.
    unsafe {
        libc::syscall(libc::SYS_execveat, image, plan.path, plan.argv, plan.envp, flags);
    }
    errno()
}

fn errno() -> c_int {
    // SAFETY: the C library's errno of this thread is always readable. `io::Error` would do the
    // same, but promises nothing about how.
    unsafe { *libc::__errno_location() }
}

/// Blocks all signals of this thread: none may be handled in a clone that shares its memory.
pub(super) struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    pub(super) fn new() -> io::Result<BlockedSignals> {
        // SAFETY: sigset_t is plain data; both sets are initialised before they are read.
        unsafe {
            let (mut all, mut old) = (mem::zeroed(), mem::zeroed());
            libc::sigfillset(&raw mut all);
            match libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old) {
                0 => Ok(BlockedSignals(old)),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: puts back the mask that `new` took.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

/// Two stacks, each with a page below it that must not be touched.
struct Stacks(*mut c_void);

impl Stacks {
    const GUARD: usize = 64 << 10; // at least one page, whatever its size
    const STACK: usize = 64 << 10;
    const EACH: usize = Self::GUARD + Self::STACK;

    fn new() -> io::Result<Stacks> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new mapping anywhere touches no existing memory.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), 2 * Self::EACH, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stacks = Stacks(base);
        for n in 0..2 {
            // SAFETY: the upper part of the n-th half of our own mapping.
            check(unsafe {
                let stack = base.byte_add(n * Self::EACH + Self::GUARD);
                libc::mprotect(stack, Self::STACK, libc::PROT_READ | libc::PROT_WRITE)
            })?;
        }
        Ok(stacks)
    }

    fn top(&self, n: usize) -> *mut c_void {
        // SAFETY: n is 0 or 1, so this stays within the mapping or one past its end.
        unsafe { self.0.byte_add((n + 1) * Self::EACH) }
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and whoever ran on it has exited or executed.
        unsafe { libc::munmap(self.0, 2 * Self::EACH) };
    }
}
