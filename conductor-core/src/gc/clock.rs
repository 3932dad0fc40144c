//! Whether the clock can be believed: a run is not old because the clock ran ahead.

use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::{CONDUCTOR, GC};
use crate::sys::Processes;
use crate::time::{Timestamp, format_duration};
use crate::yaml::{Mapping, Value, parse_mapping};
use std::path::Path;
use std::time::Duration;

/// How far the clock may run ahead of the time since boot between two collections.
const JUMP: Duration = Duration::from_secs(24 * 3600);
const LIMIT: u64 = 4096;

/// What two clocks showed at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clocks {
    pub(super) wall: Timestamp,
    pub(super) since_boot: Duration,
    pub(super) boot_id: String,
}

impl Clocks {
    /// What they show now.
    pub(super) fn now(root: &Folder) -> Result<Clocks> {
        let boot_id = Processes.boot_id().map_err(|e| Error::io("look at the boot of", "/", e))?;
        Ok(Clocks {
            wall: root.os().now(),
            since_boot: root.os().since_boot(),
            boot_id: boot_id.to_owned(),
        })
    }

    /// How far the wall clock ran ahead of the other since `before`; `None` where nobody can tell.
    fn ahead_of(&self, before: &Clocks) -> Option<Duration> {
        if self.boot_id != before.boot_id {
            return None;
        }
        let passed = self.since_boot.checked_sub(before.since_boot)?;
        Some(self.wall.since(before.wall).saturating_sub(passed))
    }

    /// Refuses a clock that jumped ahead since the last collection of the same boot.
    ///
    /// # Errors
    /// `gc.clock_jumped`; `yaml.corrupt` and `gc.state_corrupt` for a damaged note of the last one.
    pub(super) fn check(&self, root: &Folder) -> Result<()> {
        let Some(before) = Clocks::read(root)? else { return Ok(()) };
        let Some(ahead) = self.ahead_of(&before).filter(|ahead| *ahead > JUMP) else {
            return Ok(());
        };
        let hours = Duration::from_secs(ahead.as_secs() / 3600 * 3600);
        Err(Error::new(
            ErrorKind::Conflict,
            "gc.clock_jumped",
            format!(
                "the clock ran more than {} ahead since the last collection: runs would seem older \
                 than they are",
                format_duration(hours)
            ),
        )
        .with_path(root.join(CONDUCTOR).join(GC))
        .with_hint("set the clock right, or use --force if it is right now"))
    }

    fn read(root: &Folder) -> Result<Option<Clocks>> {
        let path = Path::new(CONDUCTOR).join(GC);
        let Some(bytes) = root.read_if_exists(&path, LIMIT)? else { return Ok(None) };
        let path = root.join(&path);
        let map = parse_mapping(&bytes, &path)?;
        let wrong = |key: &str| {
            Error::new(
                ErrorKind::Corrupt,
                "gc.state_corrupt",
                format!("{}: the value of {key} is missing or wrong", path.display()),
            )
            .with_path(&path)
            .with_field(key)
            .with_hint("remove the file if the clock is right")
        };
        let text = |key: &str| map.get_text(key).ok_or_else(|| wrong(key));
        let nanos = text("since_boot_ns")?.parse().map_err(|_| wrong("since_boot_ns"))?;
        Ok(Some(Clocks {
            wall: text("collected_at")?.parse().map_err(|_| wrong("collected_at"))?,
            since_boot: Duration::from_nanos(nanos),
            boot_id: text("boot_id")?,
        }))
    }

    /// Notes what the clocks showed for the next collection.
    pub(super) fn note(&self, root: &Folder) -> Result<()> {
        let mut map = Mapping::new();
        map.insert("version", Value::from(1u64));
        map.insert("collected_at", Value::timestamp(self.wall));
        let nanos = u64::try_from(self.since_boot.as_nanos()).unwrap_or(u64::MAX);
        map.insert("since_boot_ns", Value::from(nanos));
        map.insert("boot_id", Value::from(self.boot_id.as_str()));
        root.ensure_folder(CONDUCTOR)?.replace_unguarded(GC, map.to_yaml().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;

    const HOUR: Duration = Duration::from_secs(3600);

    fn clocks(wall_hours: u32, boot_hours: u32, boot: &str) -> Clocks {
        let wall = Timestamp::UNIX_EPOCH.plus(HOUR * wall_hours);
        Clocks { wall, since_boot: HOUR * boot_hours, boot_id: boot.to_owned() }
    }

    #[test]
    fn a_week_later_is_fine_and_a_jump_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        clocks(1000, 10, "a").check(&root).unwrap();
        clocks(1000, 10, "a").note(&root).unwrap();
        for good in [
            clocks(1168, 178, "a"),
            clocks(1034, 20, "a"),
            clocks(5000, 1, "b"),
            clocks(10, 200, "a"),
        ] {
            good.check(&root).unwrap();
        }
        let error = clocks(1036, 11, "a").check(&root).unwrap_err();
        assert_eq!(error.code(), "gc.clock_jumped");
        assert!(error.to_string().contains("35h"), "{error}");
    }

    #[test]
    fn a_damaged_note_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        clocks(1, 1, "a").note(&root).unwrap();
        let path = dir.path().join(".conductor/gc.yaml");
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, good.replace("since_boot_ns: ", "since_boot_ns: x")).unwrap();
        let error = clocks(1, 1, "a").check(&root).unwrap_err();
        assert_eq!((error.code(), error.field()), ("gc.state_corrupt", Some("since_boot_ns")));
    }
}
