//! The end of a task: the check of a `DONE`, and what is told when the loop is over.

use super::Driver;
use crate::error::{Error, ErrorKind, Result};
use crate::supervise::waiter;
use crate::task::decide::{End, Judgement};
use crate::task::judge::Bench;
use crate::task::propagate::propagate;
use crate::task::state::{TaskOutcome, TaskResult};

impl Driver {
    /// What the judge says of the `DONE` that stands.
    pub(super) fn judgement(&self) -> Result<Option<Judgement>> {
        let Some(judge) = &self.judge else { return Ok(None) };
        judge.says(&self.engine, &self.plan, &self.bench()?, self.state.checks).map(Some)
    }

    pub(super) fn bench(&self) -> Result<Bench> {
        Bench::of(&self.folder, self.state.last_run.as_ref())
    }

    pub(super) fn begin_check(&self) -> Result<()> {
        let Some(judge) = &self.judge else { return Ok(()) };
        judge.begin(&self.engine, &self.plan, &self.bench()?, self.state.checks)
    }

    pub(super) fn stop_check(&self) -> Result<()> {
        let Some(judge) = &self.judge else { return Ok(()) };
        judge.stop(&self.bench()?, self.state.checks)
    }

    /// Sets a `DONE` aside that failed its check, and keeps what the next attempt must know. Done again
    /// from the start by whoever takes over from a driver that died on the way.
    pub(super) fn reject(&mut self, why: &str) -> Result<()> {
        let Some(judge) = &self.judge else { return Ok(()) };
        let bench = self.bench()?;
        let (number, lines) = judge.findings(&bench, self.state.checks)?;
        let mut text = format!("DONE was set aside: {why}");
        if !lines.is_empty() {
            text.push_str(". The end of what it printed:\n\n");
            text.push_str(&lines);
        }
        let text = self.engine.secrets().hide(&text).into_owned();
        self.post_once(&format!("rejected:{number}"), "WARNING", &text)?;
        bench.set_done_aside(number)?;
        self.state.checks = number;
        self.state.rejection =
            Some(format!("{text}\n\nMake the check pass before you create DONE again.\n\n"));
        self.state.write(&self.folder)
    }

    pub(super) fn end(&mut self, end: End) -> Result<TaskResult> {
        match &end {
            End::Done => self.tell_done()?,
            End::GaveUp(reason) => {
                self.post_once("end", "ERROR", &format!("task failed: {reason}"))?;
            }
            End::Stopped(reason) => {
                self.ask_children_to_stop(reason)?;
                self.post_once("end", "INFO", &format!("task stopped: {reason}"))?;
            }
        }
        let (outcome, reason) = match end {
            End::Done => (TaskOutcome::Done, None),
            End::GaveUp(reason) => (TaskOutcome::GaveUp, Some(reason)),
            End::Stopped(reason) => (TaskOutcome::Stopped, Some(reason)),
        };
        // The loop is over only when everything that its end brings is done: whoever takes over from a
        // driver that died on the way does it again, and each step of it once in all.
        if outcome == TaskOutcome::Done {
            self.propagate()?;
            if let Some(judge) = &self.judge {
                // Another DONE, of a later loop, is judged anew.
                self.state.checks = judge.number(&self.bench()?, self.state.checks)?;
            }
        }
        self.tell_end(outcome, reason.as_deref())?;
        tracing::info!(
            name: "task_loop_completed", project_id = %self.plan.project, task_id = %self.plan.task,
            outcome = outcome.as_str(), attempts = self.state.attempts, reason,
        );
        self.state.end(outcome, reason, self.engine.now());
        self.state.write(&self.folder)?;
        self.lease.forget_stop_wish(&self.folder)?;
        let who = waiter(&self.plan.project, &self.plan.task);
        if let Err(error) = self.engine.give_task_slot_back(&who, self.task_slot.take()) {
            // It is free with the lease; those in line only hear of it later.
            tracing::warn!(%error, "the slot of a task that is over still names it");
        }
        self.state.result().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "task.no_result", "an ended loop has no result")
        })
    }

    pub(super) fn tell_done(&mut self) -> Result<()> {
        let left = self.children.living(&self.engine, &self.plan.project, &self.plan.task)?;
        if !left.is_empty() {
            let names: Vec<_> = left.iter().map(ToString::to_string).collect();
            let waited = crate::time::format_duration(self.bounds.child_wait);
            let text =
                format!("timeout waiting for children after {waited}: [{}]", names.join(" "));
            return self.post_once("end", "WARNING", &text);
        }
        self.post_once(
            "end",
            "INFO",
            if self.told_children {
                "task completed (all children finished)"
            } else {
                "task completed (DONE marker present, no active children)"
            },
        )
    }

    /// Tells the project's bus; a failure is told to the task's bus and does not undo the end.
    pub(super) fn propagate(&self) -> Result<()> {
        let told = propagate(&self.engine, &self.plan.project, &self.plan.task);
        match told {
            Ok(Some(text)) => self.post_once("told", "INFO", &text),
            Ok(None) => Ok(()),
            Err(error) => {
                self.post("ERROR", &format!("task completion fact propagation failed: {error}"))
            }
        }
    }
}
