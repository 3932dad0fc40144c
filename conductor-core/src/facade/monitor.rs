//! A list of tasks in a file of a person's: what each of them needs, and ticking what is done.
//!
//! A look only reads. Who looks carries out what it says: starts tasks, drives them or has them driven,
//! ends silent attempts. No state is kept between two looks.

mod decide;
mod todo;

pub use decide::MonitorAction;

use super::conductor::Conductor;
use super::spec::TaskSpec;
use super::tasks::TaskInfo;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, change_user_file, read_user_text};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{MONITOR_LOCK, STOP_REQUESTED, TASK_PROMPT};
use crate::sys::{LockKind, News, Poller, Watch};
use decide::{Facts, RunFacts, decide};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use todo::{TodoLine, open_lines, ticked};

/// How long a running task may say nothing unless a caller says otherwise.
pub const STALE_AFTER: Duration = Duration::from_secs(20 * 60);

/// Looks after the tasks of a project that stand on a list; from [`Conductor::monitor`].
///
/// An open line of the list is one with an empty box, `- [ ]`. It names its task by an id as conductor
/// makes them, or by any id in back quotes.
#[derive(Clone, Debug)]
pub struct Monitor {
    conductor: Conductor,
    project: ProjectId,
    list: PathBuf,
    stale_after: Duration,
}

/// A task that an open line of the list names, and what it needs.
#[derive(Debug)]
#[non_exhaustive]
pub struct MonitorItem {
    /// The number of the line; the first is 1.
    pub line: usize,
    /// The task.
    pub task: TaskId,
    /// What the line says of it, which is the prompt of a task that has none.
    pub text: String,
    /// What it needs.
    pub action: MonitorAction,
    /// Why.
    pub reason: String,
    /// The run that this is about: the attempt of the task's loop, or else its newest run.
    pub run: Option<RunId>,
    /// What keeps the task from being looked at; nothing is done with it then.
    pub error: Option<Error>,
    /// Whether the task has a prompt of its own.
    has_prompt: bool,
}

/// What one look at the list found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MonitorLook {
    /// The tasks that open lines name, in the order of the list, each once.
    pub items: Vec<MonitorItem>,
    /// The open lines that name none.
    pub nameless: Vec<usize>,
}

/// Says that something about the list or its tasks may have changed; a hint, never the truth.
#[derive(Debug)]
pub struct MonitorNews {
    poller: Poller,
    _watch: Watch,
}

impl MonitorNews {
    /// A descriptor that becomes readable on news; it stays so. It may miss some: look now and then.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

/// Keeps every other monitor of the project away until it is dropped, or this process ends.
#[derive(Debug)]
pub struct MonitorLock(#[expect(dead_code, reason = "held for its drop")] FileLock);

impl Conductor {
    /// Looks after the tasks of a project that stand on the list in a file.
    pub fn monitor(&self, project: &ProjectId, list: impl Into<PathBuf>) -> Monitor {
        let (conductor, project) = (self.clone(), project.clone());
        Monitor { conductor, project, list: list.into(), stale_after: STALE_AFTER }
    }
}

impl Monitor {
    /// An attempt is silent when neither its output nor its task's bus had anything new for this long;
    /// [`STALE_AFTER`] unless set.
    #[must_use]
    pub fn stale_after(mut self, limit: Duration) -> Monitor {
        self.stale_after = limit;
        self
    }

    /// The file of the list.
    pub fn list(&self) -> &Path {
        &self.list
    }

    /// Makes this the only monitor of the project.
    ///
    /// # Errors
    /// `monitor.running`, naming the process that is.
    pub fn hold(&self) -> Result<MonitorLock> {
        let folder = self.conductor.engine.layout().ensure_project(&self.project)?;
        let lock = folder.lock(MONITOR_LOCK, LockKind::Exclusive, &Wait::NONE.into());
        lock.map(MonitorLock).map_err(|error| match error.kind() {
            ErrorKind::Busy => Error::new(
                ErrorKind::Busy,
                "monitor.running",
                format!("the project {} is monitored already: {error}", self.project),
            )
            .with_path(folder.join(MONITOR_LOCK))
            .with_hint("end that monitor; its tasks go on"),
            _ => error,
        })
    }

    /// Looks at the list and at every task that an open line names. Reads only.
    ///
    /// # Errors
    /// `todo.missing`, `todo.not_utf8`, and what keeps the file from being read. A task that cannot be
    /// read hides no other.
    pub fn look(&self) -> Result<MonitorLook> {
        let mut look = MonitorLook::default();
        for TodoLine { number, task, text } in open_lines(&self.read_list()?) {
            match task {
                None => look.nameless.push(number),
                Some(task) if look.items.iter().any(|item| item.task == task) => {}
                Some(task) => look.items.push(self.item(number, task, text)),
            }
        }
        Ok(look)
    }

    fn read_list(&self) -> Result<String> {
        let missing = || {
            Error::new(
                ErrorKind::NotFound,
                "todo.missing",
                format!("there is no list {}", self.list.display()),
            )
            .with_path(&self.list)
            .with_field("todo")
            .with_hint("write lines like: - [ ] `some-task` what to do")
        };
        self.text_of(read_user_text(&self.list)?.ok_or_else(missing)?)
    }

    fn text_of(&self, bytes: Vec<u8>) -> Result<String> {
        String::from_utf8(bytes).map_err(|source| {
            let what = format!("the list {} is not UTF-8", self.list.display());
            Error::invalid("todo.not_utf8", "todo", what).with_path(&self.list).with_source(source)
        })
    }

    fn item(&self, line: usize, task: TaskId, text: String) -> MonitorItem {
        let (action, reason, run, has_prompt, error) = match self.facts(&task, &text) {
            Ok((facts, has_prompt)) => {
                let (action, reason) = decide(&facts, self.stale_after);
                (action, reason, facts.run.map(|run| run.id), has_prompt, None)
            }
            Err(error) => (MonitorAction::Leave, error.to_string(), None, false, Some(error)),
        };
        MonitorItem { line, task, text, action, reason, run, error, has_prompt }
    }

    /// What is known of a task, and whether it has a prompt of its own.
    fn facts(&self, task: &TaskId, text: &str) -> Result<(Facts, bool)> {
        let tasks = self.conductor.tasks();
        let folder = match self.conductor.engine.layout().task(&self.project, task) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((Facts { has_prompt: !text.is_empty(), ..Facts::default() }, false));
            }
            folder => folder?,
        };
        let info = tasks.info(&self.project, task)?;
        // Where the attempt of its loop is known, no other run is what this is about.
        if let Some(run) = info.unreadable.last().filter(|_| info.attempt.is_none()) {
            // It may be the one that lives.
            self.conductor.runs().info(&self.project, task, run)?;
        }
        let has_prompt = folder.stat(TASK_PROMPT)?.is_some();
        let run = match info.current_run() {
            None => None,
            Some(run) => Some(RunFacts {
                id: run.id.clone(),
                alive: run.alive,
                silent_for: match run.alive {
                    Some(true) => self.silence(&info)?,
                    _ => Duration::ZERO,
                },
            }),
        };
        let facts = Facts {
            done: info.done,
            cancelled: info.cancelled,
            stop_requested: folder.stat(STOP_REQUESTED)?.is_some(),
            has_loop: info.has_loop,
            driver: info.driver,
            waits_for: info.waiting.map(|waiting| waiting.what),
            result: info.result,
            run,
            has_prompt: has_prompt || !text.is_empty(),
        };
        Ok((facts, has_prompt))
    }

    /// For how long a running task has said nothing, in whatever way.
    fn silence(&self, info: &TaskInfo) -> Result<Duration> {
        let activity = self.conductor.tasks().activity(info)?;
        let message = activity.latest_message.map(|message| message.time);
        let last = activity.latest_output.max(message).max(activity.running_since);
        let now = self.conductor.engine.now();
        Ok(last.map_or(Duration::ZERO, |last| now.since(last)))
    }

    /// The spec that starts a task of the list: the line says what to do, unless the task has a prompt.
    /// An agent and a folder to work in may be added.
    pub fn spec(&self, item: &MonitorItem) -> TaskSpec {
        let spec = TaskSpec::new(self.project.as_str()).task(item.task.as_str());
        if item.has_prompt { spec } else { spec.prompt(item.text.as_str()) }
    }

    /// Ticks every open line that names the task; whether there was one. What somebody else changes in
    /// the file meanwhile stays.
    ///
    /// # Errors
    /// `file.not_plain`, `file.read_only`, `file.hard_linked`; nothing is changed then.
    pub fn tick(&self, task: &TaskId, wait: impl Into<Wait>) -> Result<bool> {
        change_user_file(&self.list, &wait.into(), |before| {
            let Some(before) = before else { return Ok(None) };
            let text = self.text_of(before.to_vec())?;
            Ok(ticked(&text, task).map(String::into_bytes))
        })
    }

    /// News of the list and of the tasks that a look found, from now on.
    ///
    /// # Errors
    /// What keeps the list's folder from being watched.
    pub fn news(&self, look: &MonitorLook) -> Result<MonitorNews> {
        let folder = self.list.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let failed = |e| Error::io("watch", folder, e);
        let poller = Poller::new().map_err(failed)?;
        let watch = Watch::join(&poller, 1, News::Content).map_err(failed)?;
        watch.add_names(folder).map_err(failed)?;
        // The others may come and go: who looks now and then sees them all the same.
        let root = self.conductor.root().join(&self.project);
        let _written = watch.add(&self.list);
        let _tasks = watch.add_names(&root);
        for item in &look.items {
            let _task = watch.add_names(&root.join(&item.task));
        }
        Ok(MonitorNews { poller, _watch: watch })
    }
}
