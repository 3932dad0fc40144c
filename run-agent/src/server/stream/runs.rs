//! Runs that begin and end.

use super::frame::Frames;
use super::hub::{Found, Source};
use super::log::StatusTold;
use super::topic::RunKey;
use conductor_core::{Conductor, Outcome, Result, RunInfo, RunsWatch};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::time::{SystemTime, UNIX_EPOCH};

/// Changes that are kept for clients that come back.
const KEPT: usize = 4096;

/// The runs of the root.
pub(super) struct RunsSource {
    watch: RunsWatch,
    /// Tells this look-out from an earlier one, whose numbers mean nothing here.
    epoch: u128,
    /// The changes so far.
    number: u64,
    kept: VecDeque<Change>,
    living: BTreeMap<String, Change>,
}

#[derive(Clone)]
struct Change {
    number: u64,
    run: RunKey,
    outcome: Option<Outcome>,
    data: Vec<u8>,
}

impl RunsSource {
    pub(super) fn open(conductor: &Conductor) -> Result<RunsSource> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(RunsSource {
            watch: conductor.runs().watch()?,
            epoch: since.as_nanos(),
            number: 0,
            kept: VecDeque::new(),
            living: BTreeMap::new(),
        })
    }

    fn id(&self, number: u64) -> String {
        format!("r{:x}.{number}", self.epoch)
    }

    fn tell(&self, change: &Change, frames: &mut Frames) {
        frames.run(&self.id(change.number), &change.run, change.outcome, &change.data);
    }

    fn note(&mut self, info: &RunInfo, frames: &mut Frames) {
        self.number += 1;
        let change = Change {
            number: self.number,
            run: RunKey {
                project: info.project.clone(),
                task: info.task.clone(),
                run: info.id.clone(),
            },
            outcome: info.outcome(),
            data: StatusTold::from(info).json(),
        };
        self.tell(&change, frames);
        let key = change.run.to_string();
        match change.outcome.is_some() {
            true => drop(self.living.remove(&key)),
            false => drop(self.living.insert(key, change.clone())),
        }
        self.kept.push_back(change);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// The number of an id of this look-out whose later changes are all kept.
    fn known(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.strip_prefix('r')?.split_once('.')?;
        let number: u64 = number.parse().ok()?;
        let oldest = self.kept.front().map_or(self.number + 1, |change| change.number);
        let same = u128::from_str_radix(epoch, 16).ok()? == self.epoch;
        (same && number <= self.number && number + 1 >= oldest).then_some(number)
    }
}

impl Source for RunsSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.watch.fd()
    }

    fn look(&mut self, frames: &mut Frames) -> Result<Found> {
        for info in self.watch.look()? {
            self.note(&info, frames);
        }
        Ok(Found::AllForNow)
    }

    fn place(&self) -> String {
        self.id(self.number)
    }

    fn opening(&mut self, from: Option<&str>, frames: &mut Frames) -> Result<()> {
        if let Some(number) = from.and_then(|from| self.known(from)) {
            for change in self.kept.iter().filter(|change| change.number > number) {
                self.tell(change, frames);
            }
            // What it knows already it may still want to follow.
            for change in self.living.values().filter(|change| change.number <= number) {
                frames.lives(&change.run);
            }
            return Ok(());
        }
        if from.is_some() {
            frames.json(None, "resync", b"{\"reason\":\"expired\"}");
        }
        for change in self.living.values() {
            self.tell(change, frames);
        }
        Ok(())
    }
}
