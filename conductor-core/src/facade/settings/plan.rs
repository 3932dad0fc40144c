//! What each call makes of the options that it was given.

use crate::bus::{Bus, Durability, Post, Posted, ReadOptions};
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::facade::conductor::Conductor;
use crate::facade::options::Options;
use crate::facade::output::OutputFile;
use crate::facade::usage::UsageBy;
use crate::id::{ProjectId, TaskId};
use std::path::PathBuf;
use std::time::Duration;

/// How to open a root.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OpenPlan {
    /// The configuration, before all other places.
    pub config: Option<PathBuf>,
    /// A working `run-agent`, for agents to find.
    pub run_agent: Option<PathBuf>,
    /// How durable posted messages are; as it is configured unless it is given.
    pub durability: Option<Durability>,
}

impl OpenPlan {
    /// Opens the root `root`, or the one that the environment and the configuration of this machine name.
    ///
    /// # Errors
    /// As [`Conductor::open_configured`].
    pub fn open(self, root: Option<PathBuf>) -> Result<Conductor> {
        let options = Options { run_agent: self.run_agent, ..Options::default() };
        Conductor::open_as_planned(root, self.config, options, self.durability)
    }
}

/// What of a bus to read, and whether to go on with what comes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadPlan {
    /// What to read.
    pub options: ReadOptions,
    /// Whether to follow.
    pub follow: bool,
    /// The kept place to read on from, and to commit to.
    pub cursor: Option<String>,
}

impl ReadPlan {
    /// Refuses a kept place together with another one to begin at.
    pub(super) fn check(&self) -> Result<()> {
        let other = match (self.options.has_after(), self.options.has_tail()) {
            (true, _) => "after",
            (_, true) => "tail",
            _ => return Ok(()),
        };
        if self.cursor.is_none() {
            return Ok(());
        }
        let message = format!("the options \"cursor\" and {other:?} exclude each other");
        Err(Error::invalid("option.conflict", other, message)
            .with_hint("a kept place says itself where to begin"))
    }
}

/// What of a root to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPlan {
    /// The tasks of this project instead of the projects.
    pub project: Option<ProjectId>,
    /// The runs of this task instead of the tasks.
    pub task: Option<TaskId>,
    /// Only what stands so, in one word.
    pub status: Option<String>,
}

/// What of a run's output to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputPlan {
    /// Which file.
    pub file: OutputFile,
    /// Only the last lines, this many.
    pub tail: Option<usize>,
    /// Whether to go on until the run is over.
    pub follow: bool,
}

/// What to sum up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsagePlan {
    /// Only the runs of this project.
    pub project: Option<ProjectId>,
    /// Only the runs of this task.
    pub task: Option<TaskId>,
    /// What the runs of a sum have in common.
    pub by: Option<UsageBy>,
}

impl UsagePlan {
    /// What the runs of a sum have in common: as asked for, else the parts of what is looked at.
    pub fn group(&self) -> UsageBy {
        self.by.unwrap_or(match (&self.project, &self.task) {
            (_, Some(_)) => UsageBy::Run,
            (Some(_), None) => UsageBy::Task,
            (None, None) => UsageBy::Project,
        })
    }
}

/// A message to be posted by name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostPlan {
    /// The message.
    pub post: Post,
    /// Post only where no message has this key.
    pub once: Option<String>,
    /// How long to wait for other writers.
    pub wait: Duration,
}

impl PostPlan {
    /// Posts the message. `wait` bounds the plan's own limit further.
    ///
    /// # Errors
    /// As [`Bus::post`] and [`Bus::append_once`].
    pub fn send(self, bus: &Bus, wait: impl Into<Wait>) -> Result<Posted> {
        let wait = wait.into().at_most(self.wait);
        match &self.once {
            Some(key) => bus.append_once(key, None, self.post, wait),
            None => bus.post(self.post, wait),
        }
    }
}
