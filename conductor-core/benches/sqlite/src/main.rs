//! The bus beside SQLite, which does the same inserts: one message in each transaction, write-ahead log.
//!
//! `synchronous = NORMAL` survives the death of the process, as `Durability::Process` does;
//! `synchronous = FULL` survives a power cut, as `Durability::Disk`. Rounds of both take turns, so that
//! other work on the machine burdens both; the best round of each counts.

use conductor_core::bus::{Bus, BusOptions, Durability, Post};
use conductor_core::fsx::Folder;
use conductor_core::sys::RealOs;
use conductor_core::{Scope, Wait};
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BODY: usize = 300;
const ROUND: Duration = Duration::from_millis(700);
const ROUNDS: usize = 5;

fn open_bus(path: &Path, durability: Durability) -> Bus {
    std::fs::create_dir_all(path).unwrap();
    let folder = Folder::open_root(Arc::new(RealOs), path).unwrap();
    let scope = Scope::try_from(("shop", "fix-login")).unwrap();
    let options = BusOptions::default().durability(durability);
    Bus::open(folder, "BUS.md", scope, options).unwrap()
}

fn open_database(path: &Path, synchronous: &str) -> Connection {
    let database = Connection::open(path).unwrap();
    database.busy_timeout(Duration::from_secs(60)).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database.pragma_update(None, "synchronous", synchronous).unwrap();
    database
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS messages (
                 seq INTEGER PRIMARY KEY AUTOINCREMENT, msg_id TEXT NOT NULL, ts INTEGER NOT NULL,
                 type TEXT NOT NULL, project_id TEXT NOT NULL, task_id TEXT NOT NULL,
                 run_id TEXT NOT NULL, body TEXT NOT NULL)",
        )
        .unwrap();
    database
}

/// What a thread does until its time is over: prepares itself, and then one insert after the other.
fn rate(threads: usize, insert: impl Fn(usize) -> Box<dyn FnMut()> + Sync) -> f64 {
    let count = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (insert, count) = (&insert, &count);
            scope.spawn(move || {
                let mut insert = insert(thread);
                while start.elapsed() < ROUND {
                    insert();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

fn bus_rate(bus: &Bus, threads: usize) -> f64 {
    rate(threads, |_| {
        let bus = bus.clone();
        Box::new(move || drop(bus.post(Post::new("FACT", "x".repeat(BODY)), Wait::FOREVER).unwrap()))
    })
}

fn sqlite_rate(path: &Path, synchronous: &str, threads: usize) -> f64 {
    rate(threads, |thread| {
        let database = open_database(path, synchronous);
        let mut n = 0u64;
        Box::new(move || {
            n += 1;
            let mut insert = database
                .prepare_cached(
                    "INSERT INTO messages (msg_id, ts, type, project_id, task_id, run_id, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )
                .unwrap();
            let id = format!("MSG-20261123-142055-{n:09}-PID04242-{thread:04}");
            let body = "x".repeat(BODY);
            insert.execute(params![id, n, "FACT", "shop", "fix-login", "", body]).unwrap();
        })
    })
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    println!("{:<36} {:>12} {:>12} {:>8}", "inserts a second", "bus", "SQLite", "ratio");
    for (durability, synchronous) in [(Durability::Process, "NORMAL"), (Durability::Disk, "FULL")] {
        for threads in [1, 16] {
            let name = format!("{durability:?}-{threads}");
            let bus = open_bus(&dir.path().join(&name), durability);
            let database = dir.path().join(format!("{name}.db"));
            drop(open_database(&database, synchronous));
            let (mut ours, mut theirs) = (0f64, 0f64);
            for _ in 0..ROUNDS {
                ours = ours.max(bus_rate(&bus, threads));
                theirs = theirs.max(sqlite_rate(&database, synchronous, threads));
            }
            let what = format!("{durability:?} / {synchronous}, {threads} threads");
            println!("{what:<36} {ours:>12.0} {theirs:>12.0} {:>8.2}", ours / theirs);
        }
    }
}
