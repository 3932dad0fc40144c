//! What garbage collection takes and what it leaves.

use super::item::GcReason;
use crate::id::ProjectId;
use std::time::Duration;

/// The age from which a finished run goes, unless something else is asked for.
const OLDER_THAN: Duration = Duration::from_secs(168 * 3600);
/// The size above which a bus is rotated, in bytes, unless something else is asked for.
const BUS_MAX_SIZE: u64 = 10 << 20;

/// What garbage collection takes and what it leaves.
///
/// Whatever it says, nothing goes that lives, that a living run came from, or that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcPolicy {
    /// A run goes when it ended longer ago than this.
    pub older_than: Duration,
    /// Only this project.
    pub project: Option<ProjectId>,
    /// Whether runs stay that did not complete.
    pub keep_failed: bool,
    /// How many of the newest runs of each task stay.
    pub keep_last: usize,
    /// The oldest runs go, whatever their age, until the root holds at most so many bytes, or the project
    /// where it is one; 0 is no limit. What counts is all that lies there, not runs alone: where what may not
    /// go is more than this, all that may goes. `keep_last` and `keep_failed` hold all the same.
    pub max_bytes: Option<u64>,
    /// The oldest runs go, whatever their age, until so many bytes of the disk are free; 0 is no goal.
    pub min_free: Option<u64>,
    /// Whether buses are moved into an archive that are larger than `bus_max_size`.
    pub rotate_bus: bool,
    /// The size of a bus above which it is rotated, in bytes.
    pub bus_max_size: u64,
    /// Archives of buses go when nobody wrote to them for longer than this.
    pub prune_archives: Option<Duration>,
    /// Whether tasks go that are done and old, and have no runs left.
    pub delete_done_tasks: bool,
    /// Whether the clock is believed although it ran ahead.
    pub force: bool,
}

impl Default for GcPolicy {
    fn default() -> GcPolicy {
        GcPolicy {
            older_than: OLDER_THAN,
            project: None,
            keep_failed: false,
            keep_last: 0,
            max_bytes: None,
            min_free: None,
            rotate_bus: false,
            bus_max_size: BUS_MAX_SIZE,
            prune_archives: None,
            delete_done_tasks: false,
            force: false,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> GcPolicy {
            self.$name = $name.into();
            self
        })*
    };
}

impl GcPolicy {
    /// What it wants beside what goes by its age: the most bytes that the root may hold, the least of the disk
    /// that shall be free.
    pub(super) fn goals(&self) -> impl Iterator<Item = (GcReason, u64)> {
        let goals = [(GcReason::MaxBytes, self.max_bytes), (GcReason::MinFree, self.min_free)];
        let set = |(goal, bytes): (GcReason, Option<u64>)| Some((goal, bytes.filter(|b| *b > 0)?));
        goals.into_iter().filter_map(set)
    }

    setters! {
        /// A run goes when it ended longer ago than this.
        older_than: Duration;
        /// Only this project.
        project: ProjectId;
        /// Whether runs stay that did not complete.
        keep_failed: bool;
        /// How many of the newest runs of each task stay.
        keep_last: usize;
        /// The oldest runs go until the root holds at most so many bytes; 0 is no limit.
        max_bytes: u64;
        /// The oldest runs go until so many bytes of the disk are free; 0 is no goal.
        min_free: u64;
        /// Whether buses are moved into an archive that are larger than `bus_max_size`.
        rotate_bus: bool;
        /// The size of a bus above which it is rotated, in bytes.
        bus_max_size: u64;
        /// Archives of buses go when nobody wrote to them for longer than this.
        prune_archives: Duration;
        /// Whether tasks go that are done and old, and have no runs left.
        delete_done_tasks: bool;
        /// Whether the clock is believed although it ran ahead.
        force: bool;
    }
}
