//! What the attempt that lives has used so far.

use super::Driver;
use crate::error::Result;
use crate::id::RunId;
use crate::layout::RUNS;
use crate::limits;
use crate::supervise::Meter;
use std::path::Path;
use std::time::Duration;

/// The tag under which the driver is woken by what its attempt prints.
const TAG: u64 = 7;

/// The meter of an attempt, where its task has limits that it can pass.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// The run, and its meter where its stream tells something.
    of: Option<(RunId, Option<Meter>)>,
    /// How soon to look again.
    next: Option<Duration>,
}

impl Gauge {
    /// The tokens and the US dollars that it used.
    pub(super) fn used(&self) -> (u64, f64) {
        let meter = self.of.as_ref().and_then(|(_, meter)| meter.as_ref());
        meter.map_or((0, 0.0), Meter::used)
    }

    /// How soon the driver of a silent attempt has to look again.
    pub(super) fn next_look(&self) -> Duration {
        self.next.map_or(limits::CALM_POLL, |next| next.min(limits::CALM_POLL))
    }
}

impl Driver {
    /// Looks at what the attempt that lives told of since the last look. What cannot be read counts when
    /// the attempt is over.
    pub(super) fn measure(&mut self) {
        if let Err(error) = self.look_at_gauge() {
            tracing::warn!(%error, "what an attempt uses is not known before it ends");
            if let Some((_, meter)) = &mut self.gauge.of {
                *meter = None;
            }
            self.gauge.next = None;
        }
    }

    fn look_at_gauge(&mut self) -> Result<()> {
        let Some((run, _)) = self.attempt.as_ref().filter(|_| self.bounds.budget.bounds_use())
        else {
            self.gauge = Gauge::default();
            return Ok(());
        };
        if self.gauge.of.as_ref().is_none_or(|(known, _)| known != run) {
            self.gauge = Gauge { of: Some((run.clone(), None)), next: None };
            let folder = self.folder.folder(Path::new(RUNS).join(run))?;
            self.gauge.of = Some((run.clone(), Meter::of_run(&self.engine, folder)?));
        }
        if let Some((_, Some(meter))) = &mut self.gauge.of {
            self.gauge.next = meter.step(&self.poller, TAG)?;
        }
        Ok(())
    }
}
