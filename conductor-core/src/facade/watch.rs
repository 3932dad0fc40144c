//! Looking on while tasks go their way.

use super::conductor::Conductor;
use super::tasks::{TaskInfo, read_task};
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::RUNS;
use crate::supervise::{Engine, Lines, RunWatch};
use crate::sys::{News, Polled, Poller, Watch};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

/// Looks on at some tasks of a project; from [`Tasks::watch`](super::Tasks::watch).
///
/// Drives nothing and writes nothing down.
#[derive(Debug)]
pub struct TaskWatch {
    engine: Engine,
    project: ProjectId,
    tasks: Vec<Watched>,
    poller: Poller,
    news: Watch,
}

#[derive(Debug)]
struct Watched {
    task: TaskId,
    /// The newest run, whose processes are watched while it lives.
    run: Option<(RunId, Polled<RunWatch>)>,
}

impl TaskWatch {
    pub(super) fn new(
        conductor: &Conductor,
        project: &ProjectId,
        tasks: Vec<TaskId>,
    ) -> Result<Self> {
        let engine = conductor.engine.clone();
        let failed = |e| Error::io("watch", engine.layout().path(), e);
        let poller = Poller::new().map_err(failed)?;
        let news = Watch::join(&poller, 1, News::Names).map_err(failed)?;
        let tasks = tasks.into_iter().map(|task| Watched { task, run: None }).collect();
        Ok(TaskWatch { engine, project: project.clone(), tasks, poller, news })
    }

    /// The tasks that are watched.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.tasks.iter().map(|watched| &watched.task)
    }

    /// A descriptor that becomes readable when [`look`](TaskWatch::look) may find something new.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// What is known of each task now, in the order in which they were given. One that does not exist
    /// (yet) or cannot be read is an error of its own.
    pub fn look(&mut self) -> Vec<Result<TaskInfo>> {
        self.news.drain();
        let TaskWatch { engine, project, tasks, poller, news } = self;
        let lines = Lines::default();
        let look = |watched: &mut Watched| watched.look(engine, &lines, project, poller, news);
        tasks.iter_mut().map(look).collect()
    }

    /// Waits until another look may find something new.
    ///
    /// # Errors
    /// `wait.timeout` and `wait.cancelled` when the wait is over first.
    pub fn wait(&self, wait: impl Into<Wait>) -> Result<()> {
        let wait = wait.into();
        wait.check()?;
        let both = crate::wait::both(self.fd(), &wait).map_err(crate::wait::failed)?;
        both.wait(wait.remaining()).map_err(crate::wait::failed)?;
        wait.check()
    }
}

impl Watched {
    fn look(
        &mut self,
        engine: &Engine,
        lines: &Lines,
        project: &ProjectId,
        poller: &Poller,
        news: &Watch,
    ) -> Result<TaskInfo> {
        let path = engine.layout().path().join(project).join(&self.task);
        // A folder that is not there yet appears in the one above; adding a watch again is free.
        for folder in [path.parent().unwrap_or(&path), &path, &path.join(RUNS)] {
            watch_names(news, folder)?;
        }
        let info = read_task(engine, lines, project, &self.task)?;
        let newest = info.newest_run().filter(|run| {
            info.latest.as_ref().is_none_or(|latest| latest.id != **run || latest.ended.is_none())
        });
        match newest {
            None => self.run = None,
            Some(run) => {
                watch_names(news, &path.join(RUNS).join(run))?;
                self.watch_run(engine, project, poller, run)?;
            }
        }
        Ok(info)
    }

    fn watch_run(
        &mut self,
        engine: &Engine,
        project: &ProjectId,
        poller: &Poller,
        run: &RunId,
    ) -> Result<()> {
        if self.run.as_ref().is_none_or(|(watched, _)| watched != run) {
            let watch =
                RunWatch::new(engine.clone(), project.clone(), self.task.clone(), run.clone())?;
            let failed = |e| Error::io("watch", engine.layout().path(), e);
            self.run = Some((run.clone(), poller.hold(watch, 2).map_err(failed)?));
        }
        match &self.run {
            // A run whose record is not there yet, or damaged, has no processes to watch; its folder
            // tells when that changes.
            Some((_, watch)) if watch.look().is_err() => self.run = None,
            _ => {}
        }
        Ok(())
    }
}

/// Also tells of names in this folder, where it exists.
fn watch_names(news: &Watch, folder: &Path) -> Result<()> {
    match news.add_names(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        answer => answer.map_err(|e| Error::io("watch", folder, e)),
    }
}
