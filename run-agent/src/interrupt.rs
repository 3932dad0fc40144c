//! Ctrl-C and SIGTERM, as a switch that ends waits.

use conductor_core::{Cancel, Error, ErrorKind, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A switch that the first Ctrl-C or SIGTERM sets. From the second one on, the signal does what it
/// does to every program.
pub(crate) fn switch() -> Result<Cancel> {
    let cancel = Cancel::new();
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let switch = cancel.clone();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut asked = false;
            for signal in signals.forever() {
                if asked {
                    // Only fails for signals that cannot be caught.
                    let _sent = signal_hook::low_level::emulate_default_handler(signal);
                }
                asked = true;
                switch.set();
            }
        })
        .map_err(failed)?;
    Ok(cancel)
}

fn failed(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "signals.failed", "cannot listen for signals").with_source(source)
}
