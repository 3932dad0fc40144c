//! What was found or done in all.

use conductor_core::{Error, GcAction, GcDone, GcItem, GcKind, GcResult, Record, format_size};
use serde::Serialize;

/// How many errors are told in the answer; all of them count.
const MOST_ERRORS: usize = 100;

/// What is done in all.
#[derive(Default, Serialize)]
pub(super) struct Totals {
    pub(super) runs: usize,
    pub(super) tasks: usize,
    pub(super) buses: usize,
    pub(super) archives: usize,
    pub(super) strays: usize,
    pub(super) freed_bytes: u64,
    /// Things that stay for now although they were to go.
    pub(super) kept: usize,
    /// Things that could not be looked at, or not be done.
    pub(super) failed: usize,
}

/// What is counted while things are told one by one.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) totals: Totals,
    pub(super) errors: Vec<String>,
    /// How far each goal is reached.
    pub(super) goals: Vec<Record>,
    /// How many errors there were before anything was done.
    pub(super) before: usize,
}

impl Tally {
    /// One that begins with the errors of making the plan.
    pub(super) fn of_errors(errors: &[Error]) -> Tally {
        let mut tally = Tally::default();
        errors.iter().for_each(|error| tally.fail(error));
        tally.before = errors.len();
        tally
    }

    pub(super) fn plan(&mut self, item: &GcItem) {
        if item.action != GcAction::Keep {
            self.count(item);
        }
    }

    pub(super) fn done(&mut self, done: &GcDone) {
        match done.result {
            GcResult::Done => self.count(&done.item),
            GcResult::Kept(_) => self.totals.kept += 1,
            _ => {}
        }
    }

    fn count(&mut self, item: &GcItem) {
        if item.action == GcAction::Delete {
            self.totals.freed_bytes += item.bytes;
        }
        *match item.kind {
            GcKind::Run | GcKind::Orphan => &mut self.totals.runs,
            GcKind::Task => &mut self.totals.tasks,
            GcKind::Bus => &mut self.totals.buses,
            GcKind::Archive => &mut self.totals.archives,
            _ => &mut self.totals.strays,
        } += 1;
    }

    pub(super) fn fail(&mut self, error: &Error) {
        self.totals.failed += 1;
        self.note(error);
    }

    /// As [`Tally::fail`], of one that is counted elsewhere.
    pub(super) fn note(&mut self, error: &Error) {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(error.to_string());
        }
    }

    /// How far the work came, for a person.
    pub(super) fn progress(&self) -> String {
        let Totals { runs, tasks, buses, archives, strays, .. } = self.totals;
        let done = runs + tasks + buses + archives + strays;
        format!("{done} done, {} freed", format_size(self.totals.freed_bytes))
    }
}
