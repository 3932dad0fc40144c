//! Waiting without the interpreter: other threads go on, Ctrl-C ends the wait, and no panic comes out.

use crate::error::raise;
use conductor_core::boundary::contain;
use conductor_core::{Cancel, Error, ErrorKind, Result, Wait};
use parking_lot::Mutex;
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::time::{Duration, Instant};

/// A signal ends a wait at once. One that comes right before the wait begins is seen after this time.
const SLICE: Duration = Duration::from_millis(100);

/// Runs what takes moments, without the interpreter.
pub(crate) fn call<T: Send>(
    py: Python<'_>,
    body: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| contain(body).unwrap_or_else(|panic| Err(panic.into())))
        .map_err(|error| raise(py, &error))
}

/// Whether Python's signal handlers run in this thread.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?;
    Ok(threading.call_method0("current_thread")?.is(&main))
}

fn deadline(timeout: Option<f64>) -> Option<Instant> {
    // What is too long to be represented is no deadline.
    let timeout = Duration::try_from_secs_f64(timeout?.max(0.0)).ok()?;
    Instant::now().checked_add(timeout)
}

fn wait_of(deadline: Option<Instant>, cancel: Option<&Cancel>) -> Wait {
    let wait = deadline.map_or(Wait::FOREVER, Wait::until);
    match cancel {
        Some(cancel) => wait.or_cancelled(cancel),
        None => wait,
    }
}

/// Waits by asking again and again: where Ctrl-C matters `ask` is given a wait of at most 100 ms that
/// ends at a signal. It may be asked again after the error of a wait that is over.
pub(crate) fn ask<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    cancel: Option<&Cancel>,
    mut ask: impl FnMut(Wait) -> Result<T> + Send,
) -> PyResult<T> {
    let end = deadline(timeout);
    let is_main = is_main_thread(py)?;
    loop {
        let whole = wait_of(end, cancel);
        let part = match is_main {
            true => whole.clone().at_most(SLICE).or_interrupted(),
            false => whole.clone(),
        };
        let answer = py.detach(|| contain(|| ask(part)).unwrap_or_else(|panic| Err(panic.into())));
        py.check_signals()?;
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) if is_over(&error) && whole.check().is_ok() => {}
            Err(error) => return Err(raise(py, &error)),
        }
    }
}

/// Whether a wait was over, and nothing was done.
fn is_over(error: &Error) -> bool {
    error.kind() == ErrorKind::Timeout
        || matches!(error.code(), "lock.timeout" | "wait.interrupted")
}

/// Waits until the switch is set, a signal comes, or 100 ms are over.
fn rest(switch: &Cancel) {
    let limit = Timespec { tv_sec: 0, tv_nsec: SLICE.subsec_nanos().into() };
    match switch.fd() {
        Some(fd) => {
            // Whatever ended it, the caller looks what there is.
            let _ended = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&limit));
        }
        // The process is out of descriptors.
        None => std::thread::sleep(SLICE),
    }
}

/// As [`once`], for at most so many seconds.
pub(crate) fn once_within<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    cancel: Option<&Cancel>,
    body: impl FnOnce(Wait) -> Result<T> + Send,
) -> PyResult<T> {
    // What is too long to be represented is no deadline.
    let limit = timeout.and_then(|limit| Duration::try_from_secs_f64(limit.max(0.0)).ok());
    once(py, cancel, |wait| body(limit.map_or(wait.clone(), |limit| wait.at_most(limit))))
}

/// Runs what can only be done once and may take long. Where Ctrl-C matters, another thread does it.
pub(crate) fn once<T: Send>(
    py: Python<'_>,
    cancel: Option<&Cancel>,
    body: impl FnOnce(Wait) -> Result<T> + Send,
) -> PyResult<T> {
    if !is_main_thread(py)? {
        return call(py, || body(wait_of(None, cancel)));
    }
    let own = Cancel::new();
    let switch = cancel.unwrap_or(&own);
    let done = Cancel::new();
    let (sender, receiver) = sync_channel(1);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let wait = Wait::from(switch);
        let told = done.clone();
        scope.spawn(move || {
            let answer = contain(|| body(wait)).unwrap_or_else(|panic| Err(panic.into()));
            // Nobody is there to be told where Ctrl-C came first.
            let _left = sender.send(answer);
            told.set();
        });
        loop {
            py.detach(|| rest(&done));
            match receiver.lock().try_recv() {
                Ok(answer) => return answer.map_err(|error| raise(py, &error)),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    let message = "a thread ended without an answer";
                    let error = Error::new(ErrorKind::Internal, "internal.panic", message);
                    return Err(raise(py, &error));
                }
            }
            if let Err(interrupt) = py.check_signals() {
                switch.set();
                // What was begun ends at its next look at the switch; the scope waits for that.
                return py.detach(|| {
                    let _late = receiver.lock().recv();
                    Err(interrupt)
                });
            }
        }
    })
}
