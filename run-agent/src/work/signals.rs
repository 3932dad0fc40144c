//! Ctrl-C, SIGTERM and a closed terminal, for commands that stay with work.
//!
//! The handlers only note the signal; a thread passes it on as something that can be polled. A
//! closed terminal (SIGHUP) is noted by nobody: the work does not depend on who looks at it.

use crate::interrupt::failed;
use conductor_core::{Cancel, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Incoming;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM: this process shall go away.
    Terminate,
}

/// The signals of this process since they were listened to.
#[derive(Debug)]
pub(crate) struct Signals {
    first: Cancel,
    news: UnixStream,
}

impl Signals {
    /// Listens from now on, to the end of the process.
    pub(crate) fn listen() -> Result<Signals> {
        let first = Cancel::new();
        let (news, mut told) = UnixStream::pair().map_err(failed)?;
        news.set_nonblocking(true).map_err(failed)?;
        let mut incoming = Incoming::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
        let switch = first.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in incoming.forever() {
                    let word = match signal {
                        SIGINT => b"i",
                        SIGTERM => b"t",
                        _ => continue,
                    };
                    // The other end lives as long as somebody asks.
                    if told.write_all(word).is_ok() {
                        switch.set();
                    }
                }
            })
            .map_err(failed)?;
        Ok(Signals { first, news })
    }

    /// A switch that the first of them sets, for waits that can do nothing else than end.
    pub(crate) fn first(&self) -> &Cancel {
        &self.first
    }

    /// Readable when [`take`](Signals::take) has something.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }

    /// The next signal that was not taken yet.
    pub(crate) fn take(&self) -> Option<Asked> {
        let mut word = [0];
        match (&self.news).read(&mut word) {
            Ok(1) if word == *b"i" => Some(Asked::Interrupt),
            Ok(1) => Some(Asked::Terminate),
            _ => None,
        }
    }
}
