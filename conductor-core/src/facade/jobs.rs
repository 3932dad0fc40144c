//! Starting single runs.

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
        let plan = plan_run(engine, &spec.work)?;
        let started = engine.start_run(&plan, &wait.into())?;
        Run::of_started(engine.clone(), plan.project, plan.task, started)
    }
}
