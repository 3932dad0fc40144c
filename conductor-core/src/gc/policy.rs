//! What garbage collection takes and what it leaves.

use crate::error::{Error, Result};
use crate::id::ProjectId;
use crate::time::{Timestamp, format_duration, parse_duration};
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
    /// The oldest runs go, whatever their age, until the root holds at most so many bytes.
    pub max_bytes: Option<u64>,
    /// The oldest runs go, whatever their age, until so many bytes of the disk are free.
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
    setters! {
        /// A run goes when it ended longer ago than this.
        older_than: Duration;
        /// Only this project.
        project: ProjectId;
        /// Whether runs stay that did not complete.
        keep_failed: bool;
        /// How many of the newest runs of each task stay.
        keep_last: usize;
        /// The oldest runs go until the root holds at most so many bytes.
        max_bytes: u64;
        /// The oldest runs go until so many bytes of the disk are free.
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

    /// The policy and the moment it is judged at as one text, which another process can read.
    pub(super) fn token(&self, now: Timestamp) -> String {
        let mut parts = vec!["gc1".to_owned(), now.to_string(), format_duration(self.older_than)];
        let mut flag = |name: &str, set: bool| {
            if set {
                parts.push(name.to_owned());
            }
        };
        flag("keep_failed", self.keep_failed);
        flag("rotate_bus", self.rotate_bus);
        flag("delete_done_tasks", self.delete_done_tasks);
        flag("force", self.force);
        let values = [
            ("project", self.project.as_ref().map(ToString::to_string)),
            ("keep_last", Some(self.keep_last.to_string())),
            ("max_bytes", self.max_bytes.map(|bytes| bytes.to_string())),
            ("min_free", self.min_free.map(|bytes| bytes.to_string())),
            ("bus_max_size", Some(self.bus_max_size.to_string())),
            ("prune_archives", self.prune_archives.map(format_duration)),
        ];
        for (name, value) in values {
            parts.extend(value.map(|value| format!("{name}={value}")));
        }
        parts.join(" ")
    }

    /// Reads what [`GcPolicy::token`] wrote.
    ///
    /// # Errors
    /// `gc.token`.
    pub(crate) fn of_token(token: &str) -> Result<(GcPolicy, Timestamp)> {
        read(token).ok_or_else(|| {
            let shown: String = token.chars().take(60).collect();
            Error::invalid("gc.token", "plan", format!("{shown:?} is no plan"))
                .with_hint("give the plan's text as the dry run told it, or plan again")
        })
    }
}

fn read(token: &str) -> Option<(GcPolicy, Timestamp)> {
    let mut parts = token.split(' ');
    if parts.next() != Some("gc1") {
        return None;
    }
    let now = parts.next()?.parse().ok()?;
    let mut policy = GcPolicy::default().older_than(parse_duration(parts.next()?).ok()?);
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "keep_failed" => policy.keep_failed = true,
            "rotate_bus" => policy.rotate_bus = true,
            "delete_done_tasks" => policy.delete_done_tasks = true,
            "force" => policy.force = true,
            "project" => policy.project = Some(ProjectId::new(value).ok()?),
            "keep_last" => policy.keep_last = value.parse().ok()?,
            "max_bytes" => policy.max_bytes = Some(value.parse().ok()?),
            "min_free" => policy.min_free = Some(value.parse().ok()?),
            "bus_max_size" => policy.bus_max_size = value.parse().ok()?,
            "prune_archives" => policy.prune_archives = Some(parse_duration(value).ok()?),
            _ => return None,
        }
    }
    Some((policy, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_it_all() {
        let now: Timestamp = "2026-03-01T08:00:00.25Z".parse().unwrap();
        let plain = GcPolicy::default();
        assert_eq!(GcPolicy::of_token(&plain.token(now)).unwrap(), (plain, now));
        let full = GcPolicy {
            older_than: Duration::from_millis(1500),
            project: Some(ProjectId::new("shop").unwrap()),
            keep_failed: true,
            keep_last: 3,
            max_bytes: Some(1),
            min_free: Some(0),
            rotate_bus: true,
            bus_max_size: 7,
            prune_archives: Some(Duration::ZERO),
            delete_done_tasks: true,
            force: true,
        };
        assert_eq!(GcPolicy::of_token(&full.token(now)).unwrap(), (full, now));
        for bad in ["", "gc2 x", "gc1", "gc1 now 1h", "gc1 2026-03-01T08:00:00Z 1h forced"] {
            assert_eq!(GcPolicy::of_token(bad).unwrap_err().code(), "gc.token", "{bad}");
        }
    }
}
