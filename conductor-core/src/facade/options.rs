//! How a root is opened.

use crate::config::LoadedConfig;
use crate::sys::{Os, RealOs};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// How a root is opened. The default suits every program.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// A working `run-agent`, which agents find first on their `PATH`. `None`: the one on this
    /// process's own `PATH`, or beside its executable.
    pub run_agent: Option<PathBuf>,
    /// How durable posted messages are.
    pub durability: crate::bus::Durability,
    /// The configuration: which agents there are, and what holds for work that does not say. `None`:
    /// nothing is configured.
    pub config: Option<Arc<LoadedConfig>>,
    /// The environment that agents inherit. `None`: that of this process, read at each start.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The machine; tests put a made-up one here.
    pub os: Arc<dyn Os>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            run_agent: None,
            durability: crate::bus::Durability::default(),
            config: None,
            environment: None,
            os: Arc::new(RealOs),
        }
    }
}

impl Options {
    /// The `run-agent` that agents shall find.
    #[must_use]
    pub fn run_agent(mut self, path: impl Into<PathBuf>) -> Options {
        self.run_agent = Some(path.into());
        self
    }

    /// The configuration.
    #[must_use]
    pub fn config(mut self, config: LoadedConfig) -> Options {
        self.config = Some(Arc::new(config));
        self
    }

    /// How durable posted messages are.
    #[must_use]
    pub fn durability(mut self, durability: crate::bus::Durability) -> Options {
        self.durability = durability;
        self
    }
}

/// The `run-agent` beside this process's executable, or the first one on its `PATH`.
pub(super) fn find_run_agent() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| {
        let named = exe.file_stem().is_some_and(|name| name == "run-agent");
        if named { Some(exe) } else { Some(exe.parent()?.join("run-agent")) }
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path).map(|folder| folder.join("run-agent")))
        .find(|program| program.is_absolute() && program.is_file())
}
