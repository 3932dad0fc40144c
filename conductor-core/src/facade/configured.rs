//! Opening a root as the environment and the configuration of this machine say.

use super::conductor::Conductor;
use super::options::Options;
use crate::bus::Durability;
use crate::config::{
    Config, ConfigPlace, ConfigSources, ConfigUse, Limits, LoadedConfig, Problem, Rejected,
    Severity, Variables,
};
use crate::error::{Error, Result};
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::path::{Path, PathBuf};

impl Conductor {
    /// Opens the root that this machine's environment and configuration name: `CONDUCTOR_ROOT`, inside
    /// an agent the root of its task, `storage.runs_dir` of the configuration, else `~/run-agent`.
    ///
    /// # Errors
    /// As [`open_configured`](Conductor::open_configured).
    pub fn open_default() -> Result<Conductor> {
        Conductor::open_configured(None, None, Options::default())
    }

    /// As [`open_default`](Conductor::open_default), with a root and a configuration that somebody named
    /// before all others.
    ///
    /// # Errors
    /// `root.unknown` and `root.not_absolute`; the first thing that is wrong with the configuration: one
    /// that cannot be used is never passed over.
    pub fn open_configured(
        root: Option<PathBuf>,
        config: Option<PathBuf>,
        options: Options,
    ) -> Result<Conductor> {
        Conductor::open_as_planned(root, config, options, None)
    }

    /// As [`open_configured`](Conductor::open_configured), with a configuration that was read before.
    ///
    /// # Errors
    /// `root.unknown` and `root.not_absolute`.
    pub fn open_loaded(
        root: Option<PathBuf>,
        loaded: LoadedConfig,
        options: Options,
    ) -> Result<Conductor> {
        Conductor::open_with(root, loaded, options, None)
    }

    /// As [`open_configured`](Conductor::open_configured), with a `durability` that goes before the
    /// configured one.
    pub(super) fn open_as_planned(
        root: Option<PathBuf>,
        config: Option<PathBuf>,
        options: Options,
        durability: Option<Durability>,
    ) -> Result<Conductor> {
        let loaded = Conductor::load_config(&Conductor::config_sources(config))?;
        Conductor::open_with(root, loaded, options, durability)
    }

    fn open_with(
        root: Option<PathBuf>,
        loaded: LoadedConfig,
        mut options: Options,
        durability: Option<Durability>,
    ) -> Result<Conductor> {
        for warning in loaded.warnings() {
            tracing::warn!(
                name: "config_doubtful", code = warning.code, hint = warning.hint,
                "{}", warning.line_for_people()
            );
        }
        let mut sources = Conductor::sources(root);
        sources.configured = loaded.config().storage.runs_dir.clone();
        let configured = match loaded.config().bus.durability.as_deref() {
            Some("process") => Durability::Process,
            _ => options.durability,
        };
        options.durability = durability.unwrap_or(configured);
        Conductor::open_from(&sources, options.config(loaded))
    }

    /// What this process's environment says of the configuration, with `explicit` before it.
    pub fn config_sources(explicit: Option<PathBuf>) -> ConfigSources {
        let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
        ConfigSources {
            explicit,
            environment: var("CONDUCTOR_CONFIG"),
            config_home: var("XDG_CONFIG_HOME"),
            home: var("HOME"),
            current: std::env::current_dir().ok(),
        }
    }

    /// The places where the configuration may lie, in the order that they are looked at, with what
    /// becomes of each.
    pub fn config_places(sources: &ConfigSources) -> Vec<ConfigPlace> {
        // What cannot be looked at is there: reading it will say why not.
        let exists = |path: &Path| match std::fs::metadata(path) {
            Err(error) => !matches!(error.kind(), NotFound | NotADirectory),
            Ok(_) => true,
        };
        sources.places(exists)
    }

    /// Reads the configuration that `sources` name, with this process's variables over it.
    ///
    /// # Errors
    /// [`Rejected`] with everything that is wrong; it turns into an [`Error`].
    pub fn load_config(sources: &ConfigSources) -> Result<LoadedConfig, Rejected> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let variables = Variables::pick(sources.home.clone(), environment);
        let mut places = Conductor::config_places(sources).into_iter();
        let Some(place) = places.find(|place| place.usage == ConfigUse::Used) else {
            return LoadedConfig::without_file(&variables);
        };
        let path = std::path::absolute(&place.path).map_err(|source| {
            let error = Error::io("find the configuration", &place.path, source);
            Rejected::from(Problem::of_error(Severity::Error, &error))
        })?;
        LoadedConfig::read(&path, &variables)
    }

    /// What is configured.
    pub fn config(&self) -> &Config {
        self.loaded_config().config()
    }

    /// What is configured, and where it is from.
    pub fn loaded_config(&self) -> &LoadedConfig {
        &self.engine.settings().config
    }

    /// The configured bounds of work.
    pub(super) fn limits(&self) -> &Limits {
        &self.config().limits
    }
}
