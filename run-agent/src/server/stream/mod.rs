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
use topic::{ChangesKey, RunsKey, SizeKey};

/// All that is looked out for.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    buses: Hubs<BusKey>,
    logs: Hubs<RunKey>,
    files: Hubs<FileKey>,
    runs: Hubs<RunsKey>,
    sizes: Hubs<SizeKey>,
    changes: Hubs<ChangesKey>,
}

impl Streams {
    /// How many places clients have.
    pub(crate) fn members(&self) -> usize {
        let of_files = self.files.members() + self.sizes.members();
        let of_root = self.runs.members() + self.changes.members();
        self.buses.members() + self.logs.members() + of_files + of_root
    }
}
