//! Runs that begin and end.

use super::frame::Frames;
use super::history::History;
use super::hub::{Found, Source};
use super::log::StatusTold;
use super::topic::RunKey;
use conductor_core::{Conductor, Outcome, Result, RunInfo, RunsWatch};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

/// The runs of the root.
pub(super) struct RunsSource {
    watch: RunsWatch,
    history: History<Change>,
    /// Each with its number.
    living: BTreeMap<String, (u64, Change)>,
}

#[derive(Clone)]
struct Change {
    run: RunKey,
    outcome: Option<Outcome>,
    data: Vec<u8>,
}

impl RunsSource {
    pub(super) fn open(conductor: &Conductor) -> Result<RunsSource> {
        let watch = conductor.runs().watch()?;
        Ok(RunsSource { watch, history: History::new('r'), living: BTreeMap::new() })
    }

    fn tell(&self, number: u64, change: &Change, frames: &mut Frames) {
        frames.run(&self.history.id(number), &change.run, change.outcome, &change.data);
    }

    fn note(&mut self, info: &RunInfo, frames: &mut Frames) {
        let change = Change {
            run: RunKey {
                project: info.project.clone(),
                task: info.task.clone(),
                run: info.id.clone(),
            },
            outcome: info.outcome(),
            data: StatusTold::from(info).json(),
        };
        let number = self.history.add(change.clone());
        self.tell(number, &change, frames);
        let key = change.run.to_string();
        match change.outcome.is_some() {
            true => drop(self.living.remove(&key)),
            false => drop(self.living.insert(key, (number, change))),
        }
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
        self.history.place()
    }

    fn opening(&mut self, from: Option<&str>, frames: &mut Frames) -> Result<()> {
        if let Some(known) = from.and_then(|from| self.history.known(from)) {
            for (number, change) in self.history.after(known) {
                self.tell(number, change, frames);
            }
            // What it knows already it may still want to follow.
            for (_, change) in self.living.values().filter(|(number, _)| *number <= known) {
                frames.lives(&change.run);
            }
            return Ok(());
        }
        if from.is_some() {
            frames.json(None, "resync", b"{\"reason\":\"expired\"}");
        }
        for (number, change) in self.living.values() {
            self.tell(*number, change, frames);
        }
        Ok(())
    }
}
