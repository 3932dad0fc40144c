//! The three time limits: first byte, idle, total.
//!
//! Time is `CLOCK_MONOTONIC`, which stands still while the machine is suspended. Output is seen
//! as a change of the files' sizes, so nobody has to read them, and a limit holds without a
//! living driver.

use crate::record::Reason;
use crate::syscall as sys;

const MS: u64 = 1_000_000;

/// Limits in milliseconds; 0 is none.
#[derive(Clone, Copy)]
pub struct Limits {
    pub first_byte: u64,
    pub idle: u64,
    pub total: u64,
}

/// The limits of an agent that runs. All times are nanoseconds of `now()`.
pub struct Watch {
    limits: Limits,
    since: u64,
    sizes: (u64, u64),
    grown: u64,
    silent: bool,
}

/// Nanoseconds of the clock the limits use.
pub fn now() -> u64 {
    let t = sys::clock(sys::MONOTONIC);
    t.secs as u64 * 1_000_000_000 + t.nanos as u64
}

/// The moment `ms` milliseconds after `from`; far away rather than wrapped around.
pub fn after(from: u64, ms: u64) -> u64 {
    from.saturating_add(ms.saturating_mul(MS))
}

fn sizes() -> (u64, u64) {
    let size = |fd| sys::fstat(fd).map_or(0, |(_, size)| size);
    (size(1), size(2))
}

impl Watch {
    /// To be called before the agent runs: what is in the files now is not its output.
    pub fn start(limits: Limits) -> Watch {
        let since = now();
        Watch {
            limits,
            since,
            sizes: sizes(),
            grown: since,
            silent: true,
        }
    }

    /// The limit that is overrun, if any.
    pub fn overrun(&mut self) -> Option<Reason> {
        let Limits {
            first_byte,
            idle,
            total,
        } = self.limits;
        if (first_byte, idle, total) == (0, 0, 0) {
            return None;
        }
        let (sizes, now) = (sizes(), now());
        if sizes != self.sizes {
            (self.sizes, self.grown, self.silent) = (sizes, now, false);
        }
        if total != 0 && now >= after(self.since, total) {
            Some(Reason::Total)
        } else if first_byte != 0 && self.silent && now >= after(self.since, first_byte) {
            Some(Reason::FirstByte)
        } else if idle != 0 && now >= after(self.grown, idle) {
            Some(Reason::Idle)
        } else {
            None
        }
    }

    /// When to look again; `None` if there is nothing to look for.
    pub fn next(&self) -> Option<u64> {
        let Limits {
            first_byte,
            idle,
            total,
        } = self.limits;
        let total = (total != 0).then(|| after(self.since, total));
        let first = (first_byte != 0 && self.silent).then(|| after(self.since, first_byte));
        // Growth counts from when it was seen, so a look every sixteenth bounds the delay.
        let look = (idle / 16).clamp(20, 5_000);
        let idle = (idle != 0).then(|| after(self.grown, idle).min(after(now(), look)));
        [total, first, idle].into_iter().flatten().min()
    }
}
