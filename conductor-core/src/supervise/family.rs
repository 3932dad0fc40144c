//! Where a run stands among runs that start runs, and whether it may.

use super::bounds::Family;
use super::engine::Engine;
use super::open_entry::OpenEntry;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, found};
use crate::id::RunId;
use crate::layout::{CONDUCTOR, FAMILY_LOCK};
use crate::limits;
use crate::sys::LockKind;

/// Where a run stands among the living ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The runs whose agents lead to it, the outermost first.
    pub(crate) parents: Vec<RunId>,
    /// What its own agent may start.
    pub(crate) family: Family,
    /// Whether no living run started it. A shell that an agent opened may name one that is long gone.
    pub(crate) is_root: bool,
}

impl Engine {
    /// Where a run stands whose agent's parent is `parent`. Reads only.
    ///
    /// # Errors
    /// `run.too_deep`; `run.too_many_children`.
    pub(crate) fn place(&self, parent: Option<&RunId>, family: Family) -> Result<Place> {
        let root = |parents| Ok(Place { parents, family, is_root: true });
        let Some(parent) = parent else { return root(Vec::new()) };
        if found(self.layout().root())?.is_none() {
            return root(vec![parent.clone()]);
        }
        let living =
            self.living_runs(|entry| entry.run == *parent || entry.parent() == Some(parent))?;
        // Of what nobody can say whether it lives, the bounds hold.
        let living: Vec<OpenEntry> = (living.runs.into_iter().map(|run| run.entry))
            .chain(living.unknown.into_iter().map(|(entry, _)| entry))
            .collect();
        let Some(above) = living.iter().find(|entry| entry.run == *parent) else {
            return root(vec![parent.clone()]);
        };
        let mut parents = above.parents.clone();
        parents.push(parent.clone());
        let children = living.iter().filter(|entry| entry.parent() == Some(parent)).count();
        let family = family.within(above.family);
        if above.family.max_depth.is_some_and(|max| parents.len() as u64 > max) {
            return Err(too_deep(parent, above.family.max_depth.unwrap_or_default()));
        }
        if above.family.max_children.is_some_and(|max| children as u64 >= max) {
            return Err(too_many(parent, children));
        }
        Ok(Place { parents, family, is_root: false })
    }

    /// As [`place`](Engine::place), for a run that is about to be made: as long as the lock is held,
    /// nobody else counts.
    pub(super) fn take_place(
        &self,
        parent: Option<&RunId>,
        family: Family,
        wait: &Wait,
    ) -> Result<(Place, Option<FileLock>)> {
        if parent.is_none() {
            return Ok((self.place(None, family)?, None));
        }
        let conductor = self.layout().ensure_root()?.ensure_folder(CONDUCTOR)?;
        let wait = wait.clone().at_most(limits::RECORD_LOCK);
        let lock = conductor.lock(FAMILY_LOCK, LockKind::Exclusive, &wait)?;
        Ok((self.place(parent, family)?, Some(lock)))
    }
}

fn too_deep(parent: &RunId, max: u64) -> Error {
    let what = format!("the run {parent} is as deep below others as runs may be ({max})");
    Error::new(ErrorKind::Conflict, "run.too_deep", what)
        .with_field("max_depth")
        .with_hint("do the work here, or raise limits.max_depth where the first of them is started")
}

fn too_many(parent: &RunId, living: usize) -> Error {
    let what = format!("the run {parent} has {living} living children, as many as it may");
    Error::new(ErrorKind::Busy, "run.too_many_children", what)
        .with_field("max_children")
        .with_hint("wait until one of them ends, or raise limits.max_children")
}
