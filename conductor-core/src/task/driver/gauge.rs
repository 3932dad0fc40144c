//! What the attempt that lives tells: what it used so far, that its turn is over, that it waits for a limit.

use super::{Driver, STEP_LOCK};
use crate::cancel::Wait;
use crate::error::Result;
use crate::id::RunId;
use crate::layout::RUNS;
use crate::limits;
use crate::supervise::{LimitNews, Meter, Wanted};
use crate::task::children::Children;
use crate::time::format_duration;
use std::path::Path;
use std::time::{Duration, Instant};

/// The tag under which the driver is woken by what its attempt prints.
const TAG: u64 = 7;
/// The shortest time to a next look.
const SHORTEST: Duration = Duration::from_millis(1);

/// The meter of an attempt, where its stream tells something that decides.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// The run, and its meter where its stream tells something.
    of: Option<(RunId, Option<Meter>)>,
    /// How soon to look again.
    next: Option<Duration>,
    /// When it was asked to end, as it had told its result and did not exit.
    asked: Option<Instant>,
}

impl Gauge {
    /// The tokens and the US dollars that it used.
    pub(super) fn used(&self) -> (u64, f64) {
        let meter = self.of.as_ref().and_then(|(_, meter)| meter.as_ref());
        meter.map_or((0, 0.0), Meter::used)
    }

    /// How soon the driver of a silent attempt has to look again.
    pub(super) fn next_look(&self, result_grace: Duration) -> Duration {
        let left = self.silence().filter(|_| !result_grace.is_zero());
        let left = left.map(|silence| result_grace.saturating_sub(silence).max(SHORTEST));
        let looks = self.next.into_iter().chain(left);
        looks.fold(limits::CALM_POLL, Duration::min)
    }

    /// For how long nothing came behind the end of the agent's turn; `None` while its turn goes on.
    fn silence(&self) -> Option<Duration> {
        let (_, meter) = self.of.as_ref()?;
        Some(meter.as_ref()?.silent_since()?.elapsed())
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
        let Some((run, _)) = self.attempt.as_ref() else {
            self.gauge = Gauge::default();
            return Ok(());
        };
        if self.gauge.of.as_ref().is_none_or(|(known, _)| known != run) {
            self.gauge = Gauge { of: Some((run.clone(), None)), ..Gauge::default() };
            let folder = self.folder.folder(Path::new(RUNS).join(run))?;
            let wanted = Wanted {
                use_so_far: self.bounds.budget.bounds_use(),
                turn_end: !self.bounds.result_grace.is_zero(),
            };
            self.gauge.of = Some((run.clone(), Meter::of_run(&self.engine, folder, wanted)?));
        }
        if let Some((_, Some(meter))) = &mut self.gauge.of {
            self.gauge.next = meter.step(&self.poller, TAG)?;
        }
        self.note_limit_news();
        Ok(())
    }

    /// Holds the account of an attempt that waits for a usage limit by itself, until it goes on. Where that
    /// cannot be written, the end of the attempt tells.
    fn note_limit_news(&mut self) {
        let Some((_, Some(meter))) = &mut self.gauge.of else { return };
        let Some(news) = meter.take_limit_news() else { return };
        let record = meter.record();
        // The older program drops the account from the record.
        let Some(account) = record.account.as_ref().or(self.plan.account.as_ref()) else { return };
        let wait = self.cancel.as_ref().map_or(Wait::FOREVER, Wait::from).at_most(STEP_LOCK);
        let noted = match news {
            LimitNews::Met(reset) => self.engine.note_limit_met(account, record, reset, &wait),
            LimitNews::Over => self.engine.note_limit_over(account, &record.run_id, &wait),
        };
        if let Err(error) = noted.and_then(|()| meter.note_limit()) {
            tracing::warn!(%error, "what a running attempt tells of its usage limit is not noted");
        }
    }

    /// Why the attempt that lives shall end that told its result and does not exit, where it is time. One of
    /// which that cannot be told goes on.
    pub(super) fn told_and_silent(&mut self) -> Option<String> {
        self.look_for_silence().unwrap_or_else(|error| {
            tracing::warn!(%error, "whether an attempt that told its result is at work is not known");
            self.forgive_silence();
            None
        })
    }

    /// Lets an attempt that told its result be silent for as long again.
    fn forgive_silence(&mut self) {
        if let Some((_, Some(meter))) = &mut self.gauge.of {
            meter.forgive_silence();
        }
    }

    /// Asks the attempt that lives to end, which told its result and does not exit. Where that fails it goes
    /// on, as it would without that.
    pub(super) fn end_told_attempt(&mut self, why: &str) {
        let Some((run, _)) = &self.attempt else { return };
        // A keeper keeps count of the grace. An agent whose keeper died has none.
        let grace = self.plan.limits.grace;
        let force = self.gauge.asked.get_or_insert_with(Instant::now).elapsed() > grace;
        let (project, task) = (&self.plan.project, &self.plan.task);
        if let Err(error) = self.engine.end_told_run(project, task, run, why, force) {
            tracing::warn!(%error, run_id = %run, "a run that told its result cannot be asked to end");
            self.forgive_silence();
        }
    }

    /// As `told_and_silent`: nothing came for as long as it was given, and no run
    /// that it started lives.
    fn look_for_silence(&mut self) -> Result<Option<String>> {
        let grace = self.bounds.result_grace;
        let in_time = |gauge: &Gauge| gauge.silence().is_none_or(|silence| silence < grace);
        if grace.is_zero() || in_time(&self.gauge) {
            return Ok(None);
        }
        let Some((_, Some(meter))) = &mut self.gauge.of else { return Ok(None) };
        // The driver's own children are those of attempts that are over.
        let mut children = Children::of_loop_since(self.state.started_at);
        let at_work = meter.complained()?
            || !children.living(&self.engine, &self.plan.project, &self.plan.task)?.is_empty();
        if at_work {
            meter.forgive_silence();
            return Ok(None);
        }
        // What came since the last look may begin another turn; looked at last, as the above takes its time.
        meter.catch_up()?;
        if in_time(&self.gauge) {
            return Ok(None);
        }
        let grace = format_duration(grace);
        Ok(Some(format!("it told its result and did not exit within {grace}")))
    }
}
