//! The writer of the `.keeper` file.

use crate::record::{Identity, Moment, Record, SLOT_LEN, State};
use crate::{proc, syscall as sys};

const FILE: i32 = 4;

/// The record as it stands, and how often it was written.
pub struct Journal {
    pub record: Record,
    counter: u64,
}

/// The wall clock.
pub fn moment() -> Moment {
    let t = sys::clock(sys::REALTIME);
    Moment {
        secs: t.secs as u64,
        nanos: t.nanos as u32,
    }
}

impl Journal {
    /// Writes the first record: both identities, state `born`. Without it the end of the run could look
    /// like that of one that never began, so a disk that refuses it is an error.
    pub fn begin(keeper: i32, agent: i32) -> sys::Result<Journal> {
        let mut boot_id = [b'0'; 36];
        let mut buf = [0u8; 64];
        let text = proc::read_file(b"/proc/sys/kernel/random/boot_id\0", &mut buf)?;
        boot_id.copy_from_slice(text.get(..36).ok_or(sys::ENOENT)?);
        let ns = sys::open(b"/proc/self/ns/pid\0", false)?;
        let pid_ns = sys::fstat(ns)?.0;
        sys::close(ns);
        let record = Record {
            keeper: identity(keeper)?,
            agent: identity(agent)?,
            boot_id,
            pid_ns,
            state: State::Born,
            ended: None,
            errno: None,
            reason: None,
            born_at: moment(),
            released_at: None,
            exited_at: None,
            empty_at: None,
            slept: None,
            killed: 0,
            cuts: [None; 2],
        };
        let mut journal = Journal { record, counter: 0 };
        journal.put()?;
        Ok(journal)
    }

    /// Makes `state` and all fields durable. A disk that refuses leaves the slot before; there
    /// is nobody to tell, and the run must be seen to its end all the same.
    pub fn write(&mut self, state: State) {
        self.record.state = state;
        let _ = self.put();
    }

    fn put(&mut self) -> sys::Result<()> {
        self.counter += 1;
        let slot = self.record.encode(self.counter);
        let at = usize::from(self.counter.is_multiple_of(2)) * SLOT_LEN;
        if sys::pwrite(FILE, &slot, at)? != SLOT_LEN {
            return Err(sys::ENOSPC);
        }
        sys::fdatasync(FILE).map(|_| ())
    }
}

fn identity(pid: i32) -> sys::Result<Identity> {
    let start = proc::stat(pid).ok_or(sys::ENOENT)?.start;
    Ok(Identity {
        pid: pid as u32,
        start,
    })
}
