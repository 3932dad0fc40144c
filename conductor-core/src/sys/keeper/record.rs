//! The `.keeper` file: the truth about the processes of one run, in two text slots.
//!
//! The file is 4096 bytes, preallocated and synced by the starter, so that the end of a run can
//! be recorded on a full disk. The keeper rewrites the slots at 0 and 512 alternately; whatever
//! a crash tears, the other slot still holds the state before. A slot is lines `key: value`, the
//! last one `crc32c: <8 hex>` over every byte before that line, then line feeds up to 512.
//!
//! This source is compiled twice: into the freestanding keeper, which writes, and into the
//! core, which reads. Hence `core` only, and no allocation.

/// Length of the whole file.
pub const FILE_LEN: usize = 4096;
/// Length of one slot; slot `n` begins at `n * SLOT_LEN`.
pub const SLOT_LEN: usize = 512;

/// A process that cannot be confused with a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Process id, in the pid namespace of the record.
    pub pid: u32,
    /// Start time in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    pub start: u64,
}

/// A moment on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970.
    pub secs: u64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

/// How far the run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The agent's process exists and is held before its program.
    Born,
    /// The agent runs its program.
    Released,
    /// The agent has ended; others of its tree may still live.
    Exited,
    /// The agent and all of its tree have ended. Final.
    Empty,
    /// The agent's process was ended before it ran anything. Final.
    NeverStarted,
    /// The program could not be executed; `errno` says why. Final.
    ExecFailed,
}

impl State {
    const ALL: [(State, &'static str); 6] = [
        (State::Born, "born"),
        (State::Released, "released"),
        (State::Exited, "exited"),
        (State::Empty, "empty"),
        (State::NeverStarted, "never_started"),
        (State::ExecFailed, "exec_failed"),
    ];

    /// Its word in the record.
    pub fn word(self) -> &'static str {
        name(&State::ALL, self)
    }
}

/// What ended the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The agent ended on its own, or by a signal that was not the keeper's.
    Exit,
    /// The keeper was asked to stop it (SIGTERM or SIGUSR1).
    Stopped,
    /// Not one byte of output in time.
    FirstByte,
    /// Output stood still for too long.
    Idle,
    /// The run took too long.
    Total,
    /// It wrote more than it may.
    Output,
    /// The starter went away before it released the agent.
    StarterDied,
}

impl Reason {
    const ALL: [(Reason, &'static str); 7] = [
        (Reason::Exit, "exit"),
        (Reason::Stopped, "stopped"),
        (Reason::FirstByte, "first_byte"),
        (Reason::Idle, "idle"),
        (Reason::Total, "total"),
        (Reason::Output, "output"),
        (Reason::StarterDied, "starter_died"),
    ];

    /// Its word in the record.
    pub fn word(self) -> &'static str {
        name(&Reason::ALL, self)
    }
}

/// The agent's exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its exit code.
    Code(u32),
    /// The signal it died of.
    Signal(u32),
}

/// A part of an output file that was cut out: a hole of zeros stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its first byte.
    pub from: u64,
    /// The byte behind it.
    pub to: u64,
}

/// What one slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The keeper.
    pub keeper: Identity,
    /// The agent.
    pub agent: Identity,
    /// `/proc/sys/kernel/random/boot_id`; identities hold for this boot only.
    pub boot_id: [u8; 36],
    /// Inode of `/proc/self/ns/pid`; pids mean something in this namespace only.
    pub pid_ns: u64,
    /// How far the run has come.
    pub state: State,
    /// How the agent ended, once it has.
    pub ended: Option<Ended>,
    /// Why its program could not be executed.
    pub errno: Option<u32>,
    /// What ended the run, once something has.
    pub reason: Option<Reason>,
    /// When the agent's process was made.
    pub born_at: Moment,
    /// When it was let go.
    pub released_at: Option<Moment>,
    /// When its end was seen.
    pub exited_at: Option<Moment>,
    /// When nothing of its tree was left.
    pub empty_at: Option<Moment>,
    /// For how many seconds the machine slept while the agent ran, where it did: wall clocks went on.
    pub slept: Option<u32>,
    /// How many processes had to be ended by SIGKILL.
    pub killed: u32,
    /// What was cut out of the standard output and of the standard error.
    pub cuts: [Option<Cut>; 2],
}

/// The keys of the cuts.
const CUTS: [&str; 2] = ["cut_stdout", "cut_stderr"];

impl Record {
    /// Whether processes of the tree may have been left: the keeper did not see the last of them end.
    pub fn left_work(&self) -> bool {
        matches!(self.state, State::Released | State::Exited)
    }

    /// The slot's bytes, for the `counter`-th write of this file (the first is 1).
    pub fn encode(&self, counter: u64) -> [u8; SLOT_LEN] {
        let mut t = Text::<SLOT_LEN>::filled(b'\n');
        for (key, id) in [("keeper: ", self.keeper), ("agent: ", self.agent)] {
            t.str(key).num(id.pid.into()).str(" ").num(id.start).str("\n");
        }
        t.str("boot_id: ").bytes(&self.boot_id).str("\n");
        t.str("pid_ns: ").num(self.pid_ns).str("\n");
        t.str("state: ").str(self.state.word()).str("\n");
        match self.ended {
            Some(Ended::Code(n)) => t.str("code: ").num(n.into()).str("\n"),
            Some(Ended::Signal(n)) => t.str("signal: ").num(n.into()).str("\n"),
            None => &mut t,
        };
        if let Some(n) = self.errno {
            t.str("errno: ").num(n.into()).str("\n");
        }
        if let Some(r) = self.reason {
            t.str("reason: ").str(r.word()).str("\n");
        }
        for (key, at) in [
            ("born_at: ", Some(self.born_at)),
            ("released_at: ", self.released_at),
            ("exited_at: ", self.exited_at),
            ("empty_at: ", self.empty_at),
        ] {
            if let Some(at) = at {
                t.str(key).num(at.secs).str(".").digits(at.nanos.into(), 9).str("\n");
            }
        }
        if let Some(n) = self.slept {
            t.str("slept: ").num(n.into()).str("\n");
        }
        t.str("killed: ").num(self.killed.into()).str("\n");
        for (key, cut) in CUTS.into_iter().zip(self.cuts) {
            if let Some(cut) = cut {
                t.str(key).str(": ").num(cut.from).str(" ").num(cut.to).str("\n");
            }
        }
        t.str("counter: ").num(counter).str("\n");
        let crc = crc32c(t.done());
        t.str("crc32c: ").hex8(crc).str("\n");
        t.buf
    }

    /// The counter and the record of a slot; `None` for one that is empty, torn or foreign.
    pub fn decode(slot: &[u8]) -> Option<(u64, Record)> {
        const LAST: &[u8] = b"\ncrc32c: ";
        let at = slot.windows(LAST.len()).rposition(|w| w == LAST)? + 1;
        let (body, tail) = (slot.get(..at)?, slot.get(at + LAST.len() - 1..)?);
        let (crc, padding) = (tail.get(..8)?, tail.get(8..)?);
        if parse_hex8(crc)? != crc32c(body) || padding.iter().any(|b| *b != b'\n') {
            return None;
        }
        let time = |key| match value(body, key) {
            Some(v) => moment(v).map(Some),
            None => Some(None),
        };
        let small = |key| match value(body, key) {
            Some(v) => number(v).and_then(|n| u32::try_from(n).ok()).map(Some),
            None => Some(None),
        };
        let cut = |key| match value(body, key) {
            Some(v) => pair(v).map(|(from, to)| Some(Cut { from, to })),
            None => Some(None),
        };
        let ended = match (small("code")?, small("signal")?) {
            (Some(n), None) => Some(Ended::Code(n)),
            (None, Some(n)) => Some(Ended::Signal(n)),
            (None, None) => None,
            (Some(_), Some(_)) => return None,
        };
        let reason = match value(body, "reason") {
            Some(v) => Some(by_name(&Reason::ALL, v)?),
            None => None,
        };
        let record = Record {
            keeper: identity(value(body, "keeper")?)?,
            agent: identity(value(body, "agent")?)?,
            boot_id: value(body, "boot_id")?.try_into().ok()?,
            pid_ns: number(value(body, "pid_ns")?)?,
            state: by_name(&State::ALL, value(body, "state")?)?,
            ended,
            errno: small("errno")?,
            reason,
            born_at: time("born_at")??,
            released_at: time("released_at")?,
            exited_at: time("exited_at")?,
            empty_at: time("empty_at")?,
            slept: small("slept")?,
            killed: small("killed")??,
            cuts: [cut("cut_stdout")?, cut("cut_stderr")?],
        };
        Some((number(value(body, "counter")?)?, record))
    }

    /// The newest valid slot of a file's bytes.
    pub fn latest(file: &[u8]) -> Option<(u64, Record)> {
        let slots = [file.get(..SLOT_LEN), file.get(SLOT_LEN..2 * SLOT_LEN)];
        slots.into_iter().flatten().filter_map(Record::decode).max_by_key(|(counter, _)| *counter)
    }
}

/// Text of at most `N` bytes, built without allocation; what does not fit is left out.
pub struct Text<const N: usize> {
    buf: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// Empty text in a buffer of `fill` bytes.
    pub fn filled(fill: u8) -> Self {
        Text { buf: [fill; N], len: 0 }
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        append(&mut self.buf, &mut self.len, bytes);
        self
    }

    /// Appends a string.
    pub fn str(&mut self, s: &str) -> &mut Self {
        self.bytes(s.as_bytes())
    }

    /// Appends a decimal number.
    pub fn num(&mut self, n: u64) -> &mut Self {
        self.digits(n, 1)
    }

    /// Appends a decimal number with leading zeros up to `width` digits.
    pub fn digits(&mut self, n: u64, width: usize) -> &mut Self {
        append_digits(&mut self.buf, &mut self.len, n, width);
        self
    }

    /// Appends eight lower-case hexadecimal digits.
    pub fn hex8(&mut self, n: u32) -> &mut Self {
        for shift in (0..8).rev() {
            let digit = (n >> (shift * 4) & 15) as u8;
            self.bytes(&[if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }]);
        }
        self
    }

    /// What was appended.
    pub fn done(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// The whole buffer, with its fill behind the text.
    pub fn whole(&self) -> &[u8; N] {
        &self.buf
    }
}

// Not inlined, and not generic: the keeper calls these in some fifty places.

#[inline(never)]
fn append(buf: &mut [u8], len: &mut usize, bytes: &[u8]) {
    for (to, from) in buf.iter_mut().skip(*len).zip(bytes) {
        *to = *from;
        *len += 1;
    }
}

#[inline(never)]
fn append_digits(buf: &mut [u8], len: &mut usize, mut n: u64, width: usize) {
    let mut out = [b'0'; 20];
    let mut used = 0;
    for slot in out.iter_mut().rev() {
        if n == 0 && used >= width {
            break;
        }
        *slot = b'0' + (n % 10) as u8;
        n /= 10;
        used += 1;
    }
    append(buf, len, out.get(out.len() - used..).unwrap_or_default());
}

/// A decimal number: digits only, at least one, no overflow.
pub fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// CRC-32C (Castagnoli), bit by bit: half a kilobyte a few times per run needs no table.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| (c >> 1) ^ (0x82f6_3b78 & (c & 1).wrapping_neg()))
    })
}

fn name<T: Copy + PartialEq>(all: &[(T, &'static str)], item: T) -> &'static str {
    all.iter().find(|(i, _)| *i == item).map_or("", |(_, name)| name)
}

fn by_name<T: Copy>(all: &[(T, &'static str)], text: &[u8]) -> Option<T> {
    all.iter().find(|(_, name)| name.as_bytes() == text).map(|(item, _)| *item)
}

fn value<'a>(body: &'a [u8], key: &str) -> Option<&'a [u8]> {
    body.split(|b| *b == b'\n')
        .find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b": "))
}

fn pair(text: &[u8]) -> Option<(u64, u64)> {
    let gap = text.iter().position(|b| *b == b' ')?;
    Some((number(text.get(..gap)?)?, number(text.get(gap + 1..)?)?))
}

fn identity(text: &[u8]) -> Option<Identity> {
    let (pid, start) = pair(text)?;
    Some(Identity { pid: u32::try_from(pid).ok()?, start })
}

fn moment(text: &[u8]) -> Option<Moment> {
    let dot = text.iter().position(|b| *b == b'.')?;
    let nanos = text.get(dot + 1..).filter(|n| n.len() == 9)?;
    Some(Moment { secs: number(text.get(..dot)?)?, nanos: u32::try_from(number(nanos)?).ok()? })
}

fn parse_hex8(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |n, b| {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            _ => return None,
        };
        Some(n << 4 | u32::from(digit))
    })
}
