//! The work that an update of the server waits for.

use super::handle::living_driver;
use super::state::LoopState;
use crate::error::{ErrorKind, Result};
use crate::fsx::{Folder, found};
use crate::supervise::{Engine, OpenEntries, OpenEntry, Sight};
use crate::time::Timestamp;
use crate::update::ActiveRoots;
use std::collections::HashSet;
use std::time::Duration;

/// A loop that waits longer than this for its next attempt is not waited for: it goes on afterwards.
const LONG_WAIT: Duration = Duration::from_secs(60);

impl Engine {
    /// Counts the root runs that are active: by the identity of their processes, not by what their
    /// records say. A run whose parent lives is its root's; what cannot be read counts as active.
    ///
    /// Reads what is open in the root. Only where no run lives are all tasks looked at, for loops that
    /// are between two attempts; these count as one each.
    pub(crate) fn active_roots(&self) -> Result<ActiveRoots> {
        let mut active = ActiveRoots::default();
        // Nothing was ever started where there is no root.
        if found(self.layout().root())?.is_none() {
            return Ok(active);
        }
        let OpenEntries { entries, damaged } = OpenEntry::list(self.layout())?;
        active.unreadable = damaged;
        let mut living = Vec::new();
        for entry in entries {
            match self.look_at(&entry) {
                Ok(Sight::Living(record)) => living.push((entry, record.parent_run_id)),
                Ok(Sight::Untold(_)) => {
                    let parent = entry.parent().map(ToString::to_string);
                    living.push((entry, parent));
                }
                Ok(Sight::Lost(_) | Sight::Over | Sight::Gone) => {}
                Err(error) => active.unreadable.push(error),
            }
        }
        let ids: HashSet<&str> = living.iter().map(|(entry, _)| entry.run.as_str()).collect();
        let is_root =
            |parent: &Option<String>| parent.as_deref().is_none_or(|parent| !ids.contains(parent));
        active.count = living.iter().filter(|(_, parent)| is_root(parent)).count() as u64;
        if active.total() == 0 {
            self.count_loops(&mut active)?;
        }
        Ok(active)
    }

    fn count_loops(&self, active: &mut ActiveRoots) -> Result<()> {
        let now = self.now();
        for project in self.layout().projects()?.ids {
            for task in found(self.layout().tasks(&project))?.unwrap_or_default().ids {
                let looked = found(self.layout().task(&project, &task))
                    .and_then(|folder| folder.map_or(Ok(false), |it| is_between(&it, now)));
                match looked {
                    Ok(is_between) => active.count += u64::from(is_between),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => active.unreadable.push(error),
                }
            }
        }
        Ok(())
    }
}

/// Whether the loop of a task is driven and about to do something.
fn is_between(task: &Folder, now: Timestamp) -> Result<bool> {
    if living_driver(task)?.is_none() {
        return Ok(false);
    }
    let Some(state) = LoopState::read(task)? else { return Ok(false) };
    Ok(state.result().is_none() && !waits_long(&state, now))
}

fn waits_long(state: &LoopState, now: Timestamp) -> bool {
    state.waiting().is_some_and(|waiting| match waiting.until {
        Some(until) => until.since(now) > LONG_WAIT,
        None => now.since(waiting.since) > LONG_WAIT,
    })
}

#[cfg(test)]
mod tests {
    use super::super::means::Means;
    use super::super::parameters::Parameters;
    use super::super::state::Waiting;
    use super::*;

    #[test]
    fn only_a_long_wait_is_not_waited_for() {
        let now = Timestamp::UNIX_EPOCH.plus(Duration::from_secs(1000));
        let mut state = LoopState::begin(1, None, Parameters::default(), Means::default(), now);
        assert!(!waits_long(&state, now));
        let later = |seconds| Some(now.plus(Duration::from_secs(seconds)));
        for (until, long) in [(later(60), false), (later(61), true), (None, false)] {
            state.waiting = Some(Waiting::new("hold", now, until));
            assert_eq!(waits_long(&state, now), long);
        }
        state.waiting = Some(Waiting::new("answer", now.minus(LONG_WAIT * 2), None));
        assert!(waits_long(&state, now));
    }
}
