//! Driving in the background: another process of this program, in a session of its own and under a keeper
//! of its own, so that it does not end with the run of an agent that started it.
//!
//! The one in front starts the work itself, so that it can tell truthfully what became of it. The one
//! behind only attaches: all that it needs stands in the task's folder, but for the values of
//! variables, which it gets in its environment. It stands by before the one in front lets go of the
//! task, so that at no moment nobody would notice the end of an attempt.

use super::drive::{Drive, End, Watcher, wait_for_any};
use super::signals::Signals;
use crate::exit::{self, Failure};
use conductor_core::{
    Conductor, Error, ErrorKind, Event, Post, Result, Step, Task, TaskResult, Wait,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// The hidden command of the process behind.
pub(crate) const COMMAND: &str = "drive";
/// What it says when it stands by, and when it drives or finds that nothing is left to do.
const STANDS_BY: &str = "stands by";
const DRIVES: &str = "drives";

/// Leaves a task to a process in the background; gives its id.
///
/// # Errors
/// `background.not_started` when it could not be started, with what it said. The attempt that runs
/// goes on all the same.
pub(crate) fn hand_over(
    conductor: &Conductor,
    task: Task,
    env: &[(String, String)],
) -> Result<u32> {
    let program = std::env::current_exe().map_err(|e| failed("cannot find this program", e))?;
    let mut args = vec![OsString::from(COMMAND)];
    if let Some(path) = conductor.loaded_config().path() {
        args.extend(["--config".into(), path.into()]);
    }
    args.extend(["--root".into(), conductor.root().into()]);
    args.extend(
        ["--project", task.project().as_str(), "--task", task.id().as_str()].map(Into::into),
    );
    // The values of variables may be secrets: they go by the environment, never by the arguments.
    let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    variables.extend(env.iter().map(|(name, value)| (name.into(), value.into())));
    // Where an agent starts this, the process behind is no part of its run.
    variables.remove(OsStr::new("JRUN_RUN_FOLDER"));
    let variables: Vec<_> = variables.into_iter().collect();
    let (mut said, output) = std::io::pipe().map_err(|e| failed("it has no output", e))?;
    let (mut words, errors) = std::io::pipe().map_err(|e| failed("it has no output", e))?;
    for fd in [said.as_fd(), words.as_fd()] {
        rustix::io::ioctl_fionbio(fd, true).map_err(|e| failed("it has no output", e.into()))?;
    }
    let name = format!("driver-{}", std::process::id());
    let streams = (output.as_fd(), errors.as_fd());
    let pid = conductor
        .start_apart((&program, &args), &variables, &name, streams)
        .map_err(|error| failed("cannot start it", std::io::Error::other(error)))?;
    drop((output, errors));
    let end = match Pid::from_raw(i32::try_from(pid).unwrap_or(0)) {
        Some(pid) => match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(end) => Some(end),
            Err(Errno::SRCH) => None,
            Err(errno) => return Err(failed("it cannot be waited for", errno.into())),
        },
        None => None,
    };
    if hears(&mut said, end.as_ref(), STANDS_BY)? {
        // The lease is free now, and somebody waits for it.
        drop(task);
        if hears(&mut said, end.as_ref(), DRIVES)? {
            return Ok(pid);
        }
    }
    let mut told = Vec::new();
    // Its keeper may hold the other end for longer than there is anything to read.
    let _all_that_is_there = words.read_to_end(&mut told);
    let words = String::from_utf8_lossy(&told);
    Err(failed("it ended", std::io::Error::other(words.trim())))
}

/// Whether the process behind says a word before it ends.
fn hears(said: &mut PipeReader, end: Option<&OwnedFd>, word: &str) -> Result<bool> {
    let mut line = Vec::new();
    loop {
        // Looked at before what it says: what it said last is not missed.
        let ended = end.is_none_or(has_ended);
        let mut byte = [0];
        match said.read(&mut byte) {
            Ok(1) if byte == *b"\n" => return Ok(line == word.as_bytes()),
            Ok(1) => line.extend(byte),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && !ended => {
                let fds: Vec<_> = [said.as_fd()].into_iter().chain(end.map(AsFd::as_fd)).collect();
                wait_for_any(&fds, None)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => return Ok(false),
        }
    }
}

/// Whether a process is gone: its descriptor is readable then.
fn has_ended(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn failed(what: &str, source: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        "background.not_started",
        format!("the process in the background did not start: {what}"),
    )
    .with_source(source)
    .with_hint("the attempt that runs goes on; `run-agent attach` goes on with the task")
}

/// The process behind: drives the task to its end.
pub(crate) fn drive(conductor: &Conductor, task: Task) -> Result<u8, Failure> {
    let signals = Signals::listen()?;
    let mut front = Front::take()?;
    front.tell(STANDS_BY).map_err(|e| failed("the one in front is gone", e))?;
    let me = std::process::id();
    // The one in front lets go at once, or has died; a task that is over needs nobody.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !matches!(task.step()?, Step::Ready(_)) && task.info()?.driver != Some(me) {
        if deadline <= Instant::now() {
            return Err(
                Error::new(ErrorKind::Busy, "background.busy", "somebody else drives").into()
            );
        }
        wait_for_any(&[task.fd(), signals.fd()], Some(deadline))?;
    }
    front.leave_us()?;
    let tasks = [task];
    let mut watcher = Diary { conductor: conductor.clone() };
    let mut drive =
        Drive { signals: &signals, stopper: None, grace: Duration::ZERO, deadline: None };
    Ok(match drive.run(&tasks, &mut watcher)? {
        End::Over => exit::OK,
        end => {
            let [task] = &tasks;
            watcher.tell(task, "WARNING", end.why());
            super::ending::code_of_wait(end)
        }
    })
}

/// The process in front, which listens to what was our standard output.
struct Front(File);

impl Front {
    /// Takes the standard output for it alone: nobody reads what this process says otherwise. Errors
    /// up to the moment of driving still go to the standard error.
    fn take() -> Result<Front> {
        let failed =
            |errno: rustix::io::Errno| failed("it cannot let go of its output", errno.into());
        let front = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3).map_err(failed)?;
        rustix::stdio::dup2_stdout(null()?).map_err(failed)?;
        Ok(Front(front.into()))
    }

    fn tell(&mut self, word: &str) -> std::io::Result<()> {
        self.0.write_all(format!("{word}\n").as_bytes())
    }

    /// Tells it that it may go; it listens to nothing any more.
    fn leave_us(mut self) -> Result<()> {
        rustix::stdio::dup2_stderr(null()?)
            .map_err(|errno| failed("it cannot let go of its errors", errno.into()))?;
        // Where it died meanwhile, the task is driven here all the same.
        let _gone = self.tell(DRIVES);
        Ok(())
    }
}

fn null() -> Result<File> {
    File::options().write(true).open("/dev/null").map_err(|e| failed("it cannot open /dev/null", e))
}

/// Nobody looks: what keeps the task from being driven is told on its bus.
struct Diary {
    conductor: Conductor,
}

impl Watcher for Diary {
    fn event(&mut self, _: &Task, _: &Event) {}

    fn over(&mut self, task: &Task, end: Result<TaskResult>) {
        if let Err(error) = end {
            self.tell(task, "ERROR", &error.to_string());
        }
    }

    fn rest(&mut self) -> Option<Instant> {
        None
    }
}

impl Diary {
    /// Tells that nobody drives the task any more, and why.
    fn tell(&self, task: &Task, kind: &str, why: &str) {
        let scope = (task.project().as_str(), task.id().as_str());
        let body = format!("the task is not driven any more: {why}\nrun-agent attach goes on");
        // Where not even that can be written, `status` says that the task has no driver.
        let _told = self
            .conductor
            .bus(scope)
            .and_then(|bus| bus.post(Post::new(kind, body), Wait::from(Duration::from_secs(5))));
    }
}
