//! What is left of runs when their folders are gone: one line for each in the task's folder.
//!
//! `.receipts.jsonl` is only ever appended to. An attempt of a loop has a line when it is about to run,
//! which keeps its series whatever the older program does to its record, and every run has one when it
//! is finished. Lines of the same run are one receipt: what a later line says counts. So a line that is
//! written twice, by a finisher that died before it could say that it had written it, changes nothing.
//!
//! A receipt repeats what the run's record says. It is not synced: as long as the run's folder is
//! there it can be written again, and whoever removes the folder writes and syncs it first.

mod outlive;

pub(crate) use outlive::{Keeping, hand_over, read_gone};

use super::outcome::Outcome;
use super::record::RunRecord;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder};
use crate::id::RunId;
use crate::layout::RECEIPTS;
use crate::limits;
use crate::sys::{Fd, LockKind, Open};
use crate::time::Timestamp;
use crate::usage::{ErrorClass, Usage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much of the file is looked at for a line that was written before, in bytes.
const TAIL: u64 = 64 << 10;
/// How much is read at once, in bytes; also the longest line that is read.
const CHUNK: usize = 256 << 10;

/// The receipt of one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Receipt {
    pub(crate) agent: String,
    /// The loop of the task that the run was an attempt of.
    pub(crate) series: Option<u64>,
    pub(crate) start: Timestamp,
    /// How and when it ended; `None` while it was not finished when the last line was written.
    pub(crate) end: Option<(Outcome, Timestamp)>,
    /// For how many seconds the machine slept meanwhile.
    pub(crate) slept: Option<u64>,
    /// What kept its agent from its work.
    pub(crate) class: Option<ErrorClass>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) cost_usd: Option<f64>,
}

/// The receipts of a task.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// By run.
    pub(crate) all: BTreeMap<String, Receipt>,
    /// Lines that cannot be read: torn by a crash, or damaged.
    pub(crate) damage: Vec<Error>,
}

/// A line of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Line {
    run: String,
    /// In a project's file: the task that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<u64>,
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slept_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
}

impl Receipt {
    /// What a record says of its run.
    pub(crate) fn of(record: &RunRecord) -> Receipt {
        Receipt {
            agent: record.agent.clone(),
            series: record.series,
            start: record.start_time,
            end: record.outcome.map(|outcome| (outcome, record.end_time)),
            slept: record.slept,
            class: record.error_class,
            model: record.model.clone(),
            usage: record.usage,
            cost_usd: record.cost_usd,
        }
    }

    fn line(&self, run: &str, task: Option<&str>) -> Result<Vec<u8>> {
        let line = Line {
            run: run.to_owned(),
            task: task.map(str::to_owned),
            agent: self.agent.clone(),
            series: self.series,
            start: self.start.to_string(),
            outcome: self.end.map(|(outcome, _)| outcome.as_str().to_owned()),
            end: self.end.map(|(_, end)| end.to_string()),
            slept_seconds: self.slept,
            error_class: self.class.map(|class| class.as_str().to_owned()),
            model: self.model.clone(),
            usage: self.usage,
            cost_usd: self.cost_usd,
        };
        let mut bytes = serde_json::to_vec(&line).map_err(|source| {
            Error::new(ErrorKind::Internal, "receipts.unwritable", "a receipt has no JSON form")
                .with_source(source)
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The run and the receipt that a line tells of; `None` for a line that is damaged.
    fn parse(line: &[u8]) -> Option<(String, Receipt)> {
        let line: Line = serde_json::from_slice(line).ok()?;
        let end = match (&line.outcome, &line.end) {
            (Some(outcome), Some(end)) => Some((Outcome::parse(outcome)?, end.parse().ok()?)),
            _ => None,
        };
        let run: RunId = line.run.parse().ok()?;
        let receipt = Receipt {
            agent: line.agent,
            series: line.series,
            start: line.start.parse().ok()?,
            end,
            slept: line.slept_seconds,
            class: line.error_class.as_deref().and_then(ErrorClass::parse),
            model: line.model,
            usage: line.usage,
            cost_usd: line.cost_usd.filter(|cost| cost.is_finite()),
        };
        Some((run.to_string(), receipt))
    }
}

/// Writes down that a run is about to run.
pub(crate) fn begin(task: &Folder, record: &RunRecord, wait: &Wait) -> Result<()> {
    append(task, &record.run_id, &Receipt { end: None, slept: None, ..Receipt::of(record) }, wait)
}

/// Writes down how a run ended, once in all.
///
/// Who finishes a run holds its lock, so that a line that is there already was written by a finisher
/// before this one. It stands near the end of the file; further up it is written again, which changes
/// nothing.
pub(crate) fn end(task: &Folder, record: &RunRecord, wait: &Wait) -> Result<()> {
    append(task, &record.run_id, &Receipt::of(record), wait)
}

fn append(task: &Folder, run: &str, receipt: &Receipt, wait: &Wait) -> Result<()> {
    let line = receipt.line(run, None)?;
    let wait = wait.clone().at_most(limits::RECORD_LOCK);
    let lock = task.lock(RECEIPTS, LockKind::Exclusive, &wait)?;
    let file = lock.fd();
    let failed = |what: &'static str| move |e| task.error(what, RECEIPTS, e);
    let size = task.os().stat(file).map_err(failed("look at"))?.size;
    let tail = read_from(task, file, size.saturating_sub(TAIL))?;
    let is_there = tail.split(|byte| *byte == b'\n').filter_map(Receipt::parse);
    if is_there.into_iter().any(|(known, old)| known == run && old.end == receipt.end) {
        return Ok(());
    }
    write_behind(task, &lock, &line)
}

/// Writes lines behind what is in the locked file; all or none.
fn write_behind(task: &Folder, lock: &FileLock, lines: &[u8]) -> Result<()> {
    let file = lock.fd();
    let failed = |what: &'static str| move |e| task.error(what, RECEIPTS, e);
    let size = task.os().stat(file).map_err(failed("look at"))?.size;
    let mut last = *b"\n";
    if size > 0 && !lines.is_empty() {
        task.os().read_at(file, &mut last, size - 1).map_err(failed("read"))?;
    }
    // What a crash left without an end must not swallow the first line.
    let bytes = if last == *b"\n" { lines.to_vec() } else { [b"\n", lines].concat() };
    let mut written = 0;
    while written < bytes.len() {
        let at = size + written as u64;
        match task.os().write_at(file, &bytes[written..], at) {
            Ok(more) if more > 0 => written += more,
            answer => {
                let why = answer.err().unwrap_or_else(|| std::io::ErrorKind::WriteZero.into());
                // A part of a line would be reported as damage ever after.
                let _reported_then = task.os().truncate(file, size);
                return Err(task.error("write", RECEIPTS, why));
            }
        }
    }
    Ok(())
}

/// The bytes of an open file from `offset` to its end.
fn read_from(task: &Folder, file: &Fd, offset: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; CHUNK];
    loop {
        let at = offset + bytes.len() as u64;
        let read = task.os().read_at(file, &mut piece, at);
        match read.map_err(|e| task.error("read", RECEIPTS, e))? {
            0 => return Ok(bytes),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// Reads the receipts of a task; none where there are none. Reads only.
pub(crate) fn read(task: &Folder) -> Result<Receipts> {
    let mut receipts = Receipts::default();
    let Some(file) = task.open_if_exists(RECEIPTS, Open::Read)? else { return Ok(receipts) };
    let mut piece = vec![0; CHUNK];
    let mut line = Vec::new();
    let (mut offset, mut start) = (0u64, 0u64);
    loop {
        let read = task
            .os()
            .read_at(&file, &mut piece, offset)
            .map_err(|e| task.error("read", RECEIPTS, e))?;
        if read == 0 {
            break;
        }
        for part in piece[..read].split_inclusive(|byte| *byte == b'\n') {
            // Of a line that is too long to be one of ours no more is held than shows it.
            line.extend_from_slice(&part[..part.len().min(CHUNK.saturating_sub(line.len()))]);
            offset += part.len() as u64;
            if part.ends_with(b"\n") {
                receipts.take(task, &line, start);
                line.clear();
                start = offset;
            }
        }
    }
    // A whole line may lack its end after a crash; a part of one may be that of a writer at work.
    if Receipt::parse(line.trim_ascii()).is_some() || !is_growing(task, &file, offset)? {
        receipts.take(task, &line, start);
    }
    Ok(receipts)
}

/// Whether somebody writes behind `seen`, or just did.
fn is_growing(task: &Folder, file: &Fd, seen: u64) -> Result<bool> {
    let failed = |e| task.error("look at", RECEIPTS, e);
    // The lock goes with the descriptor, which is closed next.
    let at_rest = task.os().try_lock(file, LockKind::Shared).map_err(failed)?;
    Ok(!at_rest || task.os().stat(file).map_err(failed)?.size > seen)
}

impl Receipts {
    fn take(&mut self, task: &Folder, line: &[u8], offset: u64) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        let Some((run, new)) = Receipt::parse(line) else {
            self.damage.push(damaged(task, offset));
            return;
        };
        match self.all.get_mut(&run) {
            None => drop(self.all.insert(run, new)),
            Some(old) => {
                let series = new.series.or(old.series);
                if new.end.is_some() || old.end.is_none() {
                    *old = new;
                }
                old.series = series;
            }
        }
    }
}

fn damaged(task: &Folder, offset: u64) -> Error {
    let path = task.join(RECEIPTS);
    Error::new(
        ErrorKind::Corrupt,
        "receipts.damaged",
        format!("{}: the line at byte {offset} is damaged or torn", path.display()),
    )
    .with_path(path)
    .with_hint("the line is passed over; runs whose folders are there are counted by their records")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::store::tests::patiently;
    use crate::sys::RealOs;
    use crate::{ProjectId, TaskId};
    use std::io::Write as _;
    use std::sync::Arc;

    fn task() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        (dir, folder)
    }

    fn record(run: &str) -> RunRecord {
        let ids = (ProjectId::new("shop").unwrap(), TaskId::new("fix").unwrap());
        let mut record = RunRecord::new(&ids.0, &ids.1, &RunId::new(run).unwrap());
        record.agent = "claude".into();
        record.start_time = Timestamp::UNIX_EPOCH;
        record.series = Some(2);
        record
    }

    fn ended(run: &str) -> RunRecord {
        let mut record = record(run);
        record.outcome = Some(Outcome::Failed);
        record.end_time = "2026-11-23T14:43:36Z".parse().unwrap();
        record.usage = Some(Usage { input_tokens: 3, ..Usage::default() });
        record.cost_usd = Some(0.026949999999999998);
        record.model = Some("m".into());
        record
    }

    fn text(dir: &tempfile::TempDir) -> String {
        std::fs::read_to_string(dir.path().join(RECEIPTS)).unwrap()
    }

    #[test]
    fn a_run_has_one_receipt_however_often_it_is_written() {
        let (dir, task) = task();
        assert!(read(&task).unwrap().all.is_empty());
        begin(&task, &record("r1"), &Wait::FOREVER).unwrap();
        assert_eq!(read(&task).unwrap().all["r1"].end, None);
        // The older program took the series out of the record meanwhile.
        let mut last = ended("r1");
        last.series = None;
        for _ in 0..3 {
            end(&task, &last, &Wait::FOREVER).unwrap();
        }
        assert_eq!(text(&dir).lines().count(), 2, "{}", text(&dir));
        let all = read(&task).unwrap().all;
        assert_eq!(all.len(), 1);
        assert_eq!(all["r1"], Receipt::of(&ended("r1")));
        // A finisher that did not see the line, and a start that is told late, change nothing.
        let mut file =
            std::fs::OpenOptions::new().append(true).open(dir.path().join(RECEIPTS)).unwrap();
        file.write_all(text(&dir).lines().rev().collect::<Vec<_>>().join("\n").as_bytes()).unwrap();
        assert_eq!(read(&task).unwrap().all["r1"], Receipt::of(&ended("r1")));
    }

    #[test]
    fn a_torn_line_is_reported_and_costs_only_itself() {
        let (dir, task) = task();
        end(&task, &ended("r1"), &Wait::FOREVER).unwrap();
        let whole = text(&dir);
        for length in 1..whole.len() {
            std::fs::write(dir.path().join(RECEIPTS), format!("{whole}{}", &whole[..length]))
                .unwrap();
            let seen = read(&task).unwrap();
            // Without its line end it is whole all the same.
            let torn = usize::from(length < whole.len() - 1);
            assert_eq!((seen.all.len(), seen.damage.len()), (1, torn), "{length}");
            end(&task, &ended("r2"), &Wait::FOREVER).unwrap();
            let seen = read(&task).unwrap();
            assert_eq!((seen.all.len(), seen.damage.len()), (2, torn), "{length}");
        }
        let seen = {
            std::fs::write(dir.path().join(RECEIPTS), format!("{whole}{{\n\0\n{whole}")).unwrap();
            read(&task).unwrap()
        };
        assert_eq!((seen.all.len(), seen.damage.len()), (1, 2));
        assert_eq!(seen.damage[0].code(), "receipts.damaged");
        let long = vec![b'x'; 3 * CHUNK];
        std::fs::write(dir.path().join(RECEIPTS), [&long, whole.as_bytes()].concat()).unwrap();
        assert_eq!(read(&task).unwrap().damage.len(), 1);
    }

    #[test]
    fn many_finish_at_once_and_each_has_its_receipt() {
        let (dir, task) = task();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let task = &task;
                scope.spawn(move || {
                    for number in 0..20 {
                        let run = format!("r{thread}-{number}");
                        patiently(|| begin(task, &record(&run), &Wait::FOREVER));
                        patiently(|| end(task, &ended(&run), &Wait::FOREVER));
                    }
                });
            }
        });
        let seen = read(&task).unwrap();
        assert_eq!((seen.all.len(), seen.damage.len(), text(&dir).lines().count()), (160, 0, 320));
    }
}
