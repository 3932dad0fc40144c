//! The processes of the run: all descendants of the keeper, except other runs among them.
//!
//! The keeper is the subreaper of all that the agent starts, so whoever loses its parent comes
//! to it. That is also true of the keepers of *nested* runs, which leave their starter on
//! purpose: a keeper whose environment names another run is left out, with everything below it. Any
//! other process is this run's, whatever its environment says.

use crate::proc::{self, Stat};
use crate::syscall as sys;

/// How many processes one pass can take; what lies beyond is found by a later pass.
const ROOM: usize = 4096;

#[derive(Clone, Copy)]
struct Process {
    pid: i32,
    stat: Stat,
}

const NOBODY: Process = Process {
    pid: 0,
    stat: Stat {
        state: 0,
        parent: 0,
        group: 0,
        threads: 0,
        start: 0,
    },
};

/// Room for one pass, and who was killed already. It lives in `.bss`: pages that are never
/// touched cost nothing.
pub struct Tree {
    me: i32,
    /// Scan all of `/proc` because the kernel doesn't list children.
    scan: bool,
    found: [Process; ROOM],
    len: usize,
    /// Children met that had just died or changed hands; their own may have come to us since.
    unsettled: usize,
    /// A process of another run sits in this group, so the group cannot be signalled whole.
    foreign_group: [i32; 8],
    foreign: usize,
    killed: [(i32, u64); ROOM],
    killed_len: usize,
}

/// What became of a signal.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    Yes,
    Gone,
    Denied,
}

impl Tree {
    pub const fn new() -> Tree {
        Tree {
            me: 0,
            scan: false,
            found: [NOBODY; ROOM],
            len: 0,
            unsettled: 0,
            foreign_group: [0; 8],
            foreign: 0,
            killed: [(0, 0); ROOM],
            killed_len: 0,
        }
    }

    pub fn begin(&mut self, me: i32, scan: bool) {
        self.me = me;
        self.scan = scan || !proc::lists_children(me);
    }

    /// How many processes of the run may live.
    ///
    /// Zero can be trusted although processes come and go during the walk. Whoever lives is a
    /// child of the keeper or below one; the keeper's list is complete, as nobody else shortens
    /// it; and if one on it turns out dead, its children may have been added behind the part
    /// already read, so that counts as "may live" until it is reaped and a new walk is made.
    pub fn count(&mut self, run_id: &[u8]) -> usize {
        self.len = 0;
        self.unsettled = 0;
        self.foreign = 0;
        if self.scan {
            self.scan_all(run_id);
        } else {
            let me = self.me;
            self.add_children(me, run_id);
            let mut next = 0;
            while next < self.len {
                let pid = self.found.get(next).map_or(0, |p| p.pid);
                self.add_children(pid, run_id);
                next += 1;
            }
        }
        self.len + self.unsettled
    }

    fn add_children(&mut self, parent: i32, run_id: &[u8]) {
        proc::each_child(parent, &mut |pid| self.add(pid, parent, run_id));
    }

    /// Takes rounds over all processes until one finds no more children of those found.
    fn scan_all(&mut self, run_id: &[u8]) {
        loop {
            let before = self.len;
            proc::each_number(b"/proc\0", &mut |pid| {
                let Some(stat) = proc::stat(pid) else {
                    return;
                };
                let ours = |p| self.seen().iter().any(|f| f.pid == p);
                if (stat.parent == self.me || ours(stat.parent)) && !ours(pid) {
                    self.add(pid, stat.parent, run_id);
                }
            });
            if self.len == before {
                return;
            }
        }
    }

    fn add(&mut self, pid: i32, parent: i32, run_id: &[u8]) {
        // Between the list and now the number may have passed to a stranger.
        let related = |s: &Stat| s.parent == parent || s.parent == self.me;
        let Some(stat) = proc::stat(pid).filter(|s| !s.dead() && related(s)) else {
            self.unsettled += 1;
            return;
        };
        if proc::of_another_run(pid, run_id) && proc::is_keeper(pid) {
            if let Some(group) = self.foreign_group.get_mut(self.foreign) {
                *group = stat.group;
            }
            self.foreign += 1;
        } else if let Some(slot) = self.found.get_mut(self.len) {
            *slot = Process { pid, stat };
            self.len += 1;
        }
    }

    fn seen(&self) -> &[Process] {
        self.found.get(..self.len).unwrap_or_default()
    }

    /// Whether a group can be signalled as a whole without touching another run.
    fn pure(&self, group: i32) -> bool {
        self.foreign_group
            .get(..self.foreign)
            .is_some_and(|groups| groups.iter().all(|g| *g != group))
    }

    /// Asks the whole tree to end. `agent` is the agent's pid while it is not reaped, which
    /// keeps its number, and so that of its group, from being given to anybody else.
    pub fn ask(&mut self, agent: Option<i32>, run_id: &[u8]) {
        self.count(run_id);
        // Nobody gets the signal twice in one pass: to some programs a second SIGTERM means "now".
        let group = agent.filter(|a| self.pure(*a) && sys::kill(-a, sys::SIGTERM).is_ok());
        for p in self.seen() {
            if Some(p.stat.group) != group {
                self.send(p, sys::SIGTERM);
            }
            if p.stat.state == b'T' {
                // A stopped process would sleep through its grace.
                self.send(p, sys::SIGCONT);
            }
        }
    }

    /// Kills all that live; returns how many of them can be waited for, and how many were not
    /// killed before.
    pub fn kill(&mut self, run_id: &[u8]) -> (usize, usize) {
        self.count(run_id);
        let (mut left, mut new) = (self.unsettled, 0);
        for i in 0..self.len {
            let Some(p) = self.found.get(i).copied() else {
                break;
            };
            match self.send(&p, sys::SIGKILL) {
                Sent::Yes => {
                    left += 1;
                    new += usize::from(self.first_kill(&p));
                }
                // Not dead for certain until a walk no longer finds it.
                Sent::Gone => left += 1,
                // It runs with another user's rights; waiting for it could take for ever.
                Sent::Denied => {}
            }
        }
        (left, new)
    }

    fn first_kill(&mut self, p: &Process) -> bool {
        let this = (p.pid, p.stat.start);
        if self.killed.iter().take(self.killed_len).any(|k| *k == this) {
            return false;
        }
        if let Some(slot) = self.killed.get_mut(self.killed_len) {
            *slot = this;
            self.killed_len += 1;
        }
        true
    }

    /// Signals exactly the process that was found. The pidfd pins whoever has the number now,
    /// the start time tells whether that is still the one meant.
    fn send(&self, p: &Process, signal: i32) -> Sent {
        let result = match sys::pidfd_open(p.pid) {
            Ok(fd) => {
                let same = proc::stat(p.pid).is_some_and(|now| now.start == p.stat.start);
                let result = if same {
                    sys::pidfd_send(fd, signal)
                } else {
                    Ok(0)
                };
                sys::close(fd);
                if !same {
                    return Sent::Gone;
                }
                result
            }
            // No pidfds on this kernel: the number of a child of ours stays taken until it is
            // reaped, so that one is safe. The others become our children when theirs die.
            Err(sys::ENOSYS) if p.stat.parent == self.me => sys::kill(p.pid, signal),
            Err(_) => return Sent::Gone,
        };
        match result {
            Ok(_) => Sent::Yes,
            Err(sys::EPERM) => Sent::Denied,
            Err(_) => Sent::Gone,
        }
    }
}
