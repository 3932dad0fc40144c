//! A place for one test: a folder of its own, and an end for all that was started in it.

use crate::process::Program;
use crate::{artifacts, fixture, snapshot};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The variable by which a process is known to descend from a sandbox.
pub(crate) const MARK: &str = "TEST_SANDBOX";
/// How long the start of a program is waited for. It ends a hang.
const STARTS: Duration = Duration::from_secs(10);

/// A temporary folder with a home, a root and a place for work.
///
/// What is started in it carries its mark in the environment, and so does all that descends from it,
/// in whatever session. Dropping the sandbox ends what still lives by that mark, and nothing else.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
    mark: String,
}

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox::new()
    }
}

impl Sandbox {
    /// A sandbox whose root does not exist yet.
    pub fn new() -> Sandbox {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::Builder::new().prefix("conductor-test-").tempdir();
        let folder = folder.expect("a temporary folder");
        for name in ["home", "work"] {
            fs::create_dir(folder.path().join(name)).expect("a new folder");
        }
        let unique = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mark = format!("{unique}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Sandbox { folder, mark }
    }

    /// A sandbox whose root is a writable copy of a fixture, as `reference-root`.
    pub fn with_fixture(name: &str) -> Sandbox {
        let sandbox = Sandbox::new();
        snapshot::copy(&fixture(name), &sandbox.root());
        sandbox
    }

    /// The root, given to programs as `CONDUCTOR_ROOT`.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The home folder of programs.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The folder that programs start in.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A folder `name` beside the others, made where it is missing.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path).expect("a new folder");
        path
    }

    /// A program to start here. Of the test's environment it gets nothing that means something to
    /// conductor or to an agent.
    pub fn program(&self, path: impl AsRef<Path>) -> Program {
        Program::new(path.as_ref())
            .cwd(self.work())
            .env("HOME", self.home())
            .env("CONDUCTOR_ROOT", self.root())
            .env(MARK, &self.mark)
    }

    /// The environment of agents that the test itself starts here, through the library.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = [("PATH", path), ("HOME", self.home().into()), (MARK, self.mark.clone().into())];
        own.map(|(name, value)| (name.into(), value)).into()
    }

    /// `run-agent`, freshly built, with these arguments.
    pub fn run_agent<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Program {
        self.program(artifacts::binary("run-agent", "run-agent")).args(args)
    }

    /// The processes that descend from programs of this sandbox and still live.
    pub fn living(&self) -> Vec<u32> {
        self.marked()
            .into_iter()
            .filter_map(|(pid, _)| pid.as_raw_nonzero().get().try_into().ok())
            .collect()
    }

    /// Waits until nothing of this sandbox lives any more.
    pub fn wait_until_empty(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let marked = self.marked();
            if marked.is_empty() {
                return;
            }
            for (pid, fd) in marked {
                let left = deadline.saturating_duration_since(Instant::now());
                assert!(ended(&fd, left), "process {pid:?} still lives after {limit:?}");
            }
        }
    }

    /// Ends what still lives, until nothing is left.
    fn end_all(&self) {
        for _round in 0..100 {
            let marked = self.marked();
            if marked.is_empty() {
                return;
            }
            for (_, fd) in &marked {
                // Gone in the meantime is what is wanted.
                let _gone = pidfd_send_signal(fd, Signal::KILL);
            }
            for (_, fd) in &marked {
                ended(fd, Duration::from_secs(5));
            }
        }
    }

    /// Each living process with the mark, held by a descriptor, so that a number that is given to
    /// another process meanwhile does no harm.
    fn marked(&self) -> Vec<(Pid, OwnedFd)> {
        let mark = format!("{MARK}={}", self.mark);
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Pid::from_raw)
            .filter(|pid| has_mark(*pid, mark.as_bytes()))
            .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
            // Read again: only now is the number held.
            .filter(|(pid, _)| has_mark(*pid, mark.as_bytes()))
            .collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end_all();
    }
}

/// Whether a living process carries the mark. One that has ended has no environment any more.
fn has_mark(pid: Pid, mark: &[u8]) -> bool {
    let path = format!("/proc/{}/environ", pid.as_raw_nonzero());
    let deadline = Instant::now() + STARTS;
    loop {
        let Ok(environment) = fs::read(&path) else { return false };
        if !environment.is_empty() || !starts(pid) || Instant::now() > deadline {
            return environment.split(|byte| *byte == 0).any(|variable| variable == mark);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process is just being made of a program: the kernel has given it the program, and not its
/// environment yet. On a slow disk that lasts.
fn starts(pid: Pid) -> bool {
    let folder = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    // What has ended, and what belongs to the kernel, is no program.
    if fs::read_link(folder.join("exe")).is_err() {
        return false;
    }
    let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
    // `env_end`, the 51st; the name in the second may hold anything, and two stand before its end.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().nth(48) == Some("0")
}

/// Whether the process has ended, or ends within `limit`.
fn ended(fd: &OwnedFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).expect("a short time");
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    poll(&mut fds, Some(&limit)).is_ok_and(|ready| ready > 0)
}
