//! Programs under test: started with a clean environment, watched, ended when they take too long.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program is waited for unless a test says otherwise. It ends a hang; it measures nothing.
pub const LIMIT: Duration = Duration::from_secs(600);

/// Variables that mean something to conductor or to an agent, and which a test's own environment may
/// hold by chance.
const FOREIGN: [&str; 7] =
    ["JRUN_", "CONDUCTOR_", "CLAUDE", "CODEX_", "GEMINI_", "TASK_FOLDER", "XDG_CONFIG"];

/// A program to be started.
#[derive(Debug)]
pub struct Program {
    command: Command,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Program {
    /// The program at `path`, without foreign variables, in a process group of its own.
    pub fn new(path: &Path) -> Program {
        let mut command = Command::new(path);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if FOREIGN.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.process_group(0);
        Program { command, stdin: Vec::new(), limit: LIMIT }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Program {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Program {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Program {
        self.command.env(name, value);
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Program {
        self.command.env_remove(name);
        self
    }

    /// Puts `folder` first on the PATH.
    #[must_use]
    pub fn path_first(mut self, folder: impl Into<PathBuf>) -> Program {
        let own = self.command.get_envs().find(|(name, _)| *name == "PATH");
        let path = own.and_then(|(_, value)| value.map(OsStr::to_owned));
        let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
        let folders = std::iter::once(folder.into()).chain(std::env::split_paths(&path));
        let joined: OsString = std::env::join_paths(folders).expect("folders without a colon");
        self.command.env("PATH", joined);
        self
    }

    /// Starts it in `folder`.
    #[must_use]
    pub fn cwd(mut self, folder: impl AsRef<Path>) -> Program {
        self.command.current_dir(folder);
        self
    }

    /// What it reads; nothing unless given.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Program {
        self.stdin = bytes.into();
        self
    }

    /// How long each wait for it may take. What it did before, as a server that a test asks, does not count.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Program {
        self.limit = limit;
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let mut input = tempfile::tempfile().expect("a temporary file");
        input.write_all(&self.stdin).and_then(|()| input.rewind()).expect("write standard input");
        self.command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let label = format!("{:?}", self.command);
        let mut child =
            self.command.spawn().unwrap_or_else(|e| panic!("cannot start {label}: {e}"));
        let pid = Pid::from_child(&child);
        let end = pidfd_open(pid, PidfdFlags::empty()).expect("a descriptor of a child");
        Running {
            label,
            limit: self.limit,
            end,
            stdout: Pipe::new(child.stdout.take().expect("a pipe")),
            stderr: Pipe::new(child.stderr.take().expect("a pipe")),
            child,
        }
    }

    /// Starts it and waits for its end, whatever it is.
    pub fn run(self) -> Finished {
        self.start().finish()
    }

    /// Starts it, waits for its end, and fails unless it is success.
    pub fn succeed(self) -> Finished {
        self.exits(0)
    }

    /// Starts it, waits for its end, and fails unless it exits with `code`.
    pub fn exits(self, code: i32) -> Finished {
        self.run().expect_code(code)
    }
}

/// A program that was started. Dropping it ends it and its process group.
#[derive(Debug)]
pub struct Running {
    label: String,
    limit: Duration,
    child: Child,
    end: OwnedFd,
    stdout: Pipe<ChildStdout>,
    stderr: Pipe<ChildStderr>,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, as a terminal or an administrator would.
    pub fn signal(&self, signal: Signal) {
        // Not reaped yet, so the number is still its own.
        kill_process(Pid::from_child(&self.child), signal).expect("signal a child");
    }

    /// Reads on until what it wrote to standard output satisfies `ready`, and gives all of that.
    pub fn wait_for(&mut self, what: &str, ready: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + self.limit;
        loop {
            let text = self.stdout.text();
            if ready(&text) {
                return text;
            }
            if !self.pump(deadline) {
                // It may be the last thing that it wrote.
                let text = self.stdout.text();
                assert!(ready(&text), "it ended without {what}\n{}", self.report());
                return text;
            }
        }
    }

    /// Reads its standard output no more: the other end of the pipe is closed.
    pub fn close_stdout(&mut self) {
        self.stdout.reader = None;
    }

    /// Waits for its end. What descends from it and holds its output open is not waited for.
    pub fn finish(mut self) -> Finished {
        let deadline = Instant::now() + self.limit;
        while self.pump(deadline) {}
        let status = self.child.wait().expect("wait for a child");
        Finished {
            label: std::mem::take(&mut self.label),
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    /// Waits for news and reads them; false once it has ended and all that it wrote was read.
    fn pump(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a short time");
        let pipes = [self.stdout.fd(), self.stderr.fd()];
        let mut fds = vec![PollFd::new(&self.end, PollFlags::IN)];
        fds.extend(pipes.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        let ready = poll(&mut fds, Some(&left)).expect("poll");
        if ready == 0 {
            self.kill();
            self.drain();
            panic!("it did not end in time\n{}", self.report());
        }
        let ended = !fds[0].revents().is_empty();
        // After the look at its end: what it wrote before is in the pipes by now.
        self.drain();
        !ended
    }

    fn drain(&mut self) {
        self.stdout.drain();
        self.stderr.drain();
    }

    fn kill(&mut self) {
        // Its own group, and it is not reaped yet: the number cannot be another's. Gone is fine.
        let _gone = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }

    fn report(&self) -> String {
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        format!("{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", self.label)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _reaped = self.child.wait();
        }
    }
}

/// One end of a pipe and what came out of it so far.
#[derive(Debug)]
struct Pipe<R> {
    reader: Option<R>,
    bytes: Vec<u8>,
}

impl<R: Read + AsFd> Pipe<R> {
    fn new(reader: R) -> Pipe<R> {
        let flags = fcntl_getfl(&reader).expect("flags of a pipe");
        fcntl_setfl(&reader, flags | OFlags::NONBLOCK).expect("set flags of a pipe");
        Pipe { reader: Some(reader), bytes: Vec::new() }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there.
    fn drain(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        match reader.read_to_end(&mut self.bytes) {
            Ok(_) => self.reader = None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("cannot read a pipe: {error}"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    label: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Fails unless it exited with `code`.
    #[must_use = "what it wrote"]
    pub fn expect_code(self, code: i32) -> Finished {
        assert!(
            self.status.code() == Some(code),
            "{} instead of exit code {code}\n{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            self.label,
            self.stdout,
            self.stderr
        );
        self
    }
}
