//! Calls of the library, which may block: a bounded number of them at a time, away from the threads that
//! answer requests.

use super::failure::Failure;
use super::limits;
use axum::http::StatusCode;
use conductor_core::Result;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Whether a call only looks, or may have to wait for agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// It looks.
    Short,
    /// It starts, ends or deletes work.
    Long,
}

/// The turns that calls take.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    turns: Arc<Semaphore>,
    /// Those of calls that may take long, so that none of them keeps a look from its turn.
    long_turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    root: Arc<PathBuf>,
}

impl Calls {
    /// Calls about the root at `root`.
    pub(crate) fn new(root: PathBuf) -> Calls {
        Calls {
            turns: Arc::new(Semaphore::new(limits::CALLS)),
            long_turns: Arc::new(Semaphore::new(limits::LONG_CALLS)),
            waiting: Arc::new(Semaphore::new(limits::WAITING_CALLS)),
            root: Arc::new(root),
        }
    }

    /// Makes a call and waits for its answer.
    ///
    /// A client that goes away ends the wait for the answer, never the call.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let root = self.root.clone();
        self.answer(Length::Short, move || call().map_err(|error| Failure::of(&error, &root))).await
    }

    /// As [`run`](Calls::run), for a call that starts, ends or deletes work.
    pub(crate) async fn run_long<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let root = self.root.clone();
        self.answer(Length::Long, move || call().map_err(|error| Failure::of(&error, &root))).await
    }

    /// As [`run`](Calls::run), for a call that may find something wrong itself.
    pub(crate) async fn answer<T: Send + 'static>(
        &self,
        length: Length,
        call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let _place = self.waiting.clone().try_acquire_owned().map_err(|_| busy())?;
        let turns = match length {
            Length::Short => &self.turns,
            Length::Long => &self.long_turns,
        };
        let turn = turns.clone().acquire_owned().await.map_err(|_| busy())?;
        let work = tokio::task::spawn_blocking(move || {
            let answer = call();
            // Held until the call is over, whoever waits for it.
            drop(turn);
            answer
        });
        match work.await {
            Ok(answer) => answer,
            Err(_) => Err(defect()),
        }
    }

    /// An error of the library as an answer.
    pub(crate) fn failure(&self, error: &conductor_core::Error) -> Failure {
        Failure::of(error, &self.root)
    }
}

/// The answer in the place of a call that a defect ended. Its message went to the log, where the hook of
/// the process puts it.
pub(crate) fn defect() -> Failure {
    Failure::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "server.defect",
        "a defect of the server ended the call: please report it",
    )
}

fn busy() -> Failure {
    let message = "the server has too much to do: try again soon";
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "server.busy", message)
}
