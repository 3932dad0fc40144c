//! The controlling terminal: whose keys go where, and the modes that a program leaves behind.
//!
//! A shell gives the terminal to one process group at a time. Who runs a program in a group of its own
//! has to pass the terminal on, and to take it back.

use super::spawn_clone::BlockedSignals;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, getpgrp, test_kill_process_group};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};
use std::io;
use std::os::fd::OwnedFd;

/// The controlling terminal of this process.
#[derive(Debug)]
pub(crate) struct Terminal {
    fd: OwnedFd,
    /// The group that the terminal was given to us in.
    own: Pid,
    /// How it was set before anybody here changed it.
    before: Option<Termios>,
    /// How the program set it, kept while it is stopped.
    programs: Option<Termios>,
    /// Whether it was passed on.
    given: bool,
}

impl Terminal {
    /// The controlling terminal; `None` where there is none.
    pub(crate) fn controlling() -> io::Result<Option<Terminal>> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match rustix::fs::open("/dev/tty", flags, Mode::empty()) {
            Ok(fd) => fd,
            // No terminal, a terminal that hung up, or a system without the device.
            Err(Errno::NXIO | Errno::IO | Errno::NOENT | Errno::NODEV | Errno::ACCESS) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut terminal =
            Terminal { fd, own: getpgrp(), before: None, programs: None, given: false };
        if terminal.is_ours()? {
            terminal.before = lost(tcgetattr(&terminal.fd))?;
        }
        Ok(Some(terminal))
    }

    /// Whether the keys go to the group that this process is in.
    pub(crate) fn is_ours(&self) -> io::Result<bool> {
        Ok(self.owner()? == Some(self.own))
    }

    /// The group that the keys go to; `None` where the terminal is gone.
    fn owner(&self) -> io::Result<Option<Pid>> {
        lost(tcgetpgrp(&self.fd))
    }

    /// Passes the terminal on to a group, set as its program left it, where it is ours to give.
    pub(crate) fn give(&mut self, group: Pid) -> io::Result<bool> {
        if !self.is_ours()? {
            return Ok(false);
        }
        if let Some(modes) = &self.programs {
            lost(tcsetattr(&self.fd, OptionalActions::Now, modes))?;
        }
        self.hand(group)?;
        self.given = true;
        Ok(true)
    }

    /// Takes the terminal back from a group, where that has it, or passed it on to a group that is gone.
    /// With `reset`, its modes are again those from before the program.
    pub(crate) fn take(&mut self, group: Pid, reset: bool) -> io::Result<()> {
        let Some(owner) = self.owner()? else { return Ok(()) };
        let gone = || test_kill_process_group(owner) == Err(Errno::SRCH);
        if owner != group && !(self.given && owner != self.own && gone()) {
            return Ok(());
        }
        self.programs = lost(tcgetattr(&self.fd))?;
        self.hand(self.own)?;
        if let (true, Some(modes)) = (reset, &self.before) {
            lost(tcsetattr(&self.fd, OptionalActions::Now, modes))?;
        }
        Ok(())
    }

    fn hand(&self, group: Pid) -> io::Result<()> {
        // Who is not in front and does this gets SIGTTOU, unless the thread blocks it.
        let _blocked = BlockedSignals::new()?;
        match tcsetpgrp(&self.fd, group) {
            // Nobody of the group is left.
            Err(Errno::PERM | Errno::SRCH) => Ok(()),
            done => lost(done).map(drop),
        }
    }
}

/// The answer of a terminal; `None` where it hung up meanwhile, which is no failure: there is nothing
/// left to be passed on.
fn lost<T>(answer: rustix::io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Errno::IO | Errno::NOTTY | Errno::NXIO) => Ok(None),
        // The owner's number may have gone out of this pid namespace.
        Err(Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
