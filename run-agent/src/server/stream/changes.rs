//! Changes that no run tells of: folders that are made and deleted, also by hand; tasks that begin to wait, are
//! done, lose who drives them; accounts that are held; the state of an update; a garbage collection.
//!
//! What is told is what to look at again, never what is there now.

use super::folders::{Change, Folders};
use super::frame::Frames;
use super::history::History;
use super::hub::{Found, Source};
use conductor_core::{Conductor, Result};
use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// More changes than this at once are told as one.
const MOST: usize = 1000;
/// How long folders are watched on when nobody follows them: a page comes back that was loaded anew.
const LINGER: Duration = Duration::from_secs(15);

pub(super) struct ChangesSource {
    folders: Folders,
    history: History<Vec<u8>>,
    /// Whether clients were told that not all changes are seen.
    told_blind: bool,
}

impl ChangesSource {
    pub(super) fn open(conductor: &Conductor) -> Result<ChangesSource> {
        let folders = Folders::watch(conductor.root())?;
        let told_blind = folders.is_blind();
        Ok(ChangesSource { folders, history: History::new('c'), told_blind })
    }

    fn tell(&self, number: u64, data: &[u8], frames: &mut Frames) {
        frames.json(Some(&self.history.id(number)), "changed", data);
    }
}

/// What a client is told.
fn data(change: &Change) -> Vec<u8> {
    let told = match change {
        Change::Task(project, task) => {
            serde_json::json!({"what": "task", "project_id": project.as_str(), "task_id": task.as_str()})
        }
        Change::Project(project) => {
            serde_json::json!({"what": "project", "project_id": project.as_str()})
        }
        Change::Holds => serde_json::json!({"what": "holds"}),
        Change::Update => serde_json::json!({"what": "update"}),
        Change::Gc => serde_json::json!({"what": "gc"}),
        Change::Settings => serde_json::json!({"what": "settings"}),
        Change::All => serde_json::json!({"what": "all"}),
    };
    told.to_string().into_bytes()
}

impl Source for ChangesSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.folders.fd()
    }

    fn look(&mut self, frames: &mut Frames) -> Result<Found> {
        let mut changes = self.folders.changes()?;
        if changes.len() > MOST {
            changes = BTreeSet::from([Change::All]);
        }
        for change in &changes {
            let data = data(change);
            let number = self.history.add(data.clone());
            self.tell(number, &data, frames);
        }
        if self.folders.is_blind() && !std::mem::replace(&mut self.told_blind, true) {
            frames.json(None, "blind", b"{}");
        }
        Ok(Found::AllForNow)
    }

    fn place(&self) -> String {
        self.history.place()
    }

    fn opening(&mut self, from: Option<&str>, frames: &mut Frames) -> Result<()> {
        match from.map(|from| self.history.known(from)) {
            Some(Some(number)) => {
                for (number, data) in self.history.after(number) {
                    self.tell(number, data, frames);
                }
            }
            Some(None) => frames.json(None, "resync", b"{\"reason\":\"expired\"}"),
            // So that the client has an id from the beginning.
            None => frames.json(Some(&self.place()), "follows", b"{}"),
        }
        if self.folders.is_blind() {
            frames.json(None, "blind", b"{}");
        }
        Ok(())
    }

    fn linger(&self) -> Duration {
        LINGER
    }
}
