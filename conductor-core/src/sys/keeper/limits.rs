//! The limits: first byte, idle, total, and the length of the output.
//!
//! Time is `CLOCK_MONOTONIC`, which stands still while the machine is suspended. Output is seen
//! as a change of the files' sizes, so nobody has to read them, and a limit holds without a
//! living driver.

use crate::journal::Journal;
use crate::record::{Cut, Reason};
use crate::syscall as sys;

const MS: u64 = 1_000_000;
/// Holes begin and end where blocks may.
const BLOCK: u64 = 4096;
/// Cutting less than this at a time is not worth a write to the record.
const LEAST_CUT: u64 = 1 << 20;
/// Between two looks at how long the output is, in nanoseconds: at least, and at most.
const LOOKS: (u64, u64) = (100 * MS, 5_000 * MS);

/// Limits in milliseconds, and in bytes of each output file; 0 is none.
#[derive(Clone, Copy)]
pub struct Limits {
    pub first_byte: u64,
    pub idle: u64,
    pub total: u64,
    pub output: u64,
    /// Whether longer output ends the tree; its middle is cut out otherwise.
    pub stop_on_output: bool,
}

/// The limits of an agent that runs. All times are nanoseconds of `now()`.
pub struct Watch {
    limits: Limits,
    since: u64,
    /// For how long the machine had slept when the agent began.
    asleep: u64,
    sizes: (u64, u64),
    grown: u64,
    silent: bool,
}

/// Nanoseconds of the clock the limits use.
pub fn now() -> u64 {
    nanos(sys::MONOTONIC)
}

fn nanos(clock: usize) -> u64 {
    let t = sys::clock(clock);
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
        // Too much rather than too little: whoever is kept waiting between the clocks did not sleep.
        let asleep = nanos(sys::BOOTTIME).saturating_sub(since);
        Watch {
            limits,
            since,
            asleep,
            sizes: sizes(),
            grown: since,
            silent: true,
        }
    }

    /// For how many seconds the machine slept since the agent began; `None` where it did not.
    pub fn slept(&self) -> Option<u32> {
        let asleep = nanos(sys::BOOTTIME).saturating_sub(now());
        let seconds = asleep.saturating_sub(self.asleep) / 1_000_000_000;
        (seconds > 0).then(|| seconds.min(u32::MAX as u64) as u32)
    }

    /// The limit that is overrun, if any.
    pub fn overrun(&mut self) -> Option<Reason> {
        let Limits {
            first_byte,
            idle,
            total,
            output,
            stop_on_output,
        } = self.limits;
        if (first_byte, idle, total, output) == (0, 0, 0, 0) {
            return None;
        }
        let (sizes, now) = (sizes(), now());
        if sizes != self.sizes {
            (self.sizes, self.grown, self.silent) = (sizes, now, false);
        }
        let longest = sizes.0.max(sizes.1);
        if stop_on_output && output != 0 && longest > output {
            Some(Reason::Output)
        } else if total != 0 && now >= after(self.since, total) {
            Some(Reason::Total)
        } else if first_byte != 0 && self.silent && now >= after(self.since, first_byte) {
            Some(Reason::FirstByte)
        } else if idle != 0 && now >= after(self.grown, idle) {
            Some(Reason::Idle)
        } else {
            None
        }
    }

    /// Cuts the middle out of what is too long: the first and the last half of the limit stay. Said in
    /// the record first, so that no reader takes the zeros for output.
    pub fn trim(&mut self, journal: &mut Journal) {
        let limit = self.limits.output;
        if limit == 0 || self.limits.stop_on_output {
            return;
        }
        let from = (limit / 2).saturating_add(BLOCK - 1) / BLOCK * BLOCK;
        let sizes = sizes();
        for (fd, size) in [(1, sizes.0), (2, sizes.1)] {
            let Some(slot) = journal.record.cuts.get_mut(fd as usize - 1) else {
                continue;
            };
            // An agent that made its file shorter begins anew.
            let done = slot.map_or(from, |cut| cut.to).min(size).max(from);
            let to = size.saturating_sub(limit / 2) / BLOCK * BLOCK;
            if to < done.saturating_add((limit / 8).max(LEAST_CUT)) {
                continue;
            }
            *slot = Some(Cut { from, to });
            let state = journal.record.state;
            journal.write(state);
            let _ = sys::punch_hole(fd, done, to - done);
        }
    }

    /// When to look again; `None` if there is nothing to look for.
    pub fn next(&self) -> Option<u64> {
        let Limits {
            first_byte,
            idle,
            total,
            output,
            ..
        } = self.limits;
        // The longer nothing came, the less often: a short look costs little, and a silent agent none.
        let quiet = now().saturating_sub(self.grown) / 8;
        let output = (output != 0).then(|| now().saturating_add(quiet.max(LOOKS.0).min(LOOKS.1)));
        let total = (total != 0).then(|| after(self.since, total));
        let first = (first_byte != 0 && self.silent).then(|| after(self.since, first_byte));
        // Growth counts from when it was seen, so a look every sixteenth bounds the delay.
        let look = (idle / 16).clamp(20, 5_000);
        let idle = (idle != 0).then(|| after(self.grown, idle).min(after(now(), look)));
        [total, first, idle, output].into_iter().flatten().min()
    }
}
