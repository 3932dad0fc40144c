//! What everything that starts, watches and ends runs shares: the root and how it was opened.

use super::keeper_image::KeeperProgram;
use crate::agent::is_vendor_key;
use crate::bus::{Bus, BusOptions, Durability, Scope};
use crate::cancel::Wait;
use crate::config::{LoadedConfig, Secret};
use crate::error::{ErrorKind, Result};
use crate::fsx::{FileLock, Folder};
use crate::id::{ProjectId, TaskId};
use crate::layout::{Layout, PROJECT_BUS, TASK_BUS, TASK_LOCK};
use crate::mask::Secrets;
use crate::sys::{LockKind, Os};
use crate::time::Timestamp;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// How a root was opened.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The machine.
    pub(crate) os: Arc<dyn Os>,
    /// The `run-agent` that agents shall find first.
    pub(crate) run_agent: Option<PathBuf>,
    /// How durable posted messages are.
    pub(crate) durability: Durability,
    /// The configuration.
    pub(crate) config: Arc<LoadedConfig>,
    /// The environment that agents inherit; that of this process where it is `None`.
    pub(crate) environment: Option<Vec<(OsString, OsString)>>,
}

/// An opened root. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    layout: Layout,
    settings: Settings,
    keeper: KeeperProgram,
    /// What no file that we write may hold; found out when it is needed first.
    secrets: OnceLock<Arc<Secrets>>,
}

impl Engine {
    /// Opens the root at `root`, which need not exist yet; one of a newer form is only read.
    ///
    /// # Errors
    /// As [`Layout::open`].
    pub(crate) fn open(root: PathBuf, settings: Settings) -> Result<Engine> {
        let layout = Layout::open(settings.os.clone(), root)?;
        let (keeper, secrets) = (KeeperProgram::default(), OnceLock::new());
        Ok(Engine(Arc::new(Shared { layout, settings, keeper, secrets })))
    }

    /// The root at `root` for a test that needs nothing else.
    #[cfg(test)]
    pub(crate) fn bare(root: PathBuf) -> Engine {
        let settings = Settings {
            os: Arc::new(crate::sys::RealOs),
            run_agent: None,
            durability: Durability::Process,
            config: Arc::default(),
            environment: Some(Vec::new()),
        };
        Engine::open(root, settings).expect("a root that need not exist")
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// How the root was opened.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn keeper(&self) -> &KeeperProgram {
        &self.0.keeper
    }

    /// The tokens that the configuration and the environment know.
    pub(crate) fn secrets(&self) -> &Arc<Secrets> {
        self.0.secrets.get_or_init(|| {
            let configured = self.0.settings.config.known_secrets();
            let variables = self.inherited_environment().into_iter().filter_map(|(name, value)| {
                is_vendor_key(&name).then(|| value.into_string().ok()).flatten()
            });
            let variables: Vec<String> = variables.collect();
            let all = configured.iter().map(Secret::reveal);
            Arc::new(Secrets::new(all.chain(variables.iter().map(String::as_str))))
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.layout.os().now()
    }

    /// The `run-agent` that agents shall find first.
    pub(crate) fn run_agent(&self) -> Option<PathBuf> {
        self.0.settings.run_agent.clone()
    }

    /// The environment that agents inherit.
    pub(crate) fn inherited_environment(&self) -> Vec<(OsString, OsString)> {
        match &self.0.settings.environment {
            Some(environment) => environment.clone(),
            None => std::env::vars_os().collect(),
        }
    }

    /// A task's folder under its lock, made first where it is missing and `make` says so.
    ///
    /// Starters share the lock, who deletes the task holds it alone and moves the folder away: the
    /// folder is the one that the task's name stands for as long as the lock is held.
    pub(crate) fn lock_task(
        &self,
        project: &ProjectId,
        task: &TaskId,
        make: bool,
        kind: LockKind,
        wait: &Wait,
    ) -> Result<(Folder, FileLock)> {
        loop {
            let named = match make {
                true => self.layout().ensure_task(project, task),
                false => Ok(self.layout().task(project, task)?),
            };
            let locked = named.and_then(|folder| Ok((folder.lock(TASK_LOCK, kind, wait)?, folder)));
            match locked {
                // Deleted between two looks.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                locked => {
                    let (lock, folder) = locked?;
                    if self.layout().is_task(&folder, project, task)? {
                        return Ok((folder, lock));
                    }
                }
            }
            wait.check()?;
        }
    }

    /// The bus of a task whose folder exists.
    pub(crate) fn task_bus(&self, project: &ProjectId, task: &TaskId) -> Result<Bus> {
        self.bus(Scope { project: project.clone(), task: Some(task.clone()) })
    }

    /// The bus of a scope whose folder exists.
    pub(crate) fn bus(&self, scope: Scope) -> Result<Bus> {
        let (folder, name) = match &scope.task {
            Some(task) => (self.layout().task(&scope.project, task)?, TASK_BUS),
            None => (self.layout().project(&scope.project)?, PROJECT_BUS),
        };
        let options = BusOptions {
            durability: self.0.settings.durability,
            max_size: self.0.settings.config.config().bus.max_size,
            root: Some(self.layout().clone()),
            secrets: Arc::clone(self.secrets()),
            ..BusOptions::default()
        };
        Bus::open(folder, name, scope, options)
    }
}
