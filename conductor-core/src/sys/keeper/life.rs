//! From release to the last process of the tree: wait, record, stop, reap.

use crate::journal::{self, Journal};
use crate::limits::{self, Watch};
use crate::record::{Ended, Reason, State};
use crate::tree::Tree;
use crate::{signals, syscall as sys};

/// What the tree is given when the agent has ended on its own.
const LEFTOVER_GRACE: u64 = 2_000;
/// Between two passes of killing, in milliseconds: first, and at most.
const FIRST_PAUSE: u64 = 5;
const LAST_PAUSE: u64 = 1_000;

/// Everything the keeper knows while its agent runs.
pub struct Life<'a> {
    pub run_id: &'static [u8],
    /// Milliseconds between SIGTERM and SIGKILL.
    pub grace: u64,
    pub agent: i32,
    pub signals: i32,
    pub watch: Watch,
    pub tree: &'a mut Tree,
    pub journal: &'a mut Journal,
}

#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// All were asked to end; the rest is killed at this moment.
    Asked(u64),
    /// The rest is being killed; the pause before the next pass, in milliseconds.
    Killing(u64),
}

impl Phase {
    /// With no more time than until `limit`.
    fn sooner(self, limit: u64) -> Phase {
        match self {
            Phase::Asked(until) => Phase::Asked(until.min(limit)),
            other => other,
        }
    }
}

impl Life<'_> {
    /// Returns when nothing of the run is left.
    pub fn live(mut self) {
        let mut phase = Phase::Running;
        let mut reason = Reason::Exit;
        loop {
            let asked = signals::take(self.signals);
            let exited_before = self.exited();
            let childless = self.reap(reason);
            self.watch.trim(self.journal);
            if self.exited() && childless {
                break;
            }
            phase = match phase {
                Phase::Running if asked.kill => {
                    reason = Reason::Stopped;
                    Phase::Killing(FIRST_PAUSE)
                }
                Phase::Running if self.exited() => self.ask(LEFTOVER_GRACE),
                Phase::Running if asked.stop => {
                    reason = Reason::Stopped;
                    self.ask(self.grace)
                }
                Phase::Running => match self.watch.overrun() {
                    Some(limit) => {
                        reason = limit;
                        self.ask(self.grace)
                    }
                    None => Phase::Running,
                },
                Phase::Asked(until) if asked.kill || limits::now() >= until => {
                    Phase::Killing(FIRST_PAUSE)
                }
                // The rest has nothing more to wait for. It is asked again: some may have been
                // started, or have been between fork and exec, when the first signal came.
                Phase::Asked(until) if self.exited() && !exited_before => {
                    self.ask(LEFTOVER_GRACE).sooner(until)
                }
                other => other,
            };
            let left = match phase {
                Phase::Killing(ref mut pause) => {
                    let (left, new) = self.tree.kill(self.run_id);
                    self.journal.record.killed += new as u32;
                    // Newcomers mean that somebody forks: be quick. Else be patient.
                    *pause = if new > 0 {
                        FIRST_PAUSE
                    } else {
                        (*pause * 2).min(LAST_PAUSE)
                    };
                    left
                }
                Phase::Asked(_) if self.exited() => self.tree.count(self.run_id),
                _ => 1,
            };
            if self.exited() && left == 0 {
                break;
            }
            self.wait(phase);
        }
        self.reap(reason);
        self.journal.record.empty_at = Some(journal::moment());
        self.journal.write(State::Empty);
    }

    fn exited(&self) -> bool {
        self.journal.record.ended.is_some()
    }

    /// Asks the tree to end, if there is one.
    fn ask(&mut self, grace: u64) -> Phase {
        let agent = (!self.exited()).then_some(self.agent);
        self.tree.ask(agent, self.run_id);
        Phase::Asked(limits::after(limits::now(), grace))
    }

    /// Takes every child that ended, and records the agent's end at once. True if there is no
    /// child left, not even one of another run.
    fn reap(&mut self, reason: Reason) -> bool {
        loop {
            match sys::wait(-1, false) {
                Ok(Some((pid, status))) if pid == self.agent && !self.exited() => {
                    self.journal.record.ended = Some(match status & 0x7f {
                        0 => Ended::Code(status >> 8 & 0xff),
                        signal => Ended::Signal(signal),
                    });
                    self.journal.record.reason = Some(reason);
                    self.journal.record.exited_at = Some(journal::moment());
                    self.journal.record.slept = self.watch.slept();
                    self.journal.write(State::Exited);
                }
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(e) => return e == sys::ECHILD,
            }
        }
    }

    /// Sleeps until a signal comes or the phase has something to do.
    fn wait(&self, phase: Phase) {
        let until = match phase {
            Phase::Running => self.watch.next(),
            // What has to end may write all the same.
            Phase::Asked(until) => self.watch.next().map(|next| next.min(until)).or(Some(until)),
            Phase::Killing(pause) => Some(limits::after(limits::now(), pause)),
        };
        let timeout = until.map(|until| {
            let left = until.saturating_sub(limits::now());
            let (secs, nanos) = (left / 1_000_000_000, left % 1_000_000_000);
            sys::Timespec {
                secs: secs as i64,
                nanos: nanos as i64,
            }
        });
        let mut fds = [sys::PollFd {
            fd: self.signals,
            events: sys::POLLIN,
            revents: 0,
        }];
        let _ = sys::poll(&mut fds, timeout);
    }
}
