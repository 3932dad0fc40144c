//! Telling the webhook beside the work, and what is left at the end of the command.

use conductor_core::{Cancel, Conductor, Wait};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a command calls the webhook at its end, unless the configuration says otherwise.
const AT_EXIT: Duration = Duration::from_secs(5);
/// What is left to a call that is under way at the very end.
const GRACE: Duration = Duration::from_millis(200);

/// A thread that tells the webhook what happens. Work never waits for it.
#[derive(Debug)]
pub(crate) struct Courier {
    cancel: Cancel,
    at_exit: Duration,
    ended: Receiver<()>,
}

impl Courier {
    /// Begins to tell; `None` where there is no webhook.
    pub(crate) fn start(conductor: &Conductor) -> Option<Courier> {
        let webhook = &conductor.config().webhook;
        webhook.url.as_ref()?;
        let at_exit = webhook.at_exit.unwrap_or(AT_EXIT);
        let (cancel, conductor) = (Cancel::new(), conductor.clone());
        let switch = cancel.clone();
        let (end, ended) = channel();
        let work = move || {
            if let Err(error) = conductor.outbox().serve(Wait::from(&switch), at_exit) {
                tracing::warn!(name: "webhook_failed", %error, "events wait for the next command");
            }
            let _nobody_waits = end.send(());
        };
        let thread = std::thread::Builder::new().name("webhook".to_owned());
        match thread.spawn(work) {
            Ok(_beside) => Some(Courier { cancel, at_exit, ended }),
            Err(error) => {
                tracing::warn!(name: "webhook_failed", %error, "events wait for the next command");
                None
            }
        }
    }

    /// Gives it a bounded time for what is left. The rest stands on disk for the next command.
    pub(crate) fn finish(self) {
        self.cancel.set();
        let _told_or_left = self.ended.recv_timeout(self.at_exit + GRACE);
    }
}
