//! Many clients of one bus: what the server costs, and how soon messages come, beside a program in C that
//! does nothing but write as many bytes to as many sockets.
//!
//! `BENCH_SSE_CLIENTS`, `BENCH_SSE_RATE` (messages a second) and `BENCH_SSE_SECONDS` choose another size.

use conductor_core::{Bus, Conductor, Durability, Options, Post, Wait};
use conductor_tests::artifacts;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::tools;
use rustix::event::{Timespec, epoll};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What stands before a message's number, then its time.
const MARK: &[u8] = b"\"body\":\"";
/// Digits of a number and of a time.
const DIGITS: usize = 20;

#[derive(Clone, Copy)]
struct Size {
    clients: usize,
    rate: u64,
    seconds: u64,
}

impl Size {
    fn wanted() -> Size {
        let given = |name: &str, unless: u64| {
            std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(unless)
        };
        Size {
            clients: given("BENCH_SSE_CLIENTS", 1000) as usize,
            rate: given("BENCH_SSE_RATE", 1000),
            seconds: given("BENCH_SSE_SECONDS", 20),
        }
    }

    fn messages(self) -> u64 {
        self.rate * self.seconds
    }
}

pub(crate) fn run() {
    let size = Size::wanted();
    raise_limit();
    println!("  {} clients, {} messages/s for {} s", size.clients, size.rate, size.seconds);
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.root().join("p/t")).expect("a root");
    let server = serve(&sandbox);
    let path = "/api/projects/p/tasks/t/messages/stream";
    let clients = Clients::connect(size, &server.address, path);
    idle(&server);
    report("server", &server, clients, size, || post(&sandbox, size));
    drop(server);
    let floor = start_floor(size, &sandbox.work());
    let clients = Clients::connect(size, &floor.address, "/");
    report("bare C loop", &floor, clients, size, || {});
}

/// What is measured, beside what was delivered.
fn report(name: &str, of: &Measured, clients: Clients, size: Size, post: impl FnOnce()) {
    let (before, began) = (of.cpu(), Instant::now());
    let reader = clients.read(size);
    post();
    let told = reader.join().expect("the reader ends");
    let took = began.elapsed().as_secs_f64();
    let cpu = (of.cpu() - before).as_secs_f64();
    let [half, most, nearly_all, worst] = told.delays.percentiles([0.5, 0.99, 0.999, 1.0]);
    println!(
        "  {name:<12} {} deliveries in {took:.1} s, each client each message once and in order: {}",
        told.delivered,
        if told.wrong == 0 { "yes".to_owned() } else { format!("NO, {} wrong", told.wrong) },
    );
    println!(
        "  {:<12} CPU {cpu:.2} s ({:.0} % of a core), memory {} MiB at most; post to delivery: \
         half {half:.1} ms, 99 % {most:.1} ms, 99.9 % {nearly_all:.1} ms, worst {worst:.1} ms",
        "",
        100.0 * cpu / took,
        of.peak_memory() >> 10,
    );
    assert_eq!((told.wrong, told.delivered), (0, size.messages() * size.clients as u64));
}

/// What a server does for clients that get nothing.
fn idle(server: &Measured) {
    // Threads that had something to do end after a while.
    thread::sleep(Duration::from_secs(15));
    let (cpu, before) = (server.cpu(), server.switches());
    thread::sleep(Duration::from_secs(10));
    let after = server.switches().into_iter();
    let switches = after.map(|(thread, count)| count - before.get(&thread).unwrap_or(&0));
    println!(
        "  idle         10 s without a message: {} context switches, {} ms of CPU",
        switches.sum::<u64>(),
        (server.cpu() - cpu).as_millis(),
    );
}

/// A program that is measured. It ends with this.
struct Measured {
    child: Child,
    address: String,
}

impl Drop for Measured {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Measured {
    fn start(mut command: Command) -> Measured {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("its address");
        let address = line.trim().trim_start_matches("API listening on http://");
        Measured { address: address.trim_end_matches('/').to_owned(), child }
    }

    /// The processes that are measured: this one and those that it started.
    fn processes(&self) -> Vec<u32> {
        let own = self.child.id();
        let mut processes = vec![own];
        for thread in fs::read_dir(format!("/proc/{own}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            processes.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        processes
    }

    fn cpu(&self) -> Duration {
        let ticks = self.processes().into_iter().map(|process| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
            fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
        });
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// KiB.
    fn peak_memory(&self) -> u64 {
        let peak = |process: u32| status(&format!("/proc/{process}/status"), "VmHWM:");
        self.processes().into_iter().map(peak).sum()
    }

    /// How often each of its threads went to sleep or was pushed aside.
    fn switches(&self) -> HashMap<String, u64> {
        let mut all = HashMap::new();
        for process in self.processes() {
            let threads = fs::read_dir(format!("/proc/{process}/task"));
            for thread in threads.into_iter().flatten().flatten() {
                let path = thread.path().join("status").display().to_string();
                let own = status(&path, "voluntary_ctxt_switches:");
                let forced = status(&path, "nonvoluntary_ctxt_switches:");
                all.insert(path, own + forced);
            }
        }
        all
    }
}

fn status(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn serve(sandbox: &Sandbox) -> Measured {
    let mut command = Command::new(artifacts::binary("run-agent", "run-agent"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("JRUN_") || text.starts_with("CONDUCTOR_") {
            command.env_remove(&name);
        }
    }
    command.args(["serve", "--port", "0", "--root"]).arg(sandbox.root());
    Measured::start(command)
}

/// Posts so many messages a second. One that should have been posted already is posted at once.
fn post(sandbox: &Sandbox, size: Size) {
    let options = Options::default().durability(Durability::Process);
    let conductor = Conductor::open(sandbox.root(), options).expect("a root");
    let bus: Bus = conductor.bus(("p", "t")).expect("a bus");
    let began = Instant::now();
    for number in 0..size.messages() {
        let due = began + Duration::from_nanos(number * 1_000_000_000 / size.rate);
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
        let text = format!("{number:0DIGITS$} {:0DIGITS$} {}", now(), "x".repeat(60));
        bus.post(Post::new("FACT", text), Wait::FOREVER).expect("it is posted");
    }
}

/// Nanoseconds, on a clock that all processes share.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("more open files");
}

/// Clients that follow a stream.
struct Clients(Vec<Reader>);

impl Clients {
    fn connect(size: Size, address: &str, path: &str) -> Clients {
        let streams = (0..size.clients).map(|_| {
            let mut stream = TcpStream::connect(address).expect("a connection");
            let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(head.as_bytes()).expect("a request");
            // What comes first says that it follows from now on.
            let mut first = [0; 4096];
            let mut text = Vec::new();
            let end = loop {
                let read = stream.read(&mut first).expect("an answer");
                assert!(read > 0, "the connection was closed");
                text.extend_from_slice(&first[..read]);
                if let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                    break end;
                }
            };
            stream.set_nonblocking(true).expect("a socket");
            Reader { stream, kept: text.split_off(end), next: 0 }
        });
        Clients(streams.collect())
    }

    /// Reads on another thread until each client has all messages.
    fn read(self, size: Size) -> thread::JoinHandle<Told> {
        thread::spawn(move || {
            let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
            for (number, reader) in self.0.iter().enumerate() {
                let data = epoll::EventData::new_u64(number as u64);
                epoll::add(&poll, &reader.stream, data, epoll::EventFlags::IN)
                    .expect("it is added");
            }
            let mut readers = self.0;
            let (mut told, mut left) = (Told::default(), size.clients);
            let mut events = Vec::with_capacity(256);
            let mut buffer = vec![0; 256 << 10];
            let longest = Timespec { tv_sec: 60, tv_nsec: 0 };
            while left > 0 {
                events.clear();
                let space = rustix::buffer::spare_capacity(&mut events);
                let woken = epoll::wait(&poll, space, Some(&longest)).expect("a wait");
                assert!(woken > 0, "nothing came for a minute, {left} clients wait");
                for event in &events {
                    let reader = &mut readers[event.data.u64() as usize];
                    if reader.read(&mut buffer, size, &mut told) {
                        left -= 1;
                    }
                }
            }
            told
        })
    }
}

/// What came to all clients.
#[derive(Default)]
struct Told {
    delivered: u64,
    /// Messages that were not the next ones.
    wrong: u64,
    delays: Delays,
}

/// What came to one client.
struct Reader {
    stream: TcpStream,
    /// What came of a message whose rest did not come yet.
    kept: Vec<u8>,
    next: u64,
}

impl Reader {
    /// Whether the last message came now.
    fn read(&mut self, buffer: &mut [u8], size: Size, told: &mut Told) -> bool {
        let before = self.next;
        let read = match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            read => read.expect("the stream goes on"),
        };
        assert!(read > 0, "the stream ended after {} messages", self.next);
        let (time, mut text) = (now(), std::mem::take(&mut self.kept));
        text.extend_from_slice(&buffer[..read]);
        let wanted = MARK.len() + 2 * DIGITS + 1;
        let mut at = 0;
        while let Some(found) = memchr::memmem::find(&text[at..], MARK) {
            let body = at + found + MARK.len();
            if text.len() < at + found + wanted {
                break;
            }
            let number = digits(&text[body..body + DIGITS]);
            let posted = digits(&text[body + DIGITS + 1..body + 2 * DIGITS + 1]);
            told.wrong += u64::from(number != self.next);
            told.delivered += 1;
            told.delays.add(time.saturating_sub(posted));
            self.next = number + 1;
            at = body + 2 * DIGITS + 1;
        }
        // A mark may be cut in two.
        let rest = text.len().saturating_sub(wanted).max(at);
        self.kept.extend_from_slice(&text[rest..]);
        before < size.messages() && self.next >= size.messages()
    }
}

fn digits(text: &[u8]) -> u64 {
    text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

/// Delays in classes, each a sixteenth wider than the one before.
struct Delays {
    classes: Vec<u64>,
    worst: u64,
}

impl Default for Delays {
    fn default() -> Delays {
        Delays { classes: vec![0; 64 * 16], worst: 0 }
    }
}

impl Delays {
    fn add(&mut self, nanos: u64) {
        let nanos = nanos.max(16);
        let power = nanos.ilog2();
        let step = (nanos >> (power - 4)) & 15;
        self.classes[(power * 16) as usize + step as usize] += 1;
        self.worst = self.worst.max(nanos);
    }

    /// The delays, in milliseconds, within which these parts of all came.
    fn percentiles<const N: usize>(&self, parts: [f64; N]) -> [f64; N] {
        let all: u64 = self.classes.iter().sum();
        parts.map(|part| {
            let mut left = (all as f64 * part).ceil() as u64;
            let class = self.classes.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            });
            let class = class.unwrap_or(0) as u64;
            let upper = ((16 + class % 16 + 1) << (class / 16)) >> 4;
            upper.min(self.worst) as f64 / 1e6
        })
    }
}

/// A program in C, which `cc` makes now: what it does beside its writes is as good as nothing.
fn start_floor(size: Size, folder: &Path) -> Measured {
    let (code, program) = (folder.join("sse_floor.c"), folder.join("sse_floor"));
    fs::write(&code, include_str!("sse_floor.c")).expect("its source");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-O2", "-o"]).arg(&program).arg(&code);
    tools::check(&mut cc);
    let mut command = Command::new(program);
    command.args([size.clients as u64, size.rate, size.seconds].map(|number| number.to_string()));
    Measured::start(command)
}
