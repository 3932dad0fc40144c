//! Starting single runs.

use super::agents::stand_in;
use super::conductor::Conductor;
use super::plan::plan_run;
use super::runs::Run;
use super::spec::JobSpec;
use super::tasks::named_task;
use crate::cancel::Wait;
use crate::error::Result;
use crate::task::TaskConfig;

/// Starts single runs; from [`Conductor::jobs`].
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a>(pub(super) &'a Conductor);

impl Jobs<'_> {
    /// Starts one run of one agent.
    ///
    /// Returns when the agent runs and its record is on disk. The run lives on without this process.
    ///
    /// # Errors
    /// What is wrong with the spec, before anything is made; `agent.not_started` and
    /// `keeper.not_started` after it, with the run recorded as refused.
    pub fn start(&self, mut spec: JobSpec, wait: impl Into<Wait>) -> Result<Run> {
        let engine = &self.0.engine;
        if let Some(folder) = named_task(engine, &spec.work)? {
            let (agent, limits) = TaskConfig::wishes(&folder)?;
            spec.work.take_wishes(agent, &limits);
        }
        let wait = wait.into();
        let plan = plan_run(engine, &spec.work, &wait)?;
        let started = engine.start_run(&plan, &wait)?;
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
        let started = engine.start_run(&plan, &wait)?;
        Run::of_started(engine.clone(), plan.project, plan.task, started).map(Some)
    }
}
