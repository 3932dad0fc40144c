//! One run: its start, its watch, its end, and ending it on purpose.

mod admission;
mod attached;
mod bounds;
mod check;
mod engine;
mod evidence;
mod family;
mod finish;
mod glance;
mod handle;
mod hold;
mod info;
mod keeper_image;
mod kept;
mod masked;
mod note;
mod notify;
mod open_entry;
mod output;
mod planned;
mod prepared;
mod probe;
mod reconcile;
mod session;
mod slots;
mod start;
mod stop;
mod tree;
mod verdict;

pub(crate) use admission::{Admission, Admitted, Demand, Gate, is_wait_for_slot, waiter};
pub(crate) use attached::{Attached, Changed};
pub use bounds::OnOutputLimit;
pub(crate) use bounds::{Family, ON_OUTPUT_LIMIT};
pub(crate) use check::{Check, Checked, checked, stop_check};
pub(crate) use engine::{Engine, Settings};
pub(crate) use evidence::{
    Known, cannot_be_executed, is_damage, keeper_facts, keeper_record, known, moment, observe,
    processes_live,
};
pub(crate) use finish::{DELETED, Finished, finish, tell_deleted};
pub(crate) use glance::glance;
pub(crate) use handle::RunWatch;
pub use hold::Hold;
pub(crate) use hold::account_name;
pub use info::RunInfo;
pub(crate) use info::{read_info, read_info_in};
pub(crate) use masked::{masked_check, no_run_agent as no_masking};
pub(crate) use open_entry::{OpenEntries, OpenEntry};
pub(crate) use output::{cut_of, gap_note, last_lines};
pub(crate) use planned::PlannedAgent;
pub(crate) use slots::{Lines, Pool};
pub(crate) use start::{RunPlan, Started};
pub(crate) use stop::stop_reason;
pub use stop::{Stop, StopReport};
pub(crate) use verdict::Verdict;
