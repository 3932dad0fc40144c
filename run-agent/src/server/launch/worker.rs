//! A worker's end of the line to its launcher.

use super::line::{Line, Said, Word};
use conductor_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long the launcher may take to hand over, longer than it is patient with the next worker.
const ANSWER: Duration = Duration::from_secs(30);

/// What the launcher wants of a worker.
#[derive(Debug)]
pub(crate) enum Order {
    /// Nobody serves yet: listen.
    First,
    /// Another one serves: get ready.
    StandBy,
    /// A connection, to be answered before there are clients.
    Question(UnixStream),
    /// Serve who connects here.
    Serve(TcpListener),
    /// The one that served before is gone.
    Alone,
}

/// The launcher of this process.
#[derive(Debug)]
pub(crate) struct Launcher {
    line: Line,
    /// What became of the next worker: nothing when it is ready to serve, else why it is not.
    verdicts: Mutex<Receiver<Result<(), String>>>,
    verdict: Sender<Result<(), String>>,
}

/// Takes up the line to the launcher, and what it wants from now on. That ends with the launcher.
///
/// # Errors
/// `server.no_launcher` where this process was not started by one.
pub(crate) fn join() -> Result<(Arc<Launcher>, UnboundedReceiver<Order>)> {
    let failed = |e: io::Error| no_launcher().with_source(e);
    let inherited = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let line = Line::inherited(inherited).ok_or_else(no_launcher)?;
    // Nobody else shall speak on the line.
    let nothing = File::open("/dev/null").map_err(failed)?;
    rustix::stdio::dup2_stdin(nothing).map_err(|e| failed(e.into()))?;
    let (verdict, verdicts) = channel();
    let launcher = Arc::new(Launcher { line, verdicts: Mutex::new(verdicts), verdict });
    let (orders, coming) = unbounded_channel();
    let listener = Listener { launcher: launcher.clone(), orders };
    std::thread::Builder::new()
        .name("launcher".to_owned())
        .spawn(move || listener.listen())
        .map_err(failed)?;
    Ok((launcher, coming))
}

fn no_launcher() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "server.no_launcher",
        "the standard input of this process is no line to a launcher",
    )
    .with_field("worker")
    .with_hint("start the server without --worker")
}

struct Listener {
    launcher: Arc<Launcher>,
    orders: UnboundedSender<Order>,
}

impl Listener {
    fn listen(&self) {
        while let Ok(Some(said)) = self.launcher.line.listen() {
            if let Some(order) = self.hear(said)
                && self.orders.send(order).is_err()
            {
                return;
            }
        }
        self.launcher.give_up("its launcher is gone");
    }

    fn hear(&self, said: Said) -> Option<Order> {
        match said.word? {
            Word::First => Some(Order::First),
            Word::StandBy => Some(Order::StandBy),
            Word::Question => Some(Order::Question(said.fd?.into())),
            Word::Serve => Some(Order::Serve(said.fd?.into())),
            Word::Alone => Some(Order::Alone),
            Word::NextServes => {
                // Heard by whoever asked for it.
                let _heard = self.launcher.verdict.send(Ok(()));
                None
            }
            Word::NextFails => {
                self.launcher.give_up(&String::from_utf8_lossy(&said.bytes));
                None
            }
            _ => None,
        }
    }
}

impl Launcher {
    /// This worker serves who connects to `listener`.
    pub(crate) fn listens(&self, listener: BorrowedFd<'_>) -> Result<()> {
        self.line.say_with(Word::Listening, &[], Some(listener)).map_err(lost)
    }

    /// This worker is ready to serve.
    pub(crate) fn is_ready(&self) -> Result<()> {
        self.line.say(Word::Ready).map_err(lost)
    }

    /// Has the program at `path` started as the next worker, and waits until it is ready to serve.
    ///
    /// # Errors
    /// Why it is not; it was ended.
    pub(crate) fn start_next(&self, path: &Path, patience: Duration) -> Result<(), String> {
        let verdicts = self.verdicts.lock();
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let mut bytes = millis.to_le_bytes().to_vec();
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        self.line.say_with(Word::Start, &bytes, None).map_err(|e| lost(e).to_string())?;
        // There is an end to it: the launcher is patient for so long, and ends this process with itself.
        verdicts.recv().unwrap_or_else(|_| Err("its launcher is gone".to_owned()))
    }

    /// Ends the wait for the next worker: nobody wants it.
    pub(crate) fn give_up(&self, why: &str) {
        let _heard = self.verdict.send(Err(why.to_owned()));
    }

    /// The next worker is not wanted.
    pub(crate) fn drop_next(&self) -> Result<()> {
        self.line.say(Word::Drop).map_err(lost)
    }

    /// Has the next worker serve from now on, and waits until it does.
    ///
    /// # Errors
    /// Within: why it does not; this one has to serve on.
    pub(crate) fn hand_over(&self) -> Result<Result<(), String>> {
        let verdicts = self.verdicts.lock();
        self.line.say(Word::Over).map_err(lost)?;
        Ok(match verdicts.recv_timeout(ANSWER) {
            Ok(verdict) => verdict,
            // One of an older version hands over and says nothing.
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err("its launcher is gone".to_owned()),
        })
    }
}

fn lost(source: rustix::io::Errno) -> Error {
    Error::new(ErrorKind::Io, "server.launcher_lost", "the server's launcher does not listen")
        .with_source(io::Error::from(source))
}
