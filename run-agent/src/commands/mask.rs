//! `__mask`: stands between an agent and the files of its run, and hides what they must not hold.
//! Runs are started with it where the configuration says `redact`.

use crate::context::Context;
use crate::exit::Failure;
use clap::Args;
use conductor_core::{Error, ErrorKind, Redactor, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The prompt in the folder that this variable names.
const RUN_FOLDER: &str = "JRUN_RUN_FOLDER";
const PROMPT: &str = "prompt.md";
/// How long what the agent left behind may still print.
const LEFTOVERS: Duration = Duration::from_secs(1);
const CHUNK: usize = 64 << 10;

/// Runs a program and hides secrets in what it prints
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Mask {
    /// Gives the program nothing to read instead of the run's prompt
    #[arg(long)]
    no_input: bool,
    /// Program, its name, and its arguments
    #[arg(last = true, required = true, num_args = 2..)]
    argv: Vec<OsString>,
}

impl Mask {
    pub(crate) fn run(self, _context: &mut Context) -> Result<u8, Failure> {
        // The keeper signals the agent itself, too; what it still prints is wanted.
        for signal in [libc_signals::TERM, libc_signals::INT, libc_signals::HUP] {
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
                .map_err(|e| failed("cannot take signals", e))?;
        }
        let mut secrets = Vec::new();
        io::stdin().read_to_end(&mut secrets).map_err(|e| failed("cannot read the secrets", e))?;
        // From here on they are in this process's memory alone.
        let null = File::open("/dev/null").map_err(|e| failed("cannot open /dev/null", e))?;
        rustix::stdio::dup2_stdin(&null)
            .map_err(|errno| failed("cannot close the secrets", errno.into()))?;
        let status = self.mask(&secrets).map_err(|e| failed("the agent cannot be masked", e))?;
        end_as(status)
    }

    fn mask(&self, secrets: &[u8]) -> io::Result<ExitStatus> {
        let [program, name, args @ ..] = self.argv.as_slice() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let input = match self.no_input {
            true => Stdio::null(),
            false => {
                let folder = std::env::var_os(RUN_FOLDER).ok_or(io::ErrorKind::NotFound)?;
                File::open(Path::new(&folder).join(PROMPT))?.into()
            }
        };
        let mut child = Command::new(program)
            .arg0(name)
            .args(args)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let mut out = Pump::new(child.stdout.take(), io::stdout(), secrets)?;
        let mut err = Pump::new(child.stderr.take(), io::stderr(), secrets)?;
        let mut deadline: Option<Instant> = None;
        while out.is_open() || err.is_open() {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(3);
            let both = [out.fd(), err.fd()];
            fds.extend(
                both.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)),
            );
            if deadline.is_none() {
                fds.push(PollFd::new(&end, PollFlags::IN));
            }
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut fds, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                polled => drop(polled?),
            }
            let ended = deadline.is_none()
                && fds.last().is_some_and(|fd| fd.revents().contains(PollFlags::IN));
            out.pump()?;
            err.pump()?;
            if ended {
                deadline = Some(Instant::now() + LEFTOVERS);
            }
        }
        out.finish()?;
        err.finish()?;
        child.wait()
    }
}

/// One stream of the agent, on its way to its file.
struct Pump<R, W> {
    from: Option<R>,
    to: W,
    redactor: Redactor,
    buffer: Vec<u8>,
    clean: Vec<u8>,
}

impl<R: Read + AsFd, W: Write> Pump<R, W> {
    fn new(from: Option<R>, to: W, secrets: &[u8]) -> io::Result<Pump<R, W>> {
        if let Some(from) = &from {
            fcntl_setfl(from, OFlags::NONBLOCK)?;
        }
        let redactor = Redactor::from_document(secrets);
        Ok(Pump { from, to, redactor, buffer: vec![0; CHUNK], clean: Vec::new() })
    }

    fn is_open(&self) -> bool {
        self.from.is_some()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.from.as_ref().map(AsFd::as_fd)
    }

    /// Passes on what is there.
    fn pump(&mut self) -> io::Result<()> {
        while let Some(from) = &mut self.from {
            match from.read(&mut self.buffer) {
                Ok(0) => self.from = None,
                Ok(read) => {
                    self.redactor.push(&self.buffer[..read], &mut self.clean);
                    self.write()?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.redactor.finish(&mut self.clean);
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        self.to.write_all(&self.clean)?;
        self.clean.clear();
        self.to.flush()
    }
}

/// The signals that end a program which does not take them.
mod libc_signals {
    pub(super) use signal_hook::consts::{SIGHUP as HUP, SIGINT as INT, SIGTERM as TERM};
}

/// Ends as the agent ended, so that the keeper sees its end.
fn end_as(status: ExitStatus) -> Result<u8, Failure> {
    if let Some(code) = status.code() {
        return Ok(u8::try_from(code & 0xff).unwrap_or(u8::MAX));
    }
    let signal = status.signal().unwrap_or(signal_hook::consts::SIGKILL);
    signal_hook::low_level::emulate_default_handler(signal)
        .map_err(|e| failed("cannot end as the agent did", e))?;
    // One that a process cannot send itself, or that ends nobody.
    if let Some(signal) = Signal::from_named_raw(signal) {
        kill_process(getpid(), signal)
            .map_err(|errno| failed("cannot end as the agent did", errno.into()))?;
    }
    Ok(u8::MAX)
}

fn failed(what: &str, source: io::Error) -> Error {
    Error::new(ErrorKind::Io, "mask.failed", what.to_owned()).with_source(source)
}
