//! What `/proc` says about one process: its status line, its environment, its children.

use crate::record::{Text, number};
use crate::syscall as sys;

/// The parts of `/proc/<pid>/stat` that matter here.
#[derive(Clone, Copy)]
pub struct Stat {
    pub state: u8,
    pub parent: i32,
    pub group: i32,
    pub threads: u64,
    pub start: u64,
}

impl Stat {
    /// A zombie whose last thread has ended can neither run nor be signalled. (A zombie *leader*
    /// with other threads still runs.)
    pub fn dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }
}

/// `/proc/<pid><rest>` with the NUL the kernel wants.
fn path(pid: i32, rest: &str) -> Text<64> {
    let mut path = Text::filled(0);
    path.str("/proc/").num(pid as u64).str(rest).str("\0");
    path
}

/// As much of a file as fits into `buf`; its path ends in NUL.
pub fn read_file<'a>(path: &[u8], buf: &'a mut [u8]) -> sys::Result<&'a [u8]> {
    let fd = sys::open(path, false)?;
    let got = sys::read(fd, buf);
    sys::close(fd);
    let len = got?;
    Ok(buf.get(..len).unwrap_or_default())
}

pub fn stat(pid: i32) -> Option<Stat> {
    let mut buf = [0u8; 512];
    let text = read_file(path(pid, "/stat").done(), &mut buf).ok()?;
    // The name in parentheses may hold anything, blanks and parentheses too; behind its last
    // parenthesis there are only numbers.
    let after = text.get(text.iter().rposition(|b| *b == b')')? + 2..)?;
    let mut fields = after.split(|b| *b == b' ');
    let state = *fields.next()?.first()?;
    let parent = number(fields.next()?)? as i32;
    let group = number(fields.next()?)? as i32;
    let threads = number(fields.nth(14)?)?;
    let start = number(fields.nth(1)?)?;
    Some(Stat {
        state,
        parent,
        group,
        threads,
        start,
    })
}

/// Whether the process was started as part of another run: its environment names one.
pub fn of_another_run(pid: i32, run_id: &[u8]) -> bool {
    const KEY: &[u8] = b"JRUN_ID=";
    let Ok(fd) = sys::open(path(pid, "/environ").done(), false) else {
        return false;
    };
    let mut buf = [0u8; 1024];
    // Position in the current variable, and whether it still looks like ours.
    let (mut at, mut key, mut same) = (0, true, true);
    let mut other = false;
    'read: while let Ok(len @ 1..) = sys::read(fd, &mut buf) {
        for b in buf.iter().take(len) {
            if *b == 0 {
                if key && at >= KEY.len() {
                    // The first one counts, as it does for getenv.
                    other = !(same && at == KEY.len() + run_id.len());
                    break 'read;
                }
                (at, key, same) = (0, true, true);
                continue;
            }
            match KEY.get(at) {
                Some(k) => key &= k == b,
                None => same &= run_id.get(at - KEY.len()) == Some(b),
            }
            at += 1;
        }
    }
    sys::close(fd);
    other
}

/// Whether the process runs a keeper: one that was installed, or one in memory. Its environment alone
/// does not tell, because an agent may give any to what it starts.
pub fn is_keeper(pid: i32) -> bool {
    const INSTALLED: &[u8] = b"keeper-";
    const IN_MEMORY: &[u8] = b"/memfd:keeper";
    let mut buf = [0u8; 4096];
    let Ok(len) = sys::read_link(path(pid, "/exe").done(), &mut buf) else {
        return false;
    };
    let program = buf.get(..len).unwrap_or_default();
    let name = program.rsplit(|b| *b == b'/').next().unwrap_or_default();
    // "keeper-<8 hex>", and " (deleted)" behind it once it is.
    let end = INSTALLED.len() + 8;
    let installed = name.starts_with(INSTALLED)
        && name
            .get(INSTALLED.len()..end)
            .is_some_and(|hash| hash.iter().all(u8::is_ascii_hexdigit));
    installed || program.starts_with(IN_MEMORY)
}

/// Whether the kernel lists children (it may be built without).
pub fn lists_children(me: i32) -> bool {
    each_child_of_thread(me, me, &mut |_| {}) != Err(sys::ENOENT)
}

/// Calls `f` with each child of each thread of a process.
pub fn each_child(pid: i32, f: &mut dyn FnMut(i32)) {
    each_number(path(pid, "/task").done(), &mut |tid| {
        let _ = each_child_of_thread(pid, tid, f);
    });
}

fn each_child_of_thread(pid: i32, tid: i32, f: &mut dyn FnMut(i32)) -> sys::Result<()> {
    let mut path = Text::<64>::filled(0);
    path.str("/proc/")
        .num(pid as u64)
        .str("/task/")
        .num(tid as u64)
        .str("/children\0");
    let fd = sys::open(path.done(), false)?;
    let mut buf = [0u8; 1024];
    let mut child = 0i32;
    while let Ok(len @ 1..) = sys::read(fd, &mut buf) {
        for b in buf.iter().take(len) {
            if b.is_ascii_digit() {
                child = child.wrapping_mul(10).wrapping_add(i32::from(b - b'0'));
            } else if child != 0 {
                f(child);
                child = 0;
            }
        }
    }
    sys::close(fd);
    Ok(())
}

/// Calls `f` with each entry of a directory whose name is a number; the path ends in NUL.
pub fn each_number(path: &[u8], f: &mut dyn FnMut(i32)) {
    let Ok(fd) = sys::open(path, false) else {
        return;
    };
    let mut buf = [0u8; 1024];
    while let Ok(len @ 1..) = sys::getdents(fd, &mut buf) {
        let mut rest = buf.get(..len).unwrap_or_default();
        // struct linux_dirent64: inode 8, offset 8, length of the entry 2, type 1, name.
        while let (Some(&[low, high]), Some(name)) = (rest.get(16..18), rest.get(19..)) {
            let name = name.split(|b| *b == 0).next().unwrap_or_default();
            if let Some(n) = number(name) {
                f(n as i32);
            }
            let next = usize::from(u16::from_ne_bytes([low, high]));
            rest = rest.get(next.max(19)..).unwrap_or_default();
        }
    }
    sys::close(fd);
}
