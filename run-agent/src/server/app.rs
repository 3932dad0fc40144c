//! What all requests share.

use super::calls::{Calls, Length};
use super::driver::Driver;
use super::failure::Failure;
use super::guard::Guard;
use super::known::Known;
use super::listen::look_outs;
use super::metrics::Metrics;
use super::routes::views::Rows;
use super::seal::Seal;
use super::stream::Streams;
use conductor_core::{Conductor, Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What all requests share. Clones are cheap.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

struct Shared {
    conductor: Conductor,
    settings: Settings,
    calls: Calls,
    metrics: Metrics,
    driver: Driver,
    streams: Streams,
    seal: Seal,
    known: Known,
    rows: Rows,
    started: Instant,
    ending: watch::Sender<bool>,
}

/// How the server behaves.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Who may do what.
    pub(crate) guard: Guard,
    /// Whether tasks may be started.
    pub(crate) starts_tasks: bool,
    /// The pause between two signs of life of a stream.
    pub(crate) heartbeat: Duration,
    /// The most clients that follow one thing.
    pub(crate) clients: usize,
}

impl App {
    /// The server of the root that is open.
    ///
    /// # Errors
    /// `server.metrics`: a defect.
    pub(crate) fn new(conductor: Conductor, settings: Settings) -> Result<App> {
        let metrics = Metrics::new().map_err(|source| {
            Error::new(ErrorKind::Internal, "server.metrics", "the metrics cannot be made")
                .with_source(source)
        })?;
        Ok(App(Arc::new(Shared {
            calls: Calls::new(conductor.root().to_owned()),
            driver: Driver::new(conductor.clone()),
            conductor,
            settings,
            metrics,
            streams: Streams::new(look_outs()),
            seal: Seal::new()?,
            known: Known::default(),
            rows: Rows::default(),
            started: Instant::now(),
            ending: watch::Sender::new(false),
        })))
    }

    /// Rows of tasks at rest.
    pub(crate) fn rows(&self) -> &Rows {
        &self.0.rows
    }

    /// What is known of tasks.
    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }

    /// What seals what pages may send back.
    pub(crate) fn seal(&self) -> &Seal {
        &self.0.seal
    }

    /// What is followed.
    pub(crate) fn streams(&self) -> &Streams {
        &self.0.streams
    }

    /// Ends the streams: the server is about to end.
    pub(crate) fn end_streams(&self) {
        self.0.ending.send_replace(true);
    }

    /// Tells when the server is about to end.
    pub(crate) fn ending(&self) -> watch::Receiver<bool> {
        self.0.ending.subscribe()
    }

    /// Whether the server is about to end.
    pub(crate) fn is_ending(&self) -> bool {
        *self.0.ending.borrow()
    }

    /// Drives the tasks that were started over HTTP.
    pub(crate) fn driver(&self) -> &Driver {
        &self.0.driver
    }

    pub(crate) fn conductor(&self) -> &Conductor {
        &self.0.conductor
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// When the server began.
    pub(crate) fn started(&self) -> Instant {
        self.0.started
    }

    /// Makes a call of the library.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Conductor) -> Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let conductor = self.0.conductor.clone();
        self.0.calls.run(move || call(&conductor)).await
    }

    /// As [`call`](App::call), for a call that starts, ends or deletes work.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Conductor) -> Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let conductor = self.0.conductor.clone();
        self.0.calls.run_long(move || call(&conductor)).await
    }

    /// As [`call`](App::call), for a call that may find something wrong itself.
    pub(crate) async fn answer<T: Send + 'static>(
        &self,
        length: Length,
        call: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let app = self.clone();
        self.0.calls.answer(length, move || call(&app)).await
    }

    /// An error of the library as an answer.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        self.0.calls.failure(error)
    }
}
