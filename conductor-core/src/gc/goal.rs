//! What a policy wants of the bytes of a root or of its disk, how far that is reached, and what lies in
//! the way.

use super::facts::{ArchiveFact, StrayFact};
use super::item::{GcHolding, GcItem, GcKind, GcReason};
use super::scan_task::is_archive_of;
use crate::sys::{FileKind, Stat};
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// What holds bytes that stay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcHeld {
    /// What it is.
    pub what: GcHolding,
    /// Of runs: why they stay.
    pub reason: Option<GcReason>,
    /// Of runs: how many they are; else 0.
    pub count: usize,
    /// How much it holds, in bytes.
    pub bytes: u64,
}

/// A goal of a policy, [`max_bytes`](super::GcPolicy::max_bytes) or [`min_free`](super::GcPolicy::min_free),
/// and how far it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcGoal {
    /// Which one: [`GcReason::MaxBytes`] or [`GcReason::MinFree`].
    pub goal: GcReason,
    /// The bytes that were asked for: the most that the root, or the one project, may hold; the least
    /// that shall be free.
    pub wanted: u64,
    /// The bytes that there are, held or free: of a plan before it is carried out, of a report after it. What
    /// the root holds is counted once, when the plan is made: what comes later is not in it.
    pub now: u64,
    /// The bytes that are missing still once the plan is carried out; 0 where the goal is reached.
    pub short: u64,
    /// What stays, most bytes first; empty where the goal is reached.
    pub held: Vec<GcHeld>,
}

impl GcGoal {
    /// A goal of which so many bytes can go.
    pub(super) fn planned(
        goal: GcReason,
        wanted: u64,
        now: u64,
        can_go: u64,
        held: &Held,
    ) -> GcGoal {
        GcGoal { goal, wanted, now, short: 0, held: Vec::new() }.missing(can_go, held)
    }

    /// As it was planned when it was known what is short and what is held.
    pub(super) fn known(goal: GcReason, wanted: u64, now: u64, short: u64, held: &Held) -> GcGoal {
        let held = if short > 0 { held.list() } else { Vec::new() };
        GcGoal { goal, wanted, now, short, held }
    }

    /// As it stands once a plan was carried out and there are so many bytes now.
    pub(super) fn reached(&self, now: u64, held: &Held) -> GcGoal {
        GcGoal { now, ..self.clone() }.missing(0, held)
    }

    fn missing(mut self, can_go: u64, held: &Held) -> GcGoal {
        self.short = self.over().saturating_sub(can_go);
        self.held = if self.short > 0 { held.list() } else { Vec::new() };
        self
    }

    /// The bytes that must go for the goal to be reached.
    pub(super) fn over(&self) -> u64 {
        match self.goal {
            GcReason::MinFree => self.wanted.saturating_sub(self.now),
            _ => self.now.saturating_sub(self.wanted),
        }
    }
}

/// Bytes that stay, by what holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held(BTreeMap<(GcHolding, Option<GcReason>), (usize, u64)>);

impl Held {
    pub(super) fn add_run(&mut self, reason: GcReason, bytes: u64) {
        let (count, sum) = self.0.entry((GcHolding::Runs, Some(reason))).or_default();
        (*count, *sum) = (*count + 1, sum.saturating_add(bytes));
    }

    pub(super) fn add(&mut self, what: GcHolding, bytes: u64) {
        let (_, sum) = self.0.entry((what, None)).or_default();
        *sum = sum.saturating_add(bytes);
    }

    /// Adds something that was to go and stays.
    pub(super) fn add_kept(&mut self, item: &GcItem, reason: GcReason) {
        match item.kind {
            GcKind::Run | GcKind::Orphan => self.add_run(reason, item.bytes),
            GcKind::Archive => self.add(GcHolding::Archives, item.bytes),
            GcKind::Task => self.add(GcHolding::Tasks, item.bytes),
            // It never was to go.
            GcKind::Bus => {}
            GcKind::Temporary | GcKind::Trash | GcKind::Lock | GcKind::Entry => {
                self.add(GcHolding::Root, item.bytes);
            }
        }
    }

    /// All of it, whatever it is, in one order.
    pub(super) fn all(&self) -> impl Iterator<Item = GcHeld> + '_ {
        let held = self.0.iter();
        held.map(|(&(what, reason), &(count, bytes))| GcHeld { what, reason, count, bytes })
    }

    fn list(&self) -> Vec<GcHeld> {
        let mut list: Vec<GcHeld> = self.all().filter(|held| held.bytes > 0).collect();
        list.sort_by_key(|held| std::cmp::Reverse(held.bytes));
        list
    }
}

impl FromIterator<GcHeld> for Held {
    fn from_iter<T: IntoIterator<Item = GcHeld>>(all: T) -> Held {
        let pair = |held: GcHeld| ((held.what, held.reason), (held.count, held.bytes));
        Held(all.into_iter().map(pair).collect())
    }
}

/// What lies in a folder beside what is looked at on its own: the tasks of a project, the runs of a task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    pub(super) bus: u64,
    pub(super) archives: u64,
    pub(super) rest: u64,
}

impl Beside {
    /// Notes a bus or an archive among the names of a folder.
    pub(super) fn note(&mut self, name: &OsStr, stat: &Stat, bus: &str) {
        match name.to_str().filter(|_| stat.kind == FileKind::File) {
            Some(name) if name == bus => self.bus += stat.takes(),
            Some(name) if is_archive_of(name, bus) => self.archives += stat.takes(),
            _ => {}
        }
    }

    pub(super) fn sum(&self) -> u64 {
        self.bus.saturating_add(self.archives).saturating_add(self.rest)
    }

    /// Notes what of it stays, as `what`; gives the bytes that go.
    pub(super) fn hold<'a>(
        self,
        what: GcHolding,
        archives: &[ArchiveFact],
        strays: impl Iterator<Item = &'a StrayFact>,
        held: &mut Held,
    ) -> u64 {
        let old = archives.iter().filter(|archive| archive.cursor.is_none());
        let archived = old.map(|archive| archive.bytes).sum::<u64>().min(self.archives);
        let strays = strays.map(|stray| stray.bytes).sum::<u64>().min(self.rest);
        held.add(GcHolding::Buses, self.bus);
        held.add(GcHolding::Archives, self.archives - archived);
        held.add(what, self.rest - strays);
        archived + strays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_short_of_what_cannot_go() {
        let mut held = Held::default();
        held.add(GcHolding::Buses, 60);
        held.add_run(GcReason::Alive, 30);
        held.add_run(GcReason::Alive, 50);
        held.add(GcHolding::Root, 0);
        let goal = GcGoal::planned(GcReason::MaxBytes, 100, 200, 40, &held);
        assert_eq!((goal.over(), goal.short), (100, 60));
        let most =
            GcHeld { what: GcHolding::Runs, reason: Some(GcReason::Alive), count: 2, bytes: 80 };
        let bus = GcHeld { what: GcHolding::Buses, reason: None, count: 0, bytes: 60 };
        assert_eq!(goal.held, [most, bus]);
        let done = goal.reached(90, &held);
        assert_eq!((done.short, done.held.len(), done.wanted), (0, 0, 100));
        assert_eq!(GcGoal::known(goal.goal, goal.wanted, goal.now, goal.short, &held), goal);
        assert_eq!(held.all().collect::<Held>(), held);
        let free = GcGoal::planned(GcReason::MinFree, 100, 30, 50, &held);
        assert_eq!((free.over(), free.short), (70, 20));
        assert_eq!(free.reached(80, &held).short, 20);
    }

    #[test]
    fn what_is_counted_twice_never_makes_less_than_nothing() {
        let mut held = Held::default();
        let archive = ArchiveFact {
            name: "x".into(),
            bytes: 9,
            ended: crate::time::Timestamp::ZERO,
            cursor: None,
        };
        let beside = Beside { bus: 1, archives: 5, rest: 2 };
        assert_eq!(beside.hold(GcHolding::Tasks, &[archive], [].iter(), &mut held), 5);
        assert_eq!(held.list().iter().map(|held| held.bytes).sum::<u64>(), 3);
    }
}
