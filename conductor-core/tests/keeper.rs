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

#[path = "../src/sys"]
mod sys {
    #[path = "keeper_file.rs"]
    pub(crate) mod keeper_file;
    #[path = "spawn.rs"]
    pub(crate) mod spawn;
    #[path = "spawn_clone.rs"]
    pub(crate) mod spawn_clone;
}

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
        keeper_file::prepare(&files[3]).unwrap();
        files[4].try_lock().unwrap();
        // Published by rename: another thread's fork may hold a written file open (ETXTBSY).
        let image = dir.parent().unwrap().join("keeper-test");
        if !image.exists() {
            let status = Command::new("install")
                .args(["-m", "755"])
                .arg(PathBuf::from(concat!(env!("OUT_DIR"), "/keeper")))
                .arg(dir.join("image"))
                .status();
            assert!(status.unwrap().success());
            fs::rename(dir.join("image"), &image).unwrap();
        }
        let image = CString::new(image.as_os_str().as_bytes()).unwrap();
        let id = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let grace = Duration::from_secs(20);
        Run { dir, id, files, image, limits: KeeperLimits { grace, ..KeeperLimits::default() } }
    }

    fn fresh() -> Run {
        let base = std::env::temp_dir().join(format!("keeper-test-{}", std::process::id()));
        Run::new(base.join(format!("run-{}", NEXT.fetch_add(1, Ordering::Relaxed))))
    }

    fn limited(mut self, f: impl FnOnce(&mut KeeperLimits)) -> Run {
        f(&mut self.limits);
        self
    }

    fn start_program(&self, image: KeeperImage<'_>, program: &str, args: &[&str]) -> Control {
        self.try_start(image, program, args, None).unwrap()
    }

    fn try_start(
        &self,
        image: KeeperImage<'_>,
        program: &str,
        args: &[&str],
        slot: Option<BorrowedFd<'_>>,
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

fn signal(record: &Record, signal: i32) {
    let now = fs::read_to_string(format!("/proc/{}/stat", record.keeper.pid)).unwrap();
    let start = now[now.rfind(')').unwrap()..].split(' ').nth(20).unwrap();
    assert_eq!(start, record.keeper.start.to_string());
    assert_eq!(unsafe { libc::kill(record.keeper.pid as i32, signal) }, 0);
}

fn fds(pid: u32) -> Vec<String> {
    let dir = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut all: Vec<String> = dir
        .map(|e| e.unwrap())
        .map(|e| format!("{:?} {:?}", e.file_name(), fs::read_link(e.path()).unwrap_or_default()))
        .collect();
    all.sort();
    all
}

// ---- the end of a run --------------------------------------------------------------------

#[test]
fn exit_code_and_order_are_kept() {
    let run = Run::fresh();
    let born = run.go("cat; pwd; echo oops >&2; exit 7");
    let (dir, end) = run.end();
    assert_eq!(
        (end.state, end.ended, end.reason),
        (State::Empty, Some(Ended::Code(7)), Some(Reason::Exit))
    );
    assert_eq!((end.agent, end.keeper, end.killed), (born.agent, born.keeper, 0));
    let at = |m: Option<keeper_file::Moment>| m.map(|m| (m.secs, m.nanos)).unwrap();
    assert!(
        at(Some(end.born_at)) <= at(end.released_at) && at(end.released_at) <= at(end.exited_at)
    );
    assert!(at(end.exited_at) <= at(end.empty_at));
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(str::from_utf8(&end.boot_id).unwrap(), boot.trim());
    let ns = fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(ns.to_str().unwrap(), format!("pid:[{}]", end.pid_ns));
    assert_eq!(
        fs::read_to_string(dir.join("out")).unwrap(),
        format!("the prompt\n{}\n", dir.display())
    );
    assert_eq!(fs::read_to_string(dir.join("err")).unwrap(), "oops\n");
    assert_eq!(fs::metadata(dir.join(".keeper")).unwrap().len(), 4096);
}

#[test]
fn signal_death_is_kept() {
    let run = Run::fresh();
    run.go("kill -KILL $$");
    let (_, end) = run.end();
    assert_eq!((end.ended, end.reason), (Some(Ended::Signal(9)), Some(Reason::Exit)));
}

#[test]
fn exec_failure_gives_its_errno() {
    let run = Run::fresh();
    let mut control = run.start_program(KeeperImage::Path(&run.image), "/no/such/program", &[]);
    control.born().unwrap();
    let error = control.release().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let (_, end) = run.end();
    assert_eq!((end.state, end.errno, end.ended), (State::ExecFailed, Some(2), None));
}

#[test]
fn missing_keeper_and_bad_descriptor_are_errors_of_the_start() {
    let run = Run::fresh();
    let image = KeeperImage::Path(c"/no/such/keeper");
    let error = run.try_start(image, "/bin/true", &[], None).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let bad = unsafe { BorrowedFd::borrow_raw(999_999) };
    let image = KeeperImage::Path(&run.image);
    let error = run.try_start(image, "/bin/true", &[], Some(bad)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    let error = run.try_start(image, "/bin/t\0rue", &[], None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn works_from_a_memfd() {
    let image = sys::spawn::memfd_image().unwrap();
    let run = Run::fresh();
    let image = KeeperImage::Memfd(image.as_fd());
    let mut control = run.start_program(image, "/bin/sh", &["-c", "exit 5"]);
    control.born().unwrap();
    control.release().unwrap();
    assert_eq!(run.end().1.ended, Some(Ended::Code(5)));
}

#[test]
fn end_of_file_or_nonsense_before_release_is_never_started() {
    for nonsense in [false, true] {
        let run = Run::fresh();
        let mut control = run.hold("echo ran >$DIR/ran");
        let born = control.born().unwrap();
        if nonsense {
            let fd = control.as_fd().as_raw_fd();
            assert_eq!(unsafe { libc::send(fd, b"x".as_ptr().cast(), 1, 0) }, 1);
            assert_eq!(control.answer().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        } else {
            drop(control);
        }
        let (dir, end) = run.end();
        assert_eq!((end.state, end.reason), (State::NeverStarted, Some(Reason::StarterDied)));
        assert!(!dir.join("ran").exists());
        assert!(!alive(born.agent.pid as i32));
    }
}

#[test]
fn stop_before_release_is_never_started() {
    let run = Run::fresh();
    let mut control = run.hold("echo ran >$DIR/ran");
    control.born().unwrap();
    signal(&run.record(), libc::SIGTERM);
    assert!(control.release().is_err());
    let (dir, end) = run.end();
    assert_eq!((end.state, end.reason), (State::NeverStarted, Some(Reason::Stopped)));
    assert!(!dir.join("ran").exists());
}

// ---- locks and descriptors ----------------------------------------------------------------

#[test]
fn locks_are_held_until_empty_and_not_by_the_agent() {
    let run = Run::fresh();
    let fifo = run.fifo();
    let slot = File::create(run.dir.join("slot")).unwrap();
    slot.lock().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // As a careless host has it: without close-on-exec.
    assert_eq!(unsafe { libc::fcntl(listener.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    let script = "echo $$ >$DIR/fifo; read x <$DIR/fifo; exit 3";
    let image = KeeperImage::Path(&run.image);
    let mut control = run.try_start(image, "/bin/sh", &["-c", script], Some(slot.as_fd())).unwrap();
    let born = control.born().unwrap();
    control.release().unwrap();
    drop(slot);
    assert_eq!(pid_of(&fifo), born.agent.pid as i32);

    let agent = fds(born.agent.pid);
    assert!(!agent.iter().any(|f| f.contains("lock") || f.contains("slot")), "{agent:?}");
    assert!(!agent.iter().any(|f| f.contains("socket") || f.contains(".keeper")), "{agent:?}");
    let keeper = fds(born.keeper.pid);
    assert!(!keeper.iter().any(|f| f.contains("socket") || f.contains("prompt")), "{keeper:?}");
    assert!(keeper.len() <= 6, "{keeper:?}");

    let dir = run.dir.clone();
    drop(run);
    for name in [".run.lock", "slot"] {
        let other = File::open(dir.join(name)).unwrap();
        assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)), "{name}");
    }
    fs::write(&fifo, "go\n").unwrap();
    wait_unlocked(&dir);
    File::open(dir.join("slot")).unwrap().lock().unwrap();
    let end = keeper_file::read(&File::open(dir.join(".keeper")).unwrap()).unwrap().unwrap();
    assert_eq!((end.state, end.ended), (State::Empty, Some(Ended::Code(3))));
}

#[test]
fn the_agent_begins_with_a_clean_slate() {
    let run = Run::fresh();
    run.go("grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; cat /proc/self/oom_score_adj; \
            ps -o pid=,pgid=,sid= -p $$; exit 0");
    let (dir, end) = run.end();
    let out = fs::read_to_string(dir.join("out")).unwrap();
    for line in out.lines().take(2) {
        assert!(line.ends_with("\t0000000000000000"), "{out}");
    }
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    assert_eq!(out.lines().nth(3), Some(&*(own + 200).min(1000).to_string()));
    let ids: Vec<&str> = out.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(ids, [end.agent.pid.to_string().as_str(); 3]);
}

// ---- the tree -----------------------------------------------------------------------------

#[test]
fn a_stubborn_grandchild_is_killed_after_the_grace() {
    let run = Run::fresh().limited(|l| l.grace = Duration::from_millis(300));
    let fifo = run.fifo();
    let born = run.go(
        "(trap '' TERM; exec setsid sh -c 'echo $$ >$DIR/fifo; while :; do sleep 100; done') & \
         trap '' TERM; while :; do wait; done",
    );
    let grandchild = pid_of(&fifo);
    signal(&born, libc::SIGTERM);
    let (_, end) = run.end();
    assert_eq!((end.ended, end.reason), (Some(Ended::Signal(9)), Some(Reason::Stopped)));
    assert!(end.killed >= 2, "{end:?}");
    assert!(!alive(grandchild));
}

#[test]
fn leftovers_of_a_finished_agent_are_ended() {
    // One that goes when asked, one that does not; both without their parent, one holding
    // stdout open: waiting must be on processes.
    for (script, killed) in [("exec sleep 1000", 0), ("trap '' TERM; sleep 1000; sleep 1000", 1)] {
        let run = Run::fresh();
        run.fifo();
        run.go(&format!(
            "setsid sh -c 'trap \"\" HUP; echo $$ >$DIR/fifo; {}' & read x <$DIR/fifo; echo $x; exit 4",
            script.replace('\'', "\"")
        ));
        let (dir, end) = run.end();
        assert_eq!(
            (end.state, end.ended, end.reason),
            (State::Empty, Some(Ended::Code(4)), Some(Reason::Exit))
        );
        assert_eq!(end.killed > 0, killed > 0, "{end:?}");
        assert!(!alive(pid_of(&dir.join("out"))));
    }
}

#[test]
fn sigusr1_kills_at_once() {
    let run = Run::fresh().limited(|l| l.grace = Duration::from_secs(3600));
    let fifo = run.fifo();
    let born = run.go("trap '' TERM; echo up >$DIR/fifo; while :; do sleep 100; done");
    lines(&fifo, 1);
    signal(&born, libc::SIGTERM);
    signal(&born, libc::SIGUSR1);
    let (_, end) = run.end();
    assert_eq!((end.ended, end.reason), (Some(Ended::Signal(9)), Some(Reason::Stopped)));
}

#[test]
fn a_stop_within_grace_kills_nobody_and_is_sent_once() {
    let run = Run::fresh();
    let fifo = run.fifo();
    let born = run.go(
        // The child speaks up after its exec: between fork and exec it would have the trap as well.
        "trap 'echo term; kill %1 2>/dev/null; exit 9' TERM; \
         sh -c 'echo up >$DIR/fifo; exec sleep 1000' & wait; wait",
    );
    lines(&fifo, 1);
    signal(&born, libc::SIGTERM);
    let (dir, end) = run.end();
    assert_eq!(
        (end.ended, end.reason, end.killed),
        (Some(Ended::Code(9)), Some(Reason::Stopped), 0)
    );
    assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), "term\n");
}

#[test]
fn a_stopped_process_gets_its_grace() {
    let run = Run::fresh();
    let fifo = run.fifo();
    let born = run.go("trap 'exit 6' TERM; echo up >$DIR/fifo; kill -STOP $$; wait; exit 1");
    lines(&fifo, 1);
    let stat = format!("/proc/{}/stat", born.agent.pid);
    while !fs::read_to_string(&stat).unwrap().contains(") T ") {
        std::thread::yield_now();
    }
    signal(&born, libc::SIGTERM);
    assert_eq!(run.end().1.ended, Some(Ended::Code(6)));
}

fn nested_survives(stop: bool) {
    let run = Run::fresh();
    let fifo = run.fifo();
    mkfifo(&run.dir.join("ready"));
    // Reparented to the keeper, in another session, with a child that cleared its environment.
    let born =
        run.go("JRUN_ID=another setsid sh -c 'env -i sleep 1000 & echo $$ $! >$DIR/nested.new; \
         mv $DIR/nested.new $DIR/nested; echo up >$DIR/ready; wait' & \
         read x <$DIR/ready; echo up >$DIR/fifo; read x <$DIR/fifo; exit 0");
    lines(&fifo, 1);
    if stop {
        signal(&born, libc::SIGTERM);
    } else {
        fs::write(&fifo, "end\n").unwrap();
    }
    let (dir, end) = run.end();
    assert_eq!((end.state, end.killed), (State::Empty, 0));
    let nested = lines(&dir.join("nested"), 1).remove(0);
    for pid in nested.split(' ').map(|p| p.parse().unwrap()) {
        assert!(alive(pid), "stop={stop} {pid}");
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

#[test]
fn a_nested_run_survives_the_end() {
    nested_survives(false);
}

#[test]
fn a_nested_run_survives_a_stop() {
    nested_survives(true);
}

#[test]
fn a_fork_storm_is_ended() {
    let run = Run::fresh().limited(|l| l.grace = Duration::from_millis(50));
    let fifo = run.fifo();
    let born = run.go(
        "trap '' TERM; f() { while :; do (sleep 0.01; setsid sh -c : &) & sleep 0.005; done; }; \
         f & f & f & echo up >$DIR/fifo; wait",
    );
    lines(&fifo, 1);
    signal(&born, libc::SIGTERM);
    let (dir, end) = run.end();
    assert_eq!((end.state, end.ended), (State::Empty, Some(Ended::Signal(9))));
    let mark = format!("DIR={}\0", dir.display()).into_bytes();
    for entry in fs::read_dir("/proc").unwrap() {
        let env = fs::read(entry.unwrap().path().join("environ")).unwrap_or_default();
        assert!(!env.windows(mark.len()).any(|w| w == mark), "one survived");
    }
}

#[test]
fn the_walk_without_children_files_finds_the_same() {
    // The option is not one of the starter's, so a wrapper puts it on the command line.
    let run = Run::fresh().limited(|l| l.grace = Duration::from_millis(200));
    let fifo = run.fifo();
    let link = run.dir.join("keeper-scan");
    fs::hard_link(run.image.to_str().unwrap(), &link).unwrap();
    let wrapper = run.dir.join("wrapper");
    let text = format!("#!/bin/sh\nid=$1; shift\nexec {} $id scan=1 \"$@\"\n", link.display());
    fs::write(run.dir.join("w"), text).unwrap();
    fs::set_permissions(run.dir.join("w"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(run.dir.join("w"), &wrapper).unwrap();
    let image = CString::new(wrapper.as_os_str().as_bytes()).unwrap();
    let script = "JRUN_ID=other setsid sleep 1000 & echo $! >>$DIR/nested; \
        (trap '' TERM; setsid sh -c 'sleep 1000' & sleep 1000) & \
        trap '' TERM; echo up >$DIR/fifo; wait; wait";
    let mut control = run.start_program(KeeperImage::Path(&image), "/bin/sh", &["-c", script]);
    control.born().unwrap();
    control.release().unwrap();
    lines(&fifo, 1);
    let nested = pid_of(&run.dir.join("nested"));
    let exe = format!("/proc/{nested}/cmdline");
    while !fs::read_to_string(&exe).unwrap().starts_with("sleep") {
        std::thread::yield_now();
    }
    signal(&run.record(), libc::SIGTERM);
    let (_, end) = run.end();
    assert!(end.killed >= 3, "{end:?}");
    assert!(alive(nested));
    unsafe { libc::kill(nested, libc::SIGKILL) };
}

// ---- limits -------------------------------------------------------------------------------

#[test]
fn limits_end_the_run_with_their_reason() {
    let ms = |n| Some(Duration::from_millis(n));
    fn later(limit: Duration) -> Duration {
        limit + Duration::from_millis(200)
    }
    let silent = "sleep 1000";
    let chatty = "while :; do echo x; sleep 0.02; done";
    let once = "echo x >&2; sleep 1000";
    type Set = fn(&mut KeeperLimits, Option<Duration>);
    // The limit that must not strike is long, as a busy machine may be slow to write.
    let cases: [(&str, Set, Option<Reason>, u64); 6] = [
        (silent, |l, t| l.first_byte = t, Some(Reason::FirstByte), 150),
        (once, |l, t| (l.first_byte, l.total) = (t, t.map(later)), Some(Reason::Total), 3000),
        (silent, |l, t| l.idle = t, Some(Reason::Idle), 150),
        (once, |l, t| l.idle = t, Some(Reason::Idle), 150),
        (chatty, |l, t| (l.idle, l.total) = (t, t.map(later)), Some(Reason::Total), 3000),
        ("exit 0", |l, t| (l.idle, l.total, l.first_byte) = (t, t, t), Some(Reason::Exit), 60_000),
    ];
    for (n, (script, set, reason, limit)) in cases.into_iter().enumerate() {
        let run = Run::fresh().limited(|l| set(l, ms(limit)));
        let begun = Instant::now();
        run.go(script);
        let (_, end) = run.end();
        assert_eq!(end.reason, reason, "case {n}");
        let early = reason == Some(Reason::Exit);
        assert!(early || begun.elapsed() >= Duration::from_millis(limit), "case {n}");
    }
}

// ---- the host -----------------------------------------------------------------------------

/// What this binary does when it is run again as a host.
#[test]
#[ignore = "run by other tests"]
fn act_as_host() {
    let Some(dir) = std::env::var_os("KEEPER_TEST_DIR") else {
        return;
    };
    let run = Run::new(dir.into());
    let mut control = run.hold("read x <$DIR/fifo; exit 42");
    control.born().unwrap();
    if std::env::var_os("KEEPER_TEST_RELEASE").is_some() {
        control.release().unwrap();
        say("released");
    } else {
        say("born");
    }
    // Until we are killed.
    let _ = io::stdin().read(&mut [0]);
    unreachable!("killed before");
}

fn say(word: &str) {
    let mut out = io::stderr();
    out.write_all(format!("{word}\n").as_bytes()).unwrap();
}

fn host(test: &str, dir: &Path, release: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("KEEPER_TEST_DIR", dir);
    if release {
        command.env("KEEPER_TEST_RELEASE", "1");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn kill_host(release: bool) -> (PathBuf, Record) {
    let base = std::env::temp_dir().join(format!("keeper-test-{}", std::process::id()));
    let dir = base.join(format!("host-{release}"));
    fs::create_dir_all(&dir).unwrap();
    let fifo = dir.join("fifo");
    mkfifo(&fifo);
    let mut child = host("act_as_host", &dir, release);
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, if release { "released\n" } else { "born\n" });
    child.kill().unwrap();
    child.wait().unwrap();
    if release {
        fs::write(&fifo, "go on\n").unwrap();
    }
    wait_unlocked(&dir);
    let record = keeper_file::read(&File::open(dir.join(".keeper")).unwrap()).unwrap().unwrap();
    (dir, record)
}

#[test]
fn a_run_outlives_its_killed_host_and_its_code_is_kept() {
    let (_, end) = kill_host(true);
    assert_eq!((end.state, end.ended), (State::Empty, Some(Ended::Code(42))));
}

#[test]
fn a_host_killed_before_release_leaves_nothing() {
    let (_, end) = kill_host(false);
    assert_eq!((end.state, end.reason), (State::NeverStarted, Some(Reason::StarterDied)));
    assert!(!alive(end.agent.pid as i32));
}

extern "C" fn count_sigchld(_: i32) {
    SIGCHLDS.fetch_add(1, Ordering::Relaxed);
}

/// In a process of its own, which has no children of other tests: 200 starts while another
/// thread waits for any child and a handler counts SIGCHLD.
#[test]
#[ignore = "run by another test"]
fn act_as_strict_host() {
    let Some(dir) = std::env::var_os("KEEPER_TEST_DIR") else {
        return;
    };
    let dir = PathBuf::from(dir);
    Run::new(dir.join("warm")); // makes the image, with a child of its own
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(-1, &mut status, 0) }, -1);
    let handler = count_sigchld as extern "C" fn(i32);
    unsafe { libc::signal(libc::SIGCHLD, handler as usize) };
    let stop = std::sync::Arc::new(AtomicU32::new(0));
    let watcher = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let mut seen = 0;
            while stop.load(Ordering::Relaxed) == 0 {
                let got = unsafe { libc::waitpid(-1, ptr(), 0) };
                let echild = io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD);
                seen += u32::from(got != -1 || !echild);
                std::thread::yield_now();
            }
            seen
        }
    });
    let before = fds(std::process::id());
    let mut ids = Vec::new();
    for n in 0..200 {
        let run = Run::new(dir.join(format!("run-{n}")));
        ids.push(run.go("exit 0"));
        if n % 2 == 0 {
            run.end();
        }
    }
    for n in 0..200 {
        wait_unlocked(&dir.join(format!("run-{n}")));
    }
    assert_eq!(fds(std::process::id()), before);
    stop.store(1, Ordering::Relaxed);
    assert_eq!(watcher.join().unwrap(), 0);
    assert_eq!(SIGCHLDS.load(Ordering::Relaxed), 0);
    let tids = fs::read_dir("/proc/self/task").unwrap();
    for tid in tids {
        let children = fs::read_to_string(tid.unwrap().path().join("children"));
        assert_eq!(children.unwrap_or_default(), "");
    }
    // Zombies are the new parent's to reap, which is not instant, but must come.
    for record in ids {
        for pid in [record.keeper.pid, record.agent.pid] {
            let begun = Instant::now();
            while Path::new(&format!("/proc/{pid}")).exists() {
                assert!(begun.elapsed() < Duration::from_secs(10), "{pid} is left");
                std::thread::yield_now();
            }
        }
    }
    say("done");
}

fn ptr() -> *mut i32 {
    std::ptr::null_mut()
}

#[test]
fn the_host_sees_no_child_in_two_hundred_starts() {
    let base = std::env::temp_dir().join(format!("keeper-test-{}", std::process::id()));
    let child = host("act_as_strict_host", &base.join("strict"), false);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("done"), "{text}");
}

// ---- cost ---------------------------------------------------------------------------------

#[test]
fn small() {
    assert!(keeper_bytes().len() < 16 << 10, "{}", keeper_bytes().len());
    let run = Run::fresh();
    let fifo = run.fifo();
    let born = run.go("echo up >$DIR/fifo; read x <$DIR/fifo");
    lines(&fifo, 1);
    let kib = |key: &str| {
        let status = fs::read_to_string(format!("/proc/{}/status", born.keeper.pid)).unwrap();
        let line = status.lines().find(|l| l.starts_with(key)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let (rss, anon) = (kib("VmRSS"), kib("RssAnon"));
    println!("file {} B, RSS {rss} KiB of which {anon} KiB its own", keeper_bytes().len());
    assert!(rss <= 64, "{rss}");
    fs::write(&fifo, "end\n").unwrap();
    run.end();
}

/// Prints figures: `cargo test --release -- --ignored --nocapture --exact cost`.
#[test]
#[ignore = "figures"]
fn cost() {
    const N: usize = 500;
    let median = |mut f: Box<dyn FnMut()>| {
        let mut times: Vec<_> = (0..N)
            .map(|_| {
                let t = Instant::now();
                f();
                t.elapsed()
            })
            .collect();
        times.sort();
        (times[N / 2], times[N * 95 / 100])
    };
    let spawn = median(Box::new(|| {
        let mut pid = 0;
        let argv = [c"/bin/true".as_ptr().cast_mut(), ptr().cast()];
        let (path, null) = (argv[0], std::ptr::null());
        unsafe {
            let r = libc::posix_spawn(
                &mut pid,
                path,
                null,
                null.cast(),
                argv.as_ptr(),
                argv.as_ptr().add(1),
            );
            assert_eq!(r, 0);
            libc::waitpid(pid, ptr(), 0);
        }
    }));
    println!("posix_spawn /bin/true + wait: median {:?} p95 {:?}", spawn.0, spawn.1);
    let image = sys::spawn::memfd_image().unwrap();
    for memfd in [false, true] {
        let mut starts = Vec::new();
        let mut borns = Vec::new();
        let mut releases = Vec::new();
        for _ in 0..N {
            let run = Run::fresh();
            let image = if memfd {
                KeeperImage::Memfd(image.as_fd())
            } else {
                KeeperImage::Path(&run.image)
            };
            let t = Instant::now();
            let mut control = run.start_program(image, "/bin/true", &[]);
            starts.push(t.elapsed());
            control.born().unwrap();
            borns.push(t.elapsed());
            control.release().unwrap();
            releases.push(t.elapsed());
            run.end();
        }
        for (name, v) in [("start", &mut starts), ("born", &mut borns), ("released", &mut releases)]
        {
            v.sort();
            println!("memfd={memfd} {name}: median {:?} p95 {:?}", v[N / 2], v[N * 95 / 100]);
        }
    }
}
