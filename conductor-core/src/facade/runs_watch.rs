//! Looking on while the runs of a whole root begin and end.

use super::conductor::Conductor;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{CONDUCTOR, OPEN};
use crate::supervise::{OpenEntry, RunInfo, RunWatch, read_info};
use crate::sys::{News, Polled, Poller, Watch};
use crate::wait::{Step, block_on};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

/// Looks on at the runs of a root; from [`Runs::watch`](super::Runs::watch).
///
/// Drives nothing and writes nothing down. Not seen are runs that another program started, which have no
/// entry among the open runs, and runs that begin and end between two looks; the bus of their task tells of
/// these.
#[derive(Debug)]
pub struct RunsWatch {
    conductor: Conductor,
    poller: Poller,
    news: Watch,
    /// By the names of their entries.
    open: HashMap<String, Watched>,
}

#[derive(Debug)]
struct Watched {
    entry: OpenEntry,
    /// Its processes, while they live.
    run: Option<Polled<RunWatch>>,
}

impl RunsWatch {
    pub(super) fn new(conductor: &Conductor) -> Result<RunsWatch> {
        let failed = |e| Error::io("watch", conductor.root(), e);
        let poller = Poller::new().map_err(failed)?;
        let news = Watch::join(&poller, 1, News::Names).map_err(failed)?;
        let conductor = conductor.clone();
        Ok(RunsWatch { conductor, poller, news, open: HashMap::new() })
    }

    /// A descriptor that becomes readable when [`look`](RunsWatch::look) may find something new.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// What is known of each run that began or ended since the last look; of all that live, at the
    /// first one. A run whose record cannot be read is told once it can.
    ///
    /// Costs a look at each run that is open, not at each run.
    pub fn look(&mut self) -> Result<Vec<RunInfo>> {
        self.news.drain();
        self.watch_names()?;
        let mut changed = Vec::new();
        let entries = match OpenEntry::list(self.conductor.engine.layout()) {
            Err(error) if error.code() == "root.not_found" => Vec::new(),
            found => found?.entries,
        };
        let gone: Vec<String> = self
            .open
            .keys()
            .filter(|name| entries.iter().all(|entry| entry.name != **name))
            .cloned()
            .collect();
        for name in gone {
            if let Some(watched) = self.open.remove(&name)
                && let Some(info) = self.info(&watched.entry)?
            {
                changed.push(info);
            }
        }
        for entry in entries {
            match self.open.get_mut(&entry.name) {
                Some(Watched { run: None, .. }) => {}
                Some(watched) => {
                    if watched.run.as_ref().is_some_and(|run| !matches!(run.look(), Ok(false))) {
                        // Nobody wrote its end down yet; who does removes its entry.
                        watched.run = None;
                        changed.extend(self.info(&entry)?);
                    }
                }
                None => {
                    if let Some(info) = self.begin(entry)? {
                        changed.push(info);
                    }
                }
            }
        }
        Ok(changed)
    }

    /// Looks at a run for the first time.
    fn begin(&mut self, entry: OpenEntry) -> Result<Option<RunInfo>> {
        let Some(info) = self.info(&entry)? else { return Ok(None) };
        let engine = self.conductor.engine.clone();
        let OpenEntry { project, task, run, .. } = &entry;
        let watch = RunWatch::new(engine, project.clone(), task.clone(), run.clone())?;
        let mut watched = Watched { entry, run: None };
        // The look arranges when to look again.
        if matches!(watch.look(), Ok(false)) {
            watched.run = Some(self.poller.hold(watch, 2).map_err(|e| self.failed(e))?);
        }
        self.open.insert(watched.entry.name.clone(), watched);
        Ok(Some(info))
    }

    /// What is known of a run; `None` where that is nothing yet, or no more.
    fn info(&self, entry: &OpenEntry) -> Result<Option<RunInfo>> {
        let engine = &self.conductor.engine;
        match read_info(engine, &entry.project, &entry.task, &entry.run) {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                tracing::warn!(run = %entry.run, %error, "cannot read an open run");
                Ok(None)
            }
        }
    }

    /// Also tells of entries that come and go. The folder of entries appears with the first run.
    fn watch_names(&self) -> Result<()> {
        let root = self.conductor.root();
        let open = root.join(CONDUCTOR).join(OPEN);
        for folder in [root.parent().unwrap_or(root), root, &root.join(CONDUCTOR), &open] {
            match self.news.add_names(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                answer => answer.map_err(|e| Error::io("watch", folder, e))?,
            }
        }
        Ok(())
    }

    /// Waits until another look may find something new.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] and [`ErrorKind::Cancelled`] when the wait is over first.
    pub fn wait(&self, wait: impl Into<Wait>) -> Result<()> {
        let mut waited = false;
        block_on(self.fd(), &wait.into(), || {
            Ok(if std::mem::replace(&mut waited, true) { Step::Ready(()) } else { Step::Pending })
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        let path: &Path = self.conductor.root();
        Error::io("watch", path, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use crate::run::Status;
    use std::fs;
    use std::time::Duration;

    #[test]
    fn runs_are_told_when_they_begin_and_when_their_entries_go() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let conductor = Conductor::open(&root, Options::default()).unwrap();
        let mut watch = conductor.runs().watch().unwrap();
        assert_eq!(watch.look().unwrap(), []);
        let run = root.join("p/t/runs/r1");
        let record = |status: &str, end: &str| {
            let text = format!("run_id: r1\nproject_id: p\ntask_id: t\nstatus: {status}\n{end}");
            fs::write(run.join("run-info.yaml"), text).unwrap();
        };
        fs::create_dir_all(&run).unwrap();
        fs::create_dir_all(root.join(".conductor/open")).unwrap();
        record("completed", "outcome: completed\n");
        fs::write(root.join(".conductor/open/r1-0"), "p/t/runs/r1\n").unwrap();
        let told = loop {
            watch.wait(Duration::from_secs(60)).unwrap();
            let told = watch.look().unwrap();
            if !told.is_empty() {
                break told;
            }
        };
        assert_eq!((told.len(), told[0].status()), (1, Status::Completed));
        assert_eq!(watch.look().unwrap(), [], "told once");
        fs::remove_file(root.join(".conductor/open/r1-0")).unwrap();
        watch.wait(Duration::from_secs(60)).unwrap();
        assert_eq!(watch.look().unwrap().len(), 1);
    }
}
