//! What comes, as it comes: messages, what runs print, runs that begin and end.
//!
//! `hub` looks out for each thing once; `bus`, `log`, `file`, `size`, `runs` and `changes` are the things; `client` is one
//! connection, which gets what it missed from the files and what comes from the hubs.

mod books;
mod bus;
mod changes;
mod client;
mod file;
mod folders;
mod frame;
mod history;
mod hub;
mod log;
mod polled;
mod runs;
mod size;
mod topic;

pub(crate) use books::keep_books;
pub(crate) use client::{Client, Ends};
pub(crate) use topic::{BusKey, FileKey, RunKey, Topic};

use hub::Hubs;
use std::sync::Arc;
use tokio::sync::Semaphore;
use topic::{ChangesKey, RunsKey, SizeKey};

/// All that is looked out for.
#[derive(Debug)]
pub(crate) struct Streams {
    buses: Hubs<BusKey>,
    logs: Hubs<RunKey>,
    files: Hubs<FileKey>,
    runs: Hubs<RunsKey>,
    sizes: Hubs<SizeKey>,
    changes: Hubs<ChangesKey>,
}

impl Streams {
    /// Nothing yet, and never more than `most` things at a time, besides all runs and all changes, which are one each.
    pub(crate) fn new(most: usize) -> Streams {
        let free = Some(Arc::new(Semaphore::new(most)));
        Streams {
            buses: Hubs::new(free.clone()),
            logs: Hubs::new(free.clone()),
            files: Hubs::new(free.clone()),
            runs: Hubs::new(None),
            sizes: Hubs::new(free),
            changes: Hubs::new(None),
        }
    }

    /// How many places clients have.
    pub(crate) fn members(&self) -> usize {
        let of_files = self.files.members() + self.sizes.members();
        let of_root = self.runs.members() + self.changes.members();
        self.buses.members() + self.logs.members() + of_files + of_root
    }
}
