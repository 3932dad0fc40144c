//! What every command starts from: the root that was named, what surrounds us, and the output.

use crate::args::Place;
use crate::exit::{self, code_of};
use crate::log;
use crate::out::Out;
use crate::render::error;
use crate::work::courier::Courier;
use conductor_core::{
    Conductor, ConfigSources, Error, Location, LogLevel, Named, Options, Result, RootSources,
    Surroundings,
};
use std::cell::OnceCell;
use std::path::PathBuf;

/// What a command works with.
pub(crate) struct Context {
    root: Option<PathBuf>,
    config: Option<PathBuf>,
    /// The exit code of the first trouble that the command went on after.
    trouble: Option<u8>,
    /// Whether what happens is told to the webhook.
    tells: bool,
    courier: OnceCell<Option<Courier>>,
    /// Standard output.
    pub(crate) out: Out,
}

impl Context {
    /// Nothing is opened or looked at yet, but for who reads the output.
    pub(crate) fn new(root: Option<PathBuf>, config: Option<PathBuf>) -> Context {
        let courier = OnceCell::new();
        Context { root, config, trouble: None, tells: false, courier, out: Out::stdout() }
    }

    /// The root that the command line, the environment or the configuration names. A configuration that
    /// cannot be used ends the command.
    pub(crate) fn conductor(&self) -> Result<Conductor> {
        let loaded = Conductor::load_config(&self.config_sources())?;
        // What is doubtful in it is told when its root is opened.
        log::configure(loaded.config(), LogLevel::Warn);
        let conductor = Conductor::open_loaded(self.root.clone(), loaded, Options::default())?;
        if self.tells {
            self.courier.get_or_init(|| Courier::start(&conductor));
        }
        Ok(conductor)
    }

    /// Has what happens told to the webhook, beside the command.
    pub(crate) fn tell_webhook(&mut self) {
        self.tells = true;
    }

    /// Gives the webhook a bounded time for what is left.
    pub(crate) fn finish_webhook(&mut self) {
        if let Some(courier) = self.courier.take().flatten() {
            courier.finish();
        }
    }

    /// Everything that can name the configuration.
    pub(crate) fn config_sources(&self) -> ConfigSources {
        Conductor::config_sources(self.config.clone())
    }

    /// Everything but the configuration that can name the root.
    pub(crate) fn root_sources(&self) -> RootSources {
        Conductor::sources(self.root.clone())
    }

    /// What the command line names, as the library takes it.
    pub(crate) fn named(place: &Place) -> Named {
        Named::default().project(place.project.as_deref()).task(place.task.as_deref())
    }

    /// What surrounds this process.
    pub(crate) fn around(&self) -> Surroundings {
        Surroundings::of_this_process()
    }

    /// The project and the task that are meant.
    pub(crate) fn locate(&self, conductor: &Conductor, place: &Place) -> Result<Location> {
        conductor.locate(&Context::named(place), &self.around())
    }

    /// Tells of something that could not be read; the command goes on, and its exit code will say so.
    pub(crate) fn trouble(&mut self, error: &Error) {
        error::note(error);
        self.remember(error);
    }

    /// The exit code will say so, of something that was told already.
    pub(crate) fn remember(&mut self, error: &Error) {
        self.trouble.get_or_insert(code_of(error));
    }

    /// The exit code of a command that answered, unless there was trouble: 0 for yes, 1 for no.
    pub(crate) fn answered(&self, yes: bool) -> u8 {
        self.or_trouble(if yes { exit::OK } else { exit::NO })
    }

    /// This exit code, unless there was trouble.
    pub(crate) fn or_trouble(&self, code: u8) -> u8 {
        self.trouble.unwrap_or(code)
    }
}
