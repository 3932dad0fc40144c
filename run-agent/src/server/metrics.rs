//! What the server counts, in the text form of Prometheus.

use conductor_core::{Outcome, RunInfo, UpdateState};
use prometheus::core::Collector;
use prometheus::{
    CounterVec, Encoder as _, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::time::Duration;

/// What tasks wait for, by how the words for it begin.
const WAITS: [(&str, &str); 6] = [
    ("a slot", "slot"),
    ("the usage limit", "usage_limit"),
    ("disk space", "space"),
    ("dependencies", "dependencies"),
    ("delay", "delay"),
    ("", "other"),
];

/// The upper ends of the classes of run durations, in seconds: from an answer at once to a day's work.
const DURATIONS: [f64; 10] =
    [1.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 4.0 * 3600.0, 12.0 * 3600.0, 86400.0];

/// What the server counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    uptime: Gauge,
    active_runs: IntGauge,
    queued_runs: IntGauge,
    driven_tasks: IntGauge,
    waiting_tasks: IntGaugeVec,
    holds: IntGauge,
    stream_clients: IntGauge,
    update_pending: IntGauge,
    completed_runs: IntCounter,
    failed_runs: IntCounter,
    agent_runs: IntCounterVec,
    fallbacks: IntCounterVec,
    durations: HistogramVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    appends: IntCounter,
    requests: IntCounterVec,
}

/// What is so at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    /// How long the server runs.
    pub(crate) uptime: Duration,
    /// Tasks that are driven.
    pub(crate) driven: usize,
    /// Places of clients that follow something.
    pub(crate) followers: usize,
    /// What the root tells.
    pub(crate) seen: Option<Seen>,
    /// Where the update of the server's program stands, where that can be read.
    pub(crate) update: Option<UpdateState>,
}

/// What the root tells at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Runs that live.
    pub(crate) active: usize,
    /// Runs and root tasks that wait for a slot.
    pub(crate) queued: usize,
    /// What the driven tasks wait for that do.
    pub(crate) waits: Vec<String>,
    /// Accounts whose usage limits are reached.
    pub(crate) holds: usize,
}

/// Makes metrics and puts them into a registry.
struct Maker(Registry);

impl Maker {
    fn put<T: Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<T>,
    ) -> prometheus::Result<T> {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.put(IntGauge::new(name, help))
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.put(IntCounter::new(name, help))
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.put(IntCounterVec::new(Opts::new(name, help), labels))
    }
}

impl Metrics {
    /// # Errors
    /// Two names that are the same, or one that is none: a defect, which a test finds.
    pub(crate) fn new() -> prometheus::Result<Metrics> {
        let make = Maker(Registry::new());
        let lasted = HistogramOpts::new("conductor_run_duration_seconds", "How long runs took.");
        let waiting =
            Opts::new("conductor_waiting_tasks", "Tasks that this server drives and that wait.");
        let cost = Opts::new("conductor_cost_usd_total", "What ended runs cost, in US dollars.");
        Ok(Metrics {
            uptime: make
                .put(Gauge::new("conductor_uptime_seconds", "Seconds since the server began."))?,
            active_runs: make.gauge(
                "conductor_active_runs_total",
                "Runs of the root that live, whoever started them.",
            )?,
            queued_runs: make.gauge(
                "conductor_queued_runs_total",
                "Runs and root tasks of the root that wait for a slot.",
            )?,
            driven_tasks: make
                .gauge("conductor_driven_tasks", "Tasks that this server drives to their ends.")?,
            waiting_tasks: make.put(IntGaugeVec::new(waiting, &["for"]))?,
            holds: make.gauge("conductor_holds", "Accounts whose usage limits are reached.")?,
            stream_clients: make.gauge(
                "conductor_stream_clients",
                "Places that clients have among those that follow something.",
            )?,
            update_pending: make.gauge(
                "conductor_self_update_pending",
                "1 while an update of the server's program waits or is applied, else 0.",
            )?,
            completed_runs: make.counter(
                "conductor_completed_runs_total",
                "Runs of the root that completed while the server looked on.",
            )?,
            failed_runs: make.counter(
                "conductor_failed_runs_total",
                "Runs of the root that ended otherwise while the server looked on.",
            )?,
            agent_runs: make.counters(
                "conductor_agent_runs_total",
                "Runs of the root that began while the server looked on.",
                &["agent_type"],
            )?,
            fallbacks: make.counters(
                "conductor_agent_fallbacks_total",
                "Runs among them whose agent is another one than that of the attempt before.",
                &["from_type", "to_type"],
            )?,
            durations: make.put(HistogramVec::new(
                lasted.buckets(DURATIONS.to_vec()),
                &["agent_type", "outcome"],
            ))?,
            tokens: make.counters(
                "conductor_tokens_total",
                "Tokens that ended runs used.",
                &["agent_type", "kind"],
            )?,
            cost: make.put(CounterVec::new(cost, &["agent_type"]))?,
            appends: make.counter(
                "conductor_messagebus_appends_total",
                "Messages that were posted through the server.",
            )?,
            requests: make.counters(
                "conductor_api_requests_total",
                "Requests that were answered.",
                &["method", "status"],
            )?,
            registry: make.0,
        })
    }

    /// Counts a request that was answered.
    pub(crate) fn answered(&self, method: &str, status: u16) {
        // Methods are words of clients: those that nothing answers to are one.
        let known = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"];
        let method = if known.contains(&method) { method } else { "other" };
        self.requests.with_label_values(&[method, &status.to_string()]).inc();
    }

    /// Counts a run that began, and what was before it.
    pub(crate) fn began(&self, agent: &str, previous: Option<&str>) {
        self.agent_runs.with_label_values(&[agent]).inc();
        if let Some(previous) = previous.filter(|previous| *previous != agent) {
            self.fallbacks.with_label_values(&[previous, agent]).inc();
        }
    }

    /// Counts a run that ended, and what it used.
    pub(crate) fn ended(&self, run: &RunInfo) {
        let Some(outcome) = run.outcome() else { return };
        match outcome {
            Outcome::Completed => self.completed_runs.inc(),
            _ => self.failed_runs.inc(),
        }
        let (agent, record) = (run.record.agent.as_str(), &run.record);
        if !record.end_time.is_zero() {
            let lasted = record.end_time.since(record.start_time).as_secs_f64();
            self.durations.with_label_values(&[agent, outcome.as_str()]).observe(lasted);
        }
        for (kind, count) in record.usage.iter().flat_map(|usage| usage.parts()) {
            self.tokens.with_label_values(&[agent, kind]).inc_by(count);
        }
        if let Some(cost) = record.cost_usd.filter(|cost| *cost >= 0.0) {
            self.cost.with_label_values(&[agent]).inc_by(cost);
        }
    }

    /// Counts a message that was posted.
    pub(crate) fn appended(&self) {
        self.appends.inc();
    }

    /// Takes what is so now.
    pub(crate) fn observe(&self, now: &Now) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.uptime.set(now.uptime.as_secs_f64());
        self.driven_tasks.set(count(now.driven));
        self.stream_clients.set(count(now.followers));
        if let Some(state) = now.update {
            self.update_pending.set(i64::from(state.holds_back()));
        }
        let Some(seen) = &now.seen else { return };
        self.active_runs.set(count(seen.active));
        self.queued_runs.set(count(seen.queued));
        self.holds.set(count(seen.holds));
        let mut left: Vec<&String> = seen.waits.iter().collect();
        for (begins, label) in WAITS {
            let before = left.len();
            left.retain(|what| !what.starts_with(begins));
            self.waiting_tasks.with_label_values(&[label]).set(count(before - left.len()));
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
        metrics.began("claude", None);
        metrics.began("codex", Some("claude"));
        metrics.began("codex", Some("codex"));
        let waits =
            ["a slot: 1 runs at a time", "delay", "children: x"].map(str::to_owned).to_vec();
        let seen = Seen { active: 1, queued: 5, waits, holds: 1 };
        let uptime = Duration::from_secs(3);
        metrics.observe(&Now {
            uptime,
            driven: 2,
            followers: 4,
            seen: Some(seen),
            update: Some(UpdateState::Deferred),
        });
        let text = String::from_utf8(metrics.text()).unwrap();
        for line in [
            "conductor_uptime_seconds 3",
            "conductor_active_runs_total 1",
            "conductor_queued_runs_total 5",
            "conductor_holds 1",
            "conductor_waiting_tasks{for=\"slot\"} 1",
            "conductor_waiting_tasks{for=\"delay\"} 1",
            "conductor_waiting_tasks{for=\"other\"} 1",
            "conductor_waiting_tasks{for=\"space\"} 0",
            "conductor_agent_runs_total{agent_type=\"codex\"} 2",
            "conductor_agent_fallbacks_total{from_type=\"claude\",to_type=\"codex\"} 1",
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
