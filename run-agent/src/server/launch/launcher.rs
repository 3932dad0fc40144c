//! The launcher: one thread that waits for signals, for the ends of processes, and for what its workers
//! say.

use super::WORKER;
use super::line::{Line, Said, Word};
use super::program::own_program;
use conductor_core::{Error, ErrorKind, Result, die_with_starter, format_duration};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What the next worker is asked before it gets clients. The name of the host is one that is always heard.
const QUESTION: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// How the answer begins.
const ANSWER: &[u8] = b"HTTP/1.1 200";
/// How long the next worker may take to serve once it has the socket. One of an older version does not say that
/// it does.
const TAKES_OVER: Duration = Duration::from_secs(5);

/// Starts the server as a worker, and stays as its launcher to its end; the exit code.
///
/// # Errors
/// `server.launcher` where no process can be started or no signal heard.
pub(crate) fn launch() -> Result<u8> {
    let program = own_program().map_err(|e| failed("find the server's program", e))?;
    let mut launcher = Launcher::begin(&program)?;
    loop {
        if let Some(code) = launcher.turn()? {
            return Ok(code);
        }
    }
}

fn failed(what: &str, source: io::Error) -> Error {
    Error::new(ErrorKind::Io, "server.launcher", format!("cannot {what}")).with_source(source)
}

/// A process that was started, and is not reaped yet: its number is its own.
#[derive(Debug)]
struct Worker {
    pid: Pid,
    /// `None` once it says nothing more.
    line: Option<Line>,
}

impl Worker {
    fn say(&self, word: Word, bytes: &[u8], fd: Option<BorrowedFd<'_>>) {
        if let Some(line) = &self.line {
            // One that does not listen is about to end, or will be ended.
            let _heard = line.say_with(word, bytes, fd);
        }
    }

    fn signal(&self, signal: Signal) {
        // Only fails for one that has ended.
        let _gone = kill_process(self.pid, signal);
    }
}

/// A worker that has to show that it serves.
#[derive(Debug)]
struct Next {
    worker: Worker,
    patience: Duration,
    deadline: Option<Instant>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Starts,
    Asked(UnixStream, Vec<u8>),
    Serves,
    /// It has the socket, and so has the one that serves.
    TakesOver,
}

/// What there may be news from, in the order in which it is looked at: what a worker said comes before
/// its end.
#[derive(Clone, Copy, Debug)]
enum Source {
    Serving,
    Next,
    Answer,
    Signal(usize),
    Ends,
}

#[derive(Debug)]
struct Launcher {
    /// How this process was called; a worker is called alike.
    name: Option<OsString>,
    args: Vec<OsString>,
    signals: [(Signal, UnixStream); 2],
    ends: UnixStream,
    serving: Worker,
    listener: Option<OwnedFd>,
    next: Option<Next>,
    /// Those that served before. Each hears the end of its line as the end of the server, and has not handed
    /// its clients over by then.
    retired: Vec<Worker>,
    /// Whether the server was asked to end.
    ending: bool,
    /// How the next one ended since it was ready to serve.
    gone: String,
    /// Whether there is nobody to whom the one that serves could hand over, although it does. One of an older
    /// version ends then.
    lost: bool,
    /// The code that it ended with.
    ended: Option<u8>,
}

impl Launcher {
    fn begin(program: &Path) -> Result<Launcher> {
        let heard = |e| failed("listen for signals", e);
        let signals = [
            (Signal::TERM, hear(SIGTERM).map_err(heard)?),
            (Signal::INT, hear(SIGINT).map_err(heard)?),
        ];
        let ends = hear(SIGCHLD).map_err(heard)?;
        let mut args = std::env::args_os();
        let name = args.next();
        let args: Vec<OsString> = args.collect();
        let serving =
            start(program, name.as_deref(), &args).map_err(|e| failed("start the server", e))?;
        serving.say(Word::First, &[], None);
        Ok(Launcher {
            name,
            args,
            signals,
            ends,
            serving,
            listener: None,
            next: None,
            retired: Vec::new(),
            ending: false,
            gone: String::new(),
            lost: false,
            ended: None,
        })
    }

    /// Waits for news and attends to them; the exit code once all is over.
    fn turn(&mut self) -> Result<Option<u8>> {
        for source in self.news().map_err(|e| failed("wait for the server", e.into()))? {
            match source {
                Source::Serving => self.hear_serving(),
                Source::Next => self.hear_next(),
                Source::Answer => self.hear_answer(),
                Source::Signal(which) => self.pass_on(which),
                Source::Ends => self.reap(),
            }
        }
        self.look_at_the_clock();
        // The next one, and one that served before, go with this process.
        Ok(self.ended)
    }

    fn news(&self) -> rustix::io::Result<Vec<Source>> {
        let mut sources: Vec<(Source, BorrowedFd<'_>)> = Vec::with_capacity(6);
        sources.extend(self.serving.line.as_ref().map(|line| (Source::Serving, line.fd())));
        if let Some(next) = &self.next {
            sources.extend(next.worker.line.as_ref().map(|line| (Source::Next, line.fd())));
            if let Stage::Asked(answer, _) = &next.stage {
                sources.push((Source::Answer, answer.as_fd()));
            }
        }
        for (which, (_, told)) in self.signals.iter().enumerate() {
            sources.push((Source::Signal(which), told.as_fd()));
        }
        sources.push((Source::Ends, self.ends.as_fd()));
        let mut fds: Vec<PollFd<'_>> =
            sources.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        match poll(&mut fds, self.limit().as_ref()) {
            Err(Errno::INTR) => return Ok(Vec::new()),
            polled => polled?,
        };
        let ready = sources.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|((source, _), _)| *source).collect())
    }

    fn limit(&self) -> Option<Timespec> {
        let deadline = self.next.as_ref().filter(|next| next.is_awaited())?.deadline?;
        Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok()
    }

    fn hear_serving(&mut self) {
        while let Some(said) = heard(&mut self.serving.line) {
            match said.word {
                Some(Word::Listening) => self.listener = said.fd.or(self.listener.take()),
                Some(Word::Start) => self.start_next(&said.bytes),
                Some(Word::Drop) => self.end_next(),
                Some(Word::Over) => return self.hand_over(),
                _ => {}
            }
        }
    }

    fn start_next(&mut self, bytes: &[u8]) {
        self.end_next();
        let Some((millis, path)) = bytes.split_first_chunk() else { return };
        if self.ending {
            // It hears that itself.
            return;
        }
        let patience = Duration::from_millis(u64::from_le_bytes(*millis));
        match start(Path::new(OsStr::from_bytes(path)), self.name.as_deref(), &self.args) {
            Ok(worker) => {
                worker.say(Word::StandBy, &[], None);
                let deadline = Instant::now().checked_add(patience);
                self.next = Some(Next { worker, patience, deadline, stage: Stage::Starts });
            }
            Err(error) => {
                let why = format!("it cannot be started: {error}");
                self.serving.say(Word::NextFails, why.as_bytes(), None);
            }
        }
    }

    fn hear_next(&mut self) {
        let Some(next) = &mut self.next else { return };
        let (mut ready, mut listens) = (false, false);
        while let Some(said) = heard(&mut next.worker.line) {
            ready |= said.word == Some(Word::Ready);
            listens |= said.word == Some(Word::Listening);
        }
        if listens && matches!(next.stage, Stage::TakesOver) {
            return self.change_over();
        }
        if !ready || !matches!(next.stage, Stage::Starts) {
            return;
        }
        match ask(&next.worker) {
            Ok(answer) => next.stage = Stage::Asked(answer, Vec::new()),
            Err(error) => self.fail_next(&format!("it cannot be asked: {error}")),
        }
    }

    fn hear_answer(&mut self) {
        let Some(Next { stage: Stage::Asked(stream, answer), .. }) = &mut self.next else { return };
        let mut buffer = [0; 64];
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => return self.fail_next("it gave no answer to /readyz"),
        }
        if answer.len() < ANSWER.len() {
            return;
        }
        if !answer.starts_with(ANSWER) {
            let line = String::from_utf8_lossy(answer);
            let why = format!("to /readyz it answered {}", line.lines().next().unwrap_or_default());
            return self.fail_next(&why);
        }
        if let Some(next) = &mut self.next {
            next.stage = Stage::Serves;
        }
        self.serving.say(Word::NextServes, &[], None);
    }

    /// Gives the next one the socket. The one that serves keeps it until the next one serves, too.
    fn hand_over(&mut self) {
        // It may have ended since it was ready.
        self.reap();
        let (Some(next), Some(listener)) = (&mut self.next, &self.listener) else {
            self.lost = !self.ending;
            let why = format!("{} since it was ready to serve", self.gone);
            return self.serving.say(Word::NextFails, why.as_bytes(), None);
        };
        if !matches!(next.stage, Stage::Serves) {
            return;
        }
        next.worker.say(Word::Serve, &[], Some(listener.as_fd()));
        next.stage = Stage::TakesOver;
        next.deadline = Instant::now().checked_add(TAKES_OVER);
    }

    /// The next one serves: the one before lets go of the socket, and ends.
    fn change_over(&mut self) {
        let Some(next) = self.next.take() else { return };
        let before = std::mem::replace(&mut self.serving, next.worker);
        before.say(Word::NextServes, &[], None);
        self.retired.push(before);
    }

    fn look_at_the_clock(&mut self) {
        let late = |next: &&Next| {
            next.is_awaited() && next.deadline.is_some_and(|deadline| deadline <= Instant::now())
        };
        let Some(next) = self.next.as_ref().filter(late) else { return };
        if matches!(next.stage, Stage::TakesOver) {
            return self.change_over();
        }
        let why = format!("it did not serve within {}", format_duration(next.patience));
        self.fail_next(&why);
    }

    fn fail_next(&mut self, why: &str) {
        self.end_next();
        self.serving.say(Word::NextFails, why.as_bytes(), None);
    }

    fn end_next(&mut self) {
        if let Some(next) = self.next.take() {
            next.worker.signal(Signal::KILL);
        }
    }

    fn pass_on(&mut self, which: usize) {
        let Some((signal, told)) = self.signals.get(which) else { return };
        let signal = *signal;
        drain(told);
        (self.ending, self.lost) = (true, false);
        // Not that it failed: nothing is known about it.
        self.end_next();
        // Who connects from now on is refused as soon as the worker lets go of it too.
        self.listener = None;
        self.serving.signal(signal);
    }

    fn serving_ended(&mut self, status: WaitStatus) {
        match &self.next {
            // One of an older version that did not wait for the next one.
            Some(next) if matches!(next.stage, Stage::TakesOver) => {
                let gone = self.serving.pid;
                self.change_over();
                self.retired(gone);
            }
            _ => self.ended = Some(code_of(status).max(u8::from(self.lost))),
        }
    }

    /// Looks which processes have ended. There may be others than workers: an orphan is handed to the first
    /// process of a container.
    fn reap(&mut self) {
        drain(&self.ends);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.serving.pid {
                self.serving_ended(status);
            } else if self.next.as_ref().is_some_and(|next| next.worker.pid == pid) {
                let ended = format!("it ended with {}", words_of(status));
                let why = match self.next.take().map(|next| next.stage) {
                    // Told when somebody wants to hand over to it.
                    Some(Stage::Serves) => {
                        self.gone = ended;
                        continue;
                    }
                    Some(Stage::TakesOver) => format!("{ended} when it was to serve"),
                    _ => format!("{ended} before it served"),
                };
                self.serving.say(Word::NextFails, why.as_bytes(), None);
            } else {
                self.retired(pid);
            }
        }
    }

    /// A process ended that may have served before.
    fn retired(&mut self, pid: Pid) {
        let Some(at) = self.retired.iter().position(|known| known.pid == pid) else { return };
        self.retired.swap_remove(at);
        if self.retired.is_empty() {
            self.serving.say(Word::Alone, &[], None);
        }
    }
}

impl Next {
    /// Whether it has only so much time for what it does now.
    fn is_awaited(&self) -> bool {
        !matches!(self.stage, Stage::Serves)
    }
}

/// What was said on a line next; `None` where nothing is, for now or for ever.
fn heard(line: &mut Option<Line>) -> Option<Said> {
    match line.as_ref()?.listen_now() {
        Ok(Some(said)) => Some(said),
        Err(Errno::AGAIN) => None,
        _ => {
            *line = None;
            None
        }
    }
}

/// Starts the program at `path` as a worker, called as this process was.
fn start(path: &Path, name: Option<&OsStr>, args: &[OsString]) -> io::Result<Worker> {
    let (line, end) = Line::pair()?;
    let mut command = Command::new(path);
    command.args(args).arg(format!("--{WORKER}")).stdin(end);
    if let Some(name) = name {
        command.arg0(name);
    }
    // A launcher that is killed takes its workers with it, as one process would go.
    die_with_starter(&mut command);
    let child = command.spawn()?;
    Ok(Worker { pid: Pid::from_child(&child), line: Some(line) })
}

/// Asks a worker whether it serves; the stream on which the answer comes.
fn ask(worker: &Worker) -> io::Result<UnixStream> {
    let (mut own, other) = UnixStream::pair()?;
    own.set_nonblocking(true)?;
    own.write_all(QUESTION)?;
    worker.say(Word::Question, &[], Some(other.as_fd()));
    Ok(own)
}

/// A stream that has something to read whenever the signal came.
fn hear(signal: i32) -> io::Result<UnixStream> {
    let (told, tells) = UnixStream::pair()?;
    told.set_nonblocking(true)?;
    pipe::register(signal, tells)?;
    Ok(told)
}

fn drain(mut told: &UnixStream) {
    let mut buffer = [0; 64];
    while told.read(&mut buffer).is_ok_and(|length| length > 0) {}
}

/// The exit code that tells how a process ended.
fn code_of(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, signal) => 128 + signal.unwrap_or_default(),
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn words_of(status: WaitStatus) -> String {
    match status.terminating_signal() {
        Some(signal) => format!("signal {signal}"),
        None => format!("exit code {}", code_of(status)),
    }
}
