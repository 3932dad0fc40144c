//! The speed of the bus beside its floors, measured in one run: `cargo bench -p conductor-core`.
//!
//! A floor does by hand the system calls that the work cannot do without, on the same disk. What
//! counts is the ratio; the figures themselves belong to the machine.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench reports by printing and fails by panicking"
)]

use conductor_core::bus::{Bus, BusOptions, Durability, Event, Post, RawEvent, ReadOptions};
use conductor_core::fsx::Folder;
use conductor_core::sys::RealOs;
use conductor_core::{Cursor, Scope, Wait};
use fs2::FileExt as _;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME: &str = "BUS.md";
const BODY: usize = 300;
/// How long each piece of work is measured.
const TIME: Duration = Duration::from_millis(700);
/// How long a follower without news is looked at.
const IDLE: Duration = Duration::from_secs(3);

fn open(path: &Path, durability: Durability) -> Bus {
    let folder = Folder::open_root(Arc::new(RealOs), path).unwrap();
    let scope = Scope::try_from(("shop", "fix-login")).unwrap();
    Bus::open(folder, NAME, scope, BusOptions::default().durability(durability)).unwrap()
}

fn post() -> Post {
    Post::new("FACT", "x".repeat(BODY))
}

/// Repeats `work`, which does `each` things, and gives how many things a second.
fn rate(each: usize, mut work: impl FnMut()) -> f64 {
    work();
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < TIME {
        work();
        count += each;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

fn threads(count: usize, work: impl Fn() + Sync) -> f64 {
    let start = Instant::now();
    let total: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while start.elapsed() < TIME {
                        work();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    total as f64 / start.elapsed().as_secs_f64()
}

fn row(work: &str, rate: f64, floor: f64, aim: f64) {
    let ratio = rate / floor;
    let met = if ratio >= aim { "" } else { "  BELOW" };
    println!("{work:<44} {rate:>12.0} {floor:>12.0} {ratio:>8.2} {aim:>6.2}{met}");
}

/// A row of what is counted, or has no rate.
fn told(work: &str, what: &str, aim: &str, met: bool) {
    println!("{work:<44} {what}; aim: {aim}{}", if met { "" } else { "  BELOW" });
}

/// Lock, look, write, unlock: what an append is made of.
fn floor_append(file: &File, path: &Path, record: &[u8]) {
    file.lock_exclusive().unwrap();
    let (opened, named) = (file.metadata().unwrap(), fs::symlink_metadata(path).unwrap());
    assert_eq!(opened.ino(), named.ino());
    (&*file).write_all(record).unwrap();
    fs2::FileExt::unlock(file).unwrap();
}

fn appender(path: &Path) -> File {
    OpenOptions::new().create(true).read(true).append(true).open(path).unwrap()
}

fn appending(dir: &Path) {
    let record = vec![b'x'; BODY + 230];
    let path = dir.join("floor");
    let file = appender(&path);
    let floor = rate(1, || floor_append(&file, &path, &record));
    let synced = rate(1, || {
        (&file).write_all(&record).unwrap();
        file.sync_data().unwrap();
    });
    let process = dir.join("process");
    fs::create_dir(&process).unwrap();
    let bus = open(&process, Durability::Process);
    let one = rate(1, || drop(bus.post(post(), Wait::FOREVER).unwrap()));
    row("append, 1 thread, Process", one, floor, 0.7);
    let sixteen = threads(16, || drop(bus.post(post(), Wait::FOREVER).unwrap()));
    row("append, 16 threads, Process", sixteen, floor, 1.5);
    let many = rate(64, || drop(bus.post_many((0..64).map(|_| post()), Wait::FOREVER).unwrap()));
    row("post_many, 64 at a time, Process", many, floor, 5.0);
    let disk = dir.join("disk");
    fs::create_dir(&disk).unwrap();
    let bus = open(&disk, Durability::Disk);
    let one = rate(1, || drop(bus.post(post(), Wait::FOREVER).unwrap()));
    row("append, 1 thread, Disk", one, synced, 0.9);
    let sixteen = threads(16, || drop(bus.post(post(), Wait::FOREVER).unwrap()));
    row("append, 16 threads, Disk", sixteen, synced, 6.0);
    let four = processes("append-floor", &dir.join("floor4"));
    row("append, 4 processes, Process", processes("append", &dir.join("four")), four, 0.7);
}

/// Four processes of this program that do `what` in `dir`; the sum of their rates.
fn processes(what: &str, dir: &Path) -> f64 {
    fs::create_dir(dir).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .env("BENCH_CHILD", what)
                .env("BENCH_DIR", dir)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let rates = children.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap()
    });
    rates.sum()
}

fn child(what: &str, dir: &Path) {
    let rate = match what {
        "append" => {
            let bus = open(dir, Durability::Process);
            rate(1, || drop(bus.post(post(), Wait::FOREVER).unwrap()))
        }
        "append-floor" => {
            let (path, record) = (dir.join("floor"), vec![b'x'; BODY + 230]);
            let file = appender(&path);
            rate(1, || floor_append(&file, &path, &record))
        }
        "echo" => return echo(dir),
        "idle" => return be_idle(dir),
        "pipe" => return answer_bytes(),
        other => panic!("unknown work {other}"),
    };
    println!("{rate}");
}

/// Answers each message on one bus with one on another.
fn echo(dir: &Path) {
    let (here, there) = (dir.join("here"), dir.join("there"));
    let (here, there) = (open(&here, Durability::Process), open(&there, Durability::Process));
    let mut follower = here.follow(&Cursor::START, Wait::FOREVER).unwrap();
    println!("ready");
    while let Some(Ok(Event::Message(message))) = follower.next() {
        there.post(Post::new("ECHO", ""), Wait::FOREVER).unwrap();
        if message.msg_type == "END" {
            return;
        }
    }
}

fn reading(dir: &Path) {
    let size: u64 = std::env::var("BENCH_READ_MB").map_or(200, |mb| mb.parse().unwrap()) << 20;
    let dir = dir.join("read");
    fs::create_dir(&dir).unwrap();
    let bus = open(&dir, Durability::Process);
    let path = dir.join(NAME);
    let mut last = Vec::new();
    while fs::metadata(&path).map_or(0, |meta| meta.len()) < size {
        last = bus.post_many((0..2000).map(|_| post()), Wait::FOREVER).unwrap();
    }
    let size = fs::metadata(&path).unwrap().len() as f64;
    let floor = megabytes(size, || find_marks(&path));
    let owned = megabytes(size, || {
        bus.read(ReadOptions::default()).unwrap().filter(|event| event.is_ok()).count()
    });
    row("read all, owned messages, MB/s", owned, floor, 0.1);
    let borrowed = megabytes(size, || {
        let mut raw = bus.read_raw(&Cursor::START).unwrap();
        let mut count = 0;
        while let Some(RawEvent::Record(record)) = raw.read().unwrap() {
            count += usize::from(record.stored_body().len() == BODY);
        }
        count
    });
    row("read all, borrowed records, MB/s", borrowed, floor, 0.3);

    let floor = rate(1, || {
        let end = File::open(&path).unwrap();
        let length = 20 * 560;
        let mut bytes = vec![0; length];
        end.read_exact_at(&mut bytes, end.metadata().unwrap().len() - length as u64).unwrap();
    });
    let twenty = || assert_eq!(bus.tail(20).unwrap().count(), 20);
    row("tail 20", rate(1, twenty), floor, 0.1);
    let spent = Spent::by(twenty);
    told("tail 20, what it reads", &spent.to_string(), "fewer than 12 reads", spent.reads < 12);
    let before = ReadOptions::default().after(&last[last.len() - 2].cursor);
    let since = || assert_eq!(bus.read(before.clone()).unwrap().count(), 1);
    let (times, spent) = (rate(1, since), Spent::by(since));
    let what = format!("{times:.0} a second, {spent}");
    told("since the message before last", &what, "fewer than 40 reads", spent.reads < 40);
}

/// What this thread read.
struct Spent {
    reads: u64,
    bytes: u64,
}

impl Spent {
    fn so_far() -> Spent {
        let io = fs::read_to_string("/proc/thread-self/io").unwrap();
        let field = |name: &str| -> u64 {
            io.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
        };
        Spent { reads: field("syscr: "), bytes: field("rchar: ") }
    }

    fn by(work: impl FnOnce()) -> Spent {
        let between = |from: &Spent, to: &Spent| Spent {
            reads: to.reads - from.reads,
            bytes: to.bytes - from.bytes,
        };
        let (first, second) = (Spent::so_far(), Spent::so_far());
        work();
        // The counters are read by reading, too.
        between(&between(&first, &second), &between(&second, &Spent::so_far()))
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} reads of {} bytes", self.reads, self.bytes)
    }
}

/// The floor of reading: finds where records begin.
fn find_marks(path: &Path) -> usize {
    let mut buffer = vec![0; 256 << 10];
    let (mut file, mut marks) = (File::open(path).unwrap(), 0);
    loop {
        let read = file.read(&mut buffer).unwrap();
        if read == 0 {
            return marks;
        }
        marks += memchr::memmem::find_iter(&buffer[..read], b"\n\n---\n").count();
    }
}

/// How fast `work` reads `size` bytes, by this thread's own time: what others do on the machine does not
/// count. The best of three.
fn megabytes(size: f64, work: impl Fn() -> usize) -> f64 {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let rates = (0..3).map(|_| {
        let start = now();
        assert!(work() as f64 > size / 1000.0, "hardly anything was read");
        size / (now() - start) / 1e6
    });
    rates.fold(0.0, f64::max)
}

fn following(dir: &Path) {
    let dir = dir.join("follow");
    for name in ["here", "there"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env("BENCH_CHILD", "echo")
        .env("BENCH_DIR", &dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    let (here, there) = (dir.join("here"), dir.join("there"));
    let (here, there) = (open(&here, Durability::Process), open(&there, Durability::Process));
    let mut follower = there.follow(&Cursor::START, Wait::FOREVER).unwrap();
    let mut times: Vec<Duration> = (0..2000)
        .map(|n| {
            let start = Instant::now();
            let kind = if n == 1999 { "END" } else { "PING" };
            here.post(Post::new(kind, ""), Wait::FOREVER).unwrap();
            follower.next().unwrap().unwrap();
            // There and back.
            start.elapsed() / 2
        })
        .collect();
    child.wait().unwrap();
    times.sort_unstable();
    let pipe = pipe_time();
    let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let times = half.as_secs_f64() / pipe.as_secs_f64();
    let what = format!("p50 {half:?}, {times:.1} times the {pipe:?} of a pipe between processes");
    told("post to delivery in another process, p50", &what, "within 4 times", times <= 4.0);
    let what = format!("p99 {most:?}");
    told("the same, p99", &what, "under 1 ms when idle", most < Duration::from_millis(1));
    idle(&dir.join("idle"));
}

/// Follows a bus until the first message comes.
fn be_idle(dir: &Path) {
    let mut follower = open(dir, Durability::Process).follow(&Cursor::END, Wait::FOREVER).unwrap();
    println!("ready");
    follower.next().unwrap().unwrap();
}

/// What a follower does while nothing comes.
fn idle(dir: &Path) {
    fs::create_dir(dir).unwrap();
    let bus = open(dir, Durability::Process);
    bus.post(post(), Wait::FOREVER).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env("BENCH_CHILD", "idle")
        .env("BENCH_DIR", dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
    // It comes to rest, and is looked at from then on.
    let mut before = wakes(child.id());
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = wakes(child.id());
        if now.is_some() && now == before {
            break;
        }
        before = now;
    }
    std::thread::sleep(IDLE);
    let (before, after) = (before.unwrap(), wakes(child.id()).unwrap_or(u64::MAX));
    let what = format!("{} wake-ups in {IDLE:?}", after - before);
    told("a follower without news", &what, "0, so no system call", after == before);
    bus.post(post(), Wait::FOREVER).unwrap();
    child.wait().unwrap();
}

/// How often a process got a processor, without which it makes no system call; `None` while it has one.
fn wakes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    };
    let switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
    let sum = switches.iter().map(|name| field(name).parse::<u64>().unwrap()).sum();
    field("State:").starts_with('S').then_some(sum)
}

/// The median time of a byte through a pipe to another process, half of there and back.
fn pipe_time() -> Duration {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env("BENCH_CHILD", "pipe")
        .env("BENCH_DIR", "/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut away, mut back) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut times: Vec<Duration> = (0..2000)
        .map(|_| {
            let start = Instant::now();
            away.write_all(&[0]).unwrap();
            back.read_exact(&mut [0]).unwrap();
            start.elapsed() / 2
        })
        .collect();
    drop(away);
    child.wait().unwrap();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Answers each byte with one.
fn answer_bytes() {
    let (mut here, mut there) = (std::io::stdin(), std::io::stdout());
    let mut byte = [0];
    while here.read(&mut byte).unwrap() == 1 {
        there.write_all(&byte).unwrap();
        there.flush().unwrap();
    }
}

fn main() {
    if let Ok(what) = std::env::var("BENCH_CHILD") {
        return child(&what, Path::new(&std::env::var("BENCH_DIR").unwrap()));
    }
    // `cargo test --benches` only asks whether it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    println!("{:<44} {:>12} {:>12} {:>8} {:>6}", "work", "a second", "floor", "ratio", "aim");
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    if "appending".contains(&only) {
        appending(dir.path());
    }
    if "reading".contains(&only) {
        reading(dir.path());
    }
    if "following".contains(&only) {
        following(dir.path());
    }
}
