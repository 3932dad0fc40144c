//! What every surface is built on: a root, its work, its runs and its tasks.

mod activity;
mod any;
mod conductor;
mod events;
mod find_bus;
mod find_run;
mod jobs;
mod locate;
mod options;
mod output;
mod plan;
mod record;
mod records;
mod runs;
mod settings;
mod spec;
mod task_status;
mod tasks;
mod watch;

pub use activity::{Activity, Drift};
pub use any::{Work, wait_any};
pub use conductor::Conductor;
pub use events::TaskEvents;
pub use find_bus::FoundBus;
pub use jobs::Jobs;
pub use locate::{Location, Named, Surroundings};
pub use options::Options;
pub use output::{OutputFile, OutputFollower, RunOutput};
pub use record::Record;
pub use records::Records;
pub use runs::{Run, Runs};
pub use settings::{ListPlan, OutputPlan, PostPlan, ReadPlan, Settings};
pub use spec::{JobSpec, TaskSpec};
pub use task_status::{Living, TaskStatus};
pub use tasks::{Task, TaskInfo, Tasks};
pub use watch::TaskWatch;
