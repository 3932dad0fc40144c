//! Driving the tasks that were started over HTTP: the next attempt is started by whoever drives.
//!
//! One step machine a task, woken by its descriptor: a task that waits costs nothing.

use super::limits;
use super::pollable::Pollable;
use conductor_core::{
    Conductor, Error, ErrorKind, ProjectId, Result, Step, Task, TaskId, TaskResult,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How soon a task is tried again that could not be stepped.
const AGAIN: Duration = Duration::from_secs(5);

type Key = (ProjectId, TaskId);

/// Drives tasks. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Driver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    conductor: Conductor,
    runtime: Handle,
    /// Steps that may be made at a time: a step may start an agent.
    turns: Arc<Semaphore>,
    /// How many handles of each task are stepped. A second one stands by until the first has its end.
    driven: Mutex<HashMap<Key, usize>>,
}

impl Driver {
    /// Drives on the present runtime.
    pub(crate) fn new(conductor: Conductor) -> Driver {
        Driver(Arc::new(Shared {
            conductor,
            runtime: Handle::current(),
            turns: Arc::new(Semaphore::new(limits::CALLS / 2)),
            driven: Mutex::default(),
        }))
    }

    /// The tasks that are driven.
    pub(crate) fn tasks(&self) -> Vec<(ProjectId, TaskId)> {
        self.0.driven.lock().keys().cloned().collect()
    }

    /// Drives a task to its end from now on.
    pub(crate) fn adopt(&self, task: Task) {
        let key = (task.project().clone(), task.id().clone());
        *self.0.driven.lock().entry(key.clone()).or_default() += 1;
        if let Err(error) = self.0.conductor.note_served(&key.0, &key.1) {
            tracing::warn!(subsystem = "api", %error, "cannot note which task is driven");
        }
        let driver = self.clone();
        self.0.runtime.spawn(async move {
            let end = driver.drive(task).await;
            driver.let_go(key, end).await;
        });
    }

    /// Goes on with the tasks that a server of this root drove when it ended, and only with those. What is
    /// driven already is left alone.
    pub(crate) fn resume(&self) -> Result<()> {
        for (project, task) in self.0.conductor.served()? {
            if self.0.driven.lock().contains_key(&(project.clone(), task.clone())) {
                continue;
            }
            match self.0.conductor.tasks().attach(&project, &task) {
                Ok(handle) => self.adopt(handle),
                // Deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.0.conductor.forget_served(&project, &task)?;
                }
                Err(error) => tracing::warn!(
                    subsystem = "api",
                    project_id = %project,
                    task_id = %task,
                    %error,
                    "cannot go on with a task"
                ),
            }
        }
        Ok(())
    }

    async fn drive(&self, task: Task) -> Result<TaskResult> {
        let news = Pollable::new(task.fd()).map_err(failed)?;
        loop {
            match self.step(&task).await {
                Ok(Step::Ready(result)) => return Ok(result),
                Ok(Step::Pending) => news.news().await.map_err(failed)?,
                Err(error) if error.is_retryable() => {
                    tracing::warn!(subsystem = "api", %error, "cannot step a task yet");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells of the end of a task, and forgets it. One that cannot be driven stays noted, for the server
    /// that comes after this one.
    async fn let_go(&self, key: Key, end: Result<TaskResult>) {
        let is_last = self.count_down(&key);
        let (project, task) = key;
        let outcome = match end {
            Ok(result) => result.outcome,
            Err(error) => {
                let code = error.code();
                tracing::warn!(subsystem = "api", project_id = %project, task_id = %task, code, %error,
                    "task_run_failed");
                return;
            }
        };
        tracing::info!(subsystem = "api", project_id = %project, task_id = %task,
            outcome = outcome.as_str(), "task_run_completed");
        if !is_last {
            return;
        }
        let conductor = self.0.conductor.clone();
        let forget = move || conductor.forget_served(&project, &task);
        // Where the server ends now the note stands, and the next one looks at the task once more.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(forget).await {
            tracing::warn!(subsystem = "api", %error, "cannot forget a task that is over");
        }
    }

    /// Whether this was the last handle of the task.
    fn count_down(&self, key: &Key) -> bool {
        let mut driven = self.0.driven.lock();
        match driven.get_mut(key) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            _ => {
                driven.remove(key);
                true
            }
        }
    }

    async fn step(&self, task: &Task) -> Result<Step<TaskResult>> {
        let task = task.clone();
        let turn = self.0.turns.clone().acquire_owned().await;
        let step = tokio::task::spawn_blocking(move || {
            let step = task.step();
            drop(turn);
            step
        });
        step.await.map_err(|error| failed(io::Error::other(error)))?
    }
}

fn failed(source: io::Error) -> Error {
    Error::new(ErrorKind::Io, "wait.failed", "cannot make a wait").with_source(source)
}
