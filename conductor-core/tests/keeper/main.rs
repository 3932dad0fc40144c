//! The keeper with real processes. Hosts that must die are this test binary run again.
#![allow(dead_code, reason = "the modules of the core are included as they are")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]
#![allow(unsafe_code, reason = "the host of a keeper is a process with raw descriptors")]

#[path = "../../src/sys"]
mod sys {
    #[path = "keeper_file.rs"]
    pub(crate) mod keeper_file;
    #[path = "spawn.rs"]
    pub(crate) mod spawn;
    #[path = "spawn_clone.rs"]
    pub(crate) mod spawn_clone;
}

mod cost;
mod end;
mod host;
mod limits;
mod locks;
mod tree;

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sys::keeper_file::{self, Ended, Reason, Record, State};
use sys::spawn::{Control, KeeperImage, KeeperLimits, KeeperSpec, keeper_bytes, start_keeper};

static NEXT: AtomicU32 = AtomicU32::new(0);
static SIGCHLDS: AtomicU32 = AtomicU32::new(0);

/// One run's folder with all its files open.
struct Run {
    dir: PathBuf,
    id: String,
    files: [File; 6],
    image: CString,
    limits: KeeperLimits,
}

impl Run {
    fn new(dir: PathBuf) -> Run {
        fs::create_dir_all(&dir).unwrap();
        let write = |name: &str| {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(dir.join(name))
                .unwrap()
        };
        fs::write(dir.join("prompt"), "the prompt\n").unwrap();
        let files = [
            File::open(dir.join("prompt")).unwrap(),
            write("out"),
            write("err"),
            write(".keeper"),
            write(".run.lock"),
            File::open(&dir).unwrap(),
        ];
        keeper_file::prepare(&files[3], "").unwrap();
        files[4].try_lock().unwrap();
        let image = dir.parent().unwrap().join("keeper-test");
        if !image.exists() {
            install(Path::new(concat!(env!("OUT_DIR"), "/keeper")), &dir.join("image"));
            fs::rename(dir.join("image"), &image).unwrap();
        }
        let image = CString::new(image.as_os_str().as_bytes()).unwrap();
        let id = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let grace = Duration::from_secs(20);
        Run { dir, id, files, image, limits: KeeperLimits { grace, ..KeeperLimits::default() } }
    }

    fn fresh() -> Run {
        Run::new(base().join(format!("run-{}", NEXT.fetch_add(1, Ordering::Relaxed))))
    }

    fn limited(mut self, f: impl FnOnce(&mut KeeperLimits)) -> Run {
        f(&mut self.limits);
        self
    }

    fn start_program(&self, image: KeeperImage<'_>, program: &str, args: &[&str]) -> Control {
        self.try_start(image, program, args, [None; 2]).unwrap()
    }

    fn try_start(
        &self,
        image: KeeperImage<'_>,
        program: &str,
        args: &[&str],
        [slot, task_slot]: [Option<BorrowedFd<'_>>; 2],
    ) -> io::Result<Control> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let env = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("JRUN_ID", &self.id),
            ("JRUN_IDLE", "decoy"),
            ("DIR", self.dir.to_str().unwrap()),
        ]
        .map(|(k, v)| (OsString::from(k), OsString::from(v)));
        let [stdin, stdout, stderr, record, run_lock, cwd] = &self.files;
        start_keeper(
            image,
            &KeeperSpec {
                run_id: OsStr::new(&self.id),
                stdin: stdin.as_fd(),
                stdout: stdout.as_fd(),
                stderr: stderr.as_fd(),
                record: record.as_fd(),
                run_lock: run_lock.as_fd(),
                slot,
                task_slot,
                cwd: cwd.as_fd(),
                limits: self.limits,
                program: OsStr::new(program),
                argv0: OsStr::new("agent"),
                args: &args,
                env: &env,
            },
        )
    }

    /// Starts `sh -c script`, held.
    fn hold(&self, script: &str) -> Control {
        self.start_program(KeeperImage::Path(&self.image), "/bin/sh", &["-c", script])
    }

    /// Starts and releases it.
    fn go(&self, script: &str) -> Record {
        let mut control = self.hold(script);
        let born = control.born().unwrap();
        let record = self.record();
        assert_eq!(
            (record.state, record.agent, record.keeper),
            (State::Born, born.agent, born.keeper)
        );
        assert_eq!(record.keeper.pid as i32, control.keeper_pid());
        control.release().unwrap();
        record
    }

    fn record(&self) -> Record {
        keeper_file::read(&self.files[3]).unwrap().unwrap()
    }

    /// Gives up our copy of the lock and waits until the keeper is gone: it holds the other.
    fn end(self) -> (PathBuf, Record) {
        let Run { dir, files, .. } = self;
        drop(files);
        wait_unlocked(&dir);
        let record = keeper_file::read(&File::open(dir.join(".keeper")).unwrap());
        (dir, record.unwrap().unwrap())
    }

    fn fifo(&self) -> PathBuf {
        let path = self.dir.join("fifo");
        mkfifo(&path);
        path
    }
}

/// Copies a program, by another process: another thread's fork may hold open what this one writes, and
/// nobody can execute it meanwhile (ETXTBSY).
fn install(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-m", "755"]).args([from, to]).status();
    assert!(status.unwrap().success());
}

/// The folder of all runs of this process.
fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| tempfile::Builder::new().prefix("keeper-test-").tempdir().unwrap().keep())
}

fn mkfifo(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}

fn wait_unlocked(dir: &Path) {
    let lock = File::open(dir.join(".run.lock")).unwrap();
    lock.lock().unwrap();
}

fn lines(path: &Path, n: usize) -> Vec<String> {
    let file = BufReader::new(File::open(path).unwrap());
    file.lines().take(n).map(Result::unwrap).collect()
}

fn pid_of(path: &Path) -> i32 {
    lines(path, 1)[0].trim().parse().unwrap()
}

fn alive(pid: i32) -> bool {
    // A zombie waiting for init's attention is dead.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|s| !s[s.rfind(')').unwrap()..].starts_with(") Z"))
}

/// When the process began that has this number now, a zombie too; `None` where none has it.
fn start_of(pid: u32) -> Option<u64> {
    let now = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    now[now.rfind(')')?..].split(' ').nth(20)?.parse().ok()
}

fn signal(record: &Record, signal: i32) {
    assert_eq!(start_of(record.keeper.pid), Some(record.keeper.start));
    assert_eq!(unsafe { libc::kill(record.keeper.pid as i32, signal) }, 0);
}

fn fds(pid: u32) -> Vec<String> {
    let dir = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    // One that has no target any more was closed meanwhile.
    let mut all: Vec<String> = dir
        .map(|e| e.unwrap())
        .filter_map(|e| Some(format!("{:?} {:?}", e.file_name(), fs::read_link(e.path()).ok()?)))
        .collect();
    all.sort();
    all
}

fn ptr() -> *mut i32 {
    std::ptr::null_mut()
}
