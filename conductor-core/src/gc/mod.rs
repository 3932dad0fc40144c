//! Garbage collection: what may go, and how it goes without a trace of it half left.
//!
//! A plan is a policy, a moment and the `relations` that must be known of the whole root. The way
//! through a root (`walk`) then gives one thing after the other, each judged by `decide` (pure). Who
//! asks for a list goes it and writes nothing; `apply` goes it too, looks at what goes again under its
//! lock, moves it into the trash, and deletes it there once the move is durable. Nothing is waited for:
//! what is in use stays. Memory grows with what lives and with the names of one folder, not with what
//! there is.

mod apply;
mod clock;
mod decide;
mod facts;
mod goal;
mod going;
mod item;
mod leftovers;
mod oldest;
mod plan;
mod policy;
mod relations;
mod scan_run;
mod scan_task;
mod strays;
mod token;
mod trash;
mod walk;
mod work;

pub use apply::{GcDone, GcReport, GcResult, GcWork};
pub use goal::{GcGoal, GcHeld};
pub use item::{GcAction, GcHolding, GcItem, GcKind, GcReason};
pub use plan::GcPlan;
pub(crate) use plan::make_plan;
pub use policy::GcPolicy;
pub(crate) use relations::Counted;
pub(crate) use scan_task::TaskLook;
pub(crate) use strays::is_in_hand;
pub(crate) use token::Token;
pub use walk::GcItems;
