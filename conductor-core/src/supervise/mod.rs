//! One run: its start, its watch, its end, and ending it on purpose.

mod admission;
mod apart;
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
mod meter;
mod note;
mod notify;
mod open_entry;
mod output;
mod output_locks;
mod planned;
mod prepared;
mod probe;
mod reconcile;
mod session;
mod sight;
mod slots;
mod start;
mod stop;
mod task_slot;
mod told;
mod tree;
mod turns;
mod verdict;

pub(crate) use admission::{Admission, Admitted, Demand, Gate, is_wait_for_slot, waiter};
pub(crate) use apart::Apart;
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
pub(crate) use info::{look, read_info, read_info_in};
pub(crate) use masked::{masked_check, no_run_agent as no_masking};
pub(crate) use meter::{LimitNews, Meter, Wanted};
pub(crate) use open_entry::{OpenEntries, OpenEntry};
pub(crate) use output::{cut_of, gap_note, last_lines};
pub(crate) use planned::PlannedAgent;
pub(crate) use probe::known_version;
pub(crate) use sight::{LivingRun, Sight};
pub(crate) use slots::{Lines, Pool, Slots};
pub(crate) use start::{External, RunPlan, Started};
pub(crate) use stop::stop_reason;
pub use stop::{Stop, StopReport};
pub(crate) use verdict::Verdict;
