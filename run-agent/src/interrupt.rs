//! What ends a command from outside, as a switch that ends waits: Ctrl-C, SIGTERM, and a reader of
//! our output who went away.

use conductor_core::{Cancel, Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A switch that the first Ctrl-C or SIGTERM sets. From the second one on, the signal does what it
/// does to every program.
pub(crate) fn switch() -> Result<Cancel> {
    let cancel = Cancel::new();
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let switch = cancel.clone();
    beside("signals", move || {
        let mut asked = false;
        for signal in signals.forever() {
            if asked {
                // Only fails for signals that cannot be caught.
                let _sent = signal_hook::low_level::emulate_default_handler(signal);
            }
            asked = true;
            switch.set();
        }
    })?;
    Ok(cancel)
}

/// As [`switch`], set also when nobody reads standard output any more: a follower with nothing to
/// print would not notice by printing.
pub(crate) fn switch_of_follower() -> Result<Cancel> {
    let cancel = switch()?;
    let switch = cancel.clone();
    beside("reader", move || {
        let stdout = std::io::stdout();
        loop {
            // Nothing is asked for: what is left to report is that the other end is closed.
            let mut reader = [PollFd::new(&stdout, PollFlags::empty())];
            match poll(&mut reader, None) {
                Err(Errno::INTR) | Ok(0) => {}
                _ => return switch.set(),
            }
        }
    })?;
    Ok(cancel)
}

/// Runs `work` in a thread that ends with the process.
fn beside(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(failed)
}

pub(crate) fn failed(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "signals.failed", "cannot listen for signals").with_source(source)
}
