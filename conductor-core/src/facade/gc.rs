//! Garbage collection as callers see it: a plan, and carrying it out.

use super::conductor::Conductor;
use crate::cancel::Wait;
use crate::error::Result;
use crate::fsx::Folder;
use crate::gc::{self, GcDone, GcPlan, GcPolicy, GcReport, GcWork, TaskLook};
use crate::task::{LoopState, depends_on};

/// Garbage collection; from [`Conductor::gc`].
///
/// ```no_run
/// use conductor_core::{Conductor, GcPolicy, Options, Wait};
/// use std::time::Duration;
///
/// let conductor = Conductor::open("/srv/agents", Options::default())?;
/// let week = Duration::from_secs(168 * 3600);
/// let plan = conductor.gc().plan(GcPolicy::default().older_than(week).rotate_bus(true))?;
/// for item in plan.actions(Wait::FOREVER) {
///     let item = item?;
///     println!("{} {} ({})", item.action, item.path.display(), item.reason);
/// }
/// let report = conductor.gc().apply(&plan, Wait::FOREVER)?;
/// println!("{} runs, {} bytes", report.runs, report.freed);
/// # Ok::<(), conductor_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gc<'a>(pub(super) &'a Conductor);

impl Gc<'_> {
    /// The policy to begin with: what the configuration says under `gc`, else the defaults.
    pub fn policy(&self) -> GcPolicy {
        let config = self.0.engine.settings().config.config();
        let (gc, default) = (&config.gc, GcPolicy::default());
        let mut policy = default.clone();
        policy.older_than = gc.older_than.unwrap_or(default.older_than);
        policy.keep_failed = gc.keep_failed.unwrap_or(default.keep_failed);
        let keep_last = gc.keep_last.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        policy.keep_last = keep_last.unwrap_or(default.keep_last);
        policy.max_bytes = gc.max_bytes;
        policy.min_free = gc.min_free;
        policy.rotate_bus = gc.rotate_bus.unwrap_or(default.rotate_bus);
        policy.bus_max_size = config.bus.max_size.unwrap_or(default.bus_max_size);
        policy.prune_archives = gc.prune_archives;
        policy.delete_done_tasks = gc.delete_done_tasks.unwrap_or(default.delete_done_tasks);
        policy
    }

    /// Finds out what must be known of the whole root to judge any of it. Changes nothing on disk.
    ///
    /// Runs that ended while nobody looked are judged as if their ends were written down.
    ///
    /// # Errors
    /// `root.not_found`, `project.not_found`, `gc.clock_jumped`. What cannot be looked at stays, and is
    /// told by [`GcPlan::items`].
    pub fn plan(&self, policy: GcPolicy) -> Result<GcPlan> {
        self.plan_telling(policy, Wait::FOREVER, |_, _| {})
    }

    /// As [`Gc::plan`], until `wait` is over. `told` hears how many tasks and runs were looked at.
    ///
    /// # Errors
    /// Also those of the wait.
    pub fn plan_telling(
        &self,
        policy: GcPolicy,
        wait: impl Into<Wait>,
        mut told: impl FnMut(usize, usize),
    ) -> Result<GcPlan> {
        let told = &mut |looked: gc::Counted| told(looked.tasks, looked.runs);
        gc::make_plan(&self.0.engine, policy, None, look, &wait.into(), told)
    }

    /// Makes the plan again that a [`GcPlan::token`] tells of, in whatever process that was made. It
    /// takes no more than that one did, unless somebody took away what kept a thing. Its goals are those of that
    /// plan: nothing is counted again, and what the root grew by since is not in them.
    ///
    /// # Errors
    /// `gc.token`, and those of [`Gc::plan`].
    pub fn plan_again(&self, token: &str, wait: impl Into<Wait>) -> Result<GcPlan> {
        let (policy, token) = gc::Token::read(token)?;
        gc::make_plan(&self.0.engine, policy, Some(token), look, &wait.into(), &mut |_| {})
    }

    /// Carries a plan out. Everything is judged again for the plan's moment, under the lock of its
    /// task: what is in use, lives, or changed since the plan was made stays. An error about one thing
    /// keeps nothing else from being done, and is in the report.
    ///
    /// # Errors
    /// What keeps all of it from being done, as a cancelled wait. What was done by then is done, and
    /// nothing is half done.
    pub fn apply(&self, plan: &GcPlan, wait: impl Into<Wait>) -> Result<GcReport> {
        self.apply_telling(plan, wait, |_| {})
    }

    /// As [`Gc::apply`]; `told` hears what became of each thing that was to go, as soon as that is
    /// certain.
    ///
    /// # Errors
    /// As [`Gc::apply`].
    pub fn apply_telling(
        &self,
        plan: &GcPlan,
        wait: impl Into<Wait>,
        mut told: impl FnMut(&GcDone),
    ) -> Result<GcReport> {
        let mut work = self.work(plan, wait)?;
        for done in &mut work {
            told(&done?);
        }
        Ok(work.into_report())
    }

    /// Carries a plan out thing after thing, as the iterator is asked for the next: for who wants to do
    /// something between two of them. As [`Gc::apply`] otherwise.
    ///
    /// # Errors
    /// As [`Gc::apply`].
    pub fn work(&self, plan: &GcPlan, wait: impl Into<Wait>) -> Result<GcWork> {
        GcWork::new(plan, wait.into())
    }
}

/// What the task loop knows of a task.
fn look(folder: &Folder) -> Result<TaskLook> {
    let state = LoopState::read(folder)?;
    Ok(TaskLook {
        series: state.as_ref().map(LoopState::series),
        ended_at: state.as_ref().and_then(LoopState::ended_at),
        depends_on: depends_on(folder)?,
    })
}
