//! Telling what waits.

use super::pace;
use super::receiver::{Receiver, ReceiverState};
use super::store::{Outbox, OutboxEvent};
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::time::Timestamp;
use crate::wait::rest;
use std::time::Duration;

/// What became of what waited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Events that the receiver took.
    pub delivered: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Events that still wait.
    pub left: u64,
    /// Events that were given up: nobody took them for days. They are counted in the outbox too.
    pub given_up: u64,
    /// Why the last try failed.
    pub error: Option<String>,
    /// When the next one is to be tried, where one waits for its time.
    pub next: Option<Timestamp>,
}

/// How to deliver.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Everything is tried, whether it is due or not and however the receiver was met last; what fails,
    /// again after seconds.
    pub(crate) eager: bool,
    /// What becomes due before the wait is over is waited for.
    pub(crate) patient: bool,
    /// What ends a call that is under way; the wait itself is asked between two calls.
    pub(crate) call: Wait,
}

/// Tells what waits and is due.
///
/// The end of the wait is no error: the report says what is left.
///
/// # Errors
/// What is wrong with the outbox itself; and one event that is damaged, once all others were tried.
pub(crate) fn deliver(
    outbox: &Outbox,
    receiver: &mut dyn Receiver,
    manner: &Manner,
    wait: &Wait,
) -> Result<Delivery> {
    let mut told = Delivery::default();
    let Some(folder) = outbox.folder()? else { return Ok(told) };
    let call = &manner.call;
    let eager = manner.eager;
    let told_now = &mut told;
    let mut pass =
        Pass { folder: &folder, receiver, eager, wait, call, told: told_now, damaged: None };
    for number in 1u32.. {
        pass.run()?;
        let Some(next) = pass.told.next.filter(|_| manner.patient) else { break };
        let pause = match manner.eager {
            // Somebody waits for it.
            true => pace::pause(number.min(3), 20),
            false => next.since(folder.os().now()).max(Duration::from_millis(1)),
        };
        if wait.check().is_err() || wait.remaining().is_some_and(|left| left < pause) {
            break;
        }
        rest(wait, pause)?;
    }
    let damaged = pass.damaged.take();
    told.left = outbox.count()?;
    match damaged {
        Some(error) => Err(error),
        None => Ok(told),
    }
}

/// One look at everything that waits.
struct Pass<'a> {
    folder: &'a Folder,
    receiver: &'a mut dyn Receiver,
    eager: bool,
    wait: &'a Wait,
    call: &'a Wait,
    told: &'a mut Delivery,
    damaged: Option<crate::Error>,
}

impl Pass<'_> {
    fn run(&mut self) -> Result<()> {
        self.told.next = None;
        let mut state = ReceiverState::read(self.folder)?;
        for name in Outbox::names(self.folder)? {
            let now = self.folder.os().now();
            if !self.eager && state.rests(now) {
                self.later(state.rests_until);
                return Ok(());
            }
            if self.wait.check().is_err() {
                self.later(Some(now));
                return Ok(());
            }
            let claim = match Outbox::claim(self.folder, &name) {
                Ok(Some(claim)) => claim,
                Ok(None) => continue,
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.damaged.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !self.eager && !claim.is_due(now) {
                self.later(claim.notice.next);
                continue;
            }
            let event = claim.event(self.folder);
            match self.receiver.take(&event, self.call) {
                Ok(()) => {
                    claim.told(self.folder)?;
                    ReceiverState::took(self.folder)?;
                    state = ReceiverState::default();
                    self.told.delivered += 1;
                    tracing::debug!(
                        name: "webhook_event_delivered", event_id = %event.id,
                        kind = event.kind.as_str(), attempts = event.attempts + 1,
                    );
                }
                // Not the receiver's fault: the wait was ended.
                Err(_) if self.call.cancel().is_some_and(crate::Cancel::is_set) => return Ok(()),
                Err(why) => {
                    let now = self.folder.os().now();
                    log_failure(&event, &why);
                    let waits = claim.failed(self.folder, &why, now)?;
                    state = ReceiverState::failed(self.folder, &why, now)?;
                    self.told.failed += 1;
                    self.told.error = Some(why);
                    match waits {
                        // It is looked at again in the next pass, which tells when it is due.
                        true => self.later(Some(now.plus(pace::pause(1, 0)))),
                        false => self.told.given_up += 1,
                    }
                }
            }
        }
        Ok(())
    }

    /// Something is left for then.
    fn later(&mut self, then: Option<Timestamp>) {
        let Some(then) = then else { return };
        self.told.next = Some(self.told.next.map_or(then, |known| known.min(then)));
    }
}

/// Now and then a receiver fails; one that goes on failing is worth a warning.
fn log_failure(event: &OutboxEvent, why: &str) {
    let (event_id, kind, attempts) = (&event.id, event.kind.as_str(), event.attempts + 1);
    match attempts < 3 {
        true => tracing::info!(
            name: "webhook_delivery_failed", event_id, kind, attempts, error = why,
        ),
        false => tracing::warn!(
            name: "webhook_delivery_failed", event_id, kind, attempts, error = why,
            "the webhook's receiver does not take an event"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{EventKind, Notice, event_id};
    use super::*;
    use crate::layout::Layout;
    use crate::limits;
    use crate::sys::{Os as _, RealOs};
    use serde_json::json;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// Takes events after the answers that it was given; takes all when there are no more.
    #[derive(Default)]
    struct Fake {
        answers: Vec<bool>,
        calls: BTreeMap<String, u32>,
        called_at: Vec<Timestamp>,
    }

    impl Receiver for Fake {
        fn take(&mut self, event: &OutboxEvent, _: &Wait) -> std::result::Result<(), String> {
            *self.calls.entry(event.id.clone()).or_default() += 1;
            self.called_at.push(RealOs.now());
            match self.answers.pop().unwrap_or(true) {
                true => Ok(()),
                false => Err("503 Service Unavailable".to_owned()),
            }
        }
    }

    fn filled(count: u64, age: Duration) -> (tempfile::TempDir, Outbox) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().join("root"));
        let outbox = Outbox::of(&layout);
        let start = layout.os().now().minus(age);
        for number in 0..count {
            let at = start.plus(Duration::from_millis(number));
            let id = event_id(layout.path(), EventKind::RunStop, &number.to_string(), at);
            let notice = Notice::new(id, EventKind::RunStop, at, [("number", json!(number))]);
            outbox.put(&notice).unwrap();
        }
        (dir, outbox)
    }

    fn tell(
        outbox: &Outbox,
        receiver: &mut dyn Receiver,
        eager: bool,
        wait: &Wait,
    ) -> Result<Delivery> {
        deliver(outbox, receiver, &Manner { eager, patient: true, call: wait.clone() }, wait)
    }

    #[test]
    fn a_receiver_that_fails_now_and_then_gets_everything_in_the_end() {
        let (_dir, outbox) = filled(20, Duration::ZERO);
        let answers = (0..20).map(|number| number % 3 != 0).collect();
        let mut fake = Fake { answers, ..Fake::default() };
        let wait = Wait::from(Duration::from_secs(120));
        let told = tell(&outbox, &mut fake, false, &wait).unwrap();
        assert_eq!((told.delivered, told.left), (20, 0));
        assert_eq!(fake.calls.len(), 20);
        assert_eq!(fake.calls.values().sum::<u32>() as u64, 20 + told.failed);
    }

    #[test]
    fn a_receiver_that_is_down_is_left_alone_and_nothing_is_lost() {
        let (_dir, outbox) = filled(20, Duration::ZERO);
        let mut fake = Fake { answers: vec![false; 1000], ..Fake::default() };
        let at_once = Manner { eager: false, patient: false, call: Wait::FOREVER };
        let told = deliver(&outbox, &mut fake, &at_once, &Wait::FOREVER).unwrap();
        assert_eq!((told.delivered, told.left), (0, 20));
        assert!(told.error.is_some() && told.next.is_some());
        let again = deliver(&outbox, &mut fake, &at_once, &Wait::FOREVER).unwrap();
        assert_eq!((again.delivered, again.left), (0, 20));
        // It is not called for each event, and the next command leaves it alone too: whoever is held up
        // meanwhile, its rest is over when it is called again.
        assert!(fake.called_at.len() >= 5, "{:?}", fake.called_at);
        for (failures, calls) in (1..).zip(fake.called_at.windows(2)) {
            let rest = pace::rest(failures).unwrap_or_default();
            assert!(calls[1] >= calls[0].plus(rest), "{failures} failures: {:?}", fake.called_at);
        }
        fake.answers = vec![false; 30];
        let eager = tell(&outbox, &mut fake, true, &Wait::FOREVER).unwrap();
        assert_eq!((eager.delivered, eager.left, eager.failed), (20, 0, 30), "soon, however often");
    }

    #[test]
    fn an_event_that_was_never_tried_is_told_however_old_it_is() {
        for eager in [false, true] {
            let (_dir, outbox) = filled(3, limits::OUTBOX_AGE + Duration::from_secs(60));
            let mut fake = Fake::default();
            let told = tell(&outbox, &mut fake, eager, &Wait::FOREVER).unwrap();
            assert_eq!((told.delivered, told.left), (3, 0));
            assert_eq!(outbox.dropped().unwrap().count, 0);
        }
    }

    #[test]
    fn a_damaged_file_keeps_no_other_from_being_told() {
        let (_dir, outbox) = filled(2, Duration::ZERO);
        let folder = outbox.ensure_folder().unwrap();
        std::fs::write(folder.join("0-damaged"), "{").unwrap();
        let error = tell(&outbox, &mut Fake::default(), false, &Wait::FOREVER).unwrap_err();
        assert_eq!(error.code(), "outbox.corrupt");
        assert_eq!(outbox.count().unwrap(), 1, "only the damaged one is left");
    }
}
