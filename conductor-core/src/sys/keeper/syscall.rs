//! The few system calls the keeper needs, without a C library.
//!
//! Everything else in the keeper is written in terms of these wrappers, so this file holds the
//! machine's numbers and almost all of the program's `unsafe`.

use core::arch::asm;

/// An errno, or the result.
pub type Result<T> = core::result::Result<T, i32>;

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
mod nr {
    pub const READ: usize = 0; pub const WRITE: usize = 1; pub const CLOSE: usize = 3;
    pub const FSTAT: usize = 5; pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14; pub const PWRITE64: usize = 18;
    pub const GETPID: usize = 39; pub const SENDTO: usize = 44; pub const RECVFROM: usize = 45;
    pub const CLONE: usize = 56; pub const EXECVE: usize = 59; pub const WAIT4: usize = 61;
    pub const KILL: usize = 62; pub const FDATASYNC: usize = 75; pub const CHDIR: usize = 80;
    pub const FCHDIR: usize = 81; pub const SETSID: usize = 112; pub const PRCTL: usize = 157;
    pub const GETDENTS64: usize = 217; pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231; pub const OPENAT: usize = 257; pub const PPOLL: usize = 271;
    pub const FALLOCATE: usize = 285; pub const READLINKAT: usize = 267;
    pub const SIGNALFD4: usize = 289; pub const DUP3: usize = 292; pub const PIPE2: usize = 293;
}

#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
mod nr {
    pub const READ: usize = 63; pub const WRITE: usize = 64; pub const CLOSE: usize = 57;
    pub const FSTAT: usize = 80; pub const RT_SIGACTION: usize = 134;
    pub const RT_SIGPROCMASK: usize = 135; pub const PWRITE64: usize = 68;
    pub const GETPID: usize = 172; pub const SENDTO: usize = 206; pub const RECVFROM: usize = 207;
    pub const CLONE: usize = 220; pub const EXECVE: usize = 221; pub const WAIT4: usize = 260;
    pub const KILL: usize = 129; pub const FDATASYNC: usize = 83; pub const CHDIR: usize = 49;
    pub const FCHDIR: usize = 50; pub const SETSID: usize = 157; pub const PRCTL: usize = 167;
    pub const GETDENTS64: usize = 61; pub const CLOCK_GETTIME: usize = 113;
    pub const EXIT_GROUP: usize = 94; pub const OPENAT: usize = 56; pub const PPOLL: usize = 73;
    pub const FALLOCATE: usize = 47; pub const READLINKAT: usize = 78;
    pub const SIGNALFD4: usize = 74; pub const DUP3: usize = 24; pub const PIPE2: usize = 59;
}

// From Linux 5.1 on, new calls have one number everywhere.
const PIDFD_SEND_SIGNAL: usize = 424;
const PIDFD_OPEN: usize = 434;
const CLOSE_RANGE: usize = 436;

pub const ENOENT: i32 = 2;
pub const EINTR: i32 = 4;
pub const ECHILD: i32 = 10;
pub const EPERM: i32 = 1;
pub const ENOSPC: i32 = 28;
pub const ENOSYS: i32 = 38;

pub const SIGHUP: i32 = 1;
pub const SIGINT: i32 = 2;
pub const SIGQUIT: i32 = 3;
pub const SIGKILL: i32 = 9;
pub const SIGUSR1: i32 = 10;
pub const SIGPIPE: i32 = 13;
pub const SIGTERM: i32 = 15;
pub const SIGCHLD: i32 = 17;
pub const SIGCONT: i32 = 18;
pub const SIGTSTP: i32 = 20;
pub const SIGTTIN: i32 = 21;
pub const SIGTTOU: i32 = 22;

pub const SIG_DFL: usize = 0;
pub const SIG_IGN: usize = 1;

pub const REALTIME: usize = 0;
pub const MONOTONIC: usize = 1;
/// As MONOTONIC, and goes on while the machine sleeps.
pub const BOOTTIME: usize = 7;

pub const PR_SET_PDEATHSIG: usize = 1;
pub const PR_SET_CHILD_SUBREAPER: usize = 36;

const O_RDWR: usize = 2;
const O_CLOEXEC: usize = 0o2_000_000;
const O_NONBLOCK: usize = 0o4_000;
const MSG_DONTWAIT: usize = 0x40;
const MSG_NOSIGNAL: usize = 0x4000;
const WNOHANG: usize = 1;
const WALL: usize = 0x4000_0000;
const AT_FDCWD: usize = -100_isize as usize;

/// One entry of `ppoll`.
#[repr(C)]
pub struct PollFd {
    pub fd: i32,
    pub events: i16,
    pub revents: i16,
}

pub const POLLIN: i16 = 1;

/// `struct timespec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Timespec {
    pub secs: i64,
    pub nanos: i64,
}

/// SAFETY: the arguments must be what the kernel expects of call `n`; every pointer among them
/// must be good for what the kernel does with it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn call6(n: usize, a: [usize; 6]) -> Result<usize> {
    let ret: isize;
    // SAFETY: the kernel clobbers rcx and r11 only; the caller vouches for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") n => ret,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result(ret)
}

/// SAFETY: as `call6`, of a call with at most three arguments.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn call3(n: usize, a: [usize; 3]) -> Result<usize> {
    let ret: isize;
    // SAFETY: the kernel clobbers rcx and r11 only; the caller vouches for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") n => ret,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result(ret)
}

/// SAFETY: as on the other architecture.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn call6(n: usize, a: [usize; 6]) -> Result<usize> {
    let ret: isize;
    // SAFETY: the kernel changes x0 only; the caller vouches for the arguments.
    unsafe {
        asm!("svc 0", in("x8") n, inlateout("x0") a[0] => ret,
            in("x1") a[1], in("x2") a[2], in("x3") a[3],
            in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result(ret)
}

/// SAFETY: as `call6`, of a call with at most three arguments.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn call3(n: usize, a: [usize; 3]) -> Result<usize> {
    let ret: isize;
    // SAFETY: the kernel changes x0 only; the caller vouches for the arguments.
    unsafe {
        asm!("svc 0", in("x8") n, inlateout("x0") a[0] => ret,
            in("x1") a[1], in("x2") a[2], options(nostack));
    }
    result(ret)
}

fn result(ret: isize) -> Result<usize> {
    if ret < 0 {
        Err(-ret as i32)
    } else {
        Ok(ret as usize)
    }
}

// One arm per number of arguments, so that few arguments are little code in the caller.
macro_rules! call {
    ($n:expr) => { call!($n, 0, 0, 0) };
    ($n:expr, $a:expr) => { call!($n, $a, 0, 0) };
    ($n:expr, $a:expr, $b:expr) => { call!($n, $a, $b, 0) };
    ($n:expr, $a:expr, $b:expr, $c:expr) => {{
        let a = [$a as usize, $b as usize, $c as usize];
        // SAFETY: every use is in this file, and passes numbers, or pointers from references
        // and slices that outlive the call, with their true lengths.
        unsafe { call3($n, a) }
    }};
    ($n:expr, $a:expr, $b:expr, $c:expr, $d:expr) => { call!($n, $a, $b, $c, $d, 0, 0) };
    ($n:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {
        call!($n, $a, $b, $c, $d, $e, 0)
    };
    ($n:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {{
        let a = [$a as usize, $b as usize, $c as usize, $d as usize, $e as usize, $f as usize];
        // SAFETY: as above.
        unsafe { call6($n, a) }
    }};
}

pub fn read(fd: i32, buf: &mut [u8]) -> Result<usize> {
    again(|| call!(nr::READ, fd, buf.as_mut_ptr(), buf.len()))
}

pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    again(|| call!(nr::WRITE, fd, bytes.as_ptr(), bytes.len()))
}

pub fn pwrite(fd: i32, bytes: &[u8], at: usize) -> Result<usize> {
    again(|| call!(nr::PWRITE64, fd, bytes.as_ptr(), bytes.len(), at))
}

pub fn fdatasync(fd: i32) -> Result<usize> {
    again(|| call!(nr::FDATASYNC, fd))
}

/// Gives the blocks of a part of a file back; zeros are read there from then on.
pub fn punch_hole(fd: i32, at: u64, len: u64) -> Result<usize> {
    const KEEP_SIZE_AND_PUNCH_HOLE: usize = 3;
    call!(
        nr::FALLOCATE,
        fd as usize,
        KEEP_SIZE_AND_PUNCH_HOLE,
        at as usize,
        len as usize
    )
}

/// Where a link leads; its path ends in NUL.
pub fn read_link(path: &[u8], buf: &mut [u8]) -> Result<usize> {
    call!(
        nr::READLINKAT,
        AT_FDCWD,
        path.as_ptr(),
        buf.as_mut_ptr(),
        buf.len()
    )
}

pub fn close(fd: i32) {
    // Nothing can be done about a failed close, and none of these descriptors has data pending.
    let _ = call!(nr::CLOSE, fd);
}

pub fn close_range(first: usize) -> Result<usize> {
    call!(CLOSE_RANGE, first, u32::MAX, 0)
}

/// `path` must end in NUL.
pub fn open(path: &[u8], write: bool) -> Result<i32> {
    debug_assert!(path.ends_with(b"\0"));
    again(|| {
        call!(
            nr::OPENAT,
            AT_FDCWD,
            path.as_ptr(),
            O_CLOEXEC | (usize::from(write) * O_RDWR),
            0
        )
    })
    .map(|fd| fd as i32)
}

/// Inode and size: the two fields wanted lie at the same place on both architectures.
pub fn fstat(fd: i32) -> Result<(u64, u64)> {
    let mut stat = [0u64; 32];
    call!(nr::FSTAT, fd, stat.as_mut_ptr())?;
    Ok((stat[1], stat[6]))
}

pub fn getdents(fd: i32, buf: &mut [u8]) -> Result<usize> {
    call!(nr::GETDENTS64, fd, buf.as_mut_ptr(), buf.len())
}

/// The reading and the writing end.
pub fn pipe() -> Result<(i32, i32)> {
    let mut fds = [0i32; 2];
    call!(nr::PIPE2, fds.as_mut_ptr(), O_CLOEXEC)?;
    Ok((fds[0], fds[1]))
}

/// The copy is closed by exec.
pub fn dup_to(fd: i32, to: i32) -> Result<usize> {
    call!(nr::DUP3, fd, to, O_CLOEXEC)
}

/// `path` must end in NUL.
pub fn chdir(path: &[u8]) -> Result<usize> {
    debug_assert!(path.ends_with(b"\0"));
    call!(nr::CHDIR, path.as_ptr())
}

pub fn fchdir(fd: i32) -> Result<usize> {
    call!(nr::FCHDIR, fd)
}

pub fn setsid() -> Result<usize> {
    call!(nr::SETSID)
}

pub fn prctl(option: usize, value: usize) -> Result<usize> {
    // Some of its options insist on zeros behind.
    call!(nr::PRCTL, option, value, 0, 0, 0)
}

pub fn getpid() -> i32 {
    call!(nr::GETPID).map_or(0, |pid| pid as i32)
}

pub fn exit(code: i32) -> ! {
    loop {
        let _ = call!(nr::EXIT_GROUP, code);
    }
}

/// A copy of this process, whose end is told by SIGCHLD; `None` in the copy.
pub fn fork() -> Result<Option<i32>> {
    call!(nr::CLONE, SIGCHLD, 0, 0, 0, 0).map(|pid| (pid != 0).then_some(pid as i32))
}

/// Only returns if it failed.
///
/// # Safety
/// `program` is NUL-terminated; `argv` and `envp` are NULL-terminated arrays of such strings.
pub unsafe fn execve(program: *const u8, argv: *const *const u8, envp: *const *const u8) -> i32 {
    call!(nr::EXECVE, program, argv, envp).err().unwrap_or(0)
}

/// A child that ended and its status; with `block` waits for `pid`, else takes what is there.
pub fn wait(pid: i32, block: bool) -> Result<Option<(i32, u32)>> {
    let mut status = 0u32;
    let flags = WALL | if block { 0 } else { WNOHANG };
    let got = again(|| call!(nr::WAIT4, pid as isize, &raw mut status, flags, 0))? as i32;
    Ok((got != 0).then_some((got, status)))
}

pub fn kill(pid: i32, signal: i32) -> Result<usize> {
    call!(nr::KILL, pid as isize, signal)
}

pub fn pidfd_open(pid: i32) -> Result<i32> {
    call!(PIDFD_OPEN, pid, 0).map(|fd| fd as i32)
}

pub fn pidfd_send(fd: i32, signal: i32) -> Result<usize> {
    call!(PIDFD_SEND_SIGNAL, fd, signal, 0, 0)
}

/// Sets a disposition. Only `SIG_DFL` and `SIG_IGN` are used, so there is no handler to get
/// wrong.
pub fn signal(number: i32, disposition: usize) {
    // handler, flags, restorer, mask: the same four words on both architectures.
    let action = [disposition, 0, 0, 0];
    // SIGKILL and STOP refuse, and nothing else does.
    let _ = call!(nr::RT_SIGACTION, number, action.as_ptr(), 0, 8);
}

/// Makes `mask` (bit n-1 for signal n) the blocked signals.
pub fn block(mask: u64) {
    const SIG_SETMASK: usize = 2;
    let _ = call!(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const mask, 0, 8);
}

pub fn signalfd(mask: u64) -> Result<i32> {
    call!(
        nr::SIGNALFD4,
        -1isize,
        &raw const mask,
        8,
        O_CLOEXEC | O_NONBLOCK
    )
    .map(|fd| fd as i32)
}

/// Waits for an event, at most `timeout`; for ever without.
pub fn poll(fds: &mut [PollFd], timeout: Option<Timespec>) -> Result<usize> {
    let time = timeout
        .as_ref()
        .map_or(core::ptr::null(), |t| &raw const *t);
    call!(nr::PPOLL, fds.as_mut_ptr(), fds.len(), time, 0, 8)
}

pub fn clock(which: usize) -> Timespec {
    let mut now = Timespec { secs: 0, nanos: 0 };
    let _ = call!(nr::CLOCK_GETTIME, which, &raw mut now);
    now
}

/// Never raises SIGPIPE: the other side may be gone, and that is its own affair.
pub fn send(fd: i32, bytes: &[u8]) -> Result<usize> {
    again(|| {
        call!(
            nr::SENDTO,
            fd,
            bytes.as_ptr(),
            bytes.len(),
            MSG_NOSIGNAL,
            0,
            0
        )
    })
}

/// Takes what is there, without waiting.
pub fn receive(fd: i32, buf: &mut [u8]) -> Result<usize> {
    again(|| {
        call!(
            nr::RECVFROM,
            fd,
            buf.as_mut_ptr(),
            buf.len(),
            MSG_DONTWAIT,
            0,
            0
        )
    })
}

fn again(mut f: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match f() {
            Err(EINTR) => {}
            other => return other,
        }
    }
}
