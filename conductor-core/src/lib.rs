//! Run AI coding agents as restartable tasks whose whole state is plain files.
//!
//! A [`Conductor`] is an opened root: one folder that holds projects, their tasks, and the runs of
//! each. It starts single runs ([`Conductor::jobs`]) and tasks, which start their agent again until a
//! file `DONE` stands ([`Conductor::tasks`]); it reads what ran ([`Conductor::runs`]); and it opens the
//! message bus of a project or a task ([`Conductor::bus`]).
//!
//! The library is synchronous. It owns no thread, prints nothing, installs no signal handler and never
//! changes the environment or the folder of its host. Everything that waits takes a [`Wait`]: a
//! deadline, a [`Cancel`] switch, or both. The end of a wait is never the end of the work: runs live
//! on without the process that started them.
//!
//! What callers need stands here, at the root of the crate. The modules below the hidden ones are its
//! layers, open to the project's own tests only.

#[doc(hidden)]
pub mod agent;
#[doc(hidden)]
pub mod boundary;
pub mod bus;
mod cancel;
pub mod config;
mod error;
mod facade;
#[doc(hidden)]
pub mod fsx;
mod gc;
#[cfg(feature = "http")]
mod http;
mod id;
#[doc(hidden)]
pub mod layout;
pub mod limits;
mod log;
mod mask;
mod nearest;
mod outbox;
mod run;
mod size;
mod supervise;
#[doc(hidden)]
pub mod sys;
mod task;
mod time;
mod update;
mod usage;
pub mod vocabulary;
mod wait;
#[doc(hidden)]
pub mod yaml;

pub use agent::rest::RestService;
#[cfg(feature = "http")]
pub use agent::rest::{RestCall, RestLimits};
pub use bus::{
    Bus, CheckReport, Cursor, Damage, Durability, Event, Follower, Link, Message, NamedCursor,
    Parent, Post, Posted, ReadOptions, Reader, Scope,
};
pub use cancel::{Cancel, NoWait, Wait};
pub use config::{
    Config, ConfigOrigin, ConfigPlace, ConfigSources, ConfigUse, ConfigValue, LoadedConfig, Origin,
    Problem, Rejected, Secret, Severity, Variables, config_reference, config_schema,
    config_template,
};
pub use error::{Error, ErrorKind, KINDS, KindRow, Result};
pub use facade::{
    Activity, AgentCheck, BusSizes, Change, Conductor, Drift, ExtraRun, ExtraRunInfo, ExtraRuns,
    Finding, FindingKind, FoundBus, Gc, ImportSpec, Imported, JobSpec, Jobs, ListPlan, Living,
    LivingRuns, Location, Monitor, MonitorAction, MonitorItem, MonitorLock, MonitorLook,
    MonitorNews, Named, OpenPlan, Options, Outbox, OutputFile, OutputFollower, OutputPlan, Passed,
    Pause, PostPlan, ProgramEnd, ProjectDeleted, ProjectInfo, ReadPlan, Record, Records, Run,
    RunOutput, RunUsage, Runs, RunsWatch, STALE_AFTER, Service, Settings, Shell, ShellSetup,
    ShellSources, Surroundings, Survey, TERMINAL_PROJECT, Task, TaskEvents, TaskInfo, TaskSpec,
    TaskStatus, TaskWatch, Tasks, Update, UpdateStatus, Updater, UsageBy, UsagePlan, UsageReport,
    UsageSum, Validate, Validation, Why, Work, Wrapped, Written, wait_any,
};
pub use gc::{
    GcAction, GcDone, GcGoal, GcHeld, GcHolding, GcItem, GcItems, GcKind, GcPlan, GcPolicy,
    GcReason, GcReport, GcResult, GcWork,
};
pub use id::{MessageId, ProjectId, RunId, TaskId, check_id};
pub use layout::{Listing, RootOrigin, RootSources};
pub use limits::{PROMPT_SIZE, STOP_GRACE};
pub use log::{LogLevel, LogLevels, LogLine, LogReader, LogValue, escaped, redacted};
pub use mask::Redactor;
pub use outbox::{Delivery, EventKind, OutboxEvent, Receiver, SignedHeaders, sign};
pub use run::{Outcome, Phase, RunRecord, Status};
pub use size::{format_size, parse_size};
pub use supervise::{Hold, OnOutputLimit, RunInfo, Stop, StopReport};
pub use sys::die_with_starter;
pub use task::{OnQuestion, TaskBudget, TaskOutcome, TaskResult, ThreadLink, Waiting};
pub use time::{Timestamp, format_duration, parse_duration};
pub use update::{NewProgram, UpdateRequest, UpdateState};
pub use usage::{ErrorClass, Usage};
pub use wait::Step;
