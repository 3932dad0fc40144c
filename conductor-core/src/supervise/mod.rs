//! One run: its start, its watch, its end, and ending it on purpose.

mod engine;
mod finish;
mod handle;
mod keeper_image;
mod open_entry;
mod output;
mod start;
mod stop;
mod verdict;

pub(crate) use engine::Engine;
pub(crate) use finish::{Finished, finish, observe};
pub(crate) use handle::RunWatch;
pub(crate) use open_entry::OpenEntry;
pub(crate) use start::{RunPlan, Started};
pub(crate) use verdict::Verdict;
pub use stop::{Stop, StopReport};
