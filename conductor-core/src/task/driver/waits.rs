//! What a task waits for, and what wakes it up.

use super::{Driver, SOON};
use crate::bus::Cursor;
use crate::cancel::Wait;
use crate::error::Result;
use crate::limits;
use crate::task::decide::WaitFor;
use crate::task::questions::{OnQuestion, Question, questions};
use crate::task::state::{Phase, TaskResult, Waiting};
use crate::time::Timestamp;
use crate::wait::Step;
use std::time::{Duration, Instant};

/// How often dependencies are looked at.
const DEPENDENCY_POLL: Duration = Duration::from_secs(2);
/// How often the children of a finished task are looked at.
const CHILD_POLL: Duration = Duration::from_secs(1);
/// Ends of a wait that are no further apart are the same.
const SAME: Duration = Duration::from_secs(5);

impl Driver {
    /// Questions without an answer that an attempt would wait for.
    pub(super) fn open_questions(&self) -> Result<Vec<Question>> {
        if self.bounds.on_question == OnQuestion::GoOn {
            return Ok(Vec::new());
        }
        let mut all = questions(&self.bus, self.state.start_cursor.as_ref())?;
        all.retain(Question::is_open);
        Ok(all)
    }

    /// Wakes up when something new stands on the bus.
    pub(super) fn watch_answers(&mut self) -> Result<()> {
        if self.answers.is_none() {
            let end = self.bus.end()?.unwrap_or(Cursor::START);
            let follower = self.bus.follow(&end, Wait::FOREVER)?;
            let failed = |e| self.folder.error("watch the bus of", "", e);
            self.answers = Some(self.poller.hold(follower, 5).map_err(failed)?);
        }
        if let Some(follower) = &mut self.answers {
            // What it tells is read anew from the questions on.
            while let Step::Ready(_) = follower.step()? {}
        }
        Ok(())
    }

    pub(super) fn wait_for(&mut self, what: WaitFor) -> Result<Step<TaskResult>> {
        match what {
            WaitFor::Attempt => self.rest(None, self.gauge.next_look()),
            WaitFor::Check => {
                let bench = self.bench()?;
                let tells = match &mut self.judge {
                    Some(judge) => judge.watch(&bench, self.state.checks, &self.poller)?,
                    None => false,
                };
                let waiting = Waiting::new("the completion check", self.engine.now(), None);
                self.rest(Some(waiting), if tells { limits::SAFETY_POLL } else { SOON })
            }
            WaitFor::Answers(questions, left) => {
                self.watch_answers()?;
                let names: Vec<_> = questions.iter().map(ToString::to_string).collect();
                let now = self.engine.now();
                let until = left.map(|left| now.plus(left));
                let what = format!("answers: {}", names.join(", "));
                let longest = left.unwrap_or(limits::SAFETY_POLL).min(limits::SAFETY_POLL);
                self.rest(Some(Waiting::new(&what, now, until)), longest)
            }
            WaitFor::Delay(left) => {
                let until = self.engine.now().plus(left);
                self.rest(Some(Waiting::new("delay", self.engine.now(), Some(until))), left)
            }
            WaitFor::Trouble(what, left) => {
                let until = self.engine.now().plus(left);
                let what = format!("the next try to start an attempt: {what}");
                let waiting = Waiting::new(&what, self.engine.now(), Some(until));
                self.rest(Some(waiting), left)
            }
            WaitFor::Dependencies(tasks) => {
                let names: Vec<_> = tasks.iter().map(ToString::to_string).collect();
                let names = names.join(", ");
                if self.told_blocked.as_deref() != Some(names.as_str()) {
                    self.post("PROGRESS", &format!("task blocked by dependencies: {names}"))?;
                    self.told_blocked = Some(names.clone());
                }
                let what = format!("dependencies: {names}");
                self.rest(Some(Waiting::new(&what, self.engine.now(), None)), DEPENDENCY_POLL)
            }
            WaitFor::Children(runs, left) => {
                self.children_since.get_or_insert_with(Instant::now);
                let names: Vec<_> = runs.iter().map(ToString::to_string).collect();
                if !self.told_children {
                    let text = format!(
                        "waiting for {} children to complete: [{}]",
                        runs.len(),
                        names.join(" ")
                    );
                    self.post("INFO", &text)?;
                    self.told_children = true;
                }
                let until = self.engine.now().plus(left);
                let what = format!("children: {}", names.join(", "));
                let waiting = Waiting::new(&what, self.engine.now(), Some(until));
                self.rest(Some(waiting), CHILD_POLL.min(left))
            }
        }
    }

    /// Nothing to do before something happens or `delay` passed.
    pub(super) fn rest(
        &mut self,
        waiting: Option<Waiting>,
        delay: Duration,
    ) -> Result<Step<TaskResult>> {
        let phase = if waiting.is_some() { Phase::Waiting } else { Phase::Running };
        self.set_phase(phase, waiting)?;
        self.timer.set(delay).map_err(|e| self.folder.error("set the timer of", "", e))?;
        Ok(Step::Pending)
    }

    /// Writes down what the loop does, when it is something else than before.
    pub(super) fn set_phase(&mut self, phase: Phase, waiting: Option<Waiting>) -> Result<()> {
        let same = self.state.phase == phase
            && match (&self.state.waiting, &waiting) {
                (None, None) => true,
                (Some(old), Some(new)) => old.what == new.what && same_end(old.until, new.until),
                _ => false,
            };
        if same {
            return Ok(());
        }
        if let Some(waiting) = &waiting {
            tracing::debug!(
                name: "task_waiting", project_id = %self.plan.project, task_id = %self.plan.task,
                waiting_for = waiting.what,
            );
            self.tell_waiting(waiting)?;
        }
        self.state.phase = phase;
        self.state.waiting = waiting;
        // What the loop waits for is news for people; a power cut may take it back.
        self.state.write_relaxed(&self.folder)
    }
}

/// Whether two ends of a wait are the same, but for what the clock did between two looks.
fn same_end(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.since(other).max(other.since(one)) <= SAME,
        (one, other) => one == other,
    }
}
