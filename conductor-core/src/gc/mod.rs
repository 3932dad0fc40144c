//! Garbage collection: what may go, and how it goes without a trace of it half left.
//!
//! `survey` finds out what is there, `decide` judges it by a policy and a fixed moment (pure),
//! `plan` holds both, and `apply` carries a plan out: each thing is looked at again under its lock,
//! moved into the trash, and deleted there once the move is durable. Nothing is waited for: what is
//! in use stays.

mod apply;
mod clock;
mod decide;
mod facts;
mod item;
mod plan;
mod policy;
mod scan_run;
mod scan_task;
mod strays;
mod survey;
mod trash;
mod work;

pub(crate) use apply::apply;
pub use apply::{GcDone, GcReport, GcResult};
pub use item::{GcAction, GcItem, GcKind, GcReason};
pub use plan::GcPlan;
pub(crate) use plan::make_plan;
pub use policy::GcPolicy;
pub(crate) use scan_task::TaskLook;
pub(crate) use survey::Looked;
