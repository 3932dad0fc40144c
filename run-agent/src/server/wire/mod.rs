//! The shapes of answers: the older program's, and what conductor knows more.

mod message;
mod project;
mod run;
mod task;

pub(crate) use message::{Message, Posted, texts};
pub(crate) use project::{Project, Stats};
pub(crate) use run::{FlatRun, Run, TaskRun, wire_name};
pub(crate) use task::{Detail, ListedTask, PageTask, RunCounts, Thread, queue_position};
