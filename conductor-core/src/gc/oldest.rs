//! How far the oldest runs go until a root fits: a point in time, found in bounded memory.
//!
//! The runs that may go are not remembered one by one. Their bytes are added up by the moment of their
//! end, in at most so many intervals; neighbours are joined when there are more. Where the point lies
//! in an interval of several runs, another look at the runs of that interval alone finds it.

use super::facts::IdHash;
use crate::id::{ProjectId, RunId, TaskId};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// How many intervals are held: some megabytes, whatever there is.
const MOST: usize = 1 << 15;

/// Where a run stands in the order of their going: its end, then a number that its place gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) end: Timestamp,
    pub(super) tie: IdHash,
}

impl Turn {
    /// The turn of a run. The same in every process: a plan that is made again takes the same runs.
    pub(super) fn of(end: Timestamp, project: &ProjectId, task: &TaskId, run: &RunId) -> Turn {
        let mut hasher = DefaultHasher::new();
        (project.as_str(), task.as_str(), run.as_str()).hash(&mut hasher);
        Turn { end, tie: hasher.finish() }
    }
}

/// Bytes by turns.
#[derive(Debug)]
pub(super) struct Oldest {
    /// By the last turn of an interval: its first turn and its bytes.
    intervals: BTreeMap<Turn, (Turn, u64)>,
    most: usize,
}

/// Where the point lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// Everything up to this turn goes.
    Through(Turn),
    /// It lies between these two turns; what lies before them has so many bytes.
    Between(Turn, Turn, u64),
    /// Nothing is to be had.
    None,
}

impl Default for Oldest {
    fn default() -> Oldest {
        Oldest { intervals: BTreeMap::new(), most: MOST }
    }
}

impl Oldest {
    pub(super) fn add(&mut self, turn: Turn, bytes: u64) {
        if let Some((_, (first, sum))) = self.intervals.range_mut(turn..).next()
            && *first <= turn
        {
            *sum = sum.saturating_add(bytes);
            return;
        }
        self.intervals.insert(turn, (turn, bytes));
        if self.intervals.len() > self.most {
            self.join_neighbours();
        }
    }

    fn join_neighbours(&mut self) {
        let mut joined = BTreeMap::new();
        let mut all = std::mem::take(&mut self.intervals).into_iter();
        while let Some((last, (first, bytes))) = all.next() {
            match all.next() {
                Some((end, (_, more))) => {
                    joined.insert(end, (first, bytes.saturating_add(more)));
                }
                None => drop(joined.insert(last, (first, bytes))),
            }
        }
        self.intervals = joined;
    }

    /// The point up to which the oldest go so that they and `gone` are at least `wanted` bytes.
    pub(super) fn point(&self, wanted: u64, gone: u64) -> Point {
        let mut sum = gone;
        let mut point = Point::None;
        for (last, (first, bytes)) in &self.intervals {
            if sum >= wanted {
                break;
            }
            let before = sum;
            sum = sum.saturating_add(*bytes);
            point = match first == last || sum < wanted {
                true => Point::Through(*last),
                false => Point::Between(*first, *last, before),
            };
        }
        point
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn turn(at: u64) -> Turn {
        Turn { end: Timestamp::UNIX_EPOCH.plus(Duration::from_secs(at)), tie: at % 3 }
    }

    /// As the collection does: looks again at what the point may lie in until it is found.
    fn find(runs: &[(u64, u64)], wanted: u64, most: usize) -> Option<Turn> {
        let (mut gone, mut within) = (0, None);
        loop {
            let mut oldest = Oldest { most, ..Oldest::default() };
            for (at, bytes) in runs {
                let turn = turn(*at);
                if within.is_none_or(|(first, last)| first <= turn && turn <= last) {
                    oldest.add(turn, *bytes);
                }
            }
            match oldest.point(wanted, gone) {
                Point::Through(turn) => return Some(turn),
                Point::None => return None,
                Point::Between(first, last, before) => {
                    (within, gone) = (Some((first, last)), before)
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_point_is_that_of_a_sorted_list_whatever_fits_into_memory(
            runs in prop::collection::vec((0u64..60, 1u64..50), 0..80),
            wanted in 0u64..2500,
            most in 2usize..9,
        ) {
            let mut sorted = runs.clone();
            sorted.sort_by_key(|(at, _)| turn(*at));
            let (mut sum, mut last) = (0, None);
            for (at, bytes) in &sorted {
                if sum >= wanted && last != Some(turn(*at)) {
                    break;
                }
                sum += bytes;
                last = Some(turn(*at));
            }
            prop_assert_eq!(find(&runs, wanted, most), last.filter(|_| wanted > 0));
        }
    }
}
