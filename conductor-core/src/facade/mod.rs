//! What every surface is built on: a root, its work, its runs and its tasks.

mod conductor;
mod events;
mod jobs;
mod options;
mod plan;
mod record;
mod runs;
mod spec;
mod tasks;

pub use conductor::Conductor;
pub use events::TaskEvents;
pub use jobs::Jobs;
pub use options::Options;
pub use record::Record;
pub use runs::{Run, Runs};
pub use spec::{JobSpec, TaskSpec};
pub use tasks::{Task, TaskInfo, Tasks};
