//! Starting single runs.

use super::agents::{choose_agent, stand_in};
use super::conductor::Conductor;
use super::plan::plan_run;
use super::runs::Run;
use super::spec::JobSpec;
use super::tasks::named_task;
use crate::cancel::Wait;
use crate::error::Result;
use crate::limits;
use crate::supervise::{Demand, Family, Gate};
use crate::task::{TaskConfig, Waiting};

/// Starts single runs; from [`Conductor::jobs`].
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a>(pub(super) &'a Conductor);

impl Jobs<'_> {
    /// What a run like this would have to wait for before it may start: a slot, the usage limit of its
    /// account, space; `None` where it could start now. Reads only, and others may be faster.
    ///
    /// # Errors
    /// What is wrong with the agent or with the run's place among others.
    pub fn would_wait(&self, spec: &JobSpec) -> Result<Option<Waiting>> {
        let engine = &self.0.engine;
        let mut work = spec.work.clone();
        if let Some(folder) = named_task(engine, &work)? {
            let (agent, limits) = TaskConfig::wishes(&folder)?;
            work.take_wishes(agent, &limits);
        }
        let account = choose_agent(engine, &work, &Wait::from(limits::PROBE))?.agent.account;
        let place = engine.place(work.parent_run_id()?.as_ref(), Family::default())?;
        let demand = Demand { account, slot: place.is_root, who: String::new() };
        let Some(gate) = engine.would_wait(&demand)? else { return Ok(None) };
        let mut waiting = Waiting::new(&gate.words(), engine.now(), gate.until());
        if let Gate::Slot { pool, .. } = gate {
            waiting.position = Some(engine.waiting_in_line(pool)?.len() + 1);
        }
        Ok(Some(waiting))
    }

    /// Starts one run of one agent.
    ///
    /// Returns when the agent runs and its record is on disk. The run lives on without this process.
    /// Where it may not start yet ([`would_wait`](Jobs::would_wait)), it waits in the phase `queued`.
    ///
    /// # Errors
    /// What is wrong with the spec, before anything is made; `agent.not_started` and
    /// `keeper.not_started` after it, with the run recorded as refused, and `start.no_slot`,
    /// `start.on_hold` and `start.no_space` when the wait is over first.
    pub fn start(&self, mut spec: JobSpec, wait: impl Into<Wait>) -> Result<Run> {
        let engine = &self.0.engine;
        if let Some(folder) = named_task(engine, &spec.work)? {
            let (agent, limits) = TaskConfig::wishes(&folder)?;
            spec.work.take_wishes(agent, &limits);
        }
        let wait = wait.into();
        let plan = plan_run(engine, &spec.work, &wait)?;
        let started = engine.start_job(&plan, &wait)?;
        Run::of_started(engine.clone(), plan.project, plan.task, started)
    }

    /// Starts the run that stands in for `failed`, once it is over, by the next of the agents that share
    /// the work. `None` where `failed` is none of those, did not fail, or the configuration wants no such
    /// run. `spec` is that of the run that failed.
    ///
    /// Whoever waits for a job calls this at its end; a task does the same by itself.
    ///
    /// # Errors
    /// As [`start`](Jobs::start).
    pub fn start_stand_in(
        &self,
        failed: &Run,
        mut spec: JobSpec,
        wait: impl Into<Wait>,
    ) -> Result<Option<Run>> {
        let engine = &self.0.engine;
        let info = failed.info()?;
        let is_failure = info.outcome().is_some_and(|outcome| outcome.is_failure());
        if !is_failure || spec.work.agent.is_some() {
            return Ok(None);
        }
        spec.work.task = Some(failed.task().to_string());
        if let Some(folder) = named_task(engine, &spec.work)? {
            let (agent, limits) = TaskConfig::wishes(&folder)?;
            spec.work.take_wishes(agent, &limits);
        }
        if spec.work.agent.is_some() {
            return Ok(None);
        }
        let name = info.record.agent_name().to_owned();
        let wait = wait.into();
        let Some(other) = stand_in(engine, &spec.work, &name, &wait)? else { return Ok(None) };
        spec.work.agent = Some(other);
        spec.work.previous_run = Some(failed.id().to_string());
        let plan = plan_run(engine, &spec.work, &wait)?;
        let started = engine.start_job(&plan, &wait)?;
        Run::of_started(engine.clone(), plan.project, plan.task, started).map(Some)
    }
}
