//! The living processes of a run, as `/proc` tells of them.
//!
//! They are found by descent from the run's keeper, or from its agent where that is gone: both are told
//! apart from later processes with their numbers by their start times. Whatever ends while this looks
//! is left out.

use conductor_core::{RunRecord, redacted};
use serde::Serialize;
use std::collections::HashMap;
use std::fs;
use utoipa::ToSchema;

/// The most processes that are told of.
const MOST: usize = 500;
/// The longest command line that is told, in characters.
const LONGEST: usize = 300;
/// The kernel tells times in these parts of a second (USER_HZ), on every machine that Linux runs on.
const TICKS: f64 = 100.0;

/// A living process.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Process {
    pid: u32,
    /// How deep it stands below the first.
    depth: usize,
    /// The name of its program.
    name: String,
    /// Its command line; what looks like a secret is masked.
    command: String,
    /// `R`, `S`, `D`, `T`, `Z`, as `ps` tells it.
    state: char,
    /// The time that it computed, in seconds.
    cpu_s: f64,
    /// The memory that it has in use, in bytes.
    memory: u64,
}

struct Seen {
    parent: u32,
    name: String,
    state: char,
    cpu: u64,
    start: u64,
}

/// The living processes of a run.
pub(super) fn tree(record: &RunRecord) -> Vec<Process> {
    let all = all();
    let agent = u32::try_from(record.pid).ok().zip(record.process_start);
    let keeper = record.keeper_pid.zip(record.keeper_start);
    let lives = |(pid, start): &(u32, u64)| all.get(pid).is_some_and(|seen| seen.start == *start);
    let Some((first, _)) = [keeper, agent].into_iter().flatten().find(lives) else {
        return Vec::new();
    };
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, seen) in &all {
        children.entry(seen.parent).or_default().push(*pid);
    }
    let mut found = Vec::new();
    let mut todo = vec![(first, 0)];
    while let Some((pid, depth)) = todo.pop() {
        let Some(seen) = all.get(&pid) else { continue };
        if found.len() == MOST {
            break;
        }
        found.push(told(pid, depth, seen));
        let mut next = children.remove(&pid).unwrap_or_default();
        next.sort_unstable_by(|a, b| b.cmp(a));
        todo.extend(next.into_iter().map(|child| (child, depth + 1)));
    }
    found
}

fn all() -> HashMap<u32, Seen> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| Some((pid, seen(&fs::read(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// Reads a line of `/proc/PID/stat`. The name may hold anything, also parentheses and blanks.
fn seen(stat: &[u8]) -> Option<Seen> {
    let text = String::from_utf8_lossy(stat);
    let (begin, end) = (text.find('(')?, text.rfind(')')?);
    let fields: Vec<&str> = text.get(end + 1..)?.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Seen {
        name: text.get(begin + 1..end)?.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: u32::try_from(number(1)?).ok()?,
        cpu: number(11)? + number(12)?,
        start: number(19)?,
    })
}

fn told(pid: u32, depth: usize, seen: &Seen) -> Process {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    let command: String = redacted(&words.join(" ")).chars().take(LONGEST).collect();
    #[expect(clippy::cast_precision_loss, reason = "nothing computes for 2^53 ticks")]
    let cpu_s = seen.cpu as f64 / TICKS;
    let memory = resident(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default());
    Process { pid, depth, name: seen.name.clone(), command, state: seen.state, cpu_s, memory }
}

/// The memory in use, as `/proc/PID/status` tells it; 0 for a process that has none any more.
fn resident(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"42 (a) S (b) R 7 1 1 0 -1 0 0 0 0 0 300 50 0 0 20 0 1 0 777 1000 25 0";
        let seen = seen(line).unwrap();
        assert_eq!((seen.name.as_str(), seen.state, seen.parent), ("a) S (b", 'R', 7));
        assert_eq!((seen.cpu, seen.start), (350, 777));
        assert_eq!(resident("Name:\tsh\nVmRSS:\t    1024 kB\n"), 1 << 20);
        assert!(super::seen(b"42 (a").is_none());
    }
}
