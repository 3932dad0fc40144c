//! The end of one run, written down once whoever does it and however often.
//!
//! Finishing is a function of the files alone. Whoever gets the run's lock after its keeper gave it
//! back may do it; the program that started the run has no privilege. Each step leaves a state from
//! which the next finisher goes on: `output.md`, the final record (a terminal outcome stays), the
//! message (looked up before it is posted), and last the entry among the open runs.

use super::engine::Engine;
use super::open_entry::OpenEntry;
use super::output::{ensure_output, last_stderr_lines, read_stream};
use super::start::{start_key, start_message};
use super::verdict::{Ending, Evidence, Verdict, judge};
use crate::agent::stream::StreamSummary;
use crate::bus::{Cursor, Post};
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{KEEPER, OUTPUT, RUN_LOCK};
use crate::run::store::{self, Keep};
use crate::run::{Outcome, RunRecord};
use crate::sys::{self, KeeperRecord, LockKind, Open, ProcessId, Processes};
use crate::time::Timestamp;
use crate::usage::ErrorClass;

/// How a finish went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finished {
    /// The run is over and written down.
    Over,
    /// Nothing of it ever was but its folder: its starter died before the first record.
    NeverBegan,
    /// The run lives, or somebody else is finishing it.
    NotYet,
}

/// Writes down the end of a run if it is over.
pub(crate) fn finish(
    engine: &Engine,
    project: &ProjectId,
    task: &TaskId,
    run: &RunId,
    wait: &Wait,
) -> Result<Finished> {
    let folder = engine.layout().run(project, task, run)?;
    let first_look = read_record(&folder)?;
    if first_look.is_some_and(|record| !record.is_supervised() && !record.is_open()) {
        // A finished run of the older program: there is nothing to add.
        return Ok(Finished::Over);
    }
    // Its starter holds the lock until there is a record and a keeper to hold it.
    let Some(_lock) = folder.try_lock(RUN_LOCK, LockKind::Exclusive)? else {
        return Ok(Finished::NotYet);
    };
    // Read again: another finisher may have been here before we had the lock.
    let Some(record) = read_record(&folder)? else {
        OpenEntry::remove(engine.layout(), project, task, run)?;
        return Ok(Finished::NeverBegan);
    };
    if record.outcome.is_none() {
        let mut evidence = gather(&folder, &record)?;
        evidence.locked = false;
        match judge(&evidence) {
            Verdict::Over(ending) => write_down(engine, &folder, &record.agent, ending, wait)?,
            Verdict::Supervised | Verdict::Adopted | Verdict::PossiblyAlive => {
                return Ok(Finished::NotYet);
            }
        }
    }
    let record = store::read(&folder)?;
    if record.stop_msg.is_none() {
        post_end(engine, &folder, (project, task, run), &record, wait)?;
    }
    OpenEntry::remove(engine.layout(), project, task, run)?;
    Ok(Finished::Over)
}

/// The record of a run; `None` where there is none yet.
fn read_record(folder: &Folder) -> Result<Option<RunRecord>> {
    match store::read(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        record => record.map(Some),
    }
}

/// What became of a run that has no outcome yet. Reads only.
pub(crate) fn observe(folder: &Folder, record: &RunRecord) -> Result<Verdict> {
    let mut evidence = gather(folder, record)?;
    evidence.locked = folder.is_locked(RUN_LOCK)?;
    Ok(judge(&evidence))
}

/// The newest record that the run's keeper wrote; `None` where no keeper wrote one.
pub(crate) fn keeper_record(folder: &Folder) -> Result<Option<KeeperRecord>> {
    read_keeper_record(folder, KEEPER)
}

/// The newest record in the keeper's file `name`; `None` where no keeper wrote one.
pub(super) fn read_keeper_record(folder: &Folder, name: &str) -> Result<Option<KeeperRecord>> {
    let Some(fd) = folder.open_if_exists(name, Open::Read)? else { return Ok(None) };
    let Some(file) = fd.as_file() else { return Ok(None) };
    sys::read_keeper_file(file).map_err(|e| folder.error("read", name, e))
}

fn gather(folder: &Folder, record: &RunRecord) -> Result<Evidence> {
    let keeper = keeper_record(folder)?;
    let look = |e| folder.error("look at the processes of", "", e);
    let boot = Processes.boot_id().map_err(look)?;
    let this_boot = keeper.as_ref().is_some_and(|keeper| keeper.boot_id == boot.as_bytes());
    let elsewhere = match &keeper {
        Some(keeper) => this_boot && !is_of_here(keeper).map_err(look)?,
        None => false,
    };
    let agent_alive = match &keeper {
        Some(keeper) => {
            this_boot && !elsewhere && Processes.is_alive(agent_of(keeper)).map_err(look)?
        }
        // The older program left a number alone: somebody having it proves nothing, nobody having
        // it proves the end.
        None => match u32::try_from(record.pid) {
            Ok(pid) if pid > 0 => Processes.identify(pid).map_err(look)?.is_some(),
            _ => false,
        },
    };
    Ok(Evidence {
        agent_alive,
        this_boot,
        elsewhere,
        ours: record.is_supervised(),
        named: record.pid > 0,
        locked: false,
        keeper,
    })
}

/// Whether the process numbers of a keeper's record mean anything here: they are those of one boot of
/// the machine, and of one pid namespace.
pub(crate) fn is_of_here(keeper: &KeeperRecord) -> std::io::Result<bool> {
    Ok(keeper.boot_id == Processes.boot_id()?.as_bytes()
        && keeper.pid_ns == Processes.pid_namespace()?)
}

/// The agent's process as the keeper recorded it.
pub(crate) fn agent_of(keeper: &KeeperRecord) -> ProcessId {
    ProcessId { pid: keeper.agent.pid, start: keeper.agent.start }
}

/// The keeper's own process.
pub(crate) fn keeper_of(keeper: &KeeperRecord) -> ProcessId {
    ProcessId { pid: keeper.keeper.pid, start: keeper.keeper.start }
}

fn write_down(
    engine: &Engine,
    folder: &Folder,
    agent: &str,
    ending: Ending,
    wait: &Wait,
) -> Result<()> {
    let end_time = ending.ended_at.map_or(engine.now(), Timestamp::from_unix_nanos);
    let stream = match ending.outcome {
        Outcome::Refused => None,
        _ => {
            let stream = read_stream(folder, agent, end_time)?;
            ensure_output(folder, stream.as_ref())?;
            stream
        }
    };
    let stop_reason = super::stop::stop_reason(folder)?;
    store::update(folder, wait, Keep::Durably, |record| {
        record.status = ending.outcome.status();
        record.outcome = Some(ending.outcome);
        record.exit_code = ending.exit_code;
        record.signal = ending.signal;
        record.end_time = end_time;
        // Why it was refused is best known to the starter that failed.
        let known = record.error_summary.take().filter(|_| ending.outcome == Outcome::Refused);
        record.error_summary = known.or(ending.error);
        record.phase = None;
        if ending.outcome == Outcome::Stopped {
            record.stop_reason = stop_reason;
        }
        if let Some(stream) = stream {
            tell(record, stream);
        }
        Ok(())
    })
    .map(drop)
}

/// Takes what the agent's stream said into the record.
fn tell(record: &mut RunRecord, stream: StreamSummary) {
    if let (Some(summary), Some(why)) = (&mut record.error_summary, in_words(&stream)) {
        summary.push_str(": ");
        summary.push_str(&why);
    }
    record.session_id = stream.session_id;
    record.model = stream.model;
    record.usage = stream.usage;
    record.cost_usd = stream.cost_usd;
    record.error_class = stream.error_class;
    record.limit_reset = stream.limit_reset;
}

/// Why the agent could not go on, in a few words.
fn in_words(stream: &StreamSummary) -> Option<String> {
    match (stream.error_class?, stream.limit_reset) {
        (ErrorClass::UsageLimit, Some(reset)) => Some(format!("usage limit until {reset}")),
        (ErrorClass::UsageLimit, None) => Some("usage limit".into()),
        (ErrorClass::Transient, _) => Some("service overloaded or out of reach".into()),
        (ErrorClass::BadCredentials, _) => Some("bad credentials".into()),
        (ErrorClass::Other, _) => None,
    }
}

/// Posts `RUN_STOP` or `RUN_CRASH`, once in all.
fn post_end(
    engine: &Engine,
    folder: &Folder,
    (project, task, run): (&ProjectId, &TaskId, &RunId),
    record: &RunRecord,
    wait: &Wait,
) -> Result<()> {
    let crashed = !matches!(record.outcome, Some(Outcome::Completed | Outcome::Stopped));
    let mut body = format!(
        "run stopped with code {}\nrun_dir: {}\noutput: {}",
        record.exit_code,
        folder.path().display(),
        folder.join(OUTPUT).display(),
    );
    if crashed {
        if let Some(summary) = &record.error_summary {
            body.push_str("\nerror: ");
            body.push_str(summary);
        }
        let lines = last_stderr_lines(folder)?;
        if !lines.is_empty() {
            body.push_str("\n\n## stderr (last 50 lines)\n");
            body.push_str(&lines);
        }
    }
    let bus = engine.task_bus(project, task)?;
    let noted = record.start_msg.as_deref().and_then(|cursor| cursor.parse().ok());
    let since: Option<Cursor> = match noted {
        None if keeper_record(folder)?.is_some() => {
            // Its starter died before it told, or before it noted that it had; or the older program
            // dropped the note.
            let start = start_message(folder, run);
            Some(bus.append_once(&start_key(run), None, start, wait.clone())?.cursor)
        }
        noted => noted,
    };
    let kind = if crashed { "RUN_CRASH" } else { "RUN_STOP" };
    let key = format!("{run}:end");
    let posted =
        bus.append_once(&key, since.as_ref(), Post::new(kind, body).run(run), wait.clone())?;
    store::update(folder, wait, Keep::Loosely, |record| {
        record.stop_msg = Some(posted.cursor.to_string());
        Ok(())
    })
    .map(drop)
}
