//! A task: attempts until `DONE` stands.
//!
//! The decision what comes next is a function of facts on disk ([`decide`]); the driver carries it
//! out; the lease says who drives. Whoever waits, drives: there is no thread and no daemon.

mod active;
mod begin;
mod children;
mod config;
mod decide;
mod delete;
mod dependencies;
mod driver;
mod handle;
mod judge;
mod lease;
mod loop_file;
mod means;
mod parameters;
mod policy;
mod propagate;
mod questions;
mod set_back;
mod state;
mod stop;
mod summary;
mod thread;

pub(crate) use begin::{Begin, stored_prompt};
pub(crate) use config::{TaskConfig, shell_line};
pub(crate) use decide::Bounds;
pub(crate) use dependencies::{depends_on, not_ready};
pub(crate) use handle::{CanDrive, Waiter, living_driver};
pub(crate) use parameters::Parameters;
pub(crate) use policy::Budget;
pub use questions::OnQuestion;
pub(crate) use state::LoopState;
pub use state::{TaskBudget, TaskOutcome, TaskResult, Waiting};
pub use thread::ThreadLink;
