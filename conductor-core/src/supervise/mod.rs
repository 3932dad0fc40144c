//! One run: its start, its watch, its end, and ending it on purpose.

mod engine;
mod evidence;
mod finish;
mod glance;
mod handle;
mod info;
mod keeper_image;
mod open_entry;
mod output;
mod start;
mod stop;
mod verdict;

pub(crate) use engine::{Engine, Settings};
pub(crate) use evidence::{Known, exec_failed, known};
pub(crate) use finish::{DELETED, Finished, finish, tell_deleted};
pub(crate) use glance::glance;
pub(crate) use handle::RunWatch;
pub use info::RunInfo;
pub(crate) use info::{newest_readable, read_info, read_info_in};
pub(crate) use open_entry::OpenEntry;
pub(crate) use start::{RunPlan, Started};
pub use stop::{Stop, StopReport};
