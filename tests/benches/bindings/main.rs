//! What a call costs from C, Go and Python, beside Rust and beside SQLite in each of them; how long Python takes
//! to end each wait at Ctrl-C; and what is installed: `cargo bench -p conductor-tests --bench bindings`.
//!
//! Each program does the same work with the bus and with SQLite in its write-ahead mode, in turns and in one
//! process, and prints the nanoseconds of one call; the table has the best of the rounds, which other work
//! on the machine disturbs least. What counts is the ratio; the figures themselves belong to the machine.
//! Where all is built it takes some three minutes. `BENCH_ROUNDS` asks for other than five rounds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench reports by printing and fails by panicking"
)]

use conductor_core::bus::Text;
use conductor_core::{
    Cancel, Conductor, Durability, Event, Options, Post, ReadOptions, ReadPlan, Records, Wait,
};
use conductor_tests::c::{Link, OPTIMISED, compile_with, prefix};
use conductor_tests::go::Go;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, python, tools, workspace};
use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

const DISK: usize = 500;
const PROCESS: usize = 5_000;
const CALLS: usize = 1_000_000;

/// Nanoseconds of one call, by what was done.
type Figures = BTreeMap<String, Vec<f64>>;

fn main() {
    let rounds: usize =
        std::env::var("BENCH_ROUNDS").map_or(5, |text| text.parse().expect("a number"));
    let sandbox = Sandbox::new();
    let mut columns = vec![("Rust", in_rust(&sandbox.folder("rust"), rounds))];
    columns.extend(in_c(&sandbox, rounds).map(|figures| ("C", figures)));
    columns.extend(in_go(&sandbox, rounds).map(|figures| ("Go", figures)));
    columns.extend(in_python(&sandbox, rounds).map(|figures| ("Python", figures)));

    print!("| microseconds a call |");
    for (language, _) in &columns {
        print!(" {language} |");
        if *language != "Rust" {
            print!(" SQLite in {language} |");
        }
    }
    println!("\n| --- |{}", " --- |".repeat(2 * columns.len() - 1));
    for (title, ours, theirs) in [
        ("post, survives the process", "post process", "sqlite process"),
        ("post, survives a power cut", "post disk", "sqlite disk"),
        ("read all, a message", "read", "sqlite read"),
        ("read one by one, a message", "read one", ""),
        ("the smallest call", "call", ""),
    ] {
        print!("| {title} |");
        for (language, figures) in &columns {
            print!(" {} |", micros(figures, ours));
            if *language != "Rust" {
                print!(" {} |", micros(figures, theirs));
            }
        }
        println!();
    }
    let python = columns.iter().find(|(language, _)| *language == "Python");
    python.iter().for_each(|(_, figures)| tell_interrupts(figures));
    tell_sizes(&sandbox);
}

/// How long Python takes from Ctrl-C to the end of each wait.
fn tell_interrupts(figures: &Figures) {
    println!("\n| Ctrl-C in Python, milliseconds | half within | 99 % within | longest | tries |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, times) in figures {
        let Some(wait) = name.strip_prefix("interrupt ") else { continue };
        let mut times: Vec<f64> = times.iter().map(|nanos| nanos / 1e6).collect();
        times.sort_by(f64::total_cmp);
        let within = |share: f64| times[((times.len() - 1) as f64 * share).ceil() as usize];
        let [half, most, longest] = [0.5, 0.99, 1.0].map(within);
        println!("| {wait} | {half:.2} | {most:.2} | {longest:.2} | {} |", times.len());
    }
}

/// What is installed, in bytes.
fn tell_sizes(sandbox: &Sandbox) {
    println!("\n| installed | MB |\n| --- | --- |");
    let lib = prefix(sandbox).join("lib");
    for name in ["libconductor.so.1", "libconductor.a"] {
        println!("| {name} | {:.1} |", size(&lib.join(name)) as f64 / 1e6);
    }
    if let Some(venv) = python::installed_before() {
        println!(
            "| the Python package, with its commands | {:.1} |",
            size_of_package(&venv) as f64 / 1e6
        );
    }
}

/// The best; nothing where it was not measured.
fn micros(figures: &Figures, what: &str) -> String {
    let Some(times) = figures.get(what) else { return "-".to_owned() };
    let best = times.iter().copied().fold(f64::INFINITY, f64::min) / 1000.0;
    if best < 1.0 { format!("{best:.3}") } else { format!("{best:.1}") }
}

/// What a program printed: a name, a tab, nanoseconds.
fn figures(output: &str) -> Figures {
    let mut figures = Figures::new();
    for line in output.lines() {
        let (what, nanos) = line.split_once('\t').unwrap_or_else(|| panic!("{line}"));
        figures.entry(what.to_owned()).or_default().push(nanos.parse().unwrap());
    }
    figures
}

fn in_rust(folder: &Path, rounds: usize) -> Figures {
    let mut figures = Figures::new();
    let mut tell = |what: &str, start: Instant, count: usize| {
        let nanos = start.elapsed().as_nanos() as f64 / count as f64;
        figures.entry(what.to_owned()).or_default().push(nanos);
    };
    let body = "x".repeat(300);
    for round in 0..rounds {
        for (what, durability, count) in
            [("post process", Durability::Process, PROCESS), ("post disk", Durability::Disk, DISK)]
        {
            let root = folder.join(format!("{round}-{what}"));
            fs::create_dir_all(root.join("bench")).unwrap();
            let options = Options::default().durability(durability);
            let bus = Conductor::open(root, options).unwrap().bus("bench").unwrap();
            let start = Instant::now();
            for _ in 0..count {
                black_box(bus.post(Post::new("FACT", body.as_str()), Wait::FOREVER).unwrap());
            }
            tell(what, start, count);
            if durability == Durability::Disk {
                continue;
            }
            let start = Instant::now();
            let mut seen = 0;
            let mut records = Records::read(&bus, ReadPlan::default()).unwrap();
            while let Some(rows) = records.next_batch(usize::MAX, Wait::NONE).unwrap() {
                let bodies = rows.rows().iter().map(|row| rows.get(row, Text::Body));
                seen += bodies.map(|body| black_box(body).len()).sum::<usize>();
            }
            assert_eq!(seen, count * body.len());
            tell("read", start, count);
            let start = Instant::now();
            let mut seen = 0;
            for event in bus.read(ReadOptions::default()).unwrap() {
                let Event::Message(message) = event.unwrap() else { panic!("damage") };
                seen += black_box(message).body.len();
            }
            assert_eq!(seen, count * body.len());
            tell("read one", start, count);
        }
        let switch = Cancel::new();
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(black_box(&switch).is_set());
        }
        tell("call", start, CALLS);
    }
    figures
}

fn run(sandbox: &Sandbox, program: &Path, args: &[&str], folder: &str, rounds: usize) -> Figures {
    let folder = sandbox.folder(folder);
    let program = sandbox.program(program).args(args).arg(folder).arg(rounds.to_string());
    figures(&program.limit(Duration::from_secs(900)).succeed().stdout)
}

fn in_c(sandbox: &Sandbox, rounds: usize) -> Option<Figures> {
    let source = "tests/benches/bindings/bus.c";
    if !Path::new("/usr/include/sqlite3.h").exists() {
        tools::skip("there is no sqlite3.h (Debian: apt install libsqlite3-dev)");
        return None;
    }
    let program = compile_with(sandbox, &OPTIMISED, source, Link::Shared, &["-lsqlite3"])?;
    Some(run(sandbox, &program, &[], "c", rounds))
}

fn in_go(sandbox: &Sandbox, rounds: usize) -> Option<Figures> {
    let go = Go::new(sandbox)?;
    let program = sandbox.folder("bin").join("bench-go");
    let mut build = go.command(
        Path::new("tests/benches/bindings/go"),
        &["build", "-tags=conductor_static", "-o", program.to_str().unwrap(), "."],
    );
    // SQLite's module is fetched where it is not there yet.
    let output = build.env_remove("GOPROXY").output().unwrap();
    if !output.status.success() {
        tools::skip(&format!("the bench in Go: {}", tools::report(&build, &output)));
        return None;
    }
    Some(run(sandbox, &program, &[], "go", rounds))
}

fn in_python(sandbox: &Sandbox, rounds: usize) -> Option<Figures> {
    let venv = python::installed_as("release", &artifacts::target_folder())?;
    let script = workspace().join("tests/benches/bindings/bus.py");
    let python = venv.join("bin/python");
    Some(run(sandbox, &python, &[script.to_str().unwrap()], "python", rounds))
}

/// What the wheel installed, in bytes.
fn size_of_package(venv: &Path) -> u64 {
    let site = fs::read_dir(venv.join("lib")).unwrap().next().unwrap().unwrap().path();
    let site = site.join("site-packages");
    let package = fs::read_dir(&site)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("conductor"));
    let commands = ["run-agent", "conductor"].map(|name| venv.join("bin").join(name));
    package.chain(commands.into_iter().filter(|path| path.exists())).map(|path| size(&path)).sum()
}

fn size(path: &Path) -> u64 {
    let meta = fs::symlink_metadata(path).unwrap();
    if !meta.is_dir() {
        return meta.len();
    }
    fs::read_dir(path).unwrap().map(|entry| size(&entry.unwrap().path())).sum()
}
