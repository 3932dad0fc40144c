//! What the server counts, in the text form of Prometheus.

use conductor_core::{LivingRuns, Outcome, UpdateState};
use prometheus::{
    Encoder as _, Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use std::time::Duration;

/// What the server counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    uptime: Gauge,
    active_runs: IntGauge,
    driven_tasks: IntGauge,
    stream_clients: IntGauge,
    update_pending: IntGauge,
    completed_runs: IntCounter,
    failed_runs: IntCounter,
    appends: IntCounter,
    requests: IntCounterVec,
}

/// What is so at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Tasks that are driven.
    pub(crate) driven: usize,
    /// Places of clients that follow something.
    pub(crate) followers: usize,
    /// Where the update of the server's program stands, where that can be read.
    pub(crate) update: Option<UpdateState>,
}

impl Metrics {
    /// # Errors
    /// Two names that are the same, or one that is none: a defect, which a test finds.
    pub(crate) fn new() -> prometheus::Result<Metrics> {
        let metrics = Metrics {
            registry: Registry::new(),
            uptime: Gauge::new("conductor_uptime_seconds", "Seconds since the server began.")?,
            active_runs: IntGauge::new(
                "conductor_active_runs_total",
                "Runs of the root that live, whoever started them.",
            )?,
            driven_tasks: IntGauge::new(
                "conductor_driven_tasks",
                "Tasks that this server drives to their ends.",
            )?,
            stream_clients: IntGauge::new(
                "conductor_stream_clients",
                "Places that clients have among those that follow something.",
            )?,
            update_pending: IntGauge::new(
                "conductor_self_update_pending",
                "1 while an update of the server's program waits or is applied, else 0.",
            )?,
            completed_runs: IntCounter::new(
                "conductor_completed_runs_total",
                "Runs of the root that completed while the server looked on.",
            )?,
            failed_runs: IntCounter::new(
                "conductor_failed_runs_total",
                "Runs of the root that ended otherwise while the server looked on.",
            )?,
            appends: IntCounter::new(
                "conductor_messagebus_appends_total",
                "Messages that were posted through the server.",
            )?,
            requests: IntCounterVec::new(
                Opts::new("conductor_api_requests_total", "Requests that were answered."),
                &["method", "status"],
            )?,
        };
        metrics.registry.register(Box::new(metrics.uptime.clone()))?;
        metrics.registry.register(Box::new(metrics.active_runs.clone()))?;
        metrics.registry.register(Box::new(metrics.driven_tasks.clone()))?;
        metrics.registry.register(Box::new(metrics.stream_clients.clone()))?;
        metrics.registry.register(Box::new(metrics.update_pending.clone()))?;
        metrics.registry.register(Box::new(metrics.completed_runs.clone()))?;
        metrics.registry.register(Box::new(metrics.failed_runs.clone()))?;
        metrics.registry.register(Box::new(metrics.appends.clone()))?;
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        Ok(metrics)
    }

    /// Counts a request that was answered.
    pub(crate) fn answered(&self, method: &str, status: u16) {
        // Methods are words of clients: those that nothing answers to are one.
        let known = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"];
        let method = if known.contains(&method) { method } else { "other" };
        self.requests.with_label_values(&[method, &status.to_string()]).inc();
    }

    /// Counts a run that ended.
    pub(crate) fn ended(&self, outcome: Outcome) {
        match outcome {
            Outcome::Completed => self.completed_runs.inc(),
            _ => self.failed_runs.inc(),
        }
    }

    /// Counts a message that was posted.
    pub(crate) fn appended(&self) {
        self.appends.inc();
    }

    /// Takes what is so now.
    pub(crate) fn observe(&self, uptime: Duration, now: &Now, living: Option<&LivingRuns>) {
        self.uptime.set(uptime.as_secs_f64());
        self.driven_tasks.set(i64::try_from(now.driven).unwrap_or(i64::MAX));
        self.stream_clients.set(i64::try_from(now.followers).unwrap_or(i64::MAX));
        if let Some(state) = now.update {
            self.update_pending.set(i64::from(state.holds_back()));
        }
        if let Some(living) = living {
            self.active_runs.set(i64::try_from(living.runs.len()).unwrap_or(i64::MAX));
        }
    }

    /// All that is counted, as text.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "cannot write the metrics");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new().unwrap();
        metrics.answered("GET", 200);
        metrics.answered("GET", 200);
        metrics.answered("BREW", 405);
        metrics.appended();
        metrics.ended(Outcome::Completed);
        metrics.ended(Outcome::Lost);
        let now = Now { driven: 2, followers: 4, update: Some(UpdateState::Deferred) };
        metrics.observe(Duration::from_secs(3), &now, None);
        let text = String::from_utf8(metrics.text()).unwrap();
        for line in [
            "conductor_uptime_seconds 3",
            "conductor_completed_runs_total 1",
            "conductor_failed_runs_total 1",
            "conductor_driven_tasks 2",
            "conductor_stream_clients 4",
            "conductor_self_update_pending 1",
            "conductor_messagebus_appends_total 1",
            "conductor_api_requests_total{method=\"GET\",status=\"200\"} 2",
            "conductor_api_requests_total{method=\"other\",status=\"405\"} 1",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }
}
