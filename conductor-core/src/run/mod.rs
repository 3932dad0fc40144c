//! The record of one run: what `run-info.yaml` says, and how it is read and changed.
//!
//! The record is for people and for the older program, which rewrites it at every look and drops
//! the keys that it does not know. The truth about a run's processes is kept beside it, in
//! `.keeper`.

mod cwd_txt;
mod fields;
mod glimpse;
mod outcome;
pub(crate) mod receipts;
mod record;
pub(crate) mod store;

pub(crate) use cwd_txt::CWD_TXT;
pub(crate) use glimpse::{Glimpse, glimpse};
pub use outcome::{Outcome, Phase, Status};
pub use record::RunRecord;
