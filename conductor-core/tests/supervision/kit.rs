//! A root with a configuration and agents of its own, also for other processes.

use crate::support::{HOST, Host, Root, host_with};
use conductor_core::{Conductor, LoadedConfig, Message, Options, ProjectId, TaskId, Variables};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with agents, a configuration and a root.
pub(crate) struct Shop {
    pub(crate) root: Root,
}

impl Shop {
    /// With this configuration.
    pub(crate) fn new(config: &str) -> Shop {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("config.yaml"), config).unwrap();
        let conductor = open_shop(dir.path());
        Shop { root: Root { dir, conductor } }
    }

    pub(crate) fn conductor(&self) -> &Conductor {
        &self.root.conductor
    }

    pub(crate) fn dir(&self) -> &Path {
        self.root.dir.path()
    }

    /// Makes the agent `name` run a script, with its prompt in `$PROMPT`.
    pub(crate) fn agent(&self, name: &str, script: &str) {
        let path = self.dir().join("bin").join(name);
        // What it is asked about itself it does not answer, at once.
        let silent = "case $1 in --version|--help) exit;; esac";
        let text = format!("#!/bin/sh\n{silent}\nPROMPT=$(cat)\nexport PROMPT\n{script}\n");
        crate::support::program::script(&path, &text);
    }

    /// Another process that plays the test `name`.
    pub(crate) fn host(&self, name: &str, variables: &[(&str, &str)]) -> Host {
        host_with(name, self.dir(), variables)
    }

    /// The messages of a task of the project `shop`.
    pub(crate) fn messages(&self, task: &str) -> Vec<Message> {
        crate::support::messages(&self.conductor().bus(("shop", task)).unwrap())
    }

    pub(crate) fn runs(&self, task: &str) -> Vec<conductor_core::RunInfo> {
        let (project, task) = of(task);
        let runs = self.conductor().runs().list(&project, &task).unwrap();
        runs.into_iter().map(|run| run.unwrap()).collect()
    }
}

pub(crate) fn of(task: &str) -> (ProjectId, TaskId) {
    (ProjectId::new("shop").unwrap(), TaskId::new(task).unwrap())
}

/// The shop of the process that plays a host; `None` in the test itself.
pub(crate) fn hosted() -> Option<(PathBuf, Conductor)> {
    let dir = PathBuf::from(std::env::var_os(HOST)?);
    let conductor = open_shop(&dir);
    Some((dir, conductor))
}

fn open_shop(dir: &Path) -> Conductor {
    open_shop_with(dir, "config.yaml", &[])
}

/// Opens the shop with this configuration of its folder, and with more in the environment.
pub(crate) fn open_shop_with(dir: &Path, config: &str, more: &[(&str, &str)]) -> Conductor {
    let path = format!("{}:{}", dir.join("bin").display(), std::env::var("PATH").unwrap());
    let mut options = Options::default();
    let more = more.iter().map(|(name, value)| (name.into(), value.into()));
    options.environment = Some([("PATH".into(), path.into())].into_iter().chain(more).collect());
    let config = LoadedConfig::read(&dir.join(config), &Variables::default()).unwrap();
    Conductor::open(dir.join("root"), options.config(config)).unwrap()
}

/// A recorded or made-up session of an agent.
pub(crate) fn stream(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/agent-streams");
    folder.join(format!("{name}.stdout"))
}

/// A Claude session that meets a usage limit which ends at this moment of Unix time, in seconds.
pub(crate) fn limited_until(seconds: u64) -> String {
    let text = fs::read_to_string(stream("synthetic-claude-limit")).unwrap();
    text.replace("1778565600", &seconds.to_string())
}

/// Lets a task be driven until something is so.
pub(crate) fn drive_until(task: &conductor_core::Task, what: &str, mut done: impl FnMut() -> bool) {
    crate::support::until(what, || {
        task.step().unwrap();
        done()
    });
}
