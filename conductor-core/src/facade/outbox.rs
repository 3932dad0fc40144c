//! Telling the webhook what waits for it.

use super::conductor::Conductor;
use super::doctor::{Finding, FindingKind, damaged};
use super::record::Record;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::{CONDUCTOR, OUTBOX};
use crate::limits;
use crate::outbox::{self, Delivery, Manner, OutboxEvent, Receiver, ReceiverState};
use crate::sys::{News, Poller, Watch};
use crate::wait::rest;
use std::time::Duration;

/// How long an event may wait to be told before that is worth a finding.
const LATE: Duration = Duration::from_secs(60);
/// The shortest pause between two looks at what waits.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two looks for the first event.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The events that wait for the webhook; from [`Conductor::outbox`].
///
/// The library tells nothing by itself: it owns no thread. It puts events into the outbox as they happen,
/// and whoever calls [`deliver`](Outbox::deliver), in this process or another, tells them.
#[derive(Clone, Copy, Debug)]
pub struct Outbox<'a>(pub(super) &'a Conductor);

impl Outbox<'_> {
    /// What waits, the oldest first.
    ///
    /// # Errors
    /// `outbox.corrupt` for a file that tells of no event; [`Conductor::doctor`] names all of them.
    pub fn list(&self) -> Result<Vec<OutboxEvent>> {
        let (events, damaged) = self.store().list()?;
        match damaged.into_iter().next() {
            None => Ok(events),
            Some(error) => Err(error),
        }
    }

    /// Tells the webhook what waits and is due, and what becomes due before the wait is over. The end of
    /// the wait is no error.
    ///
    /// Several processes may do so at once: each event is told by one of them. A receiver that failed
    /// several times in a row is left alone for up to a minute.
    ///
    /// # Errors
    /// `webhook.none` where events wait and no webhook is configured; `outbox.corrupt` for an event that
    /// cannot be read, once all others were tried; `http.unsupported` in a library without HTTP.
    pub fn deliver(&self, wait: impl Into<Wait>) -> Result<Delivery> {
        let wait = wait.into();
        self.tell_webhook(&Manner { eager: false, patient: true, call: wait.clone() }, &wait)
    }

    /// As [`deliver`](Outbox::deliver), and tries everything, due or not; what fails, again after seconds.
    ///
    /// # Errors
    /// As [`deliver`](Outbox::deliver).
    pub fn deliver_now(&self, wait: impl Into<Wait>) -> Result<Delivery> {
        let wait = wait.into();
        self.tell_webhook(&Manner { eager: true, patient: true, call: wait.clone() }, &wait)
    }

    /// As [`deliver`](Outbox::deliver), to a receiver of the caller's own.
    ///
    /// # Errors
    /// `outbox.corrupt`.
    pub fn deliver_to(
        &self,
        receiver: &mut dyn Receiver,
        wait: impl Into<Wait>,
    ) -> Result<Delivery> {
        let wait = wait.into();
        let manner = Manner { eager: false, patient: true, call: wait.clone() };
        outbox::deliver(&self.store(), receiver, &manner, &wait)
    }

    /// Tells the webhook what comes until the wait is over, then what is left, for at most `at_end`: for a
    /// thread beside other work. Without news it looks every 30 seconds. The end of the wait does not end
    /// a call that is under way; `webhook.timeout` does.
    ///
    /// # Errors
    /// As [`deliver`](Outbox::deliver), but an event that cannot be read ends nothing.
    pub fn serve(&self, wait: impl Into<Wait>, at_end: Duration) -> Result<Delivery> {
        let wait = wait.into();
        let Some(folder) = self.folder_in_time(&wait)? else { return self.deliver(at_end) };
        let failed = |e| folder.error("watch", "", e);
        let poller = Poller::new().map_err(failed)?;
        let names = Watch::join(&poller, 1, News::Names).map_err(failed)?;
        names.add(folder.path()).map_err(failed)?;
        if let Some(cancel) = wait.cancel().and_then(crate::Cancel::fd) {
            poller.add(cancel, 2).map_err(failed)?;
        }
        let manner = Manner { eager: false, patient: false, call: Wait::FOREVER };
        while wait.check().is_ok() {
            names.drain();
            let next = match self.tell_webhook(&manner, &wait) {
                Ok(told) => told.next,
                Err(error) if error.kind() == ErrorKind::Corrupt => None,
                Err(error) => return Err(error),
            };
            let longest = limits::SAFETY_POLL;
            let pause = next.map_or(longest, |next| next.since(folder.os().now()).min(longest));
            let left = wait.remaining().unwrap_or(pause);
            // What is due now may be in another process's hand: no busy loop.
            poller.wait(Some(pause.min(left).max(PAUSE))).map_err(failed)?;
        }
        self.deliver(at_end)
    }

    /// The folder of the outbox once there is one, which the first event makes; `None` when the wait is
    /// over before. Nothing is made here: the root may not exist.
    fn folder_in_time(&self, wait: &Wait) -> Result<Option<Folder>> {
        let mut pause = PAUSE;
        while wait.check().is_ok() {
            if let Some(folder) = self.store().folder()? {
                return Ok(Some(folder));
            }
            rest(wait, pause)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(None)
    }

    fn store(&self) -> outbox::Outbox {
        outbox::Outbox::of(self.0.engine.layout())
    }

    fn tell_webhook(&self, manner: &Manner, wait: &Wait) -> Result<Delivery> {
        let store = self.store();
        let webhook = &self.0.config().webhook;
        if webhook.url.is_none() {
            return match store.count()? {
                0 => Ok(Delivery::default()),
                waiting => Err(no_webhook(waiting)),
            };
        }
        call_webhook(&store, webhook, manner, wait)
    }
}

#[cfg(feature = "http")]
fn call_webhook(
    store: &outbox::Outbox,
    webhook: &crate::config::Webhook,
    manner: &Manner,
    wait: &Wait,
) -> Result<Delivery> {
    let mut caller = super::webhook::Caller::of(webhook);
    outbox::deliver(store, &mut caller, manner, wait)
}

#[cfg(not(feature = "http"))]
fn call_webhook(
    _store: &outbox::Outbox,
    _webhook: &crate::config::Webhook,
    _manner: &Manner,
    _wait: &Wait,
) -> Result<Delivery> {
    Err(Error::new(
        ErrorKind::Unsupported,
        "http.unsupported",
        "this library was built without HTTP",
    )
    .with_hint("build it with the feature http, or take the events with deliver_to"))
}

fn no_webhook(waiting: u64) -> Error {
    let message = format!("{waiting} events wait for a webhook, and none is configured");
    Error::invalid("webhook.none", "webhook.url", message)
        .with_hint("name the configuration with --config, or remove .conductor/outbox in the root")
}

impl Conductor {
    /// The events that wait for the webhook.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox(self)
    }

    /// Adds what does not reach the webhook. An outbox that cannot be looked at is a finding too.
    pub(super) fn look_at_outbox(&self, found: &mut Vec<Finding>) -> Result<()> {
        if let Err(error) = self.find_untold(found) {
            let path = self.root().join(CONDUCTOR).join(OUTBOX);
            let way_out = "make it a folder that you may read and write: no run can be closed whose end \
                           is to be told";
            found.push(Finding { way_out: way_out.to_owned(), ..damaged(&error, &path) });
        }
        Ok(())
    }

    fn find_untold(&self, found: &mut Vec<Finding>) -> Result<()> {
        let store = self.outbox().store();
        let Some(folder) = store.folder()? else { return Ok(()) };
        let (events, wrong) = store.list()?;
        found.extend(wrong.iter().map(|error| damaged(error, folder.path())));
        let now = self.engine.now();
        // What just happened is about to be told.
        let late = |event: &&OutboxEvent| event.attempts > 0 || now.since(event.at) > LATE;
        if let Some(oldest) = events.iter().find(late) {
            let (waiting, since) = (events.len(), oldest.at.human());
            let tried = oldest.attempts;
            let mut text = format!(
                "events that wait for the webhook: {waiting}, the oldest since {since}, tried {tried} times"
            );
            let state = ReceiverState::read(&folder)?;
            let next = events.iter().filter_map(|event| event.next).min();
            if let Some(next) = next.filter(|next| *next > now) {
                text.push_str(&format!(", the next try at {}", next.human()));
            }
            if let Some(until) = state.rests_until.filter(|_| state.rests(now)) {
                let failures = state.failures;
                text.push_str(&format!(
                    ", the receiver left alone until {} after {failures} failures in a row",
                    until.human()
                ));
            }
            if let Some(error) = state.error.as_ref().or(oldest.error.as_ref()) {
                text.push_str(": ");
                text.push_str(error);
            }
            found.push(Finding {
                kind: FindingKind::NotTold,
                path: folder.path().to_owned(),
                text,
                way_out: "mend the receiver, then `run-agent webhook deliver`".to_owned(),
            });
        }
        let dropped = store.dropped()?;
        if dropped.count > 0 {
            let last =
                dropped.at.map_or_else(String::new, |at| format!(", the last at {}", at.human()));
            found.push(Finding {
                kind: FindingKind::NotTold,
                text: format!(
                    "events that were given up: {}{last}; nobody took them",
                    dropped.count
                ),
                way_out: format!("mend the receiver, then remove {}", dropped.path.display()),
                path: dropped.path,
            });
        }
        Ok(())
    }
}

impl From<&OutboxEvent> for Record {
    fn from(event: &OutboxEvent) -> Record {
        let mut record = Record::default();
        record.put("event_id", event.id.as_str());
        record.put("event", event.kind.as_str());
        record.put("at", event.at.to_string());
        record.put("attempts", u64::from(event.attempts));
        record.put_known("next_attempt", event.next.map(|next| next.to_string()));
        record.put_known("error", event.error.as_deref());
        record.put("body", event.body.as_str());
        record
    }
}

impl From<&Delivery> for Record {
    fn from(told: &Delivery) -> Record {
        let mut record = Record::default();
        record.put("delivered", told.delivered);
        record.put("failed", told.failed);
        record.put("left", told.left);
        record.put("given_up", told.given_up);
        record.put_known("error", told.error.as_deref());
        record.put_known("next_attempt", told.next.map(|next| next.to_string()));
        record
    }
}
