//! Driving in the background: another process of this program, in a session of its own.
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
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
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
    let config = conductor.loaded_config().path();
    let mut child = Command::new(program)
        .arg(COMMAND)
        .args(config.into_iter().flat_map(|path| [OsStr::new("--config"), path.as_os_str()]))
        .arg("--root")
        .arg(conductor.root())
        .args(["--project", task.project().as_str(), "--task", task.id().as_str()])
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed("cannot start it", e))?;
    let pid = child.id();
    let Some(said) = child.stdout.take() else {
        return Err(failed("it has no output", std::io::ErrorKind::BrokenPipe.into()));
    };
    let mut said = BufReader::new(said);
    if hears(&mut said, STANDS_BY) {
        // The lease is free now, and somebody waits for it.
        drop(task);
        if hears(&mut said, DRIVES) {
            return Ok(pid);
        }
    }
    let output = child.wait_with_output().map_err(|e| failed("it is gone", e))?;
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(&format!("it ended with {}", output.status), std::io::Error::other(words.trim())))
}

fn hears(said: &mut impl BufRead, word: &str) -> bool {
    let mut line = String::new();
    said.read_line(&mut line).is_ok_and(|_| line.trim_end() == word)
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
    // Away from the terminal and the shell that we were started in.
    rustix::process::setsid()
        .map_err(|errno| failed("it cannot leave the session", errno.into()))?;
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
