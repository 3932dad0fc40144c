//! A root of its own for each test, and hosts that may be killed: this test binary run again.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod hooked;
pub mod program;

use conductor_core::{
    Bus, Conductor, Event, JobSpec, Message, Options, ProjectId, RunInfo, TaskId, TaskSpec, Wait,
    Work,
};
use std::io::{BufRead as _, BufReader};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Long enough for anything that ends at all.
pub const LONG: Duration = Duration::from_secs(60);

/// A root that goes with the test.
pub struct Root {
    pub dir: tempfile::TempDir,
    pub conductor: Conductor,
}

pub fn root() -> Root {
    let dir = tempfile::tempdir().unwrap();
    let conductor = open(&dir.path().join("root"));
    Root { dir, conductor }
}

/// Opens a root with nothing of this process's environment but `PATH`.
pub fn open(path: &Path) -> Conductor {
    let mut options = Options::default();
    options.environment = Some(vec![("PATH".into(), std::env::var_os("PATH").unwrap())]);
    Conductor::open(path, options).unwrap()
}

impl Drop for Root {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        let Ok(projects) = self.conductor.projects() else { return };
        for project in projects.ids {
            for task in self.conductor.tasks().ids(&project).into_iter().flatten() {
                for run in self.conductor.runs().ids(&project, &task).into_iter().flatten() {
                    let Ok(run) = self.conductor.runs().get(&project, &task, &run) else {
                        continue;
                    };
                    if run.info().is_ok_and(|info| info.outcome().is_none()) {
                        let stop = conductor_core::Stop::because("end of the test").force(true);
                        // What cannot be stopped was the test's to show.
                        let _over = run.stop(stop, Duration::from_secs(10));
                    }
                }
            }
        }
    }
}

impl Root {
    pub fn path(&self) -> PathBuf {
        self.conductor.root().to_owned()
    }

    pub fn task_folder(&self) -> PathBuf {
        self.path().join("shop/fix")
    }

    /// Runs a script to its end.
    pub fn job(&self, script: &str) -> RunInfo {
        let run = self.conductor.jobs().start(job(script), LONG).unwrap();
        run.wait(LONG).unwrap()
    }

    pub fn bus(&self) -> Bus {
        self.conductor.bus(("shop", "fix")).unwrap()
    }

    /// The messages of the task's bus; damage fails the test.
    pub fn messages(&self) -> Vec<Message> {
        messages(&self.bus())
    }

    /// Types and first lines of the task's bus.
    pub fn told(&self) -> Vec<String> {
        let line = |m: &Message| format!("{} {}", m.msg_type, m.body.lines().next().unwrap_or(""));
        self.messages().iter().map(line).collect()
    }
}

pub fn messages(bus: &Bus) -> Vec<Message> {
    let events = bus.read(Default::default()).unwrap();
    events
        .map(|event| match event.unwrap() {
            Event::Message(message) => message,
            other => panic!("damage: {other:?}"),
        })
        .collect()
}

pub fn job(script: &str) -> JobSpec {
    JobSpec::new("shop").task("fix").agent("shell").prompt(script)
}

pub fn task(script: &str) -> TaskSpec {
    TaskSpec::new("shop")
        .task("fix")
        .agent("shell")
        .prompt(script)
        .restart_delay(Duration::from_millis(10))
}

pub fn ids() -> (ProjectId, TaskId) {
    (ProjectId::new("shop").unwrap(), TaskId::new("fix").unwrap())
}

/// Waits for something that no descriptor tells of.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let wait = Wait::from(LONG);
    while !done() {
        assert!(wait.check().is_ok(), "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Steps until the descriptor stays quiet; one of what ended long ago would be readable for ever.
pub fn quiet(work: &dyn Work) {
    let wait = Wait::from(LONG);
    while {
        let _pending = work.look().unwrap();
        !sleeps(work.fd(), Duration::from_millis(100))
    } {
        assert!(wait.check().is_ok(), "the wait never sleeps");
    }
}

/// Whether nothing is to be read for so long.
pub fn sleeps(fd: BorrowedFd<'_>, length: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::try_from(length).unwrap())).unwrap() == 0
}

/// Whether a process of this number lives.
pub fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// The whole number that a file holds, once it does.
pub fn number_in(path: &Path) -> u32 {
    let mut number = None;
    until(&format!("a number in {}", path.display()), || {
        number = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        number.is_some()
    });
    number.unwrap()
}

/// Another process that works on the root; killed when it is dropped.
pub struct Host {
    pub child: Child,
    pub lines: BufReader<ChildStdout>,
}

/// The variable that makes a test of this binary act as a host.
pub const HOST: &str = "CONDUCTOR_TEST_HOST_ROOT";

/// Runs the test `name` of this binary as another process, with `HOST` naming the root.
pub fn host(name: &str, root: &Path) -> Host {
    host_with(name, root, &[])
}

/// As [`host`], with more variables.
pub fn host_with(name: &str, root: &Path, variables: &[(&str, &str)]) -> Host {
    host_by(Command::new(std::env::current_exe().unwrap()), name, root, variables)
}

/// As [`host_with`], by a command that ends with this binary.
pub fn host_by(mut command: Command, name: &str, root: &Path, variables: &[(&str, &str)]) -> Host {
    let mut child = command
        .args(["--exact", name, "--nocapture", "--quiet", "--test-threads=1"])
        .env(HOST, root)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    Host { child, lines }
}

impl Host {
    /// Waits until the host prints a line that ends with `word`.
    pub fn says(&mut self, word: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(word) {
            line.clear();
            let read = self.lines.read_line(&mut line).unwrap();
            assert!(read > 0, "the host ended before it said {word}");
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _dead_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}
