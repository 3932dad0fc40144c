//! `bench [PART...]`: what commands cost, each beside its floor, in turns in one run.
//!
//! Machines are noisy, so nothing here is a limit: look at the ratios. Build with `--release`.

mod sse;

use conductor_core::agent::stream::{StreamKind, StreamParser, Zone};
use conductor_core::{Conductor, JobSpec, Options, Stop, Timestamp, Wait};
use conductor_tests::generate::{RootSpec, make_root};
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, tools};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

type Part = (&'static str, &'static str, fn());

const PARTS: &[Part] = &[
    ("version", "run-agent --version beside /bin/true", version),
    ("job", "a job whose agent is true beside sh -c true and the syncs it must do", job),
    (
        "run",
        "one run through the library beside fork, exec and wait, and what its keeper holds",
        run,
    ),
    ("list", "list over 20,000 runs in 400 tasks beside find over the same folders", list),
    ("gc", "a dry run of gc beside find -type f -size, deleting beside rm -r", gc),
    ("stream", "reading 128 MB of each agent's stream beside finding its line ends", stream),
    (
        "sse",
        "1,000 clients of one bus at 1,000 messages a second beside a loop of bare writes in C",
        sse::run,
    ),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(bad) = wanted.iter().find(|name| !PARTS.iter().any(|part| part.0 == **name)) {
        eprintln!("error: there is no part {bad:?}\nusage: bench [PART...]");
        for (name, about, _) in PARTS {
            eprintln!("  {name:<8} {about}");
        }
        return ExitCode::from(2);
    }
    for (name, about, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("{name}: {about}");
            run();
        }
    }
    ExitCode::SUCCESS
}

/// Runs both in turns and prints their medians and the ratio.
fn compare(rounds: usize, name: &str, mut ours: impl FnMut(), mut floor: impl FnMut()) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        times[0].push(timed(&mut ours));
        times[1].push(timed(&mut floor));
    }
    let [ours, floor] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    });
    println!("  {name:<28} {ours:>9.3} ms   floor {floor:>9.3} ms   {:>6.2}x", ours / floor);
}

fn timed(run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn quiet(command: &mut Command) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?} failed");
}

fn run_agent() -> Command {
    let mut command = Command::new(artifacts::binary("run-agent", "run-agent"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("JRUN_") || text.starts_with("CONDUCTOR_") {
            command.env_remove(&name);
        }
    }
    command
}

fn version() {
    compare(
        300,
        "--version",
        || quiet(run_agent().arg("--version")),
        || quiet(&mut Command::new("/bin/true")),
    );
}

fn job() {
    let sandbox = Sandbox::new();
    let job = || {
        let mut command = run_agent();
        command.arg("job").arg("--root").arg(sandbox.root());
        command.args(["--project", "bench", "--task", "job", "--agent", "command"]);
        command.args(["--command", "true", "--prompt", "x"]);
        command
    };
    quiet(&mut job());
    let syncs = syncs(job());
    println!("  it syncs {syncs} times");
    let scratch = sandbox.folder("scratch");
    compare(
        100,
        "job",
        || quiet(&mut job()),
        || {
            quiet(Command::new("sh").args(["-c", "true"]));
            write_and_sync(&scratch, syncs);
        },
    );
}

fn run() {
    let sandbox = Sandbox::new();
    let open = || {
        let mut options = Options::default();
        options.environment = Some(sandbox.environment());
        Conductor::open(sandbox.root(), options).expect("a root can be opened")
    };
    let conductor = open();
    let spec = |program: &'static str| {
        let spec = JobSpec::new("bench").task("run").agent("command").prompt("x");
        spec.command(if program == "true" { vec!["true"] } else { vec![program, "1000"] })
    };
    let start = |program| conductor.jobs().start(spec(program), Wait::FOREVER).expect("it starts");
    let bare = || quiet(&mut Command::new("true"));
    compare(200, "start to recorded end", || drop(start("true").wait(Wait::FOREVER)), bare);
    compare(200, "start, agent running", || drop(start("true")), bare);
    let scratch = sandbox.folder("scratch");
    // What is left are the keeper and the files that are not synced.
    compare(
        200,
        "start to end, syncs apart",
        || drop(start("true").wait(Wait::FOREVER)),
        || {
            bare();
            write_and_sync(&scratch, 12);
        },
    );
    conductor.reconcile(Wait::FOREVER).expect("what was not waited for is closed");
    let long = start("sleep");
    let keeper = long.info().expect("its record").record.keeper_pid.expect("its keeper");
    let status = std::fs::read_to_string(format!("/proc/{keeper}/status")).expect("it lives");
    let of_memory = |line: &&str| line.starts_with("VmRSS:") || line.starts_with("RssAnon:");
    for line in status.lines().filter(of_memory) {
        println!("  keeper {}", line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    long.stop(Stop::because("measured").force(true), Wait::FOREVER).expect("it can be stopped");
}

/// How many syncs of files and folders a command and its keeper make.
fn syncs(job: Command) -> usize {
    let Some(strace) = tools::find("strace") else { return 12 };
    let mut command = Command::new(strace);
    command.args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none"]);
    command.arg(job.get_program()).args(job.get_args());
    let output = command.stdin(Stdio::null()).output().expect("strace starts");
    String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains("sync(")).count()
}

fn write_and_sync(folder: &Path, times: usize) {
    let mut file = File::create(folder.join("file")).expect("a file can be made");
    for _ in 0..times {
        file.write_all(&[0; 512]).and_then(|()| file.sync_data()).expect("a file can be written");
    }
}

fn list() {
    let sandbox = Sandbox::new();
    let spec = RootSpec::default();
    make_root(&sandbox.root(), &spec).expect("a big root can be made");
    let projects: Vec<String> = std::fs::read_dir(sandbox.root())
        .expect("the root was made")
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    println!("  {} runs in {} tasks of {} projects", spec.runs, spec.tasks, projects.len());
    let each = |verb: &'static str| {
        let (sandbox, projects) = (&sandbox, &projects);
        move || {
            for project in projects {
                let mut command = run_agent();
                command.arg(verb).arg("--root").arg(sandbox.root());
                quiet(command.args(["--project", project]));
            }
        }
    };
    // The folders that must be looked into: tasks, and the names of their runs.
    let find = || {
        for project in &projects {
            let mut command = Command::new("find");
            quiet(command.arg(sandbox.root().join(project)).args(["-maxdepth", "3"]));
        }
    };
    compare(20, "list", each("list"), find);
    compare(20, "status", each("status"), find);
    let one = sandbox.root().join(&projects[0]);
    let tasks = std::fs::read_dir(&one).expect("the project was made");
    let task = tasks
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .min()
        .expect("the project has tasks");
    let list_task = || {
        let mut command = run_agent();
        command.arg("list").arg("--root").arg(sandbox.root());
        quiet(command.args(["--project", &projects[0], "--task", &task]));
    };
    let find_task = || quiet(Command::new("find").arg(one.join(&task).join("runs")));
    compare(50, "list --task, 50 runs", list_task, find_task);
}

/// How much of a stream is handed over at once, in bytes; as when a run is finished.
const CHUNK: usize = 256 << 10;
/// How often a stream of 32 MB is read.
const TIMES: usize = 4;
/// How often the whole is done.
const ROUNDS: usize = 5;

fn stream() {
    let text = "The build is green, and all of the tests pass.\\n".repeat(8);
    let output = "   Compiling something v1.2.3 (/home/user/demo/\\\"quoted\\\")\\n".repeat(120);
    let assistant = |content: &str| {
        format!(
            r#"{{"type":"assistant","message":{{"id":"msg_01","type":"message","role":"assistant","model":"m","content":[{content}],"stop_reason":null,"usage":{{"input_tokens":1200,"output_tokens":1}}}},"parent_tool_use_id":null,"session_id":"4b40affa-207a-4c21-a591-3f87ae849d23"}}"#
        )
    };
    let said = assistant(&format!(r#"{{"type":"text","text":"{text}"}}"#));
    let used = assistant(&format!(
        r#"{{"type":"tool_use","id":"toolu_01","name":"Write","input":{{"content":"{output}"}}}}"#
    ));
    let got = format!(
        r#"{{"type":"user","message":{{"role":"user","content":[{{"tool_use_id":"toolu_01","type":"tool_result","content":"{output}"}}]}},"parent_tool_use_id":null}}"#
    );
    let piece = r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" all of the tests"}},"session_id":"4b40affa-207a-4c21-a591-3f87ae849d23","parent_tool_use_id":null,"uuid":"20c9b295-fadc-4269-9f42-5246dd404f7a"}"#;
    let codex = |kind: &str, field: &str, text: &str| {
        format!(
            r#"{{"type":"item.completed","item":{{"id":"item_1","type":"{kind}","{field}":"{text}"}}}}"#
        )
    };
    let ran = codex("command_execution", "aggregated_output", &output);
    let told = codex("agent_message", "text", &text);
    let gemini = r#"{"type":"message","timestamp":"2026-11-23T14:29:49.160Z","role":"assistant","content":" all of the tests","delta":true}"#;
    let streams: [(&str, StreamKind, Vec<&str>); 6] = [
        ("claude: a session with tools", StreamKind::Claude, vec![&said, &used, &got, &got]),
        ("claude: pieces of messages", StreamKind::Claude, vec![piece]),
        ("claude: what it says alone", StreamKind::Claude, vec![&said]),
        ("claude: what it writes alone", StreamKind::Claude, vec![&used]),
        ("codex: a session with tools", StreamKind::Codex, vec![&told, &ran, &ran]),
        ("gemini: pieces of messages", StreamKind::Gemini, vec![gemini]),
    ];
    for (name, kind, lines) in streams {
        let mut bytes = Vec::with_capacity(33 << 20);
        while bytes.len() < 32 << 20 {
            for line in &lines {
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
            }
        }
        let before = resident();
        let chunks = || std::iter::repeat_n(&bytes, TIMES).flat_map(|bytes| bytes.chunks(CHUNK));
        let ours = fastest(&mut || {
            let mut parser = StreamParser::new(kind);
            chunks().for_each(|chunk| parser.push(chunk));
            let summary = parser.finish(Timestamp::UNIX_EPOCH, &Zone::UTC);
            assert!(summary.events > 0 && summary.too_long == 0);
        });
        let grown = resident().saturating_sub(before);
        let floor = fastest(&mut || {
            let ends: usize = chunks().map(|chunk| memchr::memchr_iter(b'\n', chunk).count()).sum();
            assert!(ends > 0);
        });
        let rate = |time: Duration| (bytes.len() * TIMES) as f64 / 1e6 / time.as_secs_f64();
        println!(
            "  {name:<28} {:>9.0} MB/s   floor {:>6.0} MB/s   {grown:>3} MiB more in memory",
            rate(ours),
            rate(floor),
        );
    }
}

/// The least of some rounds, in time of the processor: what others do here costs caches, not turns.
fn fastest(run: &mut impl FnMut()) -> Duration {
    let spent = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let nanos = u32::try_from(time.tv_nsec).expect("less than a second");
        Duration::new(time.tv_sec.unsigned_abs(), nanos)
    };
    let rounds = (0..ROUNDS).map(|_| {
        let start = spent();
        run();
        spent() - start
    });
    rounds.min().expect("some rounds")
}

/// The memory of this process that is in use, in MiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    (pages * 4096) >> 20
}

fn gc() {
    let sandbox = Sandbox::new();
    for (runs, tasks) in [(20_000, 400), (200_000, 4_000)] {
        let root = sandbox.folder(&format!("root-{runs}")).join("root");
        let spec = RootSpec { runs, tasks, messages: 2, output: 40, ..RootSpec::default() };
        make_root(&root, &spec).expect("a big root can be made");
        let dry = || {
            let mut command = run_agent();
            command.arg("gc").arg("--root").arg(&root).arg("--dry-run");
            command
        };
        let find = || {
            let mut command = Command::new("find");
            command.arg(&root).args(["-type", "f", "-size", "+1000000k"]);
            command
        };
        let rounds = 200_000 / runs;
        compare(
            rounds.max(3),
            &format!("dry run, {runs} runs"),
            || quiet(&mut dry()),
            || quiet(&mut find()),
        );
        println!("  at most {} MB of memory", peak_memory(dry()) / 1024);
        for more in [&["--json"][..], &["--older-than", "100000h", "--max-bytes", "1MB"]] {
            let mut command = dry();
            let peak = peak_memory({
                command.args(more);
                command
            });
            println!("  with {}: at most {} MB", more.join(" "), peak / 1024);
        }
    }
    // Deleting: each round another copy. The floor removes the runs' folders and leaves the rest.
    let spec = RootSpec { runs: 2_000, tasks: 40, ..RootSpec::default() };
    let mut roots = Vec::new();
    for number in 0..6 {
        let root = sandbox.folder(&format!("copy-{number}")).join("root");
        make_root(&root, &spec).expect("a root can be made");
        roots.push(root);
    }
    quiet(&mut Command::new("sync"));
    let (ours, floor) = roots.split_at(3);
    let (mut ours, mut floor) = (ours.iter(), floor.iter());
    compare(
        3,
        "deleting 2,000 runs",
        || {
            let root = ours.next().expect("a root for each round");
            quiet(run_agent().arg("gc").arg("--root").arg(root));
        },
        || {
            let root = floor.next().expect("a root for each round");
            let script = "find \"$1\" -mindepth 4 -maxdepth 4 -type d -exec rm -r {} +";
            quiet(Command::new("sh").args(["-c", script, "sh"]).arg(root));
        },
    );
}

/// The most memory that a command held, in KiB.
fn peak_memory(mut command: Command) -> u64 {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut output = child.stdout.take().expect("a pipe");
    // The peak stands there as long as the process does: it is read when the last output came.
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let mut buffer = vec![0; 64 << 10];
    while std::io::Read::read(&mut output, &mut buffer).is_ok_and(|read| read > 0) {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
    }
    let ended = child.wait();
    assert!(ended.is_ok_and(|status| status.success()), "{command:?} failed");
    peak
}
