//! One run: its start, its watch, its end, and ending it on purpose.

mod attached;
mod check;
mod engine;
mod evidence;
mod finish;
mod glance;
mod handle;
mod info;
mod keeper_image;
mod kept;
mod open_entry;
mod output;
mod start;
mod stop;
mod verdict;

pub(crate) use attached::{Attached, Changed};
pub(crate) use check::{Check, Checked, checked, stop_check};
pub(crate) use engine::{Engine, Settings};
pub(crate) use evidence::{
    Known, exec_failed, is_damage, keeper_facts, known, moment, observe, processes_live,
};
pub(crate) use finish::{DELETED, Finished, finish, tell_deleted};
pub(crate) use glance::glance;
pub(crate) use handle::RunWatch;
pub use info::RunInfo;
pub(crate) use info::{read_info, read_info_in};
pub(crate) use open_entry::{OpenEntries, OpenEntry};
pub(crate) use output::last_lines;
pub(crate) use start::{RunPlan, Started};
pub use stop::{Stop, StopReport};
pub(crate) use verdict::Verdict;
