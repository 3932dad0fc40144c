//! The end of one run, written down once whoever does it and however often.
//!
//! Finishing is a function of the files alone. Whoever gets the run's lock after its keeper gave it
//! back may do it; the program that started the run has no privilege. Each step leaves a state from
//! which the next finisher goes on: `output.md`, the final record (a terminal outcome stays), the
//! message (looked up before it is posted), and last the entry among the open runs.

use super::engine::Engine;
use super::open_entry::OpenEntry;
use super::output::{ensure_output, last_stderr_lines};
use super::stop::{stop_reason, stop_wished};
use super::verdict::{Ending, Evidence, Verdict, judge};
use crate::bus::{Cursor, Post};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{KEEPER, OUTPUT, RUN_LOCK};
use crate::run::store::{self, Keep};
use crate::run::{Outcome, RunRecord};
use crate::sys::{
    self, KeeperMoment, KeeperRecord, KeeperState, LockKind, Open, ProcessId, Processes,
};
use crate::time::Timestamp;

/// How a finish went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finished {
    /// The run is over and written down.
    Over,
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
    let first_look = known(&folder)?.record;
    if !first_look.is_supervised() && !first_look.is_open() {
        // A finished run of the older program: there is nothing to add.
        return Ok(Finished::Over);
    }
    // Its starter holds the lock until there is a keeper to hold it.
    let Some(_lock) = folder.try_lock(RUN_LOCK, LockKind::Exclusive)? else {
        return Ok(Finished::NotYet);
    };
    // Read again: another finisher may have been here before we had the lock.
    let Known { record, damage } = known(&folder)?;
    if record.outcome.is_none() {
        let mut evidence = gather(&folder, &record)?;
        evidence.locked = false;
        match judge(&evidence) {
            Verdict::Over(ending) => {
                if damage.is_some() {
                    store::create_anew(&folder, &record)?;
                }
                write_down(engine, &folder, ending, wait)?;
            }
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

/// What is known of a run whether its record can be read or not.
pub(crate) struct Known {
    /// Its record, or what the run's place and its keeper tell.
    pub(crate) record: RunRecord,
    /// Why the record cannot be read.
    pub(crate) damage: Option<Error>,
}

/// Reads the record of a run. Where an agent or a person damaged it, a run of ours is still known by
/// its lock and its keeper: damage must not keep it from being stopped, waited for and finished.
pub(crate) fn known(folder: &Folder) -> Result<Known> {
    let damage = match store::read(folder) {
        Ok(record) => return Ok(Known { record, damage: None }),
        Err(error) => error,
    };
    let damaged =
        matches!(damage.kind(), ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::InvalidInput);
    if !damaged || folder.stat(RUN_LOCK)?.is_none() {
        return Err(damage);
    }
    let mut record = store::stand_in(folder);
    if let Some(keeper) = keeper_record(folder)? {
        record.start_time = moment(keeper.born_at);
        record.pid = i64::from(keeper.agent.pid);
        record.pgid = record.pid;
    }
    Ok(Known { record, damage: Some(damage) })
}

/// What became of a run that has no outcome yet. Reads only.
pub(crate) fn observe(folder: &Folder, record: &RunRecord) -> Result<Verdict> {
    let mut evidence = gather(folder, record)?;
    evidence.locked = folder.is_locked(RUN_LOCK)?;
    Ok(judge(&evidence))
}

/// Whether the run's program could not be executed, as its keeper saw it.
pub(crate) fn exec_failed(folder: &Folder) -> Result<bool> {
    Ok(keeper_record(folder)?.is_some_and(|keeper| keeper.state == KeeperState::ExecFailed))
}

/// The newest record that the run's keeper wrote; `None` where no keeper wrote one.
pub(crate) fn keeper_record(folder: &Folder) -> Result<Option<KeeperRecord>> {
    let Some(fd) = folder.open_if_exists(KEEPER, Open::Read)? else { return Ok(None) };
    let Some(file) = fd.as_file() else { return Ok(None) };
    sys::read_keeper_file(file).map_err(|e| folder.error("read", KEEPER, e))
}

fn gather(folder: &Folder, record: &RunRecord) -> Result<Evidence> {
    let keeper = keeper_record(folder)?;
    let look = |e| folder.error("look at the processes of", "", e);
    let boot = Processes.boot_id().map_err(look)?;
    let this_boot = keeper.as_ref().is_some_and(|keeper| keeper.boot_id == boot.as_bytes());
    let agent_alive = match &keeper {
        Some(keeper) => this_boot && Processes.is_alive(agent_of(keeper)).map_err(look)?,
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
        ours: record.is_supervised(),
        named: record.pid > 0,
        locked: false,
        stop_wished: stop_wished(folder)?,
        keeper,
    })
}

/// The agent's process as the keeper recorded it.
pub(crate) fn agent_of(keeper: &KeeperRecord) -> ProcessId {
    ProcessId { pid: keeper.agent.pid, start: keeper.agent.start }
}

/// The keeper's own process.
pub(crate) fn keeper_of(keeper: &KeeperRecord) -> ProcessId {
    ProcessId { pid: keeper.keeper.pid, start: keeper.keeper.start }
}

/// A moment as the keeper records it.
fn moment(at: KeeperMoment) -> Timestamp {
    Timestamp::from_unix_nanos(i128::from(at.secs) * 1_000_000_000 + i128::from(at.nanos))
}

fn write_down(engine: &Engine, folder: &Folder, ending: Ending, wait: &Wait) -> Result<()> {
    if ending.outcome != Outcome::Refused {
        ensure_output(folder)?;
    }
    let now = engine.now();
    let stop_reason = stop_reason(folder)?;
    store::update(folder, wait, Keep::Durably, |record| {
        record.status = ending.outcome.status();
        record.outcome = Some(ending.outcome);
        record.exit_code = ending.exit_code;
        record.signal = ending.signal;
        record.end_time = ending.ended_at.map_or(now, moment);
        // Why it was refused is best known to the starter that failed.
        let known = record.error_summary.take().filter(|_| ending.outcome == Outcome::Refused);
        record.error_summary = known.or(ending.error);
        record.phase = None;
        if ending.outcome == Outcome::Stopped {
            record.stop_reason = stop_reason;
        }
        Ok(())
    })
    .map(drop)
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
    let since: Option<Cursor> = record.start_msg.as_deref().and_then(|cursor| cursor.parse().ok());
    let kind = if crashed { "RUN_CRASH" } else { "RUN_STOP" };
    let bus = engine.task_bus(project, task)?;
    let key = format!("{run}:end");
    let posted =
        bus.append_once(&key, since.as_ref(), Post::new(kind, body).run(run), wait.clone())?;
    store::update(folder, wait, Keep::Loosely, |record| {
        record.stop_msg = Some(posted.cursor.to_string());
        Ok(())
    })
    .map(drop)
}
