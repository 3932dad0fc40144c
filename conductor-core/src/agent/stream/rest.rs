//! Agents that are services: their text is their standard output; what it cost stands on standard error.

use super::limit::Reset;
use super::lines::{Look, Sink};
use super::loose::utf8;
use super::{Facts, Failure};
use crate::agent::rest::{Told, told};
use crate::usage::Usage;

/// What `run-agent` told about its call.
#[derive(Debug, Default)]
pub(super) struct Rest {
    events: u64,
    told: Told,
}

impl Sink for Rest {
    fn look(&mut self, start: &[u8]) -> Look {
        if start.starts_with(b"rest: ") { Look::Take } else { Look::Pass }
    }

    fn take(&mut self, line: &[u8]) {
        if let Some(told) = told(&utf8(line)) {
            self.told = told;
            self.events += 1;
        }
    }
}

impl Rest {
    pub(super) fn used(&self) -> (Option<Usage>, Option<f64>) {
        (self.told.usage, self.told.cost_usd)
    }

    pub(super) fn finish(self) -> Facts {
        let Told { model, usage, cost_usd, error_class, limit_reset } = self.told;
        let reset = limit_reset.map(Reset::At);
        Facts {
            events: self.events,
            // Not parsed out of anything: it is all that was printed.
            text: None,
            session_id: None,
            model,
            usage,
            cost_usd,
            failure: error_class.map(|class| Failure { class, reset }),
        }
    }
}
