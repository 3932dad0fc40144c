//! What every surface is built on: a root, its work, its runs and its tasks.

mod activity;
mod agents;
mod any;
mod conductor;
mod configured;
mod doctor;
mod events;
mod find_bus;
mod find_run;
mod gc;
mod jobs;
mod locate;
mod monitor;
mod options;
mod output;
mod plan;
mod record;
mod records;
mod runs;
mod settings;
mod shell_setup;
mod spec;
mod task_status;
mod tasks;
mod usage;
mod validate;
mod watch;
mod why;
mod wrap;

pub use activity::{Activity, Drift};
pub use any::{Work, wait_any};
pub use conductor::Conductor;
pub use doctor::{Finding, FindingKind};
pub use events::TaskEvents;
pub use find_bus::FoundBus;
pub use gc::Gc;
pub use jobs::Jobs;
pub use locate::{Location, Named, Surroundings};
pub use monitor::{
    Monitor, MonitorAction, MonitorItem, MonitorLock, MonitorLook, MonitorNews, STALE_AFTER,
};
pub use options::Options;
pub use output::{OutputFile, OutputFollower, RunOutput, Written};
pub use record::Record;
pub use records::Records;
pub use runs::{Run, Runs};
pub use settings::{ListPlan, OutputPlan, PostPlan, ReadPlan, Settings};
pub use shell_setup::{Shell, ShellSetup, ShellSources};
pub use spec::{JobSpec, TaskSpec};
pub use task_status::{Living, TaskStatus};
pub use tasks::{Task, TaskInfo, Tasks};
pub use usage::{RunUsage, UsageBy, UsageReport, UsageSum};
pub use validate::{AgentCheck, Service, Validate, Validation};
pub use watch::TaskWatch;
pub use why::Why;
pub use wrap::{Change, Passed, Pause, ProgramEnd, TERMINAL_PROJECT, Wrapped};
