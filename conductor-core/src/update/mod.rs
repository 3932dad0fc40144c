//! The update of a server's own program, which interrupts no run.
//!
//! One file in the root says where an update stands, so that every starter in every language sees it:
//!
//! ```text
//! idle ──start──▶ deferred ──no active root run──▶ applying ──▶ idle (the new program serves)
//!                    │                                └──────▶ failed (the old program serves on)
//!                    └──cancel──▶ idle
//! ```
//!
//! While it is `deferred` or `applying`, new root runs are refused. That holds only while a process
//! that can carry the update out lives, which is known by a lock: a dead server blocks nobody.
//!
//! The program is exchanged in steps, each written down before it is taken ([`record`]), so that a
//! death at any moment leaves the old program or the new one at its place, and the next server knows
//! which, and what to clear away ([`updater`]). The new one gets the place when it has shown that it
//! serves, and not before.

mod candidate;
mod gate;
mod install;
mod probe;
mod record;
mod signature;
mod updater;
mod version;

pub(crate) use gate::{Admission, admit, alone, living_updater};
pub(crate) use record::Record;
pub use record::{UpdateRequest, UpdateState};
pub use updater::NewProgram;
pub(crate) use updater::{ActiveRoots, Policy, Role, applying, cancel};
