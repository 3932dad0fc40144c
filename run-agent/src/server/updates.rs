//! Carrying updates out: a thread that waits for a wish and for the active root runs, and hands over to
//! the new program.

use super::launch::{Launcher, own_program};
use super::limits;
use conductor_core::{Cancel, Conductor, Error, ErrorKind, NewProgram, Result, Updater, Wait};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// The first pause between two tries to get the part, which the worker before has until this one serves; each
/// further one is twice as long.
const AGAIN: Duration = Duration::from_millis(10);

/// The thread that carries updates out.
#[derive(Debug)]
pub(crate) struct Updates {
    cancel: Cancel,
    launcher: Arc<Launcher>,
    /// `None` once it is known that it does not come.
    handed_over: Option<oneshot::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Updates {
    /// Carries out what is asked for from now on.
    ///
    /// # Errors
    /// `server.no_threads`.
    pub(crate) fn begin(conductor: Conductor, launcher: Arc<Launcher>) -> Result<Updates> {
        let failed = |source| {
            Error::new(ErrorKind::Io, "server.no_threads", "cannot start threads")
                .with_source(source)
        };
        // Asked for now: a program that is exchanged by hand later has no path any more.
        let program = own_program().map_err(failed)?;
        let (over, handed_over) = oneshot::channel();
        let cancel = Cancel::new();
        let part = Part { conductor, launcher: launcher.clone(), program, cancel: cancel.clone() };
        let updater = part.take();
        let thread = std::thread::Builder::new().name("updates".to_owned()).spawn(move || {
            if part.carry_out(updater) {
                let _heard = over.send(());
            }
        });
        let (handed_over, thread) = (Some(handed_over), Some(thread.map_err(failed)?));
        Ok(Updates { cancel, launcher, handed_over, thread })
    }

    /// Waits until the next worker serves.
    pub(crate) async fn handed_over(&mut self) {
        let handed_over = match &mut self.handed_over {
            Some(handed_over) => handed_over.await.is_ok(),
            None => false,
        };
        if !handed_over {
            self.handed_over = None;
            std::future::pending::<()>().await;
        }
    }

    /// Ends it: what is under way waits for the next server.
    pub(crate) async fn end(mut self) {
        self.cancel.set();
        self.launcher.give_up("the server was asked to end");
        let Some(thread) = self.thread.take() else { return };
        let ended = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(limits::FAREWELL, ended).await.is_err() {
            tracing::warn!(subsystem = "update", "an update was left where it is");
        }
    }
}

/// What the thread works with.
struct Part {
    conductor: Conductor,
    launcher: Arc<Launcher>,
    program: PathBuf,
    cancel: Cancel,
}

impl Part {
    /// The part of the one who carries updates out; `None` where another server of this root has it, as long
    /// as that lives.
    fn take(&self) -> Option<Updater> {
        self.conductor.update().serve(&self.program).unwrap_or_else(|error| {
            warn(&error);
            None
        })
    }

    /// Whether the next worker serves; else this one has to end.
    fn carry_out(&self, mut updater: Option<Updater>) -> bool {
        let mut pause = AGAIN;
        while !self.cancel.is_set() {
            if let Some(updater) = updater {
                match self.attend(updater) {
                    Ok(handed_over) => return handed_over,
                    Err(error) => warn(&error),
                }
            }
            self.rest(pause);
            pause = (pause * 2).min(limits::UPDATER_AGAIN);
            updater = self.take();
        }
        false
    }

    /// Waits for updates until one is carried out, or this process has to end.
    fn attend(&self, updater: Updater) -> Result<bool> {
        loop {
            let wait = Wait::FOREVER.or_cancelled(&self.cancel);
            let new = match updater.wait(wait) {
                Err(error) if error.kind() == ErrorKind::Cancelled => return Ok(false),
                new => new?,
            };
            let version = new.version.clone();
            tracing::info!(subsystem = "update", version, "update_starts");
            match self.launcher.start_next(&new.path, updater.patience()) {
                Ok(()) => match updater.install(new) {
                    Ok(new) => match self.launcher.hand_over()? {
                        Ok(()) => {
                            // The next worker serves whatever becomes of this, and settles what is left.
                            if let Err(error) = updater.finish(new) {
                                warn(&error);
                            }
                            tracing::info!(subsystem = "update", version, "update_done");
                            // From here on the next worker has the part.
                            return Ok(true);
                        }
                        Err(why) => {
                            if !self.go_on_without(&updater, new, &why)? {
                                return Ok(false);
                            }
                        }
                    },
                    Err(error) => {
                        self.launcher.drop_next()?;
                        warn(&error);
                    }
                },
                Err(why) => {
                    if !self.go_on_without(&updater, new, &why)? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// The new program does not serve; whether this one serves on.
    fn go_on_without(&self, updater: &Updater, new: NewProgram, why: &str) -> Result<bool> {
        if self.cancel.is_set() {
            // Nothing is known about it.
            updater.put_off(new)?;
            return Ok(false);
        }
        let version = new.version.clone();
        tracing::warn!(subsystem = "update", version, why, "update_failed");
        updater.refuse(new, &format!("version {version} does not serve: {why}"))?;
        Ok(true)
    }

    fn rest(&self, pause: Duration) {
        let Some(cancel) = self.cancel.fd() else { return std::thread::sleep(pause) };
        let limit = Timespec::try_from(pause).ok();
        // Woken early it only looks early.
        let _woken = poll(&mut [PollFd::from_borrowed_fd(cancel, PollFlags::IN)], limit.as_ref());
    }
}

fn warn(error: &Error) {
    tracing::warn!(subsystem = "update", code = error.code(), %error, "update_failed");
}
